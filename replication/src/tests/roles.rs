//! What a copy does in its role, where no interleaving is needed to see it: damage, patience, hand-over.

mod follower;
mod primary;
mod showing;

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{Entry, HistoryId, Incarnation, PrimaryTerm, Revision, SeqNo};

use super::world::{copy_id, node};
use crate::settings::{Rule, Settings};
use crate::{
    Answer, Change, Effect, Event, FromFollower, FromPrimary, Identity, Join, LogState, Moment,
    Outcome, Proposal, Report, ShardCopy, TermEnd, TermTable,
};

fn at(ms: u64) -> Moment {
    Moment(Duration::from_millis(ms))
}

/// An entry of three copies, all of them in sync but those that are left out.
fn entry(term: u64, primary: usize, out: &[usize]) -> Arc<Entry> {
    let copies = (0..3).map(|copy| (copy_id(copy), gleaner_model::CopyMeta::on(node(copy))));
    let in_sync = (0..3).filter(|copy| !out.contains(copy)).map(copy_id);
    Arc::new(Entry {
        version: term,
        term: PrimaryTerm(term),
        forced: Vec::new(),
        history: HistoryId::FIRST,
        primary: copy_id(primary),
        in_sync: in_sync.collect(),
        copies: copies.collect(),
        other: Default::default(),
    })
}

/// A log by its terms, of which so many records are agreed.
fn log_state(terms: &[u64], agreed: u64) -> LogState {
    let mut table = TermTable::default();
    for (next, term) in (1..).zip(terms) {
        table
            .append(PrimaryTerm(*term), SeqNo(next))
            .expect("in order");
    }
    let fence = table.last_term();
    LogState {
        history: HistoryId::FIRST,
        fence,
        terms: table,
        agreed: SeqNo(agreed),
        seen_version: 0,
    }
}

fn open(copy: usize, settings: Settings, log: LogState) -> ShardCopy {
    let identity = Identity {
        copy: copy_id(copy),
        node: node(copy),
        incarnation: Incarnation([1; 16]),
    };
    ShardCopy::open(identity, settings, log, at(0))
}

fn learn(copy: &mut ShardCopy, entry: &Arc<Entry>, now: Moment) -> Vec<Effect> {
    let (entry, revision) = (entry.clone(), Revision(entry.version));
    copy.handle(now, Event::Entry { entry, revision })
}

/// The first copy as primary of the entry.
fn primary(settings: Settings, log: LogState, entry: &Arc<Entry>) -> ShardCopy {
    let mut copy = open(0, settings, log);
    let (effects, term) = (learn(&mut copy, entry, at(0)), entry.term);
    assert_eq!(effects, [Effect::Fence { term }]);
    copy.handle(at(0), Event::Fenced { term });
    assert_eq!(copy.leads(), Some(term));
    copy
}

/// The second copy as a follower of the entry, with a stream.
fn follower(settings: Settings, log: LogState, entry: &Arc<Entry>) -> ShardCopy {
    let mut copy = open(1, settings, log);
    learn(&mut copy, entry, at(0));
    copy.handle(at(0), Event::Fenced { term: entry.term });
    let primary = entry.primary;
    let effects = copy.handle(at(0), Event::Connected { primary });
    let is_join = |effect: &Effect| {
        matches!(
            effect,
            Effect::ToPrimary {
                message: FromFollower::Join(_),
                ..
            }
        )
    };
    assert!(effects.iter().any(is_join), "{effects:?}");
    copy
}

fn from_follower(
    copy: &mut ShardCopy,
    from: usize,
    message: FromFollower,
    now: Moment,
) -> Vec<Effect> {
    let from = copy_id(from);
    copy.handle(now, Event::FromFollower { from, message })
}

fn from_primary(copy: &mut ShardCopy, message: FromPrimary) -> Vec<Effect> {
    let from = copy_id(0);
    copy.handle(at(0), Event::FromPrimary { from, message })
}

/// A follower of term 2 with that log joins.
fn join(log: &LogState) -> FromFollower {
    let before = log.agreed.0.checked_sub(1).map(SeqNo);
    FromFollower::Join(Join {
        history: log.history,
        term: PrimaryTerm(2),
        version: 2,
        end: log.terms.end(),
        last_term: log.terms.last_term(),
        agreed: log.agreed,
        agreed_term: before.and_then(|position| log.terms.at(position)),
        visible: SeqNo(0),
    })
}

fn have(end: u64) -> FromFollower {
    let (term, end, visible) = (PrimaryTerm(2), SeqNo(end), SeqNo(0));
    FromFollower::Have { term, end, visible }
}

fn proposals(effects: Vec<Effect>) -> Vec<Proposal> {
    let proposal = |effect| match effect {
        Effect::Propose(proposal) => Some(proposal),
        _ => None,
    };
    effects.into_iter().filter_map(proposal).collect()
}

fn changes(effects: Vec<Effect>) -> Vec<Change> {
    proposals(effects)
        .into_iter()
        .map(|proposal| proposal.change)
        .collect()
}
