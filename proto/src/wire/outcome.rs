//! Answers that are either good or a fault.

use bytes::Bytes;
use gleaner_model::Generation;
use gleaner_query::answer::{FetchedHits, ShardHits};

use super::field::known;
use super::{DecodeError, Wire, v1};
use crate::LeafFault;
use crate::postings::{LocateAnswer, PostingsAnswer};
use crate::read::{Documents, ShownGeneration};
use crate::replicate::Snapshot;
use crate::search::{ExpandAnswer, ExplainAnswer, PinnedView, StatisticsAnswer};
use crate::write::{WriteAnswer, WriteFault, WriteOutcome};

/// Converts `Result<$good, $fault>`; each answer has a message of its own, since protobuf has no
/// type parameters.
macro_rules! outcomes {
    ($($answer:ident, $module:ident: $good:ty, $fault:ty;)*) => {$(
        impl Wire for Result<$good, $fault> {
            type Message = v1::$answer;

            fn to_message(&self) -> v1::$answer {
                use v1::$module::Outcome;
                let outcome = match self {
                    Ok(good) => Outcome::Good(good.to_message()),
                    Err(fault) => Outcome::Fault(fault.to_message()),
                };
                v1::$answer { outcome: Some(outcome) }
            }

            fn from_message(message: v1::$answer) -> Result<Self, DecodeError> {
                use v1::$module::Outcome;
                Ok(match known(message.outcome, stringify!($answer))? {
                    Outcome::Good(good) => Ok(Wire::from_message(good)?),
                    Outcome::Fault(fault) => Err(Wire::from_message(fault)?),
                })
            }
        }
    )*};
}

outcomes! {
    DoneAnswer, done_answer: (), LeafFault;
    StatisticsAnswer, statistics_answer: StatisticsAnswer, LeafFault;
    ExpandAnswer, expand_answer: ExpandAnswer, LeafFault;
    SearchAnswer, search_answer: ShardHits, LeafFault;
    PostingsAnswer, postings_answer: PostingsAnswer, LeafFault;
    LocateAnswer, locate_answer: LocateAnswer, LeafFault;
    FetchAnswer, fetch_answer: FetchedHits, LeafFault;
    ExplainAnswer, explain_answer: ExplainAnswer, LeafFault;
    OpenViewsAnswer, open_views_answer: PinnedView, LeafFault;
    GetAnswer, get_answer: Documents, LeafFault;
    RefreshAnswer, refresh_answer: Generation, LeafFault;
    GenerationAnswer, generation_answer: ShownGeneration, LeafFault;
    WriteAnswer, write_answer: WriteAnswer, LeafFault;
    WriteItemAnswer, write_item_answer: WriteOutcome, WriteFault;
    OpenSnapshotAnswer, open_snapshot_answer: Snapshot, LeafFault;
    ReadFileAnswer, read_file_answer: Bytes, LeafFault;
}

impl Wire for () {
    type Message = v1::Unit;

    fn to_message(&self) -> v1::Unit {
        v1::Unit {}
    }

    fn from_message(_: v1::Unit) -> Result<Self, DecodeError> {
        Ok(())
    }
}

impl Wire for Bytes {
    type Message = Bytes;

    fn to_message(&self) -> Bytes {
        self.clone()
    }

    fn from_message(message: Bytes) -> Result<Self, DecodeError> {
        Ok(message)
    }
}
