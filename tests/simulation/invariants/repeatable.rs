//! The same seed is the same run, message by message.

use crate::run::Run;

/// Returns where two runs of one schedule part.
pub(crate) fn differences(first: &Run, second: &Run) -> Vec<String> {
    if first.hash == second.hash {
        return Vec::new();
    }
    let (a, b) = (first.cluster.history.lock(), second.cluster.history.lock());
    let (a, b) = (a.by_moment(), b.by_moment());
    let mut both = a.iter().zip(&b);
    let parted = both.position(|(a, b)| a != b);
    let at = parted.unwrap_or(a.len().min(b.len()));
    let line = |lines: &[&str]| lines.get(at).copied().unwrap_or_default().to_owned();
    vec![format!(
        "line {at} of the trace: `{}`, then `{}`",
        line(&a),
        line(&b)
    )]
}
