//! Searches over HTTP: our server with one shard against a bare handler around tantivy.

mod totals;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Options, Section, Table, tell};
use crate::bare::{Bare, Tokens};
use crate::client::Client;
use crate::corpus::Corpus;
use crate::process::Server;
use crate::queries::{Class, Filter, Query, Set, TITLE_BOOST};
use crate::race::geometric_mean;
use crate::report::loading;

/// Index of our server that is searched.
const INDEX: &str = "articles";

/// A side: its connection, and a path and body for each query.
struct Side {
    client: Client,
    path: String,
    bodies: Vec<Vec<u8>>,
    best: Vec<Duration>,
}

/// Loads both servers and times every query on each, one client on one connection.
///
/// # Errors
/// When a server does not start or refuses a request.
pub fn measure(corpus: &Corpus, options: &Options, binary: &Path) -> Result<Section> {
    tell("loading the server and the bare handler");
    let folder = TempDir::new()?;
    let bare = start_bare(corpus, folder.path())?;
    let plain = start(
        corpus,
        binary,
        &folder.path().join("plain"),
        &["--document-cache", "0", "--cache-memory", "0"],
    )?;
    let keeping = start(
        corpus,
        binary,
        &folder.path().join("keeping"),
        &["--cache-memory", "0"],
    )?;
    let mut tables = Vec::new();
    for set in Set::ALL.into_iter().chain([Set::Combined]) {
        tell(&format!("timing searches over HTTP: {}", set.name()));
        let queries = set.queries(options.data.as_deref(), corpus, options.per_class)?;
        let sides = race(&queries, &bare, &plain, &keeping, options.rounds)?;
        tables.push(table(set, &queries, &sides));
        if set != Set::Combined {
            tell(&format!("timing totals over HTTP: {}", set.name()));
            tables.push(totals::measure(
                set,
                &queries,
                &bare,
                &plain,
                options.rounds,
            )?);
        }
    }
    Ok(Section {
        title: "Searches over HTTP",
        method: format!(
            "One client on one kept connection; ten hits with their `_source`; {} rounds in turns, \
             each query's best time; median and mean over the queries. Bare is an axum handler \
             that runs tantivy's `TopDocs` and renders the sources; the query reaches it as terms. \
             Ours is `gleaner serve`, one shard of one segment: parses the dialect, analyses text, \
             counts statistics, scatters, merges, fetches, renders. Both unpack the documents of all hits \
             anew, and keep no answers: ours runs with `--cache-memory 0` and `--document-cache 0`, but for the last \
             two columns, where documents that an earlier round has read are kept (64 MB, the default). Exact totals are \
             timed in tables of their own: the number \
             of matches alone (`size: 0`), and beside ten hits.",
            options.rounds
        ),
        tables,
        remarks: Vec::new(),
    })
}

/// Lets the servers answer all `queries` in turns: bare, ours, ours with a total, ours that keeps documents.
fn race(
    queries: &[Query],
    bare: &Server,
    ours: &Server,
    keeping: &Server,
    rounds: usize,
) -> Result<[Side; 4]> {
    let total = |query: &Query| body(query, &json!(10_000));
    let no_total = |query: &Query| body(query, &json!(false));
    let search = format!("/{INDEX}/_search");
    let mut sides = [
        Side::new(
            bare,
            "/search".to_owned(),
            queries
                .iter()
                .map(serde_json::to_vec)
                .collect::<Result<_, _>>()?,
        )?,
        Side::new(ours, search.clone(), queries.iter().map(no_total).collect())?,
        Side::new(ours, search.clone(), queries.iter().map(total).collect())?,
        Side::new(keeping, search, queries.iter().map(no_total).collect())?,
    ];
    take_turns(&mut sides, rounds)?;
    Ok(sides)
}

/// Lets all sides answer their queries in turns, once to warm up and `rounds` times.
fn take_turns(sides: &mut [Side], rounds: usize) -> Result<()> {
    for _ in 0..=rounds {
        for side in sides.iter_mut() {
            side.round()?;
        }
    }
    Ok(())
}

fn start_bare(corpus: &Corpus, folder: &Path) -> Result<Server> {
    let bare_folder = folder.join("bare");
    std::fs::create_dir(&bare_folder)?;
    drop(Bare::create(&bare_folder, Tokens::Ours)?.fill(&corpus.sources, 1)?);
    let own = std::env::current_exe()?;
    let arguments = ["--serve-bare", &bare_folder.to_string_lossy()];
    Server::start(&own, &arguments, &folder.join("bare.log"), "/")
}

