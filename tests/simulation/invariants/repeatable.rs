//! The same seed is the same run, message by message.

use crate::run::Run;

/// Returns where two runs of one schedule part.
pub(crate) fn differences(first: &Run, second: &Run) -> Vec<String> {
    if first.hash == second.hash {
        return Vec::new();
    }
    let (a, b) = (first.cluster.history.lock(), second.cluster.history.lock());
    let mut both = a.lines.iter().zip(&b.lines);
    let parted = both.position(|(a, b)| a != b);
    let at = parted.unwrap_or(a.lines.len().min(b.lines.len()));
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
    vec![format!(
        "line {at} of the trace: `{}`, then `{}`",
        line(&a.lines),
        line(&b.lines)
    )]
}
