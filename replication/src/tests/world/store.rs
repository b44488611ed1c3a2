//! The store: the entry, who is alive, and changes under way.

use std::sync::Arc;

use gleaner_model::{Entry, Incarnation, Revision};

use super::{NUM_COPIES, index_of};
use crate::{Outcome, Proposal};

/// The store's state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) entry: Arc<Entry>,
    pub(crate) revision: Revision,
    /// Entries before, while somebody may still read them, oldest first.
    pub(crate) past: Vec<(Revision, Arc<Entry>)>,
    /// By node: the process that its `alive` key names.
    pub(crate) alive: [Option<Incarnation>; NUM_COPIES],
    pub(crate) requests: Vec<StoreRequest>,
}

/// A proposal on its way to the store, or its answer on the way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StoreRequest {
    pub(crate) by: usize,
    /// The process that asked; another one gets no answer.
    pub(crate) incarnation: u8,
    pub(crate) proposal: Proposal,
    /// `None` while it travels.
    pub(crate) answer: Option<Outcome>,
    /// Whether the asker has given the answer up.
    pub(crate) is_given_up: bool,
}

impl Store {
    pub(crate) fn new(entry: Entry) -> Self {
        Self {
            entry: Arc::new(entry),
            revision: Revision(1),
            past: Vec::new(),
            alive: [None; NUM_COPIES],
            requests: Vec::new(),
        }
    }

    /// Puts another entry in the place of the one in force.
    pub(crate) fn replace(&mut self, entry: Arc<Entry>) {
        let before = std::mem::replace(&mut self.entry, entry);
        self.past.push((self.revision, before));
        self.revision = Revision(self.revision.0 + 1);
    }

    /// Runs the transaction of a request.
    pub(crate) fn execute(&mut self, place: usize) {
        let Proposal {
            expected,
            entry,
            guard,
            ..
        } = self.requests[place].proposal.clone();
        let is_met = guard.is_none_or(|guard| {
            let alive =
                |node: gleaner_model::NodeUuid| self.alive[index_of(gleaner_model::CopyId(node.0))];
            alive(guard.absent).is_none() && alive(guard.node) == Some(guard.incarnation)
        });
        let outcome = if is_met && expected == self.revision {
            self.replace(entry);
            Outcome::Made {
                revision: self.revision,
            }
        } else {
            let (entry, revision) = (self.entry.clone(), self.revision);
            Outcome::Refused { entry, revision }
        };
        self.requests[place].answer = Some(outcome);
    }
}
