//! The primary term: taken by a primary when it opens, agreed with the coordinator, fixed by a fence.

use std::sync::Arc;

use gleaner_coordinator::{CoordinatorError, update_known};
use gleaner_log::LogError;
use gleaner_model::{IndexMeta, PrimaryTerm};

use crate::copy::applier::with_causes;
use crate::lifecycle::recovery::{PrimaryOpening, TermClaim};

/// Why a primary without a log is not opened.
const MISSING: &str = "its log is missing: it was open on this node before, and the data folder has \
     nothing of it now; nothing is opened in its place. Start the node with the folder that it had, or put a copy's folders \
     of this index in place of it when that is gone for good";

impl PrimaryOpening {
    /// Refuses to open a primary that was opened before and of which nothing is here: an empty one in
    /// its place would pass for all there is, with the cluster green.
    ///
    /// The log tells: it gets its fence before the term is agreed, which is 0 until then.
    pub(crate) async fn check_presence(&self) -> Result<(), String> {
        let was_opened = self.leaf.node.was_opened(self.key);
        let below = match was_opened {
            true => PrimaryTerm::default(),
            false => PrimaryTerm(1),
        };
        match self.leaf.node.log.fence(self.key, below).await {
            Err(LogError::Fenced { .. }) => Ok(()),
            Err(error) => Err(with_causes(&error)),
            // What holds records is there, whatever its fence.
            Ok(tail) if !was_opened || tail.is_some() => Ok(()),
            Ok(_) => {
                let removed = self.leaf.node.log.remove(self.key).await;
                removed.map_err(|error| with_causes(&error))?;
                Err(MISSING.to_owned())
            }
        }
    }

    /// Takes a primary term and fences the log with it.
    pub(crate) async fn take_term(&self, claim: TermClaim) -> Result<PrimaryTerm, String> {
        let mut at_least = PrimaryTerm(1);
        loop {
            // One at a time: a swap per shard, all at once, would starve some of them.
            let changing = self.leaf.node.changing_metadata.lock().await;
            let term = self.raise_term(at_least, claim).await?;
            drop(changing);
            match self.leaf.node.log.fence(self.key, term).await {
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
        at_least: PrimaryTerm,
        claim: TermClaim,
    ) -> Result<PrimaryTerm, String> {
        let key = self.key;
        let shard = key.shard.0 as usize;
        let mut taken = at_least;
        update_known::<CoordinatorError, _>(&*self.leaf.node.coordinator, |state| {
            let Some(index) = state.indices.get(&key.index) else {
                return Ok(None);
            };
            let current = index
                .primary_terms
                .get(shard)
                .copied()
                .unwrap_or(PrimaryTerm(1));
            taken = at_least.max(PrimaryTerm(
                current.0 + u64::from(claim == TermClaim::Above),
            ));
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
