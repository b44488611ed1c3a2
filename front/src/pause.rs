//! How long one waits for the next piece of a body.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// The pause between two pieces of a body. Time in which nobody asks for the next piece is none.
pub(crate) struct Pause {
    within: Duration,
    /// When the pause that goes on is too long.
    overdue: Option<Pin<Box<Sleep>>>,
}

impl Pause {
    /// Returns a pause that may take so long.
    pub(crate) fn new(within: Duration) -> Self {
        Self {
            within,
            overdue: None,
        }
    }

    /// Notes that a piece came.
    pub(crate) fn end(&mut self) {
        self.overdue = None;
    }

    /// Goes on with the pause; ready once it is too long.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let within = self.within;
        let overdue = self.overdue.get_or_insert_with(|| Box::pin(sleep(within)));
        overdue.as_mut().poll(context)
    }
}
