//! Requests of one sender that are open at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Spender;

/// How many requests each sender has open: senders without any are not remembered, so there are as many at most as
/// requests.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenRequests(Arc<Mutex<HashMap<Spender, u32>>>);

/// The place of a request among the open ones of its sender; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenOfSender {
    all: OpenRequests,
    spender: Spender,
}

impl OpenRequests {
    /// Takes a place; `None` where the sender has `most` already.
    pub(super) fn take(&self, spender: Spender, most: NonZeroU32) -> Option<OpenOfSender> {
        let mut all = self.0.lock();
        let open = all.entry(spender.clone()).or_default();
        if *open >= most.get() {
            return None;
        }
        *open += 1;
        drop(all);
        Some(OpenOfSender {
            all: self.clone(),
            spender,
        })
    }

    #[cfg(test)]
    pub(super) fn num_senders(&self) -> usize {
        self.0.lock().len()
    }
}

impl Drop for OpenOfSender {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if let Some(open) = all.get_mut(&self.spender) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.spender);
            }
        }
    }
}
