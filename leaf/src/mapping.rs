//! New fields: found before a document is written, agreed with the coordinator, then used.

use std::io::ErrorKind;
use std::sync::Arc;

use gleaner_analysis::{AnalyzerRegistry, Limits};
use gleaner_coordinator::{Coordinator, CoordinatorError, update};
use gleaner_engine::schema::document::{DocumentError, DocumentParser, Growth};
use gleaner_model::{ClusterState, IndexMeta, Mapping, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteFault;

use crate::Leaf;
use crate::shard::Shard;
use crate::write::Bringing;

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

impl Leaf {
    /// Adds the fields of `documents` to the index's mapping, for the whole cluster, and takes the
    /// new mapping over. Returns the documents whose fields the mapping cannot take, with the fault;
    /// those add none.
    ///
    /// Two shards that infer different types meet here: the first wins, the other plans its
    /// documents again under the winner's type.
    pub(crate) async fn add_fields(
        &self,
        shard: &Arc<Shard>,
        documents: &[Bringing],
    ) -> Result<Vec<(Bringing, WriteFault)>, LeafFault> {
        let mut refused = Vec::new();
        let changing = self.changing_metadata.lock().await;
        let mut has_new = false;
        let updated = update::<CoordinatorError, _>(&*self.coordinator, |state| {
            refused.clear();
            has_new = false;
            let Some(index) = state.indices.get(&shard.key.index) else {
                return Ok(None);
            };
            let analyzers = shard.analyzers_for(index);
            let Some(mapping) = grown((index, &analyzers), documents, &mut refused) else {
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
            // Nothing is to be agreed: what is known here decides while the keeper is away.
            Err(CoordinatorError::Unavailable { .. }) if !has_new => self.coordinator.state(),
            Err(CoordinatorError::TooLarge { reason }) => {
                let refused =
                    |(id, source): &Bringing| ((id.clone(), source.clone()), too_large(&reason));
                return Ok(documents.iter().map(refused).collect());
            }
            Err(error) => return Err(not_agreed(shard.key, &error)),
        };
        // Taking it over may have to wait for the shard's writer; other shards do not wait with it.
        drop(changing);
        match state.indices.get(&shard.key.index) {
            Some(_) => {
                shard.take_meta(&self.coordinator).await;
                Ok(refused)
            }
            None => Err(LeafFault::NotHere { shard: shard.key }),
        }
    }

    /// As [`Self::add_fields`]; while the cluster state cannot be changed, for a reason that passes, the
    /// documents that bring fields are refused, and those beside them are not.
    pub(crate) async fn bring_fields(
        &self,
        shard: &Arc<Shard>,
        documents: Vec<Bringing>,
    ) -> Result<Vec<(Bringing, WriteFault)>, LeafFault> {
        match self.add_fields(shard, &documents).await {
            Err(fault @ (LeafFault::Recovering { .. } | LeafFault::DiskFull { .. })) => {
                let refused = |document| (document, WriteFault::Shard(fault.clone()));
                Ok(documents.into_iter().map(refused).collect())
            }
            agreed => agreed,
        }
    }
}

/// Returns the fault of documents whose fields could not be agreed: one that passes where the keeper of
/// the cluster state is away, others keep changing it, or the disk is full.
fn not_agreed(shard: ShardKey, error: &CoordinatorError) -> LeafFault {
    let told = format!("new fields could not be agreed: {error}");
    match error {
        CoordinatorError::Unavailable { .. } | CoordinatorError::Contention { .. } => {
            LeafFault::Recovering {
                shard,
                progress: told,
            }
        }
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
    (index, analyzers): (&IndexMeta, &AnalyzerRegistry),
    documents: &[Bringing],
    refused: &mut Vec<(Bringing, WriteFault)>,
) -> Option<Mapping> {
    let mut growth = Growth::new(&index.mapping, (&index.settings).into(), analyzers);
    for (id, source) in documents {
        if let Err(error) = growth.add(id.as_str(), source) {
            let document = (id.clone(), source.clone());
            refused.push((document, document_fault(&error)));
        }
    }
    growth.into_mapping()
}

impl Shard {
    /// Returns the analyzers of `index`, which may be newer than what the shard has taken over.
    fn analyzers_for(&self, index: &IndexMeta) -> Arc<AnalyzerRegistry> {
        let known = self.analyzers.load_full();
        if self.index.load().settings.analysis == index.settings.analysis {
            return known;
        }
        analyzers_of(index).unwrap_or(known)
    }

    /// Returns whether `state` has a newer mapping than the one that documents are read under here. Who changed
    /// it may have been answered already, before the shard heard of it.
    pub(crate) fn lacks_mapping_of(&self, state: &ClusterState) -> bool {
        let agreed = state.indices.get(&self.key.index);
        agreed.is_some_and(|index| index.mapping.version > self.parser.load().mapping_version())
    }

    /// Takes over what the newest cluster state says of the index.
    ///
    /// A newer mapping waits for the engine's writer, which a merge may hold for long, so that
    /// happens off the runtime's threads.
    pub(crate) async fn take_meta(self: &Arc<Self>, coordinator: &Arc<dyn Coordinator>) {
        // One thread that may block is enough, however many wait.
        let _turn = self.taking_turn.lock().await;
        let (shard, coordinator) = (Arc::clone(self), Arc::clone(coordinator));
        let taking = tokio::task::spawn_blocking(move || shard.take_meta_now(&*coordinator));
        if let Err(error) = taking.await {
            self.applier
                .stop(&format!("a new mapping could not be taken over: {error}"));
        }
    }

    fn take_meta_now(&self, coordinator: &dyn Coordinator) {
        let _taking = self.taking_meta.lock();
        // Read under the lock, so that an older state never follows a newer one.
        let state = coordinator.state();
        let Some(index) = state.indices.get(&self.key.index) else {
            return;
        };
        let known = self.index.load_full();
        let mut copies = known.copies_of(self.key.shard).iter();
        let remaining = index.copies_of(self.key.shard);
        if copies.any(|node| !remaining.contains(node)) {
            self.applier.leases.outlast_others();
        }
        if Arc::ptr_eq(&known, index) || known.mapping.version > index.mapping.version {
            return;
        }
        if known.mapping.version == index.mapping.version {
            self.show_meta(&known, index);
            return;
        }
        if known.settings.analysis != index.settings.analysis {
            match analyzers_of(index) {
                Ok(analyzers) => self.analyzers.store(analyzers),
                Err(reason) => {
                    tracing::error!(shard = %self.key, reason, "analyzers stay as they were");
                }
            }
        }
        let analyzers = self.analyzers.load_full();
        let parser = Arc::new(DocumentParser::new(&index.mapping, &analyzers));
        // The engine first: it must know the mapping of any record that is ordered. The parser
        // last: see `write::plan`.
        self.engine()
            .set_mapping(Arc::clone(&index.mapping), Arc::clone(&analyzers));
        self.show_meta(&known, index);
        self.parser.store(parser);
    }

    fn show_meta(&self, known: &IndexMeta, index: &Arc<IndexMeta>) {
        self.index.store(Arc::clone(index));
        if known.settings.refresh_interval_ms != index.settings.refresh_interval_ms {
            self.interval_changed.notify_one();
        }
    }
}

/// Builds the analyzers that an index's settings declare, within its limits.
pub(crate) fn analyzers_of(index: &IndexMeta) -> Result<Arc<AnalyzerRegistry>, String> {
    let limits = Limits {
        max_ngram_diff: index.settings.max_ngram_diff,
        max_shingle_diff: index.settings.max_shingle_diff(),
        ..Limits::default()
    };
    AnalyzerRegistry::with_limits(&index.settings.analysis, limits)
        .map(Arc::new)
        .map_err(|error| error.to_string())
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
        assert!(matches!(contended, LeafFault::Recovering { .. }));
        let broken = not_agreed(key(1), &store(ErrorKind::PermissionDenied));
        assert!(matches!(broken, LeafFault::Internal { .. }));
    }
}
