//! Pauses before what there was no room for is tried again.

use std::time::Duration;

/// How often it is.
const MAX_RETRIES: u32 = 10;

const FIRST: Duration = Duration::from_millis(50);

/// Ten pauses, the first of 50 ms, each twice as long as the one before.
#[derive(Debug)]
pub struct Pauses {
    num_left: u32,
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            num_left: MAX_RETRIES,
            next: FIRST,
        }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.num_left = self.num_left.checked_sub(1)?;
        let pause = self.next;
        self.next *= 2;
        Some(pause)
    }
}
