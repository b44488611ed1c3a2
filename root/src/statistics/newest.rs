//! What each shard showed last, on any copy, and what that excludes.

use std::collections::HashMap;
use std::time::Duration;

use gleaner_model::{Generation, NodeId, ShardKey};
use gleaner_query::resolved::{Extent, Unmatched};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::plan::PlannedShard;

/// How long a generation counts as the newest of its shard after it was seen. A wrong guess costs an
/// evaluation, a trip some 50 µs: with a refresh each second, one guess in ten goes wrong.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// The longest that a lease is believed in: what says more is no leaf of ours.
const LONGEST_LEASE: Duration = Duration::from_secs(3);

/// Shards whose newest generation is remembered; beyond it all are forgotten.
const MAX_SHARDS: usize = 65_536;

/// Bytes of what is excluded in one shard, roughly; beyond it that begins anew.
const MAX_BYTES_OF_SHARD: usize = 64 << 10;

/// Bytes of what is excluded, of all shards, roughly; beyond it all of that is forgotten.
const MAX_EXTENT_BYTES: usize = 8 << 20;

/// What every shard showed last.
#[derive(Default)]
pub(crate) struct Newest(Mutex<NewestStatistics>);

#[derive(Default)]
struct NewestStatistics {
    shards: HashMap<ShardKey, Sight>,
    extent_bytes: usize,
    /// When the last lease of all runs out.
    leased_until: Option<Instant>,
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
    /// The leaf that gave the last of them. Nobody waits for what a leaf has promised that holds no copy
    /// any more.
    node: NodeId,
    until: Instant,
    extent: Extent,
    num_bytes: usize,
}

/// What a copy excludes, as it said with an answer.
pub(crate) struct Exclusion<'a> {
    /// The copy's leaf.
    pub(crate) node: &'a NodeId,
    /// What the copy has just shown.
    pub(crate) generation: Generation,
    /// What is excluded, with the lease on it.
    pub(crate) unmatched: &'a Unmatched,
    /// The leaf was asked after this.
    pub(crate) asked: Instant,
}

impl Sight {
    /// Returns whether it is what the shard shows now, as far as can be told without asking.
    fn is_current(&self, now: Instant) -> bool {
        now.duration_since(self.seen) < FRESH || self.leased(now).is_some()
    }

    /// Returns what is known of the shard for certain, as long as a lease on it lasts.
    fn leased(&self, now: Instant) -> Option<&Promise> {
        self.promise.as_ref().filter(|promise| now < promise.until)
    }
}

impl NewestStatistics {
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
        let now = Instant::now();
        let mut known = self.0.lock();
        if known.shards.len() >= MAX_SHARDS {
            *known = NewestStatistics::default();
        }
        let sight = known.shards.entry(shard).or_insert_with(|| Sight {
            generation,
            seen: now,
            num_documents: None,
            promise: None,
        });
        if generation.visible >= sight.generation.visible || !sight.is_current(now) {
            let is_same = sight.generation == generation;
            sight.generation = generation;
            sight.seen = now;
            sight.num_documents = num_documents.or(sight.num_documents);
            if !is_same {
                known.forget_promise(shard);
            }
        }
    }

    /// Notes what excludes a query in `shard`.
    pub(crate) fn promised(&self, shard: ShardKey, exclusion: &Exclusion<'_>) {
        let Exclusion {
            node,
            generation,
            unmatched,
            asked,
        } = *exclusion;
        let mut guard = self.0.lock();
        let known = &mut *guard;
        let Some(sight) = known.shards.get_mut(&shard) else {
            return;
        };
        if sight.generation != generation {
            return;
        }
        let until = asked + unmatched.lease.min(LONGEST_LEASE);
        let promise = sight.promise.get_or_insert_with(|| Promise {
            node: node.clone(),
            until,
            extent: Extent::default(),
            num_bytes: 0,
        });
        if until >= promise.until {
            (promise.until, promise.node) = (until, node.clone());
        }
        if promise.num_bytes > MAX_BYTES_OF_SHARD {
            promise.extent = Extent::default();
        }
        known.leased_until = known.leased_until.max(Some(until));
        promise.extent.learn(unmatched.extent.clone());
        known.extent_bytes -= promise.num_bytes;
        promise.num_bytes = promise.extent.num_bytes();
        known.extent_bytes += promise.num_bytes;
        if known.extent_bytes > MAX_EXTENT_BYTES {
            known.forget_promises();
        }
    }

    /// Returns how many documents `shard` held when it was last searched.
    pub(crate) fn num_documents(&self, shard: ShardKey) -> Option<u64> {
        self.0.lock().shards.get(&shard)?.num_documents
    }

    /// Returns what `shard` showed, when that was a moment ago.
    pub(crate) fn of(&self, shard: ShardKey) -> Option<Generation> {
        self.open().of(shard)
    }

    /// Opens what is known now, for many questions.
    pub(crate) fn open(&self) -> Open<'_> {
        Open {
            now: Instant::now(),
            known: self.0.lock(),
        }
    }
}

/// What is known of all shards at one moment.
pub(crate) struct Open<'a> {
    now: Instant,
    known: MutexGuard<'a, NewestStatistics>,
}