fn start(corpus: &Corpus, binary: &Path, folder: &Path, more: &[&str]) -> Result<Server> {
    std::fs::create_dir(folder)?;
    let ours = loading::start_with(binary, folder, more)?;
    let mut client = ours.client()?;
    loading::create(&mut client, INDEX, 1, Some("-1"))?;
    for bulk in loading::bulks(corpus, 5 << 20) {
        loading::send(&mut client, INDEX, &bulk)?;
    }
    client.expect(
        "POST",
        &format!("/{INDEX}/_forcemerge?max_num_segments=1"),
        b"",
    )?;
    client.expect("POST", &format!("/{INDEX}/_refresh"), b"")?;
    let count: Value =
        serde_json::from_slice(client.expect("GET", &format!("/{INDEX}/_count"), b"")?)?;
    ensure!(
        count["count"] == corpus.sources.len(),
        "the server holds {count}"
    );
    Ok(ours)
}

impl Side {
    fn new(server: &Server, path: String, bodies: Vec<Vec<u8>>) -> Result<Self> {
        let best = vec![Duration::MAX; bodies.len()];
        Ok(Self {
            client: server.client()?,
            path,
            bodies,
            best,
        })
    }

    fn round(&mut self) -> Result<()> {
        for (body, best) in self.bodies.iter().zip(&mut self.best) {
            let start = Instant::now();
            self.client.expect("POST", &self.path, body)?;
            *best = (*best).min(start.elapsed());
        }
        Ok(())
    }

    /// Returns median and mean of a class, µs; of all queries for `None`.
    fn median_and_mean(&self, queries: &[Query], class: Option<Class>) -> (f64, f64) {
        let times = self.times(queries, class);
        let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
        let median = times.get(times.len() / 2).copied();
        (median.unwrap_or_default(), mean)
    }

    /// Returns the sorted times of a class, µs; of all queries for `None`.
    fn times(&self, queries: &[Query], class: Option<Class>) -> Vec<f64> {
        let of_class = |query: &Query| class.is_none_or(|class| query.class == class);
        let times = queries
            .iter()
            .zip(&self.best)
            .filter(|(query, _)| of_class(query));
        let mut times: Vec<f64> = times.map(|(_, time)| time.as_secs_f64() * 1e6).collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

fn table(set: Set, queries: &[Query], sides: &[Side; 4]) -> Table {
    let mut table = Table::new([
        &format!("latency, µs: {}", set.name()),
        "bare p50 / mean",
        "ours p50 / mean",
        "ours / bare, p50",
        "ours / bare, mean",
        "with total to 10,000: p50 / mean",
        "documents kept: p50 / mean",
        "documents kept / bare, p50",
    ]);
    let mut ratios = [Vec::new(), Vec::new()];
    let classes = set.classes().iter().copied().map(Some).chain([None]);
    for class in classes {
        let [bare, ours, total, keeping] = sides
            .each_ref()
            .map(|side| side.median_and_mean(queries, class));
        let pair = |(p50, mean): (f64, f64)| format!("{p50:.0} / {mean:.0}");
        if class.is_some() {
            ratios[0].push(ours.0 / bare.0);
            ratios[1].push(keeping.0 / bare.0);
        }
        table.row([
            class.map_or("**all**", Class::name).to_owned(),
            pair(bare),
            pair(ours),
            format!("{:.2}", ours.0 / bare.0),
            format!("{:.2}", ours.1 / bare.1),
            pair(total),
            pair(keeping),
            format!("{:.2}", keeping.0 / bare.0),
        ]);
    }
    let [anew, kept] = ratios.map(|ratios| format!("**{:.2}**", geometric_mean(&ratios)));
    table.row(["**geometric mean**", "", "", &anew, "", "", "", &kept]);
    table
}

/// Returns the body of the search in the dialect.
pub(crate) fn body(query: &Query, track_total: &Value) -> Vec<u8> {
    request(query, track_total).to_string().into_bytes()
}

/// Returns the search in the dialect.
pub(crate) fn request(query: &Query, track_total: &Value) -> Value {
    let text = query.terms.join(" ");
    let text = text.as_str();
    let matching = |operator| json!({"match": {"body": {"query": text, "operator": operator}}});
    let preferred = |should: Value| json!({"bool": {"must": matching("or"), "should": should}});
    let asked = match query.class {
        Class::Term | Class::Or => matching("or"),
        Class::And => matching("and"),
        Class::Phrase => json!({"match_phrase": {"body": text}}),
        Class::Filtered => {
            let filter = query.filter.as_ref().map(|filter| match filter {
                Filter::Kind(kind) => json!({"term": {"kind": kind}}),
                Filter::Published(from, to) => {
                    json!({"range": {"published": {"gte": from, "lt": to}}})
                }
            });
            json!({"bool": {"must": matching("and"), "filter": filter}})
        }
        Class::BestField => {
            let fields = [format!("title^{TITLE_BOOST}"), "body".to_owned()];
            json!({"multi_match": {"query": text, "fields": fields}})
        }
        Class::TitleToo => preferred(json!({"match": {"title": text}})),
        Class::PhraseToo => preferred(json!({"match_phrase": {"body": text}})),
        Class::Two => {
            json!({"match": {"body": {"query": text, "minimum_should_match": 2}}})
        }
    };
    json!({"query": asked, "track_total_hits": track_total})
}
