//! How often work within one document looks whether it must stop.

use std::ops::Deref;

use super::{Control, Stop};

/// Tokens, or slots of phrases compared with them, between two looks: some 100 µs at most.
const STEPS_PER_CHECK: usize = 4096;

/// Counts steps of work whose end no document's size tells.
pub struct Pace<C> {
    control: C,
    left: usize,
}

impl<C: Deref<Target = Control>> Pace<C> {
    /// Returns a pace whose first look is due after some thousand steps.
    pub fn new(control: C) -> Self {
        Self {
            control,
            left: STEPS_PER_CHECK,
        }
    }

    /// Returns what it looks at.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Counts `num` steps that were made or are about to be.
    ///
    /// # Errors
    /// As [`Control::check`]; after one, each further step has it too.
    #[inline]
    pub fn step(&mut self, num: usize) -> Result<(), Stop> {
        if let Some(left) = self.left.checked_sub(num) {
            self.left = left;
            return Ok(());
        }
        self.look()
    }

    #[cold]
    fn look(&mut self) -> Result<(), Stop> {
        self.left = 0;
        self.control.note_look();
        self.control.check()?;
        self.left = STEPS_PER_CHECK;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_once_in_some_thousand_steps_and_stops_for_good() {
        let control = Control::until_check(3);
        let mut pace = Pace::new(&control);
        let mut num_steps = 0;
        while pace.step(1).is_ok() {
            num_steps += 1;
        }
        assert_eq!((control.num_checks(), control.num_looks()), (4, 4));
        assert_eq!(num_steps, 4 * STEPS_PER_CHECK + 3);
        assert_eq!(pace.step(1), Err(Stop::Deadline));
    }

    #[test]
    fn many_steps_at_once_are_looked_at_once() {
        let control = Control::until_check(u64::MAX);
        let mut pace = Pace::new(&control);
        assert_eq!(pace.step(STEPS_PER_CHECK), Ok(()));
        assert_eq!(control.num_checks(), 0);
        assert_eq!(pace.step(100 * STEPS_PER_CHECK), Ok(()));
        assert_eq!(control.num_checks(), 1);
    }
}
