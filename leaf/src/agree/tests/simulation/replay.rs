//! What the log of a run makes of the documents, operation by operation, and whether all answers were right by it.

use std::collections::BTreeMap;

use gleaner_model::PrimaryTerm;
use gleaner_proto::write::WriteResult;

use super::history::{Conflict, History, Read};
use super::operation::{Change, Intent, Record, Written};

/// A document from one of its writes to the next.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Position of the write.
    position: u64,
    term: PrimaryTerm,
    written: Written,
}

/// All states of a document, in the order of the log.
type States = Vec<State>;

/// Checks what was answered in a run against the log that all copies have.
///
/// # Errors
/// What is not as it was said.
pub(super) fn check(history: &History, log: &BTreeMap<u64, Record>) -> Result<(), String> {
    let mut documents: BTreeMap<u8, States> = BTreeMap::new();
    let mut positions = BTreeMap::new();
    for (position, record) in log {
        let Some(written) = record.written else {
            continue;
        };
        if let Some(before) = positions.insert(record.number, *position) {
            return Err(format!("{record:?} is at {before} and at {position}"));
        }
        let states = documents.entry(written.document).or_default();
        let state = State {
            position: *position,
            term: record.term,
            written,
        };
        check_write(history, record, &state, states.last())
            .map_err(|what| format!("{position} ({record:?}) {what}: {states:?}"))?;
        states.push(state);
    }
    let states_of = |document| documents.get(&document).map_or(&[][..], Vec::as_slice);
    for read in &history.reads {
        let states = states_of(read.document);
        if !is_true(read, states) {
            return Err(format!("{read:?} was never so: {states:?}"));
        }
    }
    for conflict in &history.conflicts {
        let Conflict { intent, planned_at } = conflict;
        let states = states_of(intent.document);
        if !is_refused(intent, before(states, *planned_at)) {
            return Err(format!("{conflict:?} was none: {states:?}"));
        }
    }
    Ok(())
}

/// Checks a write against what its document was before.
fn check_write(
    history: &History,
    record: &Record,
    state: &State,
    before: Option<&State>,
) -> Result<(), String> {
    let intent = &history.asked[&record.number];
    if is_refused(intent, before) {
        return Err(format!("is of {intent:?}, which had to be refused"));
    }
    let live = live(before);
    let version = state.written.version;
    let follows = before.is_some_and(|before| version == before.written.version + 1);
    if !follows && (version != 1 || live.is_some()) {
        return Err("has another version than the next".to_owned());
    }
    let number = intent.number;
    let fields = match intent.change {
        Change::Put | Change::Create => Some([number; 2]),
        Change::Update(field) => live.map(|mut fields| {
            fields[field] = number;
            fields
        }),
        Change::Delete => None,
    };
    if fields != state.written.fields {
        return Err(format!("has other fields than {fields:?}"));
    }
    let Some(outcome) = history.written.get(&number) else {
        return Ok(());
    };
    let result = match (live.is_some(), fields.is_some()) {
        (false, true) => WriteResult::Created,
        (true, true) => WriteResult::Updated,
        (true, false) => WriteResult::Deleted,
        (false, false) => WriteResult::NotFound,
    };
    let is_as_told = outcome.result == result
        && outcome.version.0 == version
        && outcome.seq_no.0 == state.position
        && outcome.term == state.term;
    match is_as_told {
        true => Ok(()),
        false => Err(format!("was acknowledged as {outcome:?}")),
    }
}

/// Returns whether a write must be refused of a document in this state.
fn is_refused(intent: &Intent, state: Option<&State>) -> bool {
    let is_live = live(state).is_some();
    let is_expected = intent.expected.is_none_or(|expected| {
        is_live
            && state.is_some_and(|state| {
                state.position == expected.position && state.term == expected.term
            })
    });
    let has_what_it_needs = match intent.change {
        Change::Put | Change::Delete => true,
        Change::Create => !is_live,
        Change::Update(_) => is_live,
    };
    !is_expected || !has_what_it_needs
}

/// Returns whether a document was as it was read at some time from when the read began until it ended.
fn is_true(read: &Read, states: &[State]) -> bool {
    let begin = read.floor.map_or(0, |floor| floor + 1);
    let found_at = |num_operations| {
        let state = before(states, num_operations);
        live(state).and(state).map(|state| state.position)
    };
    // The state changes right behind each write.
    let changes = states.iter().map(|state| state.position + 1);
    let mut times = changes
        .filter(|at| (begin..=read.read_at).contains(at))
        .chain([begin, read.read_at.max(begin)]);
    times.any(|at| found_at(at) == read.found)
}

/// Returns a document's state after so many operations of the log.
fn before(states: &[State], num_operations: u64) -> Option<&State> {
    let num = states.partition_point(|state| state.position < num_operations);
    states[..num].last()
}

fn live(state: Option<&State>) -> Option<[u64; 2]> {
    state.and_then(|state| state.written.fields)
}
