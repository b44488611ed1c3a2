//! What happened in a run, as the client and a watch before the root's calls saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{DocumentId, SeqNo, ShardKey};
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Clause, ShardQuery};
use gleaner_root::{RootError, SearchResponse};

use crate::client::HEDGE_SHARE;

/// Everything that is judged after a run.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) searches: Vec<Search>,
    pub(crate) writes: Vec<Write>,
    /// Shard requests that were the first of their round, and those that were sent while another was
    /// out, each with its cost.
    pub(crate) num_first: u64,
    pub(crate) num_second: u64,
    /// Calls that leaves went on with after their callers must have been gone.
    pub(crate) overdue: Vec<Overdue>,
    /// The root's budget of second requests as it is seen from outside: what is spent of it, each
    /// time that it changed.
    pub(crate) spent: Vec<(Duration, f64)>,
    /// How many requests are out, by search, phase and shard.
    pub(crate) out: BTreeMap<(usize, Phase, ShardKey), usize>,
    /// Shards that a leaf was behind with beside others, by search and phase: it is asked for each
    /// again, which is neither a first request nor a second one.
    pub(crate) behind: BTreeSet<(usize, Phase, ShardKey, usize)>,
    /// The trace.
    pub(crate) lines: Vec<String>,
}

/// A call that a leaf went on with after its time.
#[derive(Debug)]
pub(crate) struct Overdue {
    pub(crate) leaf: usize,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    pub(crate) by: Duration,
}

/// A round of calls, as far as they can be told apart from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Statistics,
    Query,
    Fetch,
}

/// A search of the client.
pub(crate) struct Search {
    /// How many began before it.
    pub(crate) number: usize,
    pub(crate) begun: Duration,
    /// What it was promised.
    pub(crate) timeout: Duration,
    pub(crate) size: usize,
    pub(crate) min_coverage: Option<f64>,
    /// Leaves that showed the newest of each shard when it began.
    pub(crate) ready: BTreeMap<ShardKey, Vec<usize>>,
    /// Whether it was asked after everything was well again.
    pub(crate) is_last: bool,
    /// What leaves answered to its query phase, in the order it came.
    pub(crate) seen: Vec<Seen>,
    /// Shard requests of it that were still out when it had ended.
    pub(crate) num_left: usize,
    /// `None` when the client gave it up.
    pub(crate) ended: Option<Ended>,
}

/// How a search ended.
pub(crate) struct Ended {
    pub(crate) at: Duration,
    pub(crate) outcome: Result<SearchResponse, RootError>,
}

/// A shard's answer as it reached the root.
pub(crate) struct Seen {
    pub(crate) shard: ShardKey,
    pub(crate) query: Arc<ShardQuery>,
    pub(crate) hits: ShardHits,
}

impl Search {
    /// Returns what was asked, as the root resolved it; `None` while no leaf has answered.
    pub(crate) fn clause(&self) -> Option<&Clause> {
        self.seen.first().map(|seen| &seen.query.query)
    }
}

/// A write of the client to one document.
pub(crate) struct Write {
    pub(crate) id: DocumentId,
    pub(crate) shard: ShardKey,
    /// The new source; `None` for a delete.
    pub(crate) source: Option<bytes::Bytes>,
    pub(crate) begun: Duration,
    /// The number it was acknowledged with; `None` while its outcome is unknown.
    pub(crate) acknowledged: Option<SeqNo>,
    /// Whether it was refused for certain.
    pub(crate) is_refused: bool,
    /// The number of the first search that must show it. Not a time: a search may begin and a refresh be
    /// answered at the same one, in either order.
    pub(crate) visible_from: Option<usize>,
}

impl History {
    /// Adds a line to the trace.
    pub(crate) fn trace(&mut self, at: Duration, line: &str) {
        self.lines
            .push(format!("{:>10.3} {line}", at.as_secs_f64() * 1e3));
    }

    /// Notes a first request of a shard, which earns a share of a second one.
    pub(crate) fn asked_first(&mut self, at: Duration) {
        self.num_first += 1;
        let spent = self.spent_now() - HEDGE_SHARE;
        self.spent.push((at, spent.max(0.0)));
    }

    /// Notes a second request of a shard.
    pub(crate) fn asked_second(&mut self, at: Duration) {
        self.num_second += 1;
        let spent = self.spent_now() + 1.0;
        self.spent.push((at, spent));
    }

    fn spent_now(&self) -> f64 {
        self.spent.last().map_or(0.0, |(_, spent)| *spent)
    }

    /// Returns the most that was spent at any time between these.
    pub(crate) fn most_spent(&self, from: Duration, until: Duration) -> f64 {
        let first = self.spent.partition_point(|(at, _)| *at < from);
        let since = self.spent[first.saturating_sub(1)..].iter();
        let during = since.take_while(|(at, _)| *at <= until);
        during.map(|(_, spent)| *spent).fold(0.0, f64::max)
    }

    /// Returns how many shard requests of a search are out.
    pub(crate) fn num_out(&self, search: usize) -> usize {
        let out = self.out.iter().filter(|((of, _, _), _)| *of == search);
        out.map(|(_, num_out)| num_out).sum()
    }

    /// Returns the trace with the lines of each moment sorted. One reset ends many calls in a moment,
    /// and a runtime drops their tasks by numbers that it shares with the others of the process.
    pub(crate) fn by_moment(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        lines.sort_unstable();
        lines
    }

    /// Returns the hash of the whole trace.
    pub(crate) fn hash(&self) -> u64 {
        let mut hash = Fnv::default();
        for line in self.by_moment() {
            hash.add(line.as_bytes());
        }
        hash.0
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
