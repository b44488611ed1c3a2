//! Ordering by sort keys.
//!
//! Inside a segment, keys are compared in raw form (a number that orders like the value; for
//! keywords the ordinal of the term), and only the best are resolved to values. Segments and shards
//! are merged by value, then by the hash of the id, so the layout changes nothing.

mod bound;
mod distance;
mod group;
mod interval;
mod key;
pub(crate) mod mode;
mod ranks;
mod reach;
mod start;

use std::cmp::Ordering;

use gleaner_partial::control::{Control, Ledger};
use gleaner_query::answer::SortValue;
use gleaner_query::order::{compare_keys, keep_first_of_groups};
use gleaner_query::resolved::ShardQuery;
use gleaner_query::search::SortTarget;
use tantivy::DocId;

use self::group::{BestOfGroups, GroupReader, RawGroup};
pub(crate) use self::key::{KeyReader, Raw};
use self::reach::Reach;
pub(super) use self::reach::best_key;
use self::start::Start;
pub(super) use self::start::read_tie;
use super::request::Request;
use super::{SearchEnv, Target};
use crate::EngineError;
use crate::score::top::{Heap, ScoredDocument};
use crate::view::{SegmentView, place};

/// How hits are ordered, beside the query's keys.
pub(super) struct Sorting {
    needs_scores: bool,
    reach: Reach,
}

/// A hit with the values of its keys.
pub(super) struct SortedHit {
    pub(super) keys: Vec<SortValue>,
    /// The value by which it is put together with others.
    pub(super) group: Option<SortValue>,
    /// Hash, shard and place; the score is not used.
    pub(super) scored: ScoredDocument,
}

impl Sorting {
    /// Returns the order of a query's keys.
    pub(super) fn new(query: &ShardQuery) -> Self {
        let mut keys = query.sort.iter();
        Self {
            needs_scores: keys.any(|key| key.target == SortTarget::Score),
            reach: Reach::new(query.top),
        }
    }

    /// Returns whether the score is among the keys.
    pub(super) fn needs_scores(&self) -> bool {
        self.needs_scores
    }

    /// Takes the hits of a segment into account: others need not be looked at where they come behind all of these.
    pub(super) fn rise(&self, query: &ShardQuery, hits: &[SortedHit]) {
        self.reach.rise(query, hits);
    }

    /// Returns whether no hit comes from a segment whose [`best_key`] this is.
    pub(super) fn excludes(&self, query: &ShardQuery, best: &SortValue) -> bool {
        self.reach.excludes(query, best)
    }

    /// Returns what sorts the matches of a segment.
    pub(super) fn segment<'r>(
        &self,
        query: &'r ShardQuery,
        target: &Target,
        segment: &'r SegmentView,
        env: &'r SearchEnv<'r>,
    ) -> Result<SegmentSorter<'r>, EngineError> {
        let (view, memory) = (&target.view, env.memory);
        let keys = query.sort.iter();
        let readers = keys.map(|key| KeyReader::open(key, view, target.key, segment, memory));
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        let start = Start::of(query, target.key.shard, &target.view, &readers)?;
        Ok(SegmentSorter {
            readers,
            start,
            segment,
            control: env.control,
            kept: match &query.collapse {
                None => Kept::Best(Heap::new(query.top)),
                Some(field) => Kept::OfGroups(
                    GroupReader::open(field, target, segment, memory)?,
                    BestOfGroups::new(query.top),
                ),
            },
        })
    }
}

/// Finds the best of a segment.
pub(super) struct SegmentSorter<'r> {
    readers: Vec<KeyReader>,
    start: Option<Start>,
    segment: &'r SegmentView,
    control: &'r Control,
    kept: Kept,
}

/// The hits kept of a segment.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each segment that is searched"
)]
enum Kept {
    Best(Heap<RawHit>),
    OfGroups(GroupReader, BestOfGroups<RawHit>),
}

impl Kept {
    /// Returns the worst, if no other enters without one leaving.
    fn worst(&self) -> Option<&RawHit> {
        match self {
            Self::Best(heap) => heap.worst(),
            Self::OfGroups(_, best) => best.worst(),
        }
    }

