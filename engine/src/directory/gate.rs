//! A lock whose guard can be handed to tantivy: owned, sendable, released on drop.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Lets one holder in at a time.
#[derive(Default)]
pub(super) struct Gate {
    is_taken: Mutex<bool>,
    freed: Condvar,
}

/// Frees its gate when dropped.
pub(super) struct GateGuard(Arc<Gate>);

impl Gate {
    /// Waits until the gate is free.
    pub(super) fn enter(self: &Arc<Self>) -> GateGuard {
        let mut is_taken = self.is_taken.lock();
        self.freed.wait_while(&mut is_taken, |is_taken| *is_taken);
        *is_taken = true;
        GateGuard(Arc::clone(self))
    }

    /// Returns `None` when the gate is taken.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<GateGuard> {
        let mut is_taken = self.is_taken.lock();
        let was_free = !std::mem::replace(&mut *is_taken, true);
        was_free.then(|| GateGuard(Arc::clone(self)))
    }
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        *self.0.is_taken.lock() = false;
        self.0.freed.notify_one();
    }
}
