//! What waits to be sent on one stream, in order.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Items that may wait; a stream that does not get rid of them is closed.
const MAX_ITEMS: usize = 65_536;

/// A queue with one reader.
pub(super) struct Outbox<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    items: VecDeque<T>,
    is_closed: bool,
}

impl<T> Outbox<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                is_closed: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Adds an item, unless the newest one takes it in, as `merge` says by returning nothing.
    pub(super) fn push(&self, item: T, merge: impl FnOnce(&mut T, T) -> Option<T>) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        let left = match state.items.back_mut() {
            Some(newest) => merge(newest, item),
            None => Some(item),
        };
        state.items.extend(left);
        if state.items.len() > MAX_ITEMS {
            state.is_closed = true;
            state.items = VecDeque::new();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes nothing more; what waits is dropped.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.items = VecDeque::new();
        drop(state);
        self.changed.notify_one();
    }

    /// Returns whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Waits for items and takes them all; `None` once it is closed.
    pub(super) async fn take(&self) -> Option<VecDeque<T>> {
        loop {
            {
                let mut state = self.state.lock();
                if state.is_closed {
                    // Others that wait must see it too.
                    self.changed.notify_one();
                    return None;
                }
                if !state.items.is_empty() {
                    return Some(std::mem::take(&mut state.items));
                }
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(_: &mut u64, item: u64) -> Option<u64> {
        Some(item)
    }

    #[tokio::test]
    async fn items_come_in_order_and_merge_with_the_newest() {
        let outbox = Outbox::new();
        outbox.push(1, apart);
        outbox.push(2, apart);
        outbox.push(3, |newest, item| {
            *newest += item;
            None
        });
        assert_eq!(outbox.take().await, Some([1, 5].into()));
        outbox.push(4, apart);
        outbox.close();
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn one_that_nobody_empties_is_closed() {
        let outbox = Outbox::new();
        for item in 0..=MAX_ITEMS as u64 {
            assert!(!outbox.is_closed());
            outbox.push(item, apart);
        }
        assert!(outbox.is_closed());
        assert_eq!(outbox.take().await, None);
    }
}
