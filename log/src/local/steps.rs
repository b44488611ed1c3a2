//! The work of a log's commit threads, done by whoever opened the log, when that one wants it done.
//!
//! For simulations: what the log does, and in which order, is then decided by them alone. What was asked for and is not
//! done when the steps are dropped is lost, as with a process that is killed.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::lane::Lane;

/// The commit threads of a log as steps.
pub struct CommitSteps {
    lanes: Vec<Lane>,
    requests: Arc<Notify>,
}

impl CommitSteps {
    pub(super) fn new(lanes: Vec<Lane>) -> Self {
        Self {
            lanes,
            requests: Arc::default(),
        }
    }

    /// Returns what is to be told of each request.
    pub(super) fn requests(&self) -> Arc<Notify> {
        Arc::clone(&self.requests)
    }

    /// Waits until something was asked for since the last wait.
    pub async fn asked(&self) {
        self.requests.notified().await;
    }

    /// Does all that was asked for, in rounds as a commit thread makes them; then answers.
    pub fn run(&mut self) {
        for lane in &mut self.lanes {
            while let Ok(request) = lane.receiver.try_recv() {
                lane.serve(request);
            }
        }
    }

    /// Brings what the journals hold to where it belongs, as a commit thread does when
    /// [`floor_interval`](crate::LogOptions::floor_interval) has passed.
    pub fn checkpoint(&mut self) {
        for lane in &mut self.lanes {
            lane.checkpoint();
        }
    }
}

impl fmt::Debug for CommitSteps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CommitSteps")
    }
}
