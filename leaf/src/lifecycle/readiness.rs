//! Whether a leaf serves all that it is to serve.

use gleaner_model::ShardKey;

use crate::Leaf;
use crate::copy::registry::CopyState;

/// The copies that the cluster state gives a leaf, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Copies that serve. Their first view is open: no search has to wait for it.
    pub open: usize,
    /// Copies that serve what they have and do not hear of their primary: it may be old.
    pub cut_off: Vec<(ShardKey, String)>,
    /// Copies on their way, with how far they are.
    pub opening: Vec<(ShardKey, String)>,
    /// Copies that cannot be opened or have stopped, with the reason. They are tried again.
    pub failed: Vec<(ShardKey, String)>,
}

impl Readiness {
    /// Returns whether every copy serves. One that is cut off does: were its leaf taken out of the network,
    /// the loss of one leaf would take others with it.
    pub fn is_ready(&self) -> bool {
        self.opening.is_empty() && self.failed.is_empty()
    }
}

impl Leaf {
    /// Returns what became of the copies that this node is to hold.
    pub fn readiness(&self) -> Readiness {
        let state = self.node.coordinator.state();
        let mut readiness = Readiness::default();
        let copies = self.copies.lock();
        for index in state.indices.values() {
            for key in index.shards() {
                if self.node.role_in(index, key.shard).is_some() {
                    readiness.count(key, copies.get(&key));
                }
            }
        }
        readiness
    }
}

impl Readiness {
    fn count(&mut self, key: ShardKey, state: Option<&CopyState>) {
        match state {
            Some(CopyState::Open(copy)) => match copy.shard().applier.failure() {
                None => match copy.cut_off() {
                    Some(reason) => self.cut_off.push((key, reason)),
                    None => self.open += 1,
                },
                Some(reason) => self.failed.push((key, reason.to_string())),
            },
            Some(CopyState::Failed(reason)) => self.failed.push((key, reason.to_string())),
            Some(CopyState::Opening(opening)) => self.opening.push((key, opening.progress())),
            Some(CopyState::Closing) => {
                let progress = "it is removed before it is made anew".to_owned();
                self.opening.push((key, progress));
            }
            None => {
                let progress = "it is about to be opened".to_owned();
                self.opening.push((key, progress));
            }
        }
    }
}
