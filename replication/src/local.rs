//! What a copy has and knows in either role: its log, its fence, the entry, who is alive.

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_model::{
    CopyId, Entry, HistoryId, Incarnation, NodeUuid, PrimaryTerm, Revision, SeqNo,
};

use crate::effect::{Effect, Report};
use crate::rights::GivenRight;
use crate::settings::{Rule, Settings};
use crate::step::Step;
use crate::terms::TermTable;
use crate::time::Moment;

/// Who a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The copy.
    pub copy: CopyId,
    /// The node that holds it.
    pub node: NodeUuid,
    /// The process that runs it.
    pub incarnation: Incarnation,
}

/// What a copy finds in its log when it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LogState {
    /// The history that the records are of.
    pub history: HistoryId,
    /// The greatest term adopted.
    pub fence: PrimaryTerm,
    /// The table of the log, all of whose records are durable.
    pub terms: TermTable,
    /// A lower bound of the agreed point.
    pub agreed: SeqNo,
    /// The greatest version of the entry that the copy has seen.
    pub seen_version: u64,
}

/// The entry with its revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryRevision {
    pub(crate) entry: Arc<Entry>,
    pub(crate) revision: Revision,
}

/// Whether a copy's log can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Health {
    Sound,
    /// Nothing can be made durable any more.
    LogFailed,
    /// Agreed records are missing, up to this position. This follower has them.
    LacksAgreed {
        follower: CopyId,
        agreed: SeqNo,
    },
}

/// The state of a copy that does not depend on its role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Local {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
    /// The history that the records are of, for as long as the copy is open.
    pub(crate) history: HistoryId,
    /// The greatest term adopted, durably.
    pub(crate) fence: PrimaryTerm,
    /// The greatest term whose fence the log was asked for.
    pub(crate) fencing: PrimaryTerm,
    /// Terms of all records appended, durable or not.
    pub(crate) terms: TermTable,
    /// Position after the last durable record; ≤ `terms.end()`.
    pub(crate) end: SeqNo,
    /// Everything below is agreed; ≤ `end`, never falls.
    pub(crate) agreed: SeqNo,
    /// Position after the last visible record; `None` until the copy has log.
    pub(crate) visible: Option<SeqNo>,
    pub(crate) known: Option<EntryRevision>,
    pub(crate) seen_version: u64,
    /// Nodes whose `alive` key is gone.
    pub(crate) absent: BTreeSet<NodeUuid>,
    /// Whether roots call this copy's node.
    pub(crate) is_called: bool,
    pub(crate) health: Health,
    /// Whether the log is open and holds all that it should: not while files replace it.
    pub(crate) is_whole: bool,
    /// The read right that this copy has given to primaries: it leads no higher term before it has run
    /// out.
    pub(crate) promise: GivenRight,
    pub(crate) num_proposals: u64,
    /// What peers said in the reign before, which only a planted error looks at.
    #[cfg(test)]
    pub(crate) former: std::collections::BTreeMap<CopyId, crate::primary::Peer>,
}

impl Local {
    pub(crate) fn new(identity: Identity, settings: Settings, log: LogState, now: Moment) -> Self {
        let mut promise = GivenRight::default();
        // The process before may have promised, up to the moment when it ended.
        if !settings.omits(Rule::PromiseFromOpening) {
            promise.give(now, settings.copy_right);
        }
        Self {
            identity,
            settings,
            history: log.history,
            fence: log.fence,
            fencing: log.fence,
            end: log.terms.end(),
            agreed: log.agreed.min(log.terms.end()),
            terms: log.terms,
            visible: None,
            known: None,
            seen_version: log.seen_version,
            absent: BTreeSet::new(),
            is_called: true,
            health: Health::Sound,
            is_whole: true,
            promise,
            num_proposals: 0,
            #[cfg(test)]
            former: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) fn id(&self) -> CopyId {
        self.identity.copy
    }

    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.known.as_ref().map(|known| &*known.entry)
    }

    /// Returns whether records of `history` are of the same history as those here.
    pub(crate) fn is_of(&self, history: HistoryId) -> bool {
        history == self.history || self.settings.omits(Rule::HistoryIsCompared)
    }

    /// Returns whether the entry says that this copy orders.
    pub(crate) fn is_primary(&self) -> bool {
        self.entry().is_some_and(|entry| entry.primary == self.id())
    }

    /// Returns whether the `alive` key of the copy's node is there, as far as it is known.
    pub(crate) fn is_alive(&self, copy: CopyId) -> bool {
        let node = self.entry().and_then(|entry| entry.node_of(copy));
        node.is_some_and(|node| !self.absent.contains(&node))
    }

    /// Notes whether the `alive` key of a node is there.
    pub(crate) fn note_alive(&mut self, node: NodeUuid, is_alive: bool) {
        if is_alive {
            self.absent.remove(&node);
        } else {
            self.absent.insert(node);
        }
    }

    /// Takes an entry unless it is old. Returns whether it is news.
    pub(crate) fn learn(&mut self, known: EntryRevision, step: &mut Step) -> bool {
        let is_old = |held: &EntryRevision| held.revision >= known.revision;
        if self.known.as_ref().is_some_and(is_old) {
            return false;
        }
        let version = known.entry.version;
        if version < self.seen_version && !self.settings.omits(Rule::FollowNewerEntries) {
            let seen = self.seen_version;
            step.report(Report::OldEntry { seen, version });
            return false;
        }
        self.seen_version = version;
        self.known = Some(known);
        true
    }

    /// Returns whether the log lacks agreed records.
    pub(crate) fn lacks_agreed(&self) -> bool {
        matches!(self.health, Health::LacksAgreed { .. })
    }

    /// Takes this copy for a member of the in-sync set, which only a planted error does.
    pub(crate) fn pretend_in_sync(&mut self) {
        let id = self.id();
        if let Some(known) = &mut self.known {
            Arc::make_mut(&mut known.entry).in_sync.insert(id);
        }
    }

    /// Raises the agreed point, at most to the end of the log. Returns whether it rose.
    pub(crate) fn raise_agreed(&mut self, agreed: SeqNo, step: &mut Step) -> bool {
        let agreed = agreed.min(self.end);
        let rises = agreed > self.agreed;
        if rises {
            self.agreed = agreed;
            self.heal();
            step.push(Effect::Agreed { to: agreed });
        }
        rises
    }

    /// Ends the damage that the agreed point has gone beyond: what was lost has come again.
    fn heal(&mut self) {
        if let Health::LacksAgreed { agreed, .. } = self.health
            && self.agreed >= agreed
        {
            self.health = Health::Sound;
        }
    }

    /// Notes that the log is durable up to `end`.
    pub(crate) fn durable(&mut self, end: SeqNo) {
        self.end = self.end.max(end.min(self.terms.end()));
    }
}
