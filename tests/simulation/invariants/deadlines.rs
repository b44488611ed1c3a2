//! An answer comes by its deadline, or a stated grace later.

use std::time::Duration;

use super::each_search;
use crate::run::Run;

/// What the root allows itself beyond the deadline, and the ticks that simulated time is cut into.
const GRACE: Duration = Duration::from_millis(25 + 2);

pub(super) fn check(run: &Run) -> Vec<String> {
    each_search(run, |search| {
        let took = search.ended.as_ref()?.at - search.begun;
        let timeout = search.timeout;
        (took > timeout + GRACE).then(|| format!("{took:?} for one that was due in {timeout:?}"))
    })
}
