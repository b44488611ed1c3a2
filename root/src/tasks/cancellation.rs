//! The wish that a task end, which it looks for between its steps or is woken by.

use std::sync::OnceLock;

use tokio::sync::Notify;

/// Whether a task is to end, and why.
#[derive(Debug, Default)]
pub(crate) struct Cancellation {
    reason: OnceLock<&'static str>,
    requested: Notify,
}

impl Cancellation {
    /// Asks the task to end; the first reason counts.
    pub(crate) fn request(&self, reason: &'static str) {
        self.reason.get_or_init(|| reason);
        self.requested.notify_waiters();
    }

    /// Returns why the task is to end; `None` while it is not.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    /// Waits until the task is to end; returns why.
    pub(crate) async fn requested(&self) -> &'static str {
        loop {
            // Made before the look, so that no wish between the two is missed.
            let requested = self.requested.notified();
            if let Some(reason) = self.reason() {
                return reason;
            }
            requested.await;
        }
    }

    /// Does `work`, unless the task is to end before it is done: `work` is dropped then.
    ///
    /// # Errors
    /// Why the task is to end.
    pub(crate) async fn unless_requested<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, &'static str> {
        tokio::select! {
            biased;
            reason = self.requested() => Err(reason),
            done = work => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_and_who_comes_later_does_not_wait() {
        let cancellation = Cancellation::default();
        let mut waits = Box::pin(cancellation.unless_requested(std::future::pending::<()>()));
        assert!(futures::poll!(waits.as_mut()).is_pending());
        cancellation.request("first");
        cancellation.request("second");
        assert_eq!(waits.await, Err("first"));
        assert_eq!(cancellation.requested().await, "first");
        let later = cancellation.unless_requested(async { 1 }).await;
        assert_eq!(later, Err("first"));
    }
}
