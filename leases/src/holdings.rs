//! The side that holds: what each grantor has told, and until when that holds.

use std::collections::HashMap;
use std::time::Duration;

use gleaner_model::{Generation, IndexUuid, NodeId, ShardKey};
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::FollowAnswer;
use crate::rules::{Rule, Rules};

/// What one process holds leases on, by grantor.
#[derive(Debug, Default)]
pub struct Holdings {
    by_grantor: RwLock<HashMap<NodeId, Holding>>,
    rules: Rules,
}

#[derive(Debug)]
struct Holding {
    shown: HashMap<ShardKey, Generation>,
    /// When the lease runs out, by this process' clock.
    until: Instant,
    state_version: u64,
}

impl Holdings {
    /// Returns what a process holds that goes by `rules` only.
    #[cfg(test)]
    pub(crate) fn by(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Returns what `shard` shows as `grantor` has told, with how long that is leased still; `None` where it is not
    /// leased, and where the grantor knows a newer cluster state than `state_version`.
    pub fn shown(
        &self,
        grantor: &NodeId,
        shard: ShardKey,
        state_version: u64,
    ) -> Option<(Generation, Duration)> {
        let by_grantor = self.by_grantor.read();
        let holding = by_grantor.get(grantor)?;
        let left = holding.until.checked_duration_since(Instant::now())?;
        let is_known = !left.is_zero() && self.knows_state_of(holding, state_version);
        let generation = holding.shown.get(&shard).filter(|_| is_known)?;
        Some((*generation, left))
    }

    /// Returns the newest that any grantor has told of what `shard` shows, among those whose lease holds and who know no
    /// newer cluster state than `state_version`. One is enough: what is acknowledged waits for the leases of all.
    pub fn newest(&self, shard: ShardKey, state_version: u64) -> Option<Generation> {
        let now = Instant::now();
        let by_grantor = self.by_grantor.read();
        let held = by_grantor
            .values()
            .filter(|holding| now < holding.until && self.knows_state_of(holding, state_version));
        let shown = held.filter_map(|holding| holding.shown.get(&shard));
        shown
            .max_by_key(|generation| (generation.visible, generation.mapping))
            .copied()
    }

    /// Returns how many leases hold now: the shards of each grantor whose lease is not over.
    pub fn num_held(&self) -> usize {
        let now = Instant::now();
        let by_grantor = self.by_grantor.read();
        let held = by_grantor.values().filter(|holding| now < holding.until);
        held.map(|holding| holding.shown.len()).sum()
    }

    /// Is the cluster state that the grantor knows no newer than `state_version`?
    fn knows_state_of(&self, holding: &Holding, state_version: u64) -> bool {
        holding.state_version <= state_version || !self.rules.have(Rule::NoticeNewerState)
    }

    /// Takes in the answer of `grantor` to an ask that was sent at `sent`: what it does not say is not leased any more.
    pub fn take(&self, grantor: &NodeId, sent: Instant, answer: FollowAnswer) {
        let mut by_grantor = self.by_grantor.write();
        let mut shown = HashMap::new();
        if !self.rules.have(Rule::NewestAnswerAlone)
            && let Some(before) = by_grantor.remove(grantor)
        {
            shown = before.shown;
        }
        shown.extend(answer.shown);
        let holding = Holding {
            shown,
            until: sent + answer.lease,
            state_version: answer.state_version,
        };
        by_grantor.insert(grantor.clone(), holding);
    }

    /// Goes by nothing of `grantor` any more.
    pub fn drop_grantor(&self, grantor: &NodeId) {
        self.by_grantor.write().remove(grantor);
    }

    /// Goes by nothing of `grantor` but what it tells of `indices`; call it before it is asked for those only.
    pub(crate) fn keep_indices(&self, grantor: &NodeId, indices: &[IndexUuid]) {
        if let Some(holding) = self.by_grantor.write().get_mut(grantor) {
            holding
                .shown
                .retain(|shard, _| indices.binary_search(&shard.index).is_ok());
        }
    }
}
