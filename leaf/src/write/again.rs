//! Documents that are indexed again as they are: the same source under the same version, at a new place in the log.
//!
//! Does: orders and applies them as any write, so that all copies and replays have them alike; leaves out
//! those that were written meanwhile. Does not: find out which need it. Called by: [`crate::lifecycle::mending`].

use std::sync::Arc;

use gleaner_engine::StoredDocument;
use gleaner_model::{OperationKind, PrimaryTerm, SeqNo, Version};
use gleaner_proto::LeafFault;

use super::plan::Plan;
use super::{CarryOptions, Primary, SMALL_ITEMS, WriteOrder, carry_out};
use crate::copy::shard::Shard;
use crate::fault::engine_fault;
use crate::write::versions::{Content, Latest, Written};

/// Most documents of a batch: each is looked up on the calling thread.
pub(crate) const MAX_AGAIN: usize = SMALL_ITEMS;

impl Primary {
    /// Indexes documents again, at most [`MAX_AGAIN`]; returns how many were, once they are applied. It is called in
    /// a task that runs to its end. `None` when a block of the index keeps writes out: then none was.
    pub(crate) async fn index_again(
        &self,
        documents: Vec<StoredDocument>,
    ) -> Result<Option<usize>, LeafFault> {
        let order = self.to_order(PrimaryTerm::default()).await?;
        if self.block().is_some() {
            return Ok(None);
        }
        let mut plan = Plan::default();
        for document in documents {
            if is_latest(&self.shard, &order, &document)? {
                self.plan_again(&order, document, &mut plan);
            }
        }
        let num_documents = plan.latest.len();
        if num_documents > 0 {
            let how = CarryOptions {
                is_awaited: true,
                ..CarryOptions::default()
            };
            carry_out(&self.shard, order, plan, how).await?;
        }
        Ok(Some(num_documents))
    }

    fn plan_again(&self, order: &WriteOrder, document: StoredDocument, plan: &mut Plan) {
        let StoredDocument {
            id,
            routing,
            version,
            source,
            ..
        } = document;
        if version == Version(1) {
            // The engine takes version 1 for a new document: the one that is there goes first.
            let kind = OperationKind::Delete {
                id: id.clone(),
                routing: None,
                version,
            };
            let removal = self.own_operation(order.term, kind);
            plan.operations.push(removal);
        }
        let content = Content {
            routing: routing.clone(),
            source: source.clone(),
        };
        let latest = Latest {
            seq_no: SeqNo(order.next.0 + plan.operations.len() as u64),
            term: order.term,
            version,
            document: Written::Here(Arc::new(content)),
        };
        plan.latest.insert(id.clone(), latest);
        let kind = OperationKind::Index {
            id,
            routing,
            version,
            source,
        };
        let put = self.own_operation(order.term, kind);
        plan.operations.push(put);
    }
}

/// Returns whether nobody has written the document since it was read.
fn is_latest(
    shard: &Shard,
    order: &WriteOrder,
    document: &StoredDocument,
) -> Result<bool, LeafFault> {
    if let Some(latest) = order.versions.get(&document.id) {
        return Ok(!latest.is_deleted() && latest.seq_no == document.seq_no);
    }
    let found = shard.engine().view().find_version(&document.id);
    let found = found.and_then(|found| shard.engine().check_uncut().map(|()| found));
    let found = found.map_err(|error| engine_fault(shard.key, &error))?;
    Ok(found.is_some_and(|found| found.seq_no == document.seq_no))
}
