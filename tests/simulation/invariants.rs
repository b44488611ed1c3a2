//! What must hold in every run. Each file is one sentence and the checker of it.

mod budget;
mod coverage;
mod deadlines;
mod documents;
mod durability;
mod gaps;
mod leftovers;
mod moments;
mod repeatable;

use crate::history::{History, Search};
use crate::run::Run;

pub(crate) use coverage::{Owed, owed};
pub(crate) use repeatable::differences;

/// An invariant: its name, and what tells where a run breaks it.
pub(crate) type Invariant = (&'static str, fn(&Run) -> Vec<String>);

/// All of them but the one that needs two runs.
pub(crate) const ALL: &[Invariant] = &[
    ("no silent gap", gaps::check),
    ("no wrong document", documents::check),
    ("numbers of one moment", moments::check),
    ("deadlines", deadlines::check),
    ("whole copies are found", coverage::check),
    ("acknowledged and refreshed is found", durability::check),
    ("hedges within the budget", budget::check),
    ("nothing is left running", leftovers::check),
];

/// Returns what a run breaks, by invariant.
pub(crate) fn broken(run: &Run) -> Vec<(&'static str, Vec<String>)> {
    let mut broken: Vec<(&'static str, Vec<String>)> = Vec::new();
    if let Some(failure) = &run.failure {
        broken.push(("the run comes to its end", vec![failure.clone()]));
    }
    for (name, check) in ALL {
        let found = check(run);
        if !found.is_empty() {
            broken.push((name, found));
        }
    }
    broken
}

/// Checks each search; `check` says what is wrong with one.
fn each_search(run: &Run, check: impl Fn(&Search) -> Option<String>) -> Vec<String> {
    check_searches(&run.cluster.history.lock(), check)
}

fn check_searches(history: &History, check: impl Fn(&Search) -> Option<String>) -> Vec<String> {
    let numbered = history.searches.iter().enumerate();
    let checked = numbered.filter_map(|(number, search)| {
        let wrong = check(search)?;
        Some(format!("search {number}: {wrong}"))
    });
    checked.collect()
}
