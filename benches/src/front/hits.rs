//! What a hit costs.

use std::time::Duration;

use anyhow::Result;

use super::contenders::{self, Contender};
use super::load::{Question, Version, ask, load};
use super::processes::cpu_of_tree;
use super::site::{Cluster, Site};
use crate::report::{Section, Table};

/// A server, and one way to ask it.
struct Way<'a> {
    name: &'static str,
    pid: u32,
    question: Question<'a>,
    /// CPU time of each round, a request.
    rounds: Vec<Duration>,
}

impl Way<'_> {
    fn median(&self) -> Duration {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        rounds[rounds.len() / 2]
    }
}

/// Returns the median of `rounds` rounds of `num` requests each, of each way in turns.
fn take_turns(ways: &mut [Way<'_>], num: usize, rounds: usize) -> Result<()> {
    for way in &mut *ways {
        // What is asked for the first time is not kept yet.
        load(&way.question, 500)?;
    }
    for _ in 0..rounds {
        for way in &mut *ways {
            let before = cpu_of_tree(way.pid)?;
            load(&way.question, num)?;
            let used = cpu_of_tree(way.pid)? - before;
            way.rounds.push(used / u32::try_from(num)?);
        }
    }
    Ok(())
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let options = &site.options;
    let (num, rounds) = (options.sized(4_000, 20_000), options.sized(3, 7));
    let cluster = Cluster::start(
        site,
        "hits",
        &[
            "--secure", "--leaves", "1", "--copies", "1", "--roots", "1", "--fronts", "1",
        ],
    )?;
    let (front, front_pid) = cluster.of("front").remove(0);
    site.index(&cluster.ca(), &format!("https://{front}"))?;
    let [file, cached, varnish] = [
        contenders::static_file(site)?,
        contenders::proxy_cache(site)?,
        contenders::hitch_and_varnish(site)?,
    ];
    let serve = format!("https://127.0.0.1:{}/notes/_search", site.serve_port);
    let get = "?q=text:tea";
    let of = |contender: &Contender, body| Question {
        url: contender.url.clone(),
        body,
        version: Version::Http1,
    };
    let body = Some(site.question.as_path());
    let ours = |url: String, body| Question {
        url,
        body,
        version: Version::Http1,
    };
    let front_url = format!("https://{front}/notes/_search");
    let all = [
        ("nginx, a file, GET", file.process.pid(), of(&file, None)),
        (
            "hitch and Varnish, GET",
            varnish.process.pid(),
            of(&varnish, None),
        ),
        (
            "nginx, cache of answers, POST",
            cached.process.pid(),
            of(&cached, body),
        ),
        (
            "gleaner serve, GET",
            site.serve.pid(),
            ours(format!("{serve}{get}"), None),
        ),
        ("gleaner serve, POST", site.serve.pid(), ours(serve, body)),
        (
            "gleaner front, GET",
            front_pid,
            ours(format!("{front_url}{get}"), None),
        ),
        (
            "gleaner front, POST",
            front_pid,
            ours(front_url.clone(), body),
        ),
    ];
    let mut table = Table::new([
        "server",
        "version",
        "CPU a request, µs",
        "to nginx's file",
        "to nginx's cache",
    ]);
    for version in [Version::Http1, Version::Http2] {
        let mut ways: Vec<Way<'_>> = Vec::new();
        for (name, pid, question) in &all {
            // hitch hands on what it does not understand: HTTP/1.1 alone.
            if version == Version::Http2 && name.starts_with("hitch") {
                continue;
            }
            ways.push(way(name, *pid, question, version));
        }
        take_turns(&mut ways, num, rounds)?;
        let (of_file, of_cache) = (median(&ways, "a file"), median(&ways, "cache of answers"));
        for way in &ways {
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            let ratio = |to: Duration| format!("{:.2}", micros(way.median()) / micros(to));
            table.row([
                way.name.to_owned(),
                version.name().to_owned(),
                format!("{:.1}", micros(way.median())),
                ratio(of_file),
                ratio(of_cache),
            ]);
        }
    }
    let bytes = std::fs::metadata(&site.answer)?.len();
    let (said, _) = ask(&cluster.ca(), &["-d", super::site::QUESTION, &front_url])?;
    let origin = said
        .lines()
        .find(|line| line.to_lowercase().starts_with("x-cache"));
    Ok(Section {
        title: "Hits",
        method: format!(
            "The same answer of {bytes} bytes over TLS 1.3, 8 connections that stay open, {rounds} rounds of {num} \
             requests in turns; median of the CPU time of the server's processes a request."
        ),
        tables: vec![table],
        remarks: vec![format!(
            "The front said `{}`.",
            origin.unwrap_or("nothing").trim()
        )],
    })
}

fn median(ways: &[Way<'_>], name: &str) -> Duration {
    let found = ways.iter().find(|way| way.name.contains(name));
    found.map_or(Duration::ZERO, Way::median)
}

fn way<'a>(name: &'static str, pid: u32, question: &Question<'a>, version: Version) -> Way<'a> {
    let question = Question {
        version,
        ..question.clone()
    };
    Way {
        name,
        pid,
        question,
        rounds: Vec::new(),
    }
}
