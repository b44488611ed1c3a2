//! Numbers counted before.

use std::sync::Arc;

use gleaner_model::{Generation, NodeId};
use gleaner_proto::LeafFault;
use gleaner_query::answer::{ShardHits, ViewId};
use gleaner_query::resolved::{Extent, Statistics};

use crate::plan::{IndexPlan, PlannedShard};
use crate::response::ShardFailure;
use crate::scatter::Answer;
use crate::waterfall::Numbers;

use super::newest::Newest;

/// Bytes of numbers remembered, roughly.
const CACHE_BYTES: u64 = 8 << 20;

/// Numbers with the moments they were counted in.
#[derive(Debug, Clone)]
pub(crate) struct CachedStatistics {
    /// Plan by plan and shard by shard; empty when nothing was counted.
    moments: Arc<Vec<Moment>>,
    /// Terms that each of those shards lacks, in the same order; empty where none lacks any, and where
    /// the moments are a guess.
    lacking: Vec<Extent>,
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

impl CachedStatistics {
    /// Returns numbers that were counted just now, with the terms that each shard lacks.
    pub(super) fn new(moments: Vec<Moment>, lacking: Vec<Extent>, statistics: Statistics) -> Self {
        let lacks_any = lacking
            .iter()
            .any(|extent| extent.absent().next().is_some());
        Self {
            moments: Arc::new(moments),
            lacking: if lacks_any { lacking } else { Vec::new() },
            statistics: Arc::new(statistics),
            is_guess: false,
        }
    }

    /// Returns how many shards were counted.
    pub(super) fn num_shards(&self) -> usize {
        self.moments.len()
    }

    /// Returns whether any shard counted lacks a term.
    pub(crate) fn lacks_any(&self) -> bool {
        !self.lacking.is_empty()
    }

    /// Returns what the shard at a position of those counted lacks.
    pub(crate) fn lacking(&self, at: usize) -> Option<&Extent> {
        self.lacking.get(at)
    }

    /// Returns what the shard at a position of those counted showed then; `None` where nothing was counted.
    pub(crate) fn shown_at(&self, at: usize) -> Option<Generation> {
        self.moments.get(at).map(|moment| moment.generation)
    }

    /// Goes on with the shards of which `is_asked` says so, by their positions.
    pub(crate) fn retain(&mut self, is_asked: &[bool]) {
        if self.moments.is_empty() {
            return;
        }
        let both = self.moments.iter().zip(is_asked);
        let asked = both.filter(|(_, is_asked)| **is_asked);
        self.moments = Arc::new(asked.map(|(moment, _)| moment.clone()).collect());
        self.lacking = Vec::new();
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
    counted: moka::sync::Cache<Vec<u8>, CachedStatistics>,
    /// What each shard showed last.
    pub(crate) newest: Newest,
}

impl Default for Cache {
    fn default() -> Self {
        let weigh = |key: &Vec<u8>, counted: &CachedStatistics| {
            let bytes = 2 * key.len() + size_of::<Moment>() * counted.moments.len() + 256;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let counted = moka::sync::Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(weigh)
            .build();
        Self {
            counted,
            newest: Newest::default(),
        }
    }
}

impl Cache {
    /// Remembers numbers: from then on they are a guess.
    pub(super) fn keep(&self, key: Vec<u8>, counted: &CachedStatistics) {
        let guess = CachedStatistics {
            is_guess: true,
            lacking: Vec::new(),
            ..counted.clone()
        };
        self.counted.insert(key, guess);
    }

    /// Returns the numbers for `plans` when their moments are the ones that were counted, as far as
    /// can be told without asking.
    pub(super) fn look_up(&self, plans: &[IndexPlan], key: &[u8]) -> Option<CachedStatistics> {
        let counted = self.counted.get(key)?;
        let newest = self.newest.open();
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        let mut both = shards.zip(counted.moments.iter());
        let is_current = both.all(|(asked, moment)| match asked.generation {
            Some(bound) => bound == moment.generation,
            None if asked.is_pinned => moment.is_pinned_by(asked),
            None => newest.of(asked.shard) == Some(moment.generation),
        });
        is_current.then_some(counted)
    }
}
