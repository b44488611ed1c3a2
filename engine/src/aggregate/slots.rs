//! Buckets by owner and key, and by owner and entry of a list.
//!
//! Does: open the bucket of a key with its first document ([`KeyedSlots`]); keep one bucket for each entry of a list
//! ([`ListedSlots`]); return the buckets by owner.
//! Does not: know what keys and entries mean. Called by aggregations that keep all their buckets.

use std::hash::Hash;

use gleaner_partial::Bucket;
use hashbrown::HashMap;

use super::node::{Block, Buckets};
use crate::error::EngineError;

/// One bucket for each (owner, key) that has a document.
pub(super) struct KeyedSlots<'a, K> {
    slots: HashMap<(u32, K), u32>,
    /// What a key takes beside its bucket, in bytes.
    key_bytes: usize,
    buckets: Buckets<'a>,
}

impl<'a, K: Eq + Hash> KeyedSlots<'a, K> {
    /// Returns no buckets; keys take nothing outside of themselves.
    pub(super) fn new(buckets: Buckets<'a>) -> Self {
        Self::with_key_bytes(0, buckets)
    }

    /// Returns no buckets; each key is charged `key_bytes`.
    pub(super) fn with_key_bytes(key_bytes: usize, buckets: Buckets<'a>) -> Self {
        Self {
            slots: HashMap::new(),
            key_bytes,
            buckets,
        }
    }

    /// Puts document `i` of `block` into the bucket of a key.
    ///
    /// # Errors
    /// When the bucket takes too much memory, a sub-aggregation fails, or the request must stop.
    pub(super) fn put(&mut self, block: &Block<'_>, i: usize, key: K) -> Result<(), EngineError> {
        let slot = self.slot_of((block.owners[i], key))?;
        self.buckets.put(block, i, slot)
    }

    /// Counts documents in the bucket of a key of owner 0, which nothing is below.
    ///
    /// # Errors
    /// When the bucket takes too much memory.
    pub(super) fn add(&mut self, key: K, num_documents: u64) -> Result<(), EngineError> {
        let slot = self.slot_of((0, key))?;
        self.buckets.add(slot, num_documents);
        Ok(())
    }

    /// Returns the bucket of a key of an owner, which is opened where there is none.
    fn slot_of(&mut self, place: (u32, K)) -> Result<u32, EngineError> {
        if let Some(slot) = self.slots.get(&place) {
            return Ok(*slot);
        }
        self.buckets.meter().charge(self.key_bytes)?;
        let slot = self.buckets.open()?;
        self.slots.insert(place, slot);
        Ok(slot)
    }

    /// Returns whether documents are only counted.
    pub(super) fn only_count(&self) -> bool {
        self.buckets.only_count()
    }

    /// Hands the documents of a block to the sub-aggregations, once all are put.
    ///
    /// # Errors
    /// Those of the sub-aggregations.
    pub(super) fn hand_on(&mut self) -> Result<(), EngineError> {
        self.buckets.hand_on()
    }

    /// Returns the keys, in no order; those of several owners repeat.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.slots.keys().map(|(_, key)| key)
    }

    /// Returns the buckets with their owners and keys, in no order.
    ///
    /// # Errors
    /// Those of the sub-aggregations.
    pub(super) fn finish(self) -> Result<impl Iterator<Item = (usize, K, Bucket)>, EngineError> {
        let mut buckets = self.buckets.finish()?;
        let slots = self.slots.into_iter();
        Ok(slots.map(move |((owner, key), slot)| {
            let bucket = std::mem::take(&mut buckets[slot as usize]);
            (owner as usize, key, bucket)
        }))
    }
}

/// One bucket for each owner and each entry of a list, with a document or without.
pub(super) struct ListedSlots<'a> {
    /// Per entry, the place in the block of the document that was put there last.
    last_put: Vec<Option<usize>>,
    /// Bucket `owner × entries + entry`.
    buckets: Buckets<'a>,
}

impl<'a> ListedSlots<'a> {
    /// Returns buckets for a list of `num_entries`.
    pub(super) fn new(num_entries: usize, buckets: Buckets<'a>) -> Self {
        Self {
            last_put: vec![None; num_entries],
            buckets,
        }
    }

    /// Opens the buckets of a block's owners; to be called before documents are put.
    ///
    /// # Errors
    /// When they take too much memory.
    pub(super) fn begin(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        self.last_put.fill(None);
        self.open_for(block.num_owners())
    }

    /// Counts documents in the bucket of each entry of owner 0, which nothing is below.
    ///
    /// # Errors
    /// When the buckets take too much memory.
    pub(super) fn add(&mut self, num_documents: &[u64]) -> Result<(), EngineError> {
        self.open_for(1)?;
        for (entry, number) in (0..).zip(num_documents) {
            self.buckets.add(entry, *number);
        }
        Ok(())
    }

    /// Returns whether documents are only counted.
    pub(super) fn only_count(&self) -> bool {
        self.buckets.only_count()
    }

    fn open_for(&mut self, num_owners: usize) -> Result<(), EngineError> {
        self.buckets.open_up_to(num_owners * self.last_put.len())
    }

    /// Puts document `i` of `block` into the bucket of an entry, unless it was the last one put there.
    ///
    /// # Errors
    /// When a sub-aggregation fails, or the request must stop.
    pub(super) fn put(
        &mut self,
        block: &Block<'_>,
        i: usize,
        entry: usize,
    ) -> Result<(), EngineError> {
        if self.last_put[entry].replace(i) == Some(i) {
            return Ok(());
        }
        let bucket = block.owners[i] as usize * self.last_put.len() + entry;
        // It is open: its number fits.
        self.buckets.put(block, i, bucket as u32)
    }

    /// Hands the documents of a block to the sub-aggregations, once all are put.
    ///
    /// # Errors
    /// Those of the sub-aggregations.
    pub(super) fn hand_on(&mut self) -> Result<(), EngineError> {
        self.buckets.hand_on()
    }

    /// Returns the buckets of each owner, in the order of the list.
    ///
    /// # Errors
    /// Those of the sub-aggregations.
    pub(super) fn finish(
        mut self,
        num_owners: usize,
    ) -> Result<impl Iterator<Item = Vec<Bucket>>, EngineError> {
        self.open_for(num_owners)?;
        let num_entries = self.last_put.len();
        let mut buckets = self.buckets.finish()?.into_iter();
        Ok((0..num_owners).map(move |_| buckets.by_ref().take(num_entries).collect()))
    }
}
