//! Writes to one shard: what its primary is asked, and what its answer means.
//!
//! Does: calls the primary and words its refusals by what the index is meanwhile. Does not: route.
//! Called by: [`super`]. Read first: [`Ingester::call_primary`].

use std::sync::Arc;
use std::time::Instant;

use gleaner_model::IndexMeta;
use gleaner_proto::LeafFault;
use gleaner_proto::write::{
    Idempotency, RefusedItem, WriteCall, WriteFault, WriteItem, WriteOutcome,
};
use gleaner_telemetry::{Span, SpanKind};
use twox_hash::XxHash3_128;

use super::IngestOptions;
use super::groups::Group;
use crate::blocks::settling::refused_by;
use crate::deadline::Deadline;
use crate::ingest::Ingester;
use crate::{RootError, slow_log};

/// What a primary answers: for each write, in their order.
pub(super) type Written = Result<Vec<Result<WriteOutcome, WriteFault>>, LeafFault>;

/// What a primary is asked to write.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) items: Vec<WriteItem>,
    /// Whether a batch that brings fields is not to be written before they are agreed on.
    pub(super) asks_fields: bool,
    /// Items that the mapping refused.
    pub(super) refused: Vec<RefusedItem>,
}

impl Ingester {
    /// Words what a primary answered to `num_items` writes, by what the index is meanwhile.
    pub(super) async fn told(
        &self,
        index: &Arc<IndexMeta>,
        written: Written,
        num_items: usize,
        deadline: Deadline,
    ) -> Vec<Result<WriteOutcome, RootError>> {
        match written {
            Ok(outcomes) => {
                let faults = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
                let blocked = self.cluster.blocked(index, faults, deadline).await;
                let refused = |fault| refused_by(blocked.as_deref(), fault);
                let outcomes = outcomes.into_iter();
                outcomes.map(|o| o.map_err(refused)).collect()
            }
            Err(fault) => {
                let refusal = self.cluster.refusal(&fault, deadline).await;
                let unwritten = || match refusal {
                    // It was deleted or closed meanwhile: the client's affair, no fault of this node.
                    Some(refused) => refused(index.name.to_string()),
                    None => WriteFault::Shard(fault.clone()).into(),
                };
                (0..num_items).map(|_| Err(unwritten())).collect()
            }
        }
    }

    /// Has the primary of a group's shard carry writes out.
    pub(super) async fn call_primary(
        &self,
        group: &Group,
        writes: Writes,
        options: &IngestOptions,
    ) -> Written {
        let (shard, deadline) = (group.shard, group.deadline);
        let term = group
            .index
            .primary_terms
            .get(shard.shard.0 as usize)
            .copied()
            .unwrap_or_default();
        let idempotency = options.idempotency_key.as_ref().map(|key| Idempotency {
            producer: XxHash3_128::oneshot(key.as_bytes()),
            sequence: 0,
        });
        let Writes {
            items,
            asks_fields,
            refused,
        } = writes;
        let expected = items.len();
        let call = WriteCall {
            shard,
            term,
            items,
            idempotency,
            remaining: deadline.remaining(),
            asks_fields,
            refused,
        };
        let began = Instant::now();
        // Where there is no second call, nothing is copied for it.
        let is_repeatable = self.cluster.leaves.copies_agree();
        let mut kept = Some(call);
        let answer = loop {
            let remaining = deadline.remaining();
            let call = match is_repeatable {
                true => kept.clone(),
                false => kept.take(),
            };
            let call = WriteCall {
                remaining,
                ..call.expect("one that is not repeated is made once")
            };
            let write = async {
                let primary = self.cluster.primary(shard)?;
                let mut span = Span::begin("leaf write call", SpanKind::Client);
                if span.is_recorded() {
                    span.set("gleaner.node", &*primary.node.0);
                    span.set("gleaner.shard", shard.to_string().as_str());
                }
                tokio::select! {
                    biased;
                    answer = span.around(primary.client.write(call)) => answer,
                    () = self.cluster.primary_moved(shard, &primary.node) => {
                        let reason = "another copy has taken over before the primary answered";
                        let reason = reason.to_owned();
                        Err(LeafFault::Indeterminate { shard, reason })
                    }
                }
            };
            let late = |_| {
                let reason = "the deadline passed before the primary answered".to_owned();
                Err(LeafFault::Indeterminate { shard, reason })
            };
            match tokio::time::timeout(remaining, write)
                .await
                .unwrap_or_else(late)
            {
                Err(fault) if self.cluster.is_repeated(shard, &fault, deadline).await => {}
                answer => break answer,
            }
        };
        slow_log::note_write(&group.index, shard, expected, began.elapsed());
        let answer = answer?;
        if answer.items.len() != expected {
            let reason = "the primary answered for another number of items".to_owned();
            return Err(LeafFault::Indeterminate { shard, reason });
        }
        Ok(answer.items)
    }
}
