//! Where a whole copy of each shard can be reached, a search with time enough covers everything.

use std::collections::BTreeSet;
use std::time::Duration;

use super::budget::BURSTS;
use super::check_searches;
use crate::faults::Fault;
use crate::history::{History, Search};
use crate::run::Run;

/// Time enough: silence is found out after 100 ms in each of three rounds, and what is begun again
/// takes as long.
const ENOUGH: Duration = Duration::from_secs(3);

/// How long a refusal stops second requests: a silent leaf is not bridged then.
const OVERLOAD: Duration = Duration::from_secs(1);

pub(super) fn check(run: &Run) -> Vec<String> {
    let history = run.cluster.history.lock();
    check_searches(&history, |search| {
        if owed(run, &history, search) != Owed::Whole {
            return None;
        }
        match &search.ended.as_ref()?.outcome {
            Ok(response) if !response.coverage.is_partial() => None,
            Ok(response) => Some(format!("{:?}", response.shards.failures)),
            Err(error) => Some(format!("{error:?}")),
        }
    })
}

/// What a search is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Each shard had a whole and reachable copy all the time.
    Whole,
    /// So it had, but what second requests may cost was used up: a silent copy is waited for then.
    Credit,
    /// Some shard had none, by what is known here, or there was no time.
    Nothing,
}

/// Returns what a search is owed.
pub(crate) fn owed(run: &Run, history: &History, search: &Search) -> Owed {
    let Some(ended) = &search.ended else {
        return Owed::Nothing;
    };
    if search.is_last {
        return Owed::Whole;
    }
    if search.timeout < ENOUGH {
        return Owed::Nothing;
    }
    let mut felt = BTreeSet::new();
    for planned in &run.schedule().faults {
        let since = match planned.fault {
            Fault::Refuse => search.begun.saturating_sub(OVERLOAD),
            _ => search.begun,
        };
        let is_felt = planned.is_felt() && planned.from <= ended.at;
        if is_felt && planned.felt_until() >= since {
            if planned.fault == Fault::Refuse {
                return Owed::Nothing;
            }
            felt.insert(planned.leaf);
        }
    }
    let has_whole = |leaves: &Vec<usize>| leaves.iter().any(|leaf| !felt.contains(leaf));
    if !search.ready.values().all(has_whole) {
        return Owed::Nothing;
    }
    // What one search may need: its shards once more in two rounds, and fetched elsewhere.
    let needed = 4 * run.schedule().copies.len();
    let spent = history.most_spent(search.begun, ended.at);
    if spent + needed as f64 > BURSTS {
        return Owed::Credit;
    }
    Owed::Whole
}
