//! A value whose changes many wait for.
//!
//! As `tokio::sync::watch`, but those who wait are woken in the order in which they came. There it is an order drawn by
//! chance, and a run of a simulation could not be repeated.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A value whose changes others wait for.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Notify::new(),
        }
    }

    /// Returns what `look` finds in the value.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Changes the value, and wakes all who wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.lock());
        self.changed.notify_waiters();
        result
    }

    /// Waits until `look` finds something in the value; it is asked now, and whenever the value has changed.
    pub(crate) async fn wait_for<R>(&self, mut look: impl FnMut(&T) -> Option<R>) -> R {
        loop {
            // Before looking: it hears of each change from here on.
            let changed = self.changed.notified();
            if let Some(found) = look(&self.value.lock()) {
                return found;
            }
            changed.await;
        }
    }
}
