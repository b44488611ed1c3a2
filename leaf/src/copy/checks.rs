//! When the files of a copy were checked.

use std::time::Instant;

/// When a copy's files were last checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checks {
    pub(crate) content: Instant,
    pub(crate) lengths: Instant,
    pub(crate) suspicion: Option<Instant>,
    /// Whether a check for a suspicion is under way.
    pub(crate) is_under_way: bool,
}

impl Checks {
    /// Returns the checks of a copy that is opened now; `content` is when its bytes were checked, or the
    /// start of the node.
    pub(crate) fn new(content: Instant) -> Self {
        Self {
            content,
            lengths: Instant::now(),
            suspicion: None,
            is_under_way: false,
        }
    }
}