impl Open<'_> {
    /// Returns whether a lease of any shard is out.
    pub(crate) fn has_leases(&self) -> bool {
        self.known.leased_until > Some(self.now)
    }

    /// Returns what `shard` showed, when that was a moment ago or a lease on it is out.
    pub(crate) fn of(&self, shard: ShardKey) -> Option<Generation> {
        let sight = self.known.shards.get(&shard)?;
        sight.is_current(self.now).then_some(sight.generation)
    }

    /// Returns what `asked` shows until a lease of a node runs out, where `excludes` says that nothing in it can
    /// match: the state that it is bound to, if it is.
    pub(crate) fn excluded_at(
        &self,
        asked: &PlannedShard,
        excludes: impl FnOnce(&Extent, &NodeId) -> bool,
    ) -> Option<Generation> {
        let sight = self.known.shards.get(&asked.shard)?;
        let shown = sight.generation;
        let is_bound = asked.generation.is_none_or(|bound| bound == shown);
        let is_it = is_bound && asked.expects(shown);
        let is_enough = asked.at_least.is_none_or(|wanted| shown.visible >= wanted);
        let leased = sight.leased(self.now);
        let is_excluded =
            is_it && is_enough && leased.is_some_and(|known| excludes(&known.extent, &known.node));
        is_excluded.then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::{FieldPath, MappingVersion, SeqNo};
    use gleaner_query::resolved::{Clause, Scalar};

    use super::*;
    use crate::testing::shard;

    fn generation(visible: u64) -> Generation {
        Generation {
            mapping: MappingVersion(1),
            visible: SeqNo(visible),
            history: gleaner_model::HistoryId::FIRST,
        }
    }

    fn leaf() -> NodeId {
        NodeId("leaf".into())
    }

    fn field() -> FieldPath {
        FieldPath::new("body")
    }

    fn lacking(term: &str, lease: Duration) -> Unmatched {
        let mut extent = Extent::default();
        extent.note_absent(&field(), Scalar::Text(term.to_owned()));
        Unmatched { extent, lease }
    }

    /// Notes what the leaf says now.
    fn promise(newest: &Newest, shard: ShardKey, generation: Generation, unmatched: &Unmatched) {
        let exclusion = Exclusion {
            node: &leaf(),
            generation,
            unmatched,
            asked: Instant::now(),
        };
        newest.promised(shard, &exclusion);
    }

    fn is_excluded(newest: &Newest, term: &str) -> bool {
        let clause = Clause::Term {
            field: field(),
            term: term.to_owned(),
        };
        let asked = PlannedShard::newest(shard(1, 0), None);
        let open = newest.open();
        let excluded = open.excluded_at(&asked, |extent, node| {
            *node == leaf() && extent.excludes(&clause)
        });
        excluded.is_some()
    }

    const LEASE: Duration = Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn what_is_excluded_adds_up_until_the_shard_shows_something_else() {
        let newest = Newest::default();
        newest.saw(shard(1, 0), generation(3), None);
        assert!(!newest.open().has_leases());
        for term in ["cat", "dog"] {
            promise(&newest, shard(1, 0), generation(3), &lacking(term, LEASE));
        }
        assert!(is_excluded(&newest, "cat") && is_excluded(&newest, "dog"));
        assert!(newest.open().has_leases() && !is_excluded(&newest, "cow"));
        // A copy that lags behind takes nothing back, nor does what it says count.
        newest.saw(shard(1, 0), generation(2), None);
        promise(&newest, shard(1, 0), generation(2), &lacking("cow", LEASE));
        assert!(is_excluded(&newest, "cat") && !is_excluded(&newest, "cow"));
        newest.saw(shard(1, 0), generation(4), None);
        assert!(!is_excluded(&newest, "cat"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leased_state_is_the_newest_for_as_long() {
        let newest = Newest::default();
        newest.saw(shard(1, 0), generation(3), None);
        promise(&newest, shard(1, 0), generation(3), &lacking("cat", LEASE));
        tokio::time::advance(2 * FRESH).await;
        assert_eq!(newest.of(shard(1, 0)), Some(generation(3)));
        tokio::time::advance(LEASE).await;
        assert_eq!(newest.of(shard(1, 0)), None);
        assert!(!is_excluded(&newest, "cat") && !newest.open().has_leases());
    }

    #[tokio::test(start_paused = true)]
    async fn no_lease_lasts_longer_than_any_is_given() {
        let newest = Newest::default();
        newest.saw(shard(1, 0), generation(3), None);
        let endless = lacking("cat", Duration::MAX);
        promise(&newest, shard(1, 0), generation(3), &endless);
        tokio::time::advance(LONGEST_LEASE).await;
        assert!(!is_excluded(&newest, "cat"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_excluded_in_one_shard_begins_anew_when_it_grows_too_large() {
        let newest = Newest::default();
        newest.saw(shard(1, 0), generation(3), None);
        let long = "c".repeat(MAX_BYTES_OF_SHARD);
        for number in 0..2 {
            let said = lacking(&format!("{long}{number}"), LEASE);
            promise(&newest, shard(1, 0), generation(3), &said);
        }
        assert!(!is_excluded(&newest, &format!("{long}0")));
        assert!(is_excluded(&newest, &format!("{long}1")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_excluded_is_forgotten_when_it_grows_too_large() {
        let newest = Newest::default();
        let long = "c".repeat(MAX_EXTENT_BYTES / 4);
        for number in 0..8 {
            let (shard, said) = (shard(1, number), lacking(&long, LEASE));
            newest.saw(shard, generation(3), None);
            promise(&newest, shard, generation(3), &said);
            let known = newest.0.lock();
            assert!(known.extent_bytes <= MAX_EXTENT_BYTES);
            let promises = known
                .shards
                .values()
                .filter_map(|sight| sight.promise.as_ref());
            let num_bytes: usize = promises.map(|promise| promise.num_bytes).sum();
            assert_eq!(known.extent_bytes, num_bytes);
        }
    }
}
