//! Where a search's time went, on the root's clock: every call to a leaf, and the root's own steps.

use std::time::Duration;

use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_query::answer::LeafTimes;

/// The way of one search, in the order things ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waterfall {
    /// Calls to leaves.
    pub attempts: Vec<LeafAttempt>,
    /// What the root did itself.
    pub steps: Vec<Step>,
    /// Where the numbers for scoring came from; of the last try when it began again.
    pub statistics: Numbers,
    /// What posting lists have cost; of the last try. `None` for a scatter by shards.
    pub terms: Option<TermsCost>,
    /// Shards that could not match for what they hold, and were not asked for hits, with their indices;
    /// of the last try.
    pub skipped: Vec<(String, ShardKey)>,
    /// Times that the search was begun again, because what it had counted on was gone.
    pub num_restarts: usize,
}

/// What the posting lists of a search scattered by terms have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TermsCost {
    /// Rounds of requests: 1 when all lists of each shard are of one generation at once, 0 when all
    /// were remembered.
    pub rounds: u32,
    /// Requests for lists, pages and second requests included.
    pub list_requests: u64,
    /// Postings that came.
    pub postings: u64,
    /// Bytes of lists that came, as they travel.
    pub list_bytes: u64,
    /// Lists of shards that were remembered.
    pub cache_hits: u64,
}

/// Where the numbers for scoring came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Numbers {
    /// Nothing was scored.
    #[default]
    NotNeeded,
    /// They were remembered, and the answers confirmed them.
    Remembered,
    /// They were counted for this search.
    Counted,
}

/// One call to a leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct LeafAttempt {
    /// `expand`, `statistics`, `query`, `postings`, `locate`, `fetch` or `open_pit`.
    pub phase: &'static str,
    /// The leaf.
    pub node: NodeId,
    /// The index.
    pub index: String,
    /// The shards asked.
    pub shards: Vec<ShardKey>,
    /// Why it was made.
    pub kind: AttemptKind,
    /// From the request's start to the call.
    pub started_after: Duration,
    /// From the call to its answer, or to when it was given up.
    pub took: Duration,
    /// What the leaf says of its own time; the rest of `took` is the wire's and the hand-overs'.
    pub times: Option<LeafTimes>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Whether it was given up before it answered.
    pub is_cancelled: bool,
    /// Whether its phase waited for it, or for the call that came in its place, clearly longer than
    /// for the others.
    pub is_straggler: bool,
}

/// Why a leaf was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    /// As planned.
    First,
    /// Another copy was late.
    Hedge,
    /// Another copy failed.
    Retry,
    /// The copy was behind when it was asked with other shards: it is waited for by itself.
    Wait,
}

impl AttemptKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::First, Self::Hedge, Self::Retry, Self::Wait];

    /// Returns its name in profiles and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Hedge => "hedge",
            Self::Retry => "retry",
            Self::Wait => "wait",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptOutcome {
    /// It gave what was used.
    Won,
    /// Others were faster for all of its shards: it was cancelled, or came second.
    Lost,
    /// The deadline passed: it was cancelled.
    Late,
    /// It gave nothing; the first fault.
    Failed(LeafFault),
}

/// Something that the root did itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// `plan`, `cache` (remembered numbers looked up), `merge` or `reduce`; `lists` and `rank` of a scatter
    /// by terms.
    pub name: &'static str,
    /// From the request's start.
    pub started_after: Duration,
    /// Its time. That of `merge` is the sum over all answers, each merged as it came: waiting between them is
    /// left out.
    pub took: Duration,
}

impl LeafAttempt {
    /// Returns the time that was neither queue nor evaluation: wire, encoding and hand-overs.
    pub fn wire(&self) -> Option<Duration> {
        let times = self.times?;
        Some(self.took.saturating_sub(times.queue + times.evaluate))
    }

    fn ended_after(&self) -> Duration {
        self.started_after + self.took
    }

    /// Returns when, from the request's start, the call was cancelled, if it was: by another copy's answer or
    /// the deadline.
    pub fn cancelled_after(&self) -> Option<Duration> {
        self.is_cancelled.then(|| self.ended_after())
    }
}

/// How much longer than the median of its phase a call must have taken to be a straggler.
const STRAGGLES: u32 = 2;

/// Marks the straggler of each phase: the call that was hedged, or else the one that ended last if it
/// took twice the median.
pub(crate) fn mark_stragglers(attempts: &mut [LeafAttempt]) {
    let is_hedged = |attempt: &LeafAttempt| {
        attempt.kind != AttemptKind::Hedge
            && matches!(attempt.outcome, AttemptOutcome::Lost | AttemptOutcome::Late)
    };
    let mut times: Vec<Duration> = attempts.iter().map(|attempt| attempt.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let last = attempts.iter().map(LeafAttempt::ended_after).max();
    let has_hedged = attempts.iter().any(is_hedged);
    for attempt in attempts.iter_mut() {
        let is_last = Some(attempt.ended_after()) == last && attempt.took > median * STRAGGLES;
        attempt.is_straggler = is_hedged(attempt) || (is_last && !has_hedged);
    }
}
