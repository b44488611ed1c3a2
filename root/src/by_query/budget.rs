//! How many documents a task may still write, shared by its slices (`max_docs`).

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is left of `max_docs`. A document that is left behind, as it changed meanwhile, gives its place back, so
/// a slice that finds none waits for those who have taken some.
#[derive(Debug)]
pub(crate) struct Budget {
    /// `None` is no limit.
    state: Option<Mutex<State>>,
    returned: Notify,
}

#[derive(Debug)]
struct State {
    left: usize,
    taken: usize,
}

/// Places that a page has; those not used are given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    budget: &'a Budget,
    /// How many.
    pub(crate) num: usize,
    num_used: usize,
}

impl Budget {
    pub(crate) fn new(max_docs: Option<usize>) -> Self {
        let state = |left| Mutex::new(State { left, taken: 0 });
        Self {
            state: max_docs.map(state),
            returned: Notify::new(),
        }
    }

    /// Takes places for a page, at most `num`; `None` when all are used.
    pub(crate) async fn take(&self, num: usize) -> Option<Places<'_>> {
        loop {
            // Made before the look, so that no return between the two is missed.
            let returned = self.returned.notified();
            match self.try_take(num) {
                Ok(0) => return None,
                Ok(num) => {
                    return Some(Places {
                        budget: self,
                        num,
                        num_used: 0,
                    });
                }
                Err(Pending) => returned.await,
            }
        }
    }

    /// Waits until all are used: for ever where there is no limit.
    pub(crate) async fn used_up(&self) {
        loop {
            // As in `take`.
            let returned = self.returned.notified();
            let is_used_up = |state: &Mutex<State>| {
                let state = state.lock();
                state.left == 0 && state.taken == 0
            };
            if self.state.as_ref().is_some_and(is_used_up) {
                return;
            }
            returned.await;
        }
    }

    fn try_take(&self, num: usize) -> Result<usize, Pending> {
        let Some(state) = &self.state else {
            return Ok(num);
        };
        let mut state = state.lock();
        if state.left == 0 && state.taken > 0 {
            return Err(Pending);
        }
        let num = num.min(state.left);
        state.left -= num;
        state.taken += num;
        Ok(num)
    }
}

/// Others may give places back.
struct Pending;

impl Places<'_> {
    /// Notes that so many were used.
    pub(crate) fn use_up(&mut self, num: usize) {
        self.num_used = (self.num_used + num).min(self.num);
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        if let Some(state) = &self.budget.state {
            let mut state = state.lock();
            state.taken -= self.num;
            state.left += self.num - self.num_used;
        }
        self.budget.returned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_that_are_not_used_go_to_who_waits() {
        let budget = Budget::new(Some(10));
        let mut first = budget.take(8).await.expect("8 of 10");
        let second = budget.take(8).await.expect("2 of 10");
        assert_eq!((first.num, second.num), (8, 2));
        let mut third = Box::pin(budget.take(8));
        assert!(futures::poll!(third.as_mut()).is_pending());
        first.use_up(5);
        drop(first);
        let mut third = third.await.expect("3 are back");
        assert_eq!(third.num, 3);
        third.use_up(3);
        drop((second, third));
        let mut fourth = budget.take(8).await.expect("2 are back");
        assert_eq!(fourth.num, 2);
        fourth.use_up(2);
        let mut used_up = Box::pin(budget.used_up());
        assert!(futures::poll!(used_up.as_mut()).is_pending());
        drop(fourth);
        used_up.await;
        assert!(budget.take(8).await.is_none());
    }

    #[tokio::test]
    async fn without_a_limit_there_are_always_places() {
        let budget = Budget::new(None);
        for _ in 0..3 {
            assert_eq!(budget.take(7).await.map(|places| places.num), Some(7));
        }
    }
}
