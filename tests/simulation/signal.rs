//! Something that changes and can be waited for.
//!
//! As `tokio::sync::watch`, but who waits is woken in the order of waiting: that one chooses at random.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A value that others wait to change.
#[derive(Default)]
pub(crate) struct Signal<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Signal<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Notify::new(),
        }
    }

    /// Changes the value and wakes everyone.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock());
        self.changed.notify_waiters();
    }

    /// Looks at the value.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Waits until the value is as wanted.
    pub(crate) async fn wait_until(&self, is_wanted: impl Fn(&T) -> bool) {
        loop {
            // Notified from its making on, so that no change between the look and the wait is missed.
            let changed = self.changed.notified();
            if self.with(&is_wanted) {
                return;
            }
            changed.await;
        }
    }
}
