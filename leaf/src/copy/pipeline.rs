//! Batches on their way from a copy's log to its index, and how certain the end of that log is.
//!
//! ```text
//!  idle ── begin ──▶ in flight ── applied ──▶ idle
//!                        │ failed, or its task panicked
//!                        ▼
//!                    uncertain ── log read again ──▶ idle, one reading later
//!  any ── the log takes nothing more ──▶ lost, until a restart
//!  any ── the copy is closed ──▶ closed: a replica begins no further batch
//! ```
//!
//! Does: counts batches and remembers what became of them. Does not: read the log, lock the primary.
//! Called by: the write path, the following of a primary, and whoever waits until nothing is on its way.
//! Read first: [`Pipeline`].

use std::sync::Arc;

use super::watched::Watched;

/// The batches of one copy that are queued in its log and not yet applied.
#[derive(Debug)]
pub(crate) struct Pipeline(Watched<PipelineState>);

/// Where a pipeline stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PipelineState {
    /// Batches queued in the log and not yet applied.
    pub(crate) num_in_flight: usize,
    /// A batch failed: what follows [`crate::write::WriteOrder::next`] in the log is unknown until it is read again.
    pub(crate) is_uncertain: bool,
    /// Times that the log was read again: what was ordered before may be lost, and its positions taken.
    pub(crate) num_readings: u64,
    /// The log takes nothing any more.
    pub(crate) is_lost: bool,
    /// The copy is being closed.
    pub(crate) is_closed: bool,
}

impl Pipeline {
    pub(crate) fn new() -> Self {
        Self(Watched::new(PipelineState::default()))
    }

    pub(crate) fn state(&self) -> PipelineState {
        self.0.look(|state| *state)
    }

    /// Notes that the log was read again, to its end.
    pub(crate) fn read_again(&self) {
        self.0.change(|state| {
            state.num_readings += 1;
            state.is_uncertain = false;
        });
    }

    /// Notes that the log takes nothing any more.
    pub(crate) fn lose(&self) {
        self.0.change(|state| state.is_lost = true);
    }

    /// Notes that the copy is being closed.
    pub(crate) fn close(&self) {
        self.0.change(|state| state.is_closed = true);
    }

    /// Waits until no batch is under way.
    pub(crate) async fn wait_idle(&self) {
        self.wait_for(|state| state.num_in_flight == 0).await;
    }

    /// Waits until `is_reached`; it is asked now, and whenever the state changes.
    pub(crate) async fn wait_for(&self, mut is_reached: impl FnMut(PipelineState) -> bool) {
        self.0
            .wait_for(|state| is_reached(*state).then_some(()))
            .await;
    }
}

/// Counts a batch as in flight until dropped. A batch that is not known to be applied leaves the end of the log
/// uncertain, also when its task panics.
pub(crate) struct InFlight {
    pipeline: Arc<Pipeline>,
    is_applied: bool,
}

impl InFlight {
    /// Counts one more batch.
    pub(crate) fn begin(pipeline: &Arc<Pipeline>) -> Self {
        pipeline.0.change(|state| state.num_in_flight += 1);
        Self {
            pipeline: Arc::clone(pipeline),
            is_applied: false,
        }
    }

    /// As [`Self::begin`]; `None` once the copy is being closed.
    pub(crate) fn begin_unless_closed(pipeline: &Arc<Pipeline>) -> Option<Self> {
        let begins = |state: &mut PipelineState| {
            let begins = !state.is_closed;
            state.num_in_flight += usize::from(begins);
            begins
        };
        pipeline.0.change(begins).then(|| Self {
            pipeline: Arc::clone(pipeline),
            is_applied: false,
        })
    }

    /// Ends with what became of the batch.
    pub(crate) fn end(mut self, is_applied: bool) {
        self.is_applied = is_applied;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // No lock of the copy is taken here: who waits until nothing is in flight holds the primary.
        self.pipeline.0.change(|state| {
            state.num_in_flight -= 1;
            state.is_uncertain |= !self.is_applied;
        });
    }
}
