//! The primary term: taken by a primary when it opens, agreed with the coordinator, fixed by a fence.

use std::sync::Arc;

use gleaner_coordinator::{CoordinatorError, update_known};
use gleaner_log::LogError;
use gleaner_model::{IndexMeta, PrimaryTerm, ShardKey};

use crate::Leaf;
use crate::applier::with_causes;

/// Why a primary without a log is not opened.
const MISSING: &str = "its log is missing: it was open on this node before, and the data folder has \
     nothing of it now; nothing is opened in its place. Start the node with the folder that it had, or put a copy's folders \
     of this index in place of it when that is gone for good";

impl Leaf {
    /// Refuses to open a primary that was opened before and of which nothing is here: an empty one in
    /// its place would pass for all there is, with the cluster green.
    ///
    /// The log tells: it gets its fence before the term is agreed, which is 0 until then. Returns whether
    /// it was opened before.
    pub(crate) async fn check_presence(&self, key: ShardKey) -> Result<bool, String> {
        let was_opened = self.was_opened(key);
        let below = match was_opened {
            true => PrimaryTerm::default(),
            false => PrimaryTerm(1),
        };
        match self.log.fence(key, below).await {
            Err(LogError::Fenced { .. }) => Ok(was_opened),
            Err(error) => Err(with_causes(&error)),
            // What holds records is there, whatever its fence.
            Ok(tail) if !was_opened || tail.is_some() => Ok(was_opened),
            Ok(_) => {
                self.log
                    .remove(key)
                    .await
                    .map_err(|error| with_causes(&error))?;
                Err(MISSING.to_owned())
            }
        }
    }

    /// Takes a primary term above every older one and fences the log with it. A shard that was
    /// never written keeps the term it was made with.
    pub(crate) async fn take_term(
        &self,
        key: ShardKey,
        was_written: bool,
    ) -> Result<PrimaryTerm, String> {
        let mut at_least = PrimaryTerm(1);
        loop {
            // One at a time: a swap per shard, all at once, would starve some of them.
            let changing = self.changing_metadata.lock().await;
            let term = self.raise_term(key, at_least, was_written).await?;
            drop(changing);
            match self.log.fence(key, term).await {
                Ok(_) => return Ok(term),
                Err(LogError::Fenced { current }) if current >= term => {
                    at_least = PrimaryTerm(current.0 + 1);
                }
                Err(error) => return Err(with_causes(&error)),
            }
        }
    }

    async fn raise_term(
        &self,
        key: ShardKey,
        at_least: PrimaryTerm,
        was_written: bool,
    ) -> Result<PrimaryTerm, String> {
        let shard = key.shard.0 as usize;
        let mut taken = at_least;
        update_known::<CoordinatorError, _>(&*self.coordinator, |state| {
            let Some(index) = state.indices.get(&key.index) else {
                return Ok(None);
            };
            let current = index
                .primary_terms
                .get(shard)
                .copied()
                .unwrap_or(PrimaryTerm(1));
            taken = at_least.max(PrimaryTerm(current.0 + u64::from(was_written)));
            if taken == current {
                return Ok(None);
            }
            let mut next = state.clone();
            let mut index = IndexMeta::clone(index);
            index.primary_terms[shard] = taken;
            next.indices.insert(key.index, Arc::new(index));
            Ok(Some(next))
        })
        .await
        .map_err(|error| error.to_string())?;
        Ok(taken)
    }
}
