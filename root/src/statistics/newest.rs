//! What each shard showed last, on any copy, and what that excludes.

use std::collections::HashMap;
use std::time::Duration;

use gleaner_model::{Generation, ShardKey};
use gleaner_query::resolved::{Extent, Unmatched};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::plan::PlannedShard;

/// How long a generation counts as the newest of its shard after it was seen. A wrong guess costs an
/// evaluation, a trip some 50 µs: with a refresh each second, one guess in ten goes wrong.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// Shards whose newest generation is remembered; beyond it all are forgotten.
const MAX_SHARDS: usize = 65_536;

/// Bytes of what is excluded, of all shards, roughly; beyond it all of that is forgotten.
const MAX_EXTENT_BYTES: usize = 8 << 20;

/// What every shard showed last.
#[derive(Default)]
pub(crate) struct Newest(Mutex<Known>);

#[derive(Default)]
struct Known {
    shards: HashMap<ShardKey, Sight>,
    extent_bytes: usize,
}

/// What a shard showed last, on any copy.
struct Sight {
    generation: Generation,
    seen: Instant,
    /// Live documents, when a search told.
    num_documents: Option<u64>,
    /// What a copy has promised of this generation.
    promise: Option<Promise>,
}

/// What a copy has shown, and shows until its lease runs out.
struct Promise {
    until: Instant,
    extent: Extent,
    num_bytes: usize,
}

impl Sight {
    /// Returns whether it is what the shard shows now, as far as can be told without asking.
    fn is_current(&self) -> bool {
        self.seen.elapsed() < FRESH || self.leased().is_some()
    }

    /// Returns what is known of the shard for certain, as long as a lease on it lasts.
    fn leased(&self) -> Option<&Extent> {
        let promise = self.promise.as_ref()?;
        (Instant::now() < promise.until).then_some(&promise.extent)
    }
}

impl Known {
    fn forget_promise(&mut self, shard: ShardKey) {
        let promise = self.shards.get_mut(&shard);
        if let Some(promise) = promise.and_then(|sight| sight.promise.take()) {
            self.extent_bytes -= promise.num_bytes;
        }
    }

    fn forget_promises(&mut self) {
        self.shards
            .values_mut()
            .for_each(|sight| sight.promise = None);
        self.extent_bytes = 0;
    }
}

impl Newest {
    /// Notes that `generation` is what a copy of `shard` shows now, with how many documents. One that
    /// lags behind what another has just shown changes nothing.
    pub(crate) fn saw(&self, shard: ShardKey, generation: Generation, num_documents: Option<u64>) {
        let mut known = self.0.lock();
        if known.shards.len() >= MAX_SHARDS {
            *known = Known::default();
        }
        let sight = known.shards.entry(shard).or_insert_with(|| Sight {
            generation,
            seen: Instant::now(),
            num_documents: None,
            promise: None,
        });
        if generation.visible >= sight.generation.visible || !sight.is_current() {
            let is_same = sight.generation == generation;
            sight.generation = generation;
            sight.seen = Instant::now();
            sight.num_documents = num_documents.or(sight.num_documents);
            if !is_same {
                known.forget_promise(shard);
            }
        }
    }

    /// Notes what excludes a query in `shard`, of which `generation` has just been seen; the leaf was
    /// asked after `asked`.
    pub(crate) fn promised(
        &self,
        shard: ShardKey,
        generation: Generation,
        (unmatched, asked): (&Unmatched, Instant),
    ) {
        let mut guard = self.0.lock();
        let known = &mut *guard;
        let Some(sight) = known.shards.get_mut(&shard) else {
            return;
        };
        if sight.generation != generation {
            return;
        }
        let until = asked + unmatched.lease;
        let promise = sight.promise.get_or_insert_with(|| Promise {
            until,
            extent: Extent::default(),
            num_bytes: 0,
        });
        promise.until = promise.until.max(until);
        promise.extent.learn(unmatched.extent.clone());
        known.extent_bytes -= promise.num_bytes;
        promise.num_bytes = promise.extent.num_bytes();
        known.extent_bytes += promise.num_bytes;
        if known.extent_bytes > MAX_EXTENT_BYTES {
            known.forget_promises();
        }
    }

    /// Returns whether any shard has promised anything, be it long ago.
    pub(crate) fn has_promises(&self) -> bool {
        self.0.lock().extent_bytes > 0
    }

    /// Returns what `shard` showed, when that was a moment ago.
    pub(crate) fn of(&self, shard: ShardKey) -> Option<Generation> {
        let known = self.0.lock();
        let sight = known.shards.get(&shard)?;
        sight.is_current().then_some(sight.generation)
    }

    /// Returns how many documents `shard` held when it was last searched.
    pub(crate) fn num_documents(&self, shard: ShardKey) -> Option<u64> {
        self.0.lock().shards.get(&shard)?.num_documents
    }

    /// Returns whether `asked` shows, until a lease runs out, a state of which `excludes` says that
    /// nothing in it can match: the state that it is bound to, if it is.
    pub(crate) fn is_excluded(
        &self,
        asked: &PlannedShard,
        excludes: impl FnOnce(&Extent) -> bool,
    ) -> bool {
        let known = self.0.lock();
        let Some(sight) = known.shards.get(&asked.shard) else {
            return false;
        };
        let shown = sight.generation;
        let is_it = asked.generation.is_none_or(|bound| bound == shown);
        let is_enough = asked.at_least.is_none_or(|wanted| shown.visible >= wanted);
        is_it && is_enough && sight.leased().is_some_and(excludes)
    }
}
