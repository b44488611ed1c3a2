//! The documents of a segment in the direction of its sort, from where that begins.
//!
//! An order is ascending by the first key, then by hash. A sort that ascends reads it forwards. One that descends reads it
//! backwards by groups of equal keys, and each group forwards, as hashes ascend either way.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use gleaner_query::resolved::ShardQuery;
use tantivy::DocId;

use super::interval::intervals;
use super::{Kept, Raw, SegmentSorter};
use crate::EngineError;
use crate::doc_order::DocOrder;
use crate::doc_order::column::{Interval, Side, narrow};
use crate::search::{SearchEnv, Target};

/// A place in an order.
pub(in crate::search) struct Ranks {
    order: Arc<DocOrder>,
    /// What comes next: of a sort that descends, documents of equal keys.
    next: Range<usize>,
    /// Ranks below this come after `next` where the sort descends, down to `floor`; 0 where it ascends.
    below: usize,
    /// No match lies below it.
    floor: usize,
}

impl SegmentSorter<'_> {
    /// Returns where the sort begins in the order of its first key; `None` where the segment has to be read.
    ///
    /// # Errors
    /// When a column cannot be read.
    pub(in crate::search) fn ranks(
        &self,
        query: &ShardQuery,
        target: &Target,
        env: &SearchEnv<'_>,
    ) -> Result<Option<Ranks>, EngineError> {
        let (Some(first), Some(sorted_by)) = (self.readers.first(), query.sort.first()) else {
            return Ok(None);
        };
        // A document with several values of the group fails the search. A walk meets more of them, so it decides.
        if let Kept::OfGroups(groups, _) = &self.kept
            && groups.may_have_several()
        {
            return Ok(None);
        }
        let Some(key) = first.order_key(sorted_by, &target.view)? else {
            return Ok(None);
        };
        let max_doc = self.segment.reader().max_doc();
        let keys = || {
            let keys = (0..max_doc)
                .map(|doc| Ok(first.number_of(&first.read(doc, None, self.control)?)));
            keys.collect::<Result<Option<Vec<u64>>, EngineError>>()
        };
        let (orders, hashes) = (self.segment.orders(), &**self.segment.id_hashes());
        let Some(order) = orders.get(&key, hashes, Some(env.memory), keys)? else {
            return Ok(None);
        };
        let mut ranks = Ranks {
            next: 0..order.len(),
            below: 0,
            floor: 0,
            order,
        };
        let all = self.within(
            &ranks,
            intervals(&query.query, sorted_by, first, &target.view),
        )?;
        self.begin(&mut ranks, all)?;
        Ok(Some(ranks))
    }

    /// Returns the ranks that lie in all of `intervals`.
    fn within(&self, ranks: &Ranks, intervals: Vec<Interval>) -> Result<Range<usize>, EngineError> {
        let mut all = ranks.next.clone();
        for interval in intervals {
            all = narrow(all, interval, |among, number, side| {
                self.partition_point(&ranks.order, among, |key, _| {
                    let own = self.readers[0].number_of(key);
                    own < Some(number) || (side == Side::Above && own == Some(number))
                })
            })?;
        }
        Ok(all)
    }

    /// Moves to the first document of `all` that may come after where the search goes on.
    fn begin(&self, ranks: &mut Ranks, all: Range<usize>) -> Result<(), EngineError> {
        ranks.floor = all.start;
        if !self.readers[0].is_descending() {
            let at = self.first_after(&ranks.order, all.clone())?;
            ranks.next = at..all.end;
            return Ok(());
        }
        ranks.below = match &self.start {
            None => all.end,
            // Larger keys come before.
            Some(start) => self.partition_point(&ranks.order, all, |key, _| {
                start.compare_first(&self.readers[0], key) != Ordering::Less
            })?,
        };
        ranks.next = 0..0;
        self.next_group(ranks)?;
        // As many documents may have the key that was returned last.
        ranks.next.start = self.first_after(&ranks.order, ranks.next.clone())?;
        Ok(())
    }

    /// Returns the first rank of `among`, where keys and hashes ascend in the direction of the sort, that may come after where
    /// the search goes on. With more keys than one that is not known of documents which share the first.
    fn first_after(&self, order: &DocOrder, among: Range<usize>) -> Result<usize, EngineError> {
        let Some(start) = &self.start else {
            return Ok(among.start);
        };
        let is_only = self.readers.len() == 1;
        self.partition_point(order, among, |key, hash| match is_only {
            true => !start.is_before(&self.readers, std::slice::from_ref(key), hash),
            false => start.compare_first(&self.readers[0], key) == Ordering::Less,
        })
    }

    /// Returns the first rank of `among` for which `holds` does not hold; it holds for all before and none behind.
    fn partition_point(
        &self,
        order: &DocOrder,
        among: Range<usize>,
        holds: impl Fn(&Raw, u64) -> bool,
    ) -> Result<usize, EngineError> {
        order.partition_point(among, |doc| {
            let key = self.readers[0].read(doc, None, self.control)?;
            Ok(holds(&key, self.segment.id_hashes().get_val(doc)))
        })
    }

    /// Takes the next documents of equal keys below those that were returned.
    fn next_group(&self, ranks: &mut Ranks) -> Result<(), EngineError> {
        let (floor, end) = (ranks.floor, ranks.below);
        if end <= floor {
            return Ok(());
        }
        let last = end - 1;
        let key = self.key_at(&ranks.order, last)?;
        let mut step = 1;
        // In steps that double, as most groups are small.
        let least = loop {
            let Some(at) = last.checked_sub(step).filter(|at| *at >= floor) else {
                break floor;
            };
            if self.key_at(&ranks.order, at)? != key {
                break at + 1;
            }
            step *= 2;
        };
        let begin = self.partition_point(&ranks.order, least..last, |other, _| *other != key)?;
        ranks.next = begin..end;
        ranks.below = begin;
        Ok(())
    }

    fn key_at(&self, order: &DocOrder, rank: usize) -> Result<Raw, EngineError> {
        self.readers[0].read(order.doc(rank), None, self.control)
    }

    /// Returns up to `wanted` documents that come next, in the order of the sort by its first key.
    pub(in crate::search) fn take(
        &self,
        ranks: &mut Ranks,
        wanted: usize,
    ) -> Result<Vec<DocId>, EngineError> {
        let mut docs = Vec::with_capacity(wanted);
        while docs.len() < wanted {
            if ranks.next.is_empty() {
                self.next_group(ranks)?;
            }
            let end = ranks.next.end.min(ranks.next.start + wanted - docs.len());
            if end == ranks.next.start {
                break;
            }
            docs.extend((ranks.next.start..end).map(|rank| ranks.order.doc(rank)));
            ranks.next.start = end;
        }
        Ok(docs)
    }

    /// Returns whether no document that comes next is among the best.
    pub(in crate::search) fn is_done(&self, ranks: &mut Ranks) -> Result<bool, EngineError> {
        if ranks.next.is_empty() {
            self.next_group(ranks)?;
        }
        if ranks.next.is_empty() {
            return Ok(true);
        }
        let Some(worst) = self.kept.worst() else {
            return Ok(false);
        };
        if self.readers.len() == 1 {
            return Ok(true);
        }
        let key = self.key_at(&ranks.order, ranks.next.start)?;
        Ok(self.readers[0].compare(&key, &worst.keys[0]) == Ordering::Greater)
    }
}
