//! `terms`: one bucket per value.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_partial::control::Stop;
use gleaner_partial::key::{Key, ValueFormat};
use gleaner_partial::request::key_filter::KeyFilter;
use gleaner_partial::request::keys::TermsRequest;
use gleaner_partial::terms::{
    COMPLETE_KEYS, Cut, LongList, TermBucket, Terms as TermsPartial, num_largest,
};
use gleaner_partial::{Bucket, Partial};
use gleaner_query::aggregation::{Aggregation, TermsAggregation};
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use tantivy::DocId;

use super::BLOCK;
use super::key_filter::Ordinals;
use super::node::{Block, Buckets, Node, SegmentContext};
use super::source::Source;
use super::term_keys::{
    Addresses, Booleans, Fractions, KeyColumn, Nothing, Terms, Unsigned, Whole,
};
use super::whole::WholeSegment;
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::view::SegmentView;

/// Mark of a value that has no bucket yet.
const NONE: u32 = u32::MAX;
/// Mark of a value that is not wanted.
const UNWANTED: u32 = u32::MAX - 1;
/// What a key takes beside its bucket, roughly, in bytes.
const KEY_BYTES: usize = 64;
/// Values whose being wanted is remembered, per segment: asking again costs time, not memory.
const MAX_REMEMBERED: usize = 65_536;
/// Documents looked at, roughly, although it is late, some ten milliseconds: what was counted in time is
/// part of the answer.
const DOCS_WHEN_LATE: usize = 256 * BLOCK;

pub(super) fn build<'a>(
    request: &TermsAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let source = Source::open(&request.source, context)?;
    let TermsRequest {
        format,
        missing,
        filter,
    } = TermsRequest::read(
        request,
        source.format,
        context.now_ms,
        Some(context.control),
    )?;
    // Below several buckets, the root puts them in: see `partial::live_keys`.
    let counts_none = request.min_doc_count == 0 && context.has_one_owner;
    let kept_to = context.global.filter(|_| counts_none);
    let kept_to = kept_to.map(|clause| {
        let documents = context.documents;
        documents.documents(context.view, context.segment, clause)
    });
    let parts = Parts {
        field: request.source.field.clone(),
        values: source.values.clone(),
        filter,
        format,
        missing,
        counts_none,
        kept_to: kept_to.transpose()?,
        segment: context.segment,
        has_one_owner: context.has_one_owner,
        longest: num_largest(request, COMPLETE_KEYS).filter(|_| context.view.segments().len() == 1),
        buckets: Buckets::build(sub, context)?,
    };
    match source.values {
        Some(DocValues::Terms(column)) => TermsNode::boxed(Terms(column), parts),
        Some(DocValues::I64(column) | DocValues::Date(column) | DocValues::DateNanos(column)) => {
            TermsNode::boxed(Whole(column), parts)
        }
        Some(DocValues::U64(column)) => TermsNode::boxed(Unsigned(column), parts),
        Some(DocValues::F64(column)) => TermsNode::boxed(Fractions(column), parts),
        Some(DocValues::Bool(column)) => TermsNode::boxed(Booleans(column), parts),
        Some(DocValues::Ip(column)) => TermsNode::boxed(Addresses(column), parts),
        None => TermsNode::boxed(Nothing, parts),
    }
}

/// What does not depend on the type of the column.
struct Parts<'a> {
    field: String,
    values: Option<DocValues>,
    format: ValueFormat,
    filter: Option<KeyFilter>,
    missing: Option<Key>,
    /// Whether keys without a matching document are wanted.
    counts_none: bool,
    /// The documents that have those keys: what the filter of an alias hides is nobody's key. `None` is all.
    kept_to: Option<Arc<RoaringBitmap>>,
    segment: &'a SegmentView,
    has_one_owner: bool,
    /// To what a list is cut that is all of the shard.
    longest: Option<LongList>,
    buckets: Buckets<'a>,
}

