//! Pauses between tries: growing, and never in step with those of other copies.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// The next pause, doubled with each one taken.
#[derive(Debug)]
pub(super) struct Pause {
    next: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pause {
    /// Begins again with the shortest one.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits for a random time between half of the next pause and all of it.
    pub(super) async fn wait(&mut self) {
        let pause = self.take(dice());
        tokio::time::sleep(pause).await;
    }

    fn take(&mut self, dice: u64) -> Duration {
        let half = self.next / 2;
        let part = half.mul_f64((dice % 1_024) as f64 / 1_024.0);
        self.next = (self.next * 2).min(LONGEST);
        half + part
    }
}

/// Keys of hash tables are random: enough to keep copies out of step.
fn dice() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_again() {
        let mut pause = Pause::default();
        for full in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let (half, full) = (full / 2, full);
            let taken = pause.take(dice()).as_millis();
            assert!((half..=full).contains(&taken), "{taken} of {full}");
        }
        pause.reset();
        assert_eq!(pause.take(0), FIRST / 2);
    }
}
