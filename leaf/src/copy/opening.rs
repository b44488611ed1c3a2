//! A copy on its way: how far it is, and whether it is still wanted.

use std::borrow::Cow;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What is known of a copy that does not serve yet.
pub(crate) struct OpeningProgress {
    progress: Mutex<Cow<'static, str>>,
    closed: watch::Sender<bool>,
}

impl Default for OpeningProgress {
    fn default() -> Self {
        Self {
            progress: Mutex::new("its log is being replayed".into()),
            closed: watch::Sender::new(false),
        }
    }
}

impl OpeningProgress {
    /// Says how far it is, for people.
    pub(crate) fn tell(&self, progress: impl Into<Cow<'static, str>>) {
        *self.progress.lock() = progress.into();
    }

    /// Returns how far it is.
    pub(crate) fn progress(&self) -> String {
        self.progress.lock().clone().into_owned()
    }

    /// Says that the copy is not wanted any more: who opens it gives up when that is safe.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the copy is not wanted any more.
    pub(crate) async fn closed(&self) {
        // An error means that the sender is gone, and it lives in `self`.
        drop(self.closed.subscribe().wait_for(|closed| *closed).await);
    }
}
