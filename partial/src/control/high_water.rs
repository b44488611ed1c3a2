//! Memory of work within documents: lists that come and go, reserved by the most that was held at once.
//!
//! Does: count what is held, and reserve more when that is more than ever before. Does not: give reserved bytes back
//! before it is dropped, as the next document mostly takes them again. Called by: what finds phrases and intervals.
//! Read first: [`HighWater::hold`].

use super::{Control, Refusal, Reservation, Stop};

/// Bytes that are held without being reserved: the lists of most documents are smaller.
const UNCOUNTED: u64 = 64 << 10;

/// Bytes held now, and those reserved for them.
#[derive(Debug, Default)]
pub struct HighWater {
    held: u64,
    reserved: Option<Reservation>,
}

impl HighWater {
    /// Holds `bytes` that are about to be taken, within the account that `control` draws on.
    ///
    /// # Errors
    /// [`Stop`] when there is no room for them: [`Control::check_refused`] says so then.
    #[inline]
    pub fn hold(&mut self, bytes: usize, control: &Control) -> Result<(), Stop> {
        self.held += bytes as u64;
        let reserved = self.reserved.as_ref().map_or(0, Reservation::bytes);
        if self.held <= reserved + UNCOUNTED {
            return Ok(());
        }
        self.reserve(self.held - reserved, control)
    }

    /// Notes that `bytes` are held no more.
    pub fn give_back(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes as u64);
    }

    #[cold]
    fn reserve(&mut self, bytes: u64, control: &Control) -> Result<(), Stop> {
        let Some(account) = control.memory() else {
            return Ok(());
        };
        let more = match &mut self.reserved {
            Some(reserved) => reserved.grow(bytes),
            none => account.reserve(bytes).map(|first| *none = Some(first)),
        };
        more.map_err(|error| {
            control.refuse(Refusal::Memory(error));
            Stop::Deadline
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::MemoryAccount;

    #[test]
    fn the_most_that_was_held_at_once_is_reserved() {
        let account = MemoryAccount::root("request", 1 << 20);
        let control = Control::unlimited();
        control.draw_on(&account);
        let mut held = HighWater::default();
        assert_eq!(held.hold(60_000, &control), Ok(()));
        assert_eq!(account.held_bytes(), 0, "most documents need no account");
        assert_eq!(held.hold(100_000, &control), Ok(()));
        let reserved = account.held_bytes();
        assert!(reserved >= 160_000 - UNCOUNTED, "{reserved}");
        held.give_back(160_000);
        assert_eq!(held.hold(160_000, &control), Ok(()));
        assert_eq!(account.held_bytes(), reserved, "it was held before");
        assert_eq!(held.hold(1 << 20, &control), Err(Stop::Deadline));
        let refused = control.check_refused();
        assert!(
            matches!(refused, Err(Refusal::Memory(_))),
            "it says why: {refused:?}"
        );
        drop(held);
        assert_eq!(account.held_bytes(), 0);
    }

    #[test]
    fn without_an_account_nothing_is_counted() {
        let control = Control::unlimited();
        let mut held = HighWater::default();
        assert_eq!(held.hold(1 << 40, &control), Ok(()));
        assert_eq!(control.apart().check_refused(), Ok(()));
    }
}
