//! What has ended or is given up leaves nothing running: no call of the root, and none on a leaf.

use std::time::Duration;

use crate::history::{History, Overdue};
use crate::run::Run;

/// Time for a cancellation to get to its leaf, where nothing keeps messages.
const ON_THE_WAY: Duration = Duration::from_millis(100);

pub(super) fn check(run: &Run) -> Vec<String> {
    let history = run.cluster.history.lock();
    let mut left = Vec::new();
    if run.num_open.iter().any(|num_open| *num_open != 0) {
        left.push(format!("calls under way per leaf: {:?}", run.num_open));
    }
    if !history.out.is_empty() {
        left.push(format!("requests still out: {:?}", history.out));
    }
    left.extend(of_searches(&history));
    let overdue = history.overdue.iter().filter(|call| is_too_late(run, call));
    left.extend(overdue.map(|call| format!("it went on on its leaf: {call:?}")));
    left
}

fn of_searches(history: &History) -> impl Iterator<Item = String> {
    let numbered = history.searches.iter().enumerate();
    let left = numbered.filter(|(_, search)| search.num_left > 0);
    left.map(|(number, search)| format!("search {number}: {} are out", search.num_left))
}

/// Returns whether the leaf went on although it could hear that nobody waited.
fn is_too_late(run: &Run, call: &Overdue) -> bool {
    let mut faults = run.schedule().faults.iter();
    let could_not_hear = faults.any(|planned| {
        planned.leaf == call.leaf
            && planned.fault.is_of_network()
            && planned.from <= call.ended
            && planned.felt_until() >= call.begun
    });
    call.by > ON_THE_WAY && !could_not_hear
}
