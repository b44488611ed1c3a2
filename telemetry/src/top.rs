//! What this process is busy with: requests under way, and what took most of the last minutes.
//!
//! Does: keep the requests that are open, add up times by route and index, by key of equal searches, and by shard.
//! Does not: look at the machine. Memory is bounded: a table has [`MAX_KEYS`] rows, what finds none is left out.
//! Read first: [`top`].

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::ShardKey;
use http::{Method, Uri};
use parking_lot::Mutex;
use serde::Serialize;

use crate::facts::{Facts, QueryKey, cut};

/// Rows of a table.
const MAX_KEYS: usize = 1_024;

/// How long times are added up before they are begun anew; those of the period before count too.
const PERIOD: Duration = Duration::from_secs(60);

/// Rows that are shown.
const SHOWN: usize = 10;

static TOP: Top = Top::new();

/// Returns what this process is busy with.
pub fn top() -> Busy {
    TOP.shown()
}

/// Adds the times that searches of shards took.
pub fn note_shards(times: impl Iterator<Item = (ShardKey, Duration)>) {
    let mut tables = TOP.tables.lock();
    for (shard, took) in times {
        tables.shards.add(shard, took);
    }
}

/// A request that is open; it is taken off when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenRequest(u64);

impl OpenRequest {
    /// Adds a request; what is kept of it here shares the memory of its head.
    pub(crate) fn begin(method: &Method, uri: &Uri, facts: &Arc<Mutex<Facts>>) -> Self {
        let request = Request {
            since: Instant::now(),
            method: method.clone(),
            uri: uri.clone(),
            facts: Arc::clone(facts),
        };
        let mut open = TOP.open.lock();
        open.next += 1;
        let number = open.next;
        open.requests
            .get_or_insert_default()
            .insert(number, request);
        Self(number)
    }

    /// Adds the request to what this process was busy with.
    pub(crate) fn end(&self, facts: Facts, took: Duration) {
        let route = facts.route.unwrap_or("none");
        let index = facts.index.unwrap_or_default();
        let mut tables = TOP.tables.lock();
        tables.routes.add((route, index), took);
        if let Some(key) = facts.query_key {
            tables.searches.add(key, took);
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let ended = match &mut TOP.open.lock().requests {
            Some(requests) => requests.remove(&self.0),
            None => None,
        };
        // Freed when the lock is.
        drop(ended);
    }
}

struct Top {
    open: Mutex<Open>,
    tables: Mutex<Tables>,
}

struct Open {
    next: u64,
    requests: Option<HashMap<u64, Request>>,
}

struct Request {
    since: Instant,
    method: Method,
    uri: Uri,
    facts: Arc<Mutex<Facts>>,
}

struct Tables {
    routes: Table<(&'static str, String)>,
    searches: Table<QueryKey>,
    shards: Table<ShardKey>,
}

/// Times by what took them.
struct Table<K> {
    /// Since when, and what since then; `None` before the first.
    now: Option<(Instant, HashMap<K, Tally>)>,
    before: Option<HashMap<K, Tally>>,
}

/// How often, and how long together.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    times: u64,
    took: Duration,
}

impl<K: Hash + Eq + Clone> Table<K> {
    const fn new() -> Self {
        Self {
            now: None,
            before: None,
        }
    }

    fn add(&mut self, key: K, took: Duration) {
        let rows = self.rows(Instant::now());
        if rows.len() >= MAX_KEYS && !rows.contains_key(&key) {
            return;
        }
        let tally = rows.entry(key).or_default();
        tally.times += 1;
        tally.took += took;
    }

    /// Returns the rows of the period that is now.
    fn rows(&mut self, now: Instant) -> &mut HashMap<K, Tally> {
        let age = self
            .now
            .as_ref()
            .map(|(since, _)| now.duration_since(*since));
        if age.is_some_and(|age| age >= PERIOD) {
            let ended = self.now.take().map(|(_, rows)| rows);
            // What ended long ago says nothing of now.
            self.before = ended.filter(|_| age.is_some_and(|age| age < 2 * PERIOD));
        }
        let (_, rows) = self.now.get_or_insert_with(|| (now, HashMap::new()));
        rows
    }

    /// Returns the rows that took longest, of this period and the one before.
    fn longest(&mut self, now: Instant) -> Vec<(K, Tally)> {
        self.rows(now);
        let now = self.now.iter().flat_map(|(_, rows)| rows);
        let mut all: HashMap<&K, Tally> = HashMap::new();
        for (key, tally) in now.chain(self.before.iter().flatten()) {
            let sum = all.entry(key).or_default();
            sum.times += tally.times;
            sum.took += tally.took;
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.took));
        all.truncate(SHOWN);
        all.into_iter()
            .map(|(key, tally)| (key.clone(), tally))
            .collect()
    }
}