struct TermsNode<'a, C: KeyColumn> {
    column: C,
    parts: Parts<'a>,
    slots: Slots<C::Raw>,
    /// The values wanted of all documents, ascending, with their numbers of documents; then there are no slots.
    counted: Option<Vec<(C::Raw, u64)>>,
    /// Per owner, the bucket of documents without a value.
    missing_slots: HashMap<u32, u32>,
    /// Which values are wanted, where their numbers tell.
    ordinals: Option<Ordinals>,
    /// Whether a value is wanted, where that has been asked.
    wanted: HashMap<C::Raw, bool>,
}

/// Bucket of each (owner, value).
enum Slots<R> {
    /// One owner, values numbered from 0: by number.
    Dense(Vec<(u32, Option<R>)>),
    /// Any.
    Sparse(HashMap<(u32, R), u32>),
}

impl<'a, C: KeyColumn + 'a> TermsNode<'a, C> {
    fn boxed(column: C, mut parts: Parts<'a>) -> Result<Box<dyn Node + 'a>, EngineError> {
        let slots = match column.num_ordinals().filter(|_| parts.has_one_owner) {
            Some(num_ordinals) => {
                parts
                    .buckets
                    .meter()
                    .charge(num_ordinals * size_of::<(u32, Option<C::Raw>)>())?;
                Slots::Dense(vec![(NONE, None); num_ordinals])
            }
            None => Slots::Sparse(HashMap::new()),
        };
        let ordinals = match &parts.filter {
            Some(filter) => column.wanted(filter, parts.buckets.control())?,
            None => None,
        };
        Ok(Box::new(Self {
            column,
            parts,
            slots,
            counted: None,
            missing_slots: HashMap::new(),
            ordinals,
            wanted: HashMap::new(),
        }))
    }

    /// Returns the bucket of a value; `None` where it is not wanted.
    fn slot(&mut self, owner: u32, raw: C::Raw) -> Result<Option<u32>, EngineError> {
        let known = match &self.slots {
            Slots::Dense(slots) => slots.get(C::ordinal(raw)).map_or(NONE, |(slot, _)| *slot),
            Slots::Sparse(slots) => slots.get(&(owner, raw)).copied().unwrap_or(NONE),
        };
        if known != NONE {
            return Ok((known != UNWANTED).then_some(known));
        }
        let slot = if self.wants(raw)? {
            self.parts.buckets.open()?
        } else {
            UNWANTED
        };
        match &mut self.slots {
            Slots::Dense(slots) => {
                if let Some(place) = slots.get_mut(C::ordinal(raw)) {
                    *place = (slot, Some(raw));
                }
            }
            // Nobody has paid for what is not wanted; there may be any number of it.
            Slots::Sparse(slots) if slot != UNWANTED => {
                slots.insert((owner, raw), slot);
            }
            Slots::Sparse(_) => {}
        }
        Ok((slot != UNWANTED).then_some(slot))
    }

    fn wants(&mut self, raw: C::Raw) -> Result<bool, EngineError> {
        let Some(filter) = &self.parts.filter else {
            return Ok(true);
        };
        if let Some(ordinals) = &self.ordinals {
            return Ok(ordinals.holds(C::ordinal(raw) as u64));
        }
        if let Some(wanted) = self.wanted.get(&raw) {
            return Ok(*wanted);
        }
        let wanted = self
            .column
            .keys(&[raw])?
            .iter()
            .all(|key| filter.accepts(key));
        if self.wanted.len() < MAX_REMEMBERED {
            self.wanted.insert(raw, wanted);
        }
        Ok(wanted)
    }

    fn missing_slot(&mut self, owner: u32) -> Result<Option<u32>, EngineError> {
        let Some(key) = &self.parts.missing else {
            return Ok(None);
        };
        if self
            .parts
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.accepts(key))
        {
            return Ok(None);
        }
        if let Some(slot) = self.missing_slots.get(&owner) {
            return Ok(Some(*slot));
        }
        let slot = self.parts.buckets.open()?;
        self.missing_slots.insert(owner, slot);
        Ok(Some(slot))
    }

    /// Returns all values of live documents that may be seen.
    fn live_values(&mut self) -> Result<Vec<C::Raw>, EngineError> {
        let mut found = std::collections::BTreeSet::new();
        let segment = self.parts.segment;
        let kept_to = self.parts.kept_to.take();
        let may_be_seen = |doc: &DocId| {
            kept_to
                .as_ref()
                .is_none_or(|kept_to| kept_to.contains(*doc))
        };
        let mut live = segment.reader().doc_ids_alive().filter(may_be_seen);
        let mut num_late = 0;
        loop {
            let docs: Vec<DocId> = live.by_ref().take(BLOCK).collect();
            if docs.is_empty() {
                return Ok(found.into_iter().collect());
            }
            let buckets = &mut self.parts.buckets;
            match buckets.control().check() {
                Err(Stop::Deadline) if num_late < DOCS_WHEN_LATE => num_late += docs.len(),
                checked => checked?,
            }
            let num_before = found.len();
            self.column.visit(&docs, |_, raw| found.extend(raw));
            // Each becomes a key with a bucket of its own.
            let bytes = (found.len() - num_before) * 2 * KEY_BYTES;
            buckets.meter().charge(bytes)?;
        }
    }

    /// Returns the list of values of all documents.
    fn list(&mut self, mut counted: Vec<(C::Raw, u64)>) -> Result<Partial, EngineError> {
        let longest = self.parts.longest;
        let long = longest.filter(|list| counted.len() > list.longest);
        let counts = counted.iter().map(|(_, count)| *count);
        let mut cut = long.and_then(|list| Cut::of(counts, list.wanted));
        if let Some(cut) = &mut cut {
            counted.retain(|(_, count)| cut.keeps(*count));
        }
        let bytes = counted.len() * 2 * KEY_BYTES;
        self.parts.buckets.meter().charge(bytes)?;
        let raws: Vec<C::Raw> = counted.iter().map(|(raw, _)| *raw).collect();
        let terms = counted.into_iter().map(|(_, doc_count)| TermBucket {
            bucket: Bucket {
                doc_count,
                ..Bucket::default()
            },
            error: 0,
        });
        Ok(Partial::Terms(TermsPartial {
            format: self.parts.format.clone(),
            buckets: self.column.keys(&raws)?.into_iter().zip(terms).collect(),
            unlisted: cut.as_ref().map_or(0, |cut| cut.unlisted),
            bound: cut.as_ref().map_or(0, |cut| cut.bound),
            ..TermsPartial::default()
        }))
    }

    /// Returns the buckets as (owner, value, number), in no order.
    fn taken_slots(&mut self) -> Vec<(u32, C::Raw, u32)> {
        match &mut self.slots {
            Slots::Dense(slots) => std::mem::take(slots)
                .into_iter()
                .filter_map(|(slot, raw)| raw.filter(|_| slot < UNWANTED).map(|raw| (0, raw, slot)))
                .collect(),
            Slots::Sparse(slots) => std::mem::take(slots)
                .into_iter()
                .filter(|(_, slot)| *slot < UNWANTED)
                .map(|((owner, raw), slot)| (owner, raw, slot))
                .collect(),
        }
    }
}