    /// Returns the hits with what they are put together by, if they are.
    fn into_entries(self) -> (Option<GroupReader>, Vec<(RawGroup, RawHit)>) {
        match self {
            Self::Best(heap) => {
                let hits = heap.into_entries().into_iter();
                (None, hits.map(|hit| (None, hit)).collect())
            }
            Self::OfGroups(reader, best) => (Some(reader), best.into_entries()),
        }
    }
}

struct RawHit {
    keys: Vec<Raw>,
    hash: u64,
    doc: DocId,
}

impl SegmentSorter<'_> {
    /// Offers a matching live document.
    pub(super) fn offer(&mut self, doc: DocId, score: Option<f32>) -> Result<(), EngineError> {
        let Some((first_reader, rest)) = self.readers.split_first() else {
            return Err(EngineError::internal("an order without keys"));
        };
        let first = first_reader.read(doc, score, self.control)?;
        if let Some(worst) = self.kept.worst()
            && first_reader.compare(&first, &worst.keys[0]) == Ordering::Greater
        {
            return Ok(());
        }
        let mut keys = Vec::with_capacity(self.readers.len());
        keys.push(first);
        for reader in rest {
            keys.push(reader.read(doc, score, self.control)?);
        }
        let hash = self.segment.id_hashes().get_val(doc);
        if let Some(start) = &self.start
            && !start.is_before(&self.readers, &keys, hash)
        {
            return Ok(());
        }
        let readers = &self.readers;
        let compare = |a: &RawHit, b: &RawHit| compare_raw(readers, a, b);
        let hit = RawHit { keys, hash, doc };
        match &mut self.kept {
            Kept::Best(heap) => {
                heap.offer(hit, compare);
            }
            Kept::OfGroups(reader, best) => {
                best.offer(reader.read(doc, self.control)?, hit, compare);
            }
        }
        Ok(())
    }

    /// Resolves the keys of the best; their texts are charged to `texts`, as each may be as long as a term.
    pub(super) fn finish(
        self,
        target: usize,
        texts: &Ledger,
    ) -> Result<Vec<SortedHit>, EngineError> {
        let mut hits = Vec::new();
        let mut meter = texts.meter();
        let (groups, entries) = self.kept.into_entries();
        for (group, raw) in entries {
            let group = groups.as_ref().map(|groups| groups.resolve(group));
            let mut keys = Vec::with_capacity(raw.keys.len());
            for (reader, key) in self.readers.iter().zip(raw.keys) {
                let key = reader.resolve(key)?;
                meter.charge(key.num_text_bytes())?;
                keys.push(key);
            }
            let place = place(self.segment.ord(), raw.doc);
            let scored = ScoredDocument {
                score: 0.0,
                hash: raw.hash,
                target,
                place,
            };
            hits.push(SortedHit {
                keys,
                group: group.transpose()?,
                scored,
            });
        }
        Ok(hits)
    }
}

/// Live ids of a segment are unique, so equal hashes mean a collision of 64 bits; it is settled by
/// number here, by id where segments are merged.
fn compare_raw(readers: &[KeyReader], a: &RawHit, b: &RawHit) -> Ordering {
    for (reader, (one, other)) in readers.iter().zip(a.keys.iter().zip(&b.keys)) {
        let ordering = reader.compare(one, other);
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    a.hash.cmp(&b.hash).then(a.doc.cmp(&b.doc))
}

/// Merges the hits of all segments and shards; the best first, `top` of them.
pub(super) fn merge(request: &Request<'_>, mut hits: Vec<SortedHit>) -> Vec<SortedHit> {
    hits.sort_by(|a, b| {
        compare_keys(&request.query.sort, &a.keys, &b.keys)
            .then_with(|| a.scored.hash.cmp(&b.scored.hash))
            .then_with(|| request.compare_ids(&a.scored, &b.scored))
    });
    keep_first_of_groups(&mut hits, |hit| hit.group.as_ref());
    hits.truncate(request.query.top);
    hits
}