/// What a process is busy with.
#[derive(Debug, Serialize)]
pub struct Busy {
    /// Requests that are open.
    pub num_running: usize,
    /// Those that have been so for the longest.
    pub running: Vec<RunningRequest>,
    /// The routes and indices whose requests took longest together.
    pub routes: Vec<HotRoute>,
    /// The keys of equal searches that took longest together.
    pub searches: Vec<HotKey>,
    /// The shards whose searches took longest together.
    pub shards: Vec<HotKey>,
}

/// A request that is open.
#[derive(Debug, Serialize)]
pub struct RunningRequest {
    /// Its method.
    pub method: String,
    /// Its path, of at most 1 KiB.
    pub path: String,
    /// Name of its route, where it is known already.
    pub route: Option<&'static str>,
    /// Since when, in milliseconds.
    pub running_ms: u64,
}

/// A route on some indices.
#[derive(Debug, Serialize)]
pub struct HotRoute {
    /// Its name.
    pub route: &'static str,
    /// The names of indices as requests give them.
    pub index: String,
    /// How many requests.
    pub times: u64,
    /// How long together, in milliseconds.
    pub took_ms: u64,
}

/// Something that took time.
#[derive(Debug, Serialize)]
pub struct HotKey {
    /// Its name.
    pub key: String,
    /// How often.
    pub times: u64,
    /// How long together, in milliseconds.
    pub took_ms: u64,
}

impl Top {
    const fn new() -> Self {
        Self {
            open: Mutex::new(Open {
                next: 0,
                requests: None,
            }),
            tables: Mutex::new(Tables {
                routes: Table::new(),
                searches: Table::new(),
                shards: Table::new(),
            }),
        }
    }

    fn shown(&self) -> Busy {
        let (num_running, running) = self.running();
        let now = Instant::now();
        let mut tables = self.tables.lock();
        let routes = tables.routes.longest(now);
        let searches = tables.searches.longest(now);
        let shards = tables.shards.longest(now);
        drop(tables);
        let routes = routes.into_iter().map(|((route, index), tally)| HotRoute {
            route,
            index,
            times: tally.times,
            took_ms: milliseconds(tally.took),
        });
        Busy {
            num_running,
            running,
            routes: routes.collect(),
            searches: hot_keys(searches),
            shards: hot_keys(shards),
        }
    }

    fn running(&self) -> (usize, Vec<RunningRequest>) {
        let open = self.open.lock();
        let mut requests: Vec<&Request> = open.requests.iter().flat_map(HashMap::values).collect();
        requests.sort_by_key(|request| request.since);
        let num_running = requests.len();
        let shown = requests
            .into_iter()
            .take(SHOWN)
            .map(|request| RunningRequest {
                method: request.method.to_string(),
                path: cut(request.uri.path()).to_owned(),
                route: request.facts.lock().route,
                running_ms: milliseconds(request.since.elapsed()),
            });
        (num_running, shown.collect())
    }
}

fn hot_keys<K: Display>(rows: Vec<(K, Tally)>) -> Vec<HotKey> {
    let hot = |(key, tally): (K, Tally)| HotKey {
        key: key.to_string(),
        times: tally.times,
        took_ms: milliseconds(tally.took),
    };
    rows.into_iter().map(hot).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_longest_of_this_period_and_the_one_before_come_first() {
        let mut table = Table::new();
        table.add("short", MS);
        table.add("long", 5 * MS);
        table.add("short", MS);
        let begun = table.now.as_ref().map(|(since, _)| *since).expect("begun");
        let shown = |table: &mut Table<&'static str>, after| -> Vec<(&str, u64)> {
            let rows = table.longest(begun + after).into_iter();
            rows.map(|(key, tally)| (key, tally.times)).collect()
        };
        assert_eq!(shown(&mut table, MS), [("long", 1), ("short", 2)]);
        assert_eq!(shown(&mut table, PERIOD), [("long", 1), ("short", 2)]);
        assert!(shown(&mut table, 3 * PERIOD).is_empty(), "long ago");
    }

    #[test]
    fn a_table_grows_to_its_bound() {
        let mut table = Table::new();
        for key in 0..2 * MAX_KEYS {
            table.add(key, MS);
        }
        assert_eq!(table.rows(Instant::now()).len(), MAX_KEYS);
        assert_eq!(table.longest(Instant::now()).len(), SHOWN);
    }

    #[test]
    fn a_request_is_open_until_it_ends() {
        let facts = Arc::<Mutex<Facts>>::default();
        let uri = Uri::from_static("/a/path/of/this/test?q=a");
        let is_open = || {
            top()
                .running
                .iter()
                .any(|request| request.path == uri.path())
        };
        let open = OpenRequest::begin(&Method::GET, &uri, &facts);
        assert!(is_open());
        drop(open);
        assert!(!is_open());
    }
}
