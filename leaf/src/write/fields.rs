//! New fields: found before a document is written, agreed with the coordinator, then used.

use std::io::ErrorKind;
use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_coordinator::{CoordinatorError, update};
use gleaner_document::{DocumentError, Growth};
use gleaner_model::{IndexMeta, Mapping, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteFault;

use super::Primary;
use super::learnt::UnmappedDocument;

/// Returns the item's fault that a refused document is.
pub(crate) fn document_fault(error: &DocumentError) -> WriteFault {
    let cause = error
        .cause()
        .map(|(kind, reason)| (kind.into(), reason.to_owned()));
    WriteFault::Document {
        kind: error.kind().into(),
        reason: error.to_string(),
        cause,
    }
}

/// Returns the fault of a document whose fields the cluster state has no room for.
fn too_large(reason: &str) -> WriteFault {
    WriteFault::Document {
        kind: "illegal_argument_exception".into(),
        reason: reason.to_owned(),
        cause: None,
    }
}

impl Primary {
    /// Adds the fields of `documents` to the index's mapping, for the whole cluster, and takes the
    /// new mapping over. Returns the documents whose fields the mapping cannot take, with the fault;
    /// those add none.
    ///
    /// Two shards that infer different types meet here: the first wins, the other plans its
    /// documents again under the winner's type.
    pub(crate) async fn add_fields(
        &self,
        documents: &[UnmappedDocument],
    ) -> Result<Vec<(UnmappedDocument, WriteFault)>, LeafFault> {
        let (shard, node) = (&self.shard, self.node());
        let mut refused = Vec::new();
        let changing = node.changing_metadata.lock().await;
        let mut has_new = false;
        let updated = update::<CoordinatorError, _>(&*node.coordinator, |state| {
            refused.clear();
            has_new = false;
            let Some(index) = state.indices.get(&shard.key.index) else {
                return Ok(None);
            };
            let analyzers = shard.schema.analyzers_for(index);
            let Some(mapping) = grown(index, &analyzers, documents, &mut refused) else {
                return Ok(None);
            };
            has_new = true;
            let mut next = state.clone();
            let index = IndexMeta {
                mapping: Arc::new(mapping),
                ..IndexMeta::clone(index)
            };
            next.indices.insert(shard.key.index, Arc::new(index));
            Ok(Some(next))
        })
        .await;
        let state = match updated {
            Ok(state) => state,
            // Nothing is to be agreed: what is known here decides while the coordinator is away.
            Err(CoordinatorError::Unavailable { .. }) if !has_new => node.coordinator.state(),
            Err(CoordinatorError::TooLarge { reason }) => {
                let refused = |document: &UnmappedDocument| (document.clone(), too_large(&reason));
                return Ok(documents.iter().map(refused).collect());
            }
            Err(error) => return Err(not_agreed(shard.key, &error)),
        };
        // Taking it over may have to wait for the shard's writer; other shards do not wait with it.
        drop(changing);
        match state.indices.get(&shard.key.index) {
            Some(_) => {
                shard.take_meta().await;
                Ok(refused)
            }
            None => Err(LeafFault::NotHere { shard: shard.key }),
        }
    }

    /// As [`Self::add_fields`]; while the cluster state cannot be changed, for a reason that passes, the
    /// documents that bring fields are refused, and those beside them are not.
    pub(crate) async fn bring_fields(
        &self,
        documents: Vec<UnmappedDocument>,
    ) -> Result<Vec<(UnmappedDocument, WriteFault)>, LeafFault> {
        match self.add_fields(&documents).await {
            Err(fault @ (LeafFault::NotAgreed { .. } | LeafFault::DiskFull { .. })) => {
                let refused = |document| (document, WriteFault::Shard(fault.clone()));
                Ok(documents.into_iter().map(refused).collect())
            }
            agreed => agreed,
        }
    }
}

/// Returns the fault of documents whose fields could not be agreed: one that passes where who has
/// the cluster state is away or full, others keep changing it, or the disk is full.
fn not_agreed(shard: ShardKey, error: &CoordinatorError) -> LeafFault {
    let told = format!("new fields could not be agreed: {error}");
    match error {
        CoordinatorError::Unavailable { .. }
        | CoordinatorError::OutOfQuota { .. }
        | CoordinatorError::Contention { .. } => LeafFault::NotAgreed {
            shard,
            reason: told,
        },
        CoordinatorError::Store { source, .. } if source.kind() == ErrorKind::StorageFull => {
            LeafFault::DiskFull { shard }
        }
        _ => LeafFault::Internal {
            shard,
            reason: told,
        },
    }
}

/// Returns the mapping with the documents' fields; `None` when it has them all.
fn grown(
    index: &IndexMeta,
    analyzers: &AnalyzerRegistry,
    documents: &[UnmappedDocument],
    refused: &mut Vec<(UnmappedDocument, WriteFault)>,
) -> Option<Mapping> {
    let mut growth = Growth::new(&index.mapping, (&index.settings).into(), analyzers);
    for document in documents {
        let UnmappedDocument {
            id,
            source,
            templates,
        } = document;
        if let Err(error) = growth.add(id.as_str(), source, templates) {
            refused.push((document.clone(), document_fault(&error)));
        }
    }
    growth.into_mapping()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    #[test]
    fn what_passes_is_not_told_as_a_fault_of_the_server() {
        let store = |kind: ErrorKind| CoordinatorError::Store {
            path: "cluster.json".to_owned(),
            source: kind.into(),
        };
        let full = not_agreed(key(1), &store(ErrorKind::StorageFull));
        assert_eq!(full, LeafFault::DiskFull { shard: key(1) });
        let contended = not_agreed(key(1), &CoordinatorError::Contention { attempts: 64 });
        assert!(matches!(contended, LeafFault::NotAgreed { .. }));
        let broken = not_agreed(key(1), &store(ErrorKind::PermissionDenied));
        assert!(matches!(broken, LeafFault::Internal { .. }));
    }
}
