//! What an applier applies operations to: the engine, or a model of one in simulations.

use gleaner_engine::EngineError;
use gleaner_engine::copy::ShardIndex;
use gleaner_engine::schema::document::PreparedDocument;
use gleaner_model::{Generation, Operation, SeqNo, ShardKey};

/// An index that operations are applied to, in the order of the log, and that shows them when it is refreshed.
///
/// What each method does, and when it fails, is as the engine has it ([`ShardIndex`]).
pub(crate) trait ApplyTarget: Send + Sync + 'static {
    /// Returns the shard.
    fn key(&self) -> ShardKey;

    /// Returns the operation that is due next.
    fn next_seq_no(&self) -> SeqNo;

    /// Returns what searches see.
    fn generation(&self) -> Generation;

    /// Applies operations that follow each other from `first` on.
    fn apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Result<(), EngineError>;

    /// As [`ApplyTarget::apply_all`] when that can be done without waiting; else `None`, and nothing is done.
    fn try_apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Option<Result<(), EngineError>>;

    /// Shows what was applied; all below `visible` must be.
    fn refresh(&self, visible: SeqNo) -> Result<Generation, EngineError>;
}

impl ApplyTarget for ShardIndex {
    fn key(&self) -> ShardKey {
        self.key()
    }

    fn next_seq_no(&self) -> SeqNo {
        self.next_seq_no()
    }

    fn generation(&self) -> Generation {
        self.view().generation()
    }

    fn apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Result<(), EngineError> {
        self.apply_all(first, operations, prepared)
    }

    fn try_apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Option<Result<(), EngineError>> {
        self.try_apply_all(first, operations, prepared)
    }

    fn refresh(&self, visible: SeqNo) -> Result<Generation, EngineError> {
        self.refresh(visible)
    }
}
