//! Numbers counted before, and which generation each shard showed last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{Generation, NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_query::answer::{ShardHits, ViewId};
use gleaner_query::resolved::Statistics;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::plan::{IndexPlan, PlannedShard};
use crate::response::ShardFailure;
use crate::scatter::Answer;
use crate::waterfall::Numbers;

/// How long a generation counts as the newest of its shard after it was seen. A wrong guess costs an
/// evaluation, a trip some 50 µs: with a refresh each second, one guess in ten goes wrong.
const FRESH: Duration = Duration::from_millis(100);

/// Bytes of numbers remembered, roughly.
const CACHE_BYTES: u64 = 8 << 20;

/// Shards whose newest generation is remembered; beyond it all are forgotten.
const MAX_SHARDS: usize = 65_536;

/// Numbers with the moments they were counted in.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// Plan by plan and shard by shard; empty when nothing was counted.
    moments: Arc<Vec<Moment>>,
    /// The numbers.
    pub(crate) statistics: Arc<Statistics>,
    /// Whether the moments are a guess that the answers must confirm.
    is_guess: bool,
}

/// What a shard showed when it was counted.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) generation: Generation,
    /// The view, for requests that name it, and the copy it belongs to.
    pub(super) view: ViewId,
    pub(super) node: NodeId,
}

impl Moment {
    /// Returns whether `asked` names this moment.
    fn is_pinned_by(&self, asked: &PlannedShard) -> bool {
        let is_there = asked.node.as_ref().is_none_or(|node| *node == self.node);
        asked.view == Some(self.view) && is_there
    }
}

impl Counted {
    /// Returns numbers that were counted just now.
    pub(super) fn new(moments: Vec<Moment>, statistics: Statistics) -> Self {
        Self {
            moments: Arc::new(moments),
            statistics: Arc::new(statistics),
            is_guess: false,
        }
    }

    /// Returns how many shards were counted.
    pub(super) fn num_shards(&self) -> usize {
        self.moments.len()
    }

    /// Returns whether all answers come from the generations that were counted, where that was a
    /// guess. A shard that ran out of time has no answer to fit.
    pub(crate) fn is_confirmed_by(
        &self,
        answers: &[Vec<Result<Answer<ShardHits>, ShardFailure>>],
    ) -> bool {
        if !self.is_guess {
            return true;
        }
        let mut both = answers.iter().flatten().zip(self.moments.iter());
        both.all(|(answer, moment)| match answer {
            Ok(answer) => answer.value.generation == moment.generation,
            Err(failure) => matches!(failure.fault, LeafFault::DeadlinePassed { .. }),
        })
    }

    /// Marks the answers that are of other generations than were counted as cut short: there was no
    /// time to count again, and what they show is not in the numbers they were ranked by.
    pub(crate) fn mark_unconfirmed(
        &self,
        answers: &mut [Vec<Result<Answer<ShardHits>, ShardFailure>>],
    ) {
        if !self.is_guess {
            return;
        }
        let both = answers.iter_mut().flatten().zip(self.moments.iter());
        for (answer, moment) in both {
            if let Ok(answer) = answer
                && answer.value.generation != moment.generation
            {
                answer.value.timed_out = true;
            }
        }
    }

    /// Returns where the numbers came from.
    pub(crate) fn origin(&self) -> Numbers {
        match self {
            _ if self.is_guess => Numbers::Remembered,
            _ if self.statistics.fields.is_empty() => Numbers::NotNeeded,
            _ => Numbers::Counted,
        }
    }
}

/// Numbers counted before, and what each shard showed last.
pub(crate) struct Cache {
    counted: moka::sync::Cache<Vec<u8>, Counted>,
    newest: Mutex<HashMap<ShardKey, Newest>>,
}

/// What a shard showed last, on any copy.
struct Newest {
    generation: Generation,
    seen: Instant,
    /// Live documents, when a search told.
    num_documents: Option<u64>,
}

impl Default for Cache {
    fn default() -> Self {
        let weigh = |key: &Vec<u8>, counted: &Counted| {
            let bytes = 2 * key.len() + size_of::<Moment>() * counted.moments.len() + 256;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let counted = moka::sync::Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(weigh)
            .build();
        Self {
            counted,
            newest: Mutex::default(),
        }
    }
}

impl Cache {
    /// Notes that `generation` is what a copy of `shard` shows now, with how many documents. One that
    /// lags behind what another has just shown changes nothing.
    pub(crate) fn saw(&self, shard: ShardKey, generation: Generation, num_documents: Option<u64>) {
        let mut newest = self.newest.lock();
        if newest.len() >= MAX_SHARDS {
            newest.clear();
        }
        let known = newest.entry(shard).or_insert_with(|| Newest {
            generation,
            seen: Instant::now(),
            num_documents: None,
        });
        if generation.visible >= known.generation.visible || known.seen.elapsed() >= FRESH {
            known.generation = generation;
            known.seen = Instant::now();
            known.num_documents = num_documents.or(known.num_documents);
        }
    }

    /// Remembers numbers: from then on they are a guess.
    pub(super) fn keep(&self, key: Vec<u8>, counted: &Counted) {
        let guess = Counted {
            is_guess: true,
            ..counted.clone()
        };
        self.counted.insert(key, guess);
    }

    /// Returns what `shard` showed, when that was a moment ago.
    pub(crate) fn newest(&self, shard: ShardKey) -> Option<Generation> {
        let newest = self.newest.lock();
        let known = newest.get(&shard)?;
        (known.seen.elapsed() < FRESH).then_some(known.generation)
    }

    /// Returns how many documents `shard` held when it was last searched.
    pub(crate) fn num_documents(&self, shard: ShardKey) -> Option<u64> {
        self.newest.lock().get(&shard)?.num_documents
    }

    /// Returns the numbers for `plans` when their moments are the ones that were counted, as far as
    /// can be told without asking.
    pub(super) fn look_up(&self, plans: &[IndexPlan], key: &[u8]) -> Option<Counted> {
        let counted = self.counted.get(key)?;
        let newest = self.newest.lock();
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        let mut both = shards.zip(counted.moments.iter());
        let is_current = both.all(|(asked, moment)| match asked.generation {
            Some(bound) => bound == moment.generation,
            None if asked.is_pinned => moment.is_pinned_by(asked),
            None => newest.get(&asked.shard).is_some_and(|newest| {
                newest.generation == moment.generation && newest.seen.elapsed() < FRESH
            }),
        });
        is_current.then_some(counted)
    }
}
