//! How often highlighting looks whether it must stop.

use crate::control::{Control, Stop};

/// Tokens, or slots of phrases compared with them, between two looks: some 100 µs.
const STEPS_PER_CHECK: usize = 4096;

/// Counts the steps of one document's highlighting.
pub(super) struct Pace<'a> {
    control: &'a Control,
    left: usize,
}

impl<'a> Pace<'a> {
    pub(super) fn new(control: &'a Control) -> Self {
        Self {
            control,
            left: STEPS_PER_CHECK,
        }
    }

    /// Counts `num` steps that were made or are about to be.
    ///
    /// # Errors
    /// As [`Control::check`].
    pub(super) fn step(&mut self, num: usize) -> Result<(), Stop> {
        if let Some(left) = self.left.checked_sub(num) {
            self.left = left;
            return Ok(());
        }
        self.left = STEPS_PER_CHECK;
        self.control.check()
    }
}
