//! What was acknowledged, and refreshed after that, is found.

use std::collections::BTreeMap;

use gleaner_model::{DocumentId, SeqNo};
use gleaner_query::resolved::Clause;

use super::check_searches;
use crate::client::EVERYTHING;
use crate::expected::failed;
use crate::history::{History, Search, Write};
use crate::run::Run;

pub(super) fn check(run: &Run) -> Vec<String> {
    let history = run.cluster.history.lock();
    check_searches(&history, |search| of_search(&history, search))
}

/// Looks at searches of everything with a window for everything.
fn of_search(history: &History, search: &Search) -> Option<String> {
    let response = search.ended.as_ref()?.outcome.as_ref().ok()?;
    if search.size < EVERYTHING
        || search.clause() != Some(&Clause::MatchAll)
        || response.coverage.shards_cut > 0
    {
        return None;
    }
    let failed = failed(response);
    let hits = response.hits.iter();
    let found: BTreeMap<&DocumentId, SeqNo> = hits
        .map(|hit| (&hit.content.id, hit.content.seq_no))
        .collect();
    for (id, write) in owed(history, search) {
        let Some(number) = write
            .acknowledged
            .filter(|_| !failed.contains(&write.shard))
        else {
            continue;
        };
        let is_found = match found.get(id) {
            Some(seq_no) if write.source.is_some() => *seq_no >= number,
            Some(seq_no) => *seq_no > number,
            None => write.source.is_none() || is_deleted_since(history, search, write),
        };
        if !is_found {
            let found = found.get(id);
            return Some(format!(
                "{id}: operation {number} is owed, {found:?} is found"
            ));
        }
    }
    None
}

/// Returns the newest write of each document that must be visible to a search.
fn owed<'a>(history: &'a History, search: &Search) -> BTreeMap<&'a DocumentId, &'a Write> {
    let mut owed: BTreeMap<&DocumentId, &Write> = BTreeMap::new();
    for write in &history.writes {
        let is_owed = write.visible_from.is_some_and(|from| from <= search.number);
        let known = owed.get(&write.id).and_then(|write| write.acknowledged);
        if is_owed && write.acknowledged > known {
            owed.insert(&write.id, write);
        }
    }
    owed
}

/// Returns whether a later delete may have removed the document by the end of the search.
fn is_deleted_since(history: &History, search: &Search, write: &Write) -> bool {
    let ended = search.ended.as_ref().map(|ended| ended.at);
    history.writes.iter().any(|other| {
        other.id == write.id
            && other.source.is_none()
            && !other.is_refused
            && Some(other.begun) <= ended
            && other
                .acknowledged
                .is_none_or(|at| Some(at) > write.acknowledged)
    })
}
