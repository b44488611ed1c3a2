//! What a hit costs.

use std::time::Duration;

use anyhow::Result;

use super::contenders::{self, Contender};
use super::load::{Access, Question, Version, ask, load};
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

/// Takes the CPU time of `rounds` rounds of `num` requests each, of each way in turns. A fifth as many come before each
/// round and are not counted: a front that nobody has asked for a second asks its root until it follows again.
fn take_turns(ways: &mut [Way<'_>], num: usize, rounds: usize) -> Result<()> {
    for way in &mut *ways {
        // What is asked for the first time is not kept yet.
        load(&way.question, 500)?;
    }
    for _ in 0..rounds {
        for way in &mut *ways {
            load(&way.question, num / 5)?;
            let before = cpu_of_tree(way.pid)?;
            load(&way.question, num)?;
            let used = cpu_of_tree(way.pid)? - before;
            way.rounds.push(used / u32::try_from(num)?);
        }
    }
    Ok(())
}

/// A front that looks at keys and writes what it is asked.
const COUNTS: [&str; 11] = [
    "--leaves",
    "1",
    "--copies",
    "1",
    "--roots",
    "1",
    "--fronts",
    "1",
    "--secure",
    "--keys",
    "--access-logs",
];

const COLUMNS: [&str; 5] = [
    "server",
    "version",
    "CPU a request, µs",
    "to nginx's file",
    "to nginx's cache",
];

pub(super) fn measure(site: &Site) -> Result<Section> {
    let options = &site.options;
    let (num, rounds) = (options.sized(4_000, 20_000), options.sized(3, 7));
    let cluster = Cluster::start(site, "hits", &COUNTS)?;
    let (front, front_pid) = cluster.of("front").remove(0);
    let (access, of_cluster) = (site.access()?, cluster.access()?);
    site.index(Some(&of_cluster), &format!("https://{front}"))?;
    let [file, cached, varnish] = [
        contenders::static_file(site)?,
        contenders::proxy_cache(site)?,
        contenders::hitch_and_varnish(site)?,
    ];
    let serve = format!("https://127.0.0.1:{}/notes/_search", site.serve_port);
    let front_url = format!("https://{front}/notes/_search");
    let (get, post) = ("?q=text:tea", Some(site.question.as_path()));
    let pids = [&file, &cached, &varnish].map(|contender: &Contender| contender.process.pid());
    let [file_pid, cached_pid, varnish_pid] = pids;
    let serve_pid = site.serve.pid();
    let all = [
        ("nginx, a file, GET", file_pid, file.url.clone(), None),
        (
            "hitch and Varnish, GET",
            varnish_pid,
            varnish.url.clone(),
            None,
        ),
        (
            "nginx, cache of answers, POST",
            cached_pid,
            cached.url.clone(),
            post,
        ),
        (
            "gleaner serve, GET",
            serve_pid,
            format!("{serve}{get}"),
            None,
        ),
        ("gleaner serve, POST", serve_pid, serve, post),
        (
            "gleaner front, GET",
            front_pid,
            format!("{front_url}{get}"),
            None,
        ),
        ("gleaner front, POST", front_pid, front_url.clone(), post),
    ];
    let mut table = Table::new(COLUMNS);
    for version in [Version::Http1, Version::Http2] {
        // hitch hands on what it does not understand: HTTP/1.1 alone.
        let is_spoken = |name: &str| version == Version::Http1 || !name.starts_with("hitch");
        let spoken = all.iter().filter(|(name, ..)| is_spoken(name));
        let mut ways: Vec<Way<'_>> = spoken
            .map(|(name, pid, url, body)| {
                let question = Question {
                    url: url.clone(),
                    key: key_for(name, &access, &of_cluster),
                    body: *body,
                    version,
                };
                way(name, *pid, question)
            })
            .collect();
        take_turns(&mut ways, num, rounds)?;
        fill(&mut table, &ways, version);
    }
    let bytes = std::fs::metadata(&site.answer)?.len();
    let said = origin(&of_cluster, &front_url)?;
    Ok(Section {
        title: "Hits",
        method: format!(
            "The same answer of {bytes} bytes over TLS 1.3, 8 connections that stay open, {rounds} rounds of {num} \
             requests in turns, each after {} that are not counted; median of the CPU time of the server's processes a \
             request. Clients of gleaner show an API key, whose rights and allowance are looked at each time; nginx's cache hands it on and does not \
             look at it. The front counts each request and writes a line of its access log; nginx writes none.",
            num / 5
        ),
        tables: vec![table],
        remarks: vec![format!("The front said `{said}`.")],
    })
}

/// Returns the key that a server, or the one behind it, requires.
fn key_for<'a>(name: &str, serve: &'a Access, cluster: &'a Access) -> Option<&'a str> {
    match name {
        name if name.starts_with("gleaner front") => Some(&cluster.key),
        name if name.starts_with("gleaner serve") || name.contains("cache of answers") => {
            Some(&serve.key)
        }
        _ => None,
    }
}

/// Writes what was found with one version of HTTP.
fn fill(table: &mut Table, ways: &[Way<'_>], version: Version) {
    let (of_file, of_cache) = (median(ways, "a file"), median(ways, "cache of answers"));
    for way in ways {
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

/// Returns what the front says of where its answer is from.
fn origin(access: &Access, url: &str) -> Result<String> {
    let (said, _) = ask(access, &["-d", super::site::QUESTION, url])?;
    let mut lines = said.lines();
    let origin = lines.find(|line| line.to_lowercase().starts_with("x-cache"));
    Ok(origin.unwrap_or("nothing").trim().to_owned())
}

fn median(ways: &[Way<'_>], name: &str) -> Duration {
    let found = ways.iter().find(|way| way.name.contains(name));
    found.map_or(Duration::ZERO, Way::median)
}

fn way<'a>(name: &'static str, pid: u32, question: Question<'a>) -> Way<'a> {
    Way {
        name,
        pid,
        question,
        rounds: Vec::new(),
    }
}
