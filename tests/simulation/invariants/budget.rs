//! Second requests stay within their share of the first ones, and two bursts.

use crate::client::HEDGE_SHARE;
use crate::run::Run;

/// What may be sent beyond the share: 64 from the start, and 64 on credit for leaves that are silent.
pub(super) const BURSTS: f64 = 64.0 + 64.0;

pub(super) fn check(run: &Run) -> Vec<String> {
    let history = run.cluster.history.lock();
    let (first, second) = (history.num_first, history.num_second);
    let limit = first as f64 * HEDGE_SHARE + BURSTS;
    if second as f64 <= limit {
        return Vec::new();
    }
    vec![format!(
        "{second} second requests to {first} first ones, {limit:.0} are allowed"
    )]
}