impl<'a, C: KeyColumn + 'a> Node for TermsNode<'a, C> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let mut found = Vec::with_capacity(block.docs.len());
        // Values ascend per document: equal ones follow one another and count once.
        self.column.visit(block.docs, |i, raw| {
            if found.last() != Some(&(i, raw)) {
                found.push((i, raw));
            }
        });
        for (i, raw) in found {
            let owner = block.owners[i];
            let slot = match raw {
                Some(raw) => self.slot(owner, raw)?,
                None => self.missing_slot(owner)?,
            };
            if let Some(slot) = slot {
                self.parts.buckets.put(block, i, slot)?;
            }
        }
        self.parts.buckets.hand_on()
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let ordered = match &self.parts.values {
            Some(values) if self.parts.buckets.only_count() && !self.parts.counts_none => {
                whole.ordered(&self.parts.field, values)?
            }
            _ => None,
        };
        let Some(ordered) = ordered else {
            return Ok(false);
        };
        let mut runs = Vec::new();
        let column = &self.column;
        ordered.runs(
            |doc| column.first(doc),
            |raw, run| {
                runs.extend(raw.map(|raw| (raw, run.len)));
                Ok(())
            },
        )?;
        let bytes = 2 * runs.len() * size_of::<(C::Raw, u64)>();
        self.parts.buckets.meter().charge(bytes)?;
        let mut counted = Vec::with_capacity(runs.len());
        for (raw, len) in runs {
            if self.wants(raw)? {
                counted.push((raw, len));
            }
        }
        self.counted = Some(counted);
        Ok(true)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        if let Some(counted) = self.counted.take() {
            return Ok(vec![self.list(counted)?]);
        }
        let live = if self.parts.counts_none {
            self.live_values()?
        } else {
            Vec::new()
        };
        let mut slots = self.taken_slots();
        // Maps of many keys are built from a list in order, not key by key.
        slots.sort_unstable_by_key(|(owner, raw, _)| (*owner, *raw));
        let mut raws: Vec<C::Raw> = slots.iter().map(|(_, raw, _)| *raw).collect();
        for raw in live {
            if self.wants(raw)? {
                raws.push(raw);
            }
        }
        raws.sort_unstable();
        raws.dedup();
        let keys = self.column.keys(&raws)?;
        self.parts.buckets.meter().charge(slots.len() * KEY_BYTES)?;
        let Parts {
            format,
            missing,
            counts_none,
            buckets,
            ..
        } = self.parts;
        let mut buckets = buckets.finish()?;
        let mut taken = |slot: u32| -> Bucket { std::mem::take(&mut buckets[slot as usize]) };
        let mut lists = Vec::with_capacity(num_owners);
        for of_owner in by_owner(&slots, num_owners) {
            let is_whole = of_owner.len() == raws.len();
            let mut list = Vec::with_capacity(of_owner.len());
            for (i, (_, raw, slot)) in of_owner.iter().enumerate() {
                let at = match is_whole {
                    true => i,
                    false => raws.binary_search(raw).map_err(|_| lost())?,
                };
                let key = keys.get(at).ok_or_else(lost)?.clone();
                let bucket = taken(*slot);
                list.push((key, TermBucket { bucket, error: 0 }));
            }
            let mut list = BTreeMap::from_iter(list);
            if counts_none {
                for key in &keys {
                    list.entry(key.clone()).or_default();
                }
            }
            lists.push(list);
        }
        if let Some(key) = missing {
            for (owner, slot) in self.missing_slots {
                // The value that stands for none may also be the value of another document.
                let mine = lists[owner as usize].entry(key.clone()).or_default();
                mine.bucket.merge(taken(slot))?;
            }
        }
        let partial = |buckets| {
            Partial::Terms(TermsPartial {
                format: format.clone(),
                buckets,
                ..TermsPartial::default()
            })
        };
        Ok(lists.into_iter().map(partial).collect())
    }
}

/// Returns the buckets of each owner, of those that stand by owner.
fn by_owner<R>(
    slots: &[(u32, R, u32)],
    num_owners: usize,
) -> impl Iterator<Item = &[(u32, R, u32)]> {
    let mut rest = slots;
    (0..num_owners as u32).map(move |owner| {
        let len = rest.partition_point(|(of, ..)| *of <= owner);
        let (own, others) = rest.split_at(len);
        rest = others;
        own
    })
}

fn lost() -> EngineError {
    EngineError::internal("a bucket of `terms` lost its key")
}
