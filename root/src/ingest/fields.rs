//! New fields of a request: agreed on in the order of its documents, whatever shards they go to.
//!
//! Called by: [`super::groups`], for documents of which primaries said that they bring fields.
//! Read first: [`Ingester::agree_on_fields`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_coordinator::{CoordinatorError, update};
use gleaner_document::{DocumentError, Growth};
use gleaner_model::{ChosenTemplates, DocumentId, IndexMeta, IndexUuid, Mapping};
use gleaner_proto::write::WriteFault;

use crate::RootError;
use crate::ingest::Ingester;
use crate::work::on_own_thread;

/// A document that its primary answered with [`WriteFault::Unagreed`]: the cluster has not agreed on its fields yet.
pub(super) struct UnagreedDocument {
    /// Its place in the request.
    pub(super) at: usize,
    pub(super) id: DocumentId,
    pub(super) source: Bytes,
    /// For some of its fields.
    pub(super) templates: ChosenTemplates,
}

/// Why documents were refused, by their places in the request.
pub(super) type Refusals = BTreeMap<usize, WriteFault>;

/// Times that the documents are read, each time after somebody else changed the index. Where that is not
/// enough, each primary adds the fields of its own documents.
const MAX_ROUNDS: u32 = 16;

impl Ingester {
    /// Adds the fields of `documents`, one after the other, to the mapping of an index, for the whole cluster.
    /// Returns those that the mapping cannot take in their turn.
    ///
    /// # Errors
    /// [`CoordinatorError::Contention`] when the index is changed by others again and again.
    pub(super) async fn agree_on_fields(
        &self,
        uuid: IndexUuid,
        documents: Vec<UnagreedDocument>,
    ) -> Result<Refusals, RootError> {
        let documents = Arc::new(documents);
        for _ in 0..MAX_ROUNDS {
            let Some(base) = self.cluster.state().indices.get(&uuid).cloned() else {
                return Ok(Refusals::new());
            };
            let analyzers = self.analyzers.of(&base)?;
            let (known, brought) = (Arc::clone(&base), Arc::clone(&documents));
            // Many documents take long to read.
            let growing = on_own_thread(move || grown(&known, &analyzers, &brought));
            let growing = growing.await;
            let (mapping, refusals) =
                growing.map_err(|error| RootError::Internal(error.to_string()))?;
            if self.replace_mapping(&base, mapping).await? {
                return Ok(refusals);
            }
        }
        let attempts = MAX_ROUNDS;
        Err(CoordinatorError::Contention { attempts }.into())
    }

    /// Gives the index `base` its next mapping, where it needs one. Returns false, and changes nothing, when
    /// somebody else changed what the mapping was made from.
    async fn replace_mapping(
        &self,
        base: &Arc<IndexMeta>,
        mapping: Option<Arc<Mapping>>,
    ) -> Result<bool, RootError> {
        let mut is_replaced = true;
        update::<RootError, _>(&*self.cluster.coordinator, |state| {
            let Some(index) = state.indices.get(&base.uuid) else {
                return Ok(None);
            };
            is_replaced = grows_alike(base, index);
            if !is_replaced {
                return Ok(None);
            }
            let changed = mapping.clone().map(|mapping| {
                let index = IndexMeta {
                    mapping,
                    ..IndexMeta::clone(index)
                };
                let mut next = state.clone();
                next.indices.insert(base.uuid, Arc::new(index));
                next
            });
            Ok(changed)
        })
        .await?;
        Ok(is_replaced)
    }
}

/// Returns whether documents bring the same fields to both states of an index.
fn grows_alike(base: &Arc<IndexMeta>, index: &Arc<IndexMeta>) -> bool {
    Arc::ptr_eq(base, index) || (base.mapping == index.mapping && base.settings == index.settings)
}

/// Returns the mapping with the fields of all documents, where it lacks some, and which it cannot take.
fn grown(
    index: &IndexMeta,
    analyzers: &AnalyzerRegistry,
    documents: &[UnagreedDocument],
) -> (Option<Arc<Mapping>>, Refusals) {
    let mut refusals = Refusals::new();
    let mut growth = Growth::new(&index.mapping, (&index.settings).into(), analyzers);
    for document in documents {
        let id = document.id.as_str();
        if let Err(error) = growth.add(id, &document.source, &document.templates) {
            refusals.insert(document.at, refusal(&error));
        }
    }
    (growth.into_mapping().map(Arc::new), refusals)
}

fn refusal(error: &DocumentError) -> WriteFault {
    let cause = error.cause();
    WriteFault::Document {
        kind: error.kind().into(),
        reason: error.to_string(),
        cause: cause.map(|(kind, reason)| (kind.into(), reason.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use gleaner_coordinator::{Coordinator, Embedded};
    use gleaner_model::{ClusterState, FieldPath, MappingVersion, NodeId};
    use parking_lot::Mutex;
    use serde_json::{Value, json};
    use tokio::sync::watch;

    use super::*;
    use crate::Root;
    use crate::leaves::SingleLeaf;
    use crate::testing::{FakeLeaf, NOW_MS, index, state, uuid};
    use crate::{LeafHandle, RootOptions};

    /// Keeps a state that somebody else changes first, as long as there are mappings to change it to.
    struct Raced {
        inner: Embedded,
        mappings: Mutex<Vec<Value>>,
    }

    #[async_trait]
    impl Coordinator for Raced {
        fn state(&self) -> Arc<ClusterState> {
            self.inner.state()
        }

        async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
            self.inner.latest().await
        }

        fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
            self.inner.watch()
        }

        async fn compare_and_swap(
            &self,
            expected: u64,
            next: ClusterState,
        ) -> Result<Arc<ClusterState>, CoordinatorError> {
            let mapping = self.mappings.lock().pop();
            if let Some(mapping) = mapping {
                let mut index = index(1, &mapping);
                Arc::make_mut(&mut index.mapping).version = MappingVersion(expected + 2);
                self.inner
                    .compare_and_swap(expected, state([index]))
                    .await?;
            }
            self.inner.compare_and_swap(expected, next).await
        }
    }

    /// Agrees on the fields of two documents while others change the index to `mappings`, the last one first.
    async fn agreed(mappings: Vec<Value>) -> (Root, Result<Refusals, RootError>) {
        let client = Arc::new(FakeLeaf::default());
        let node = NodeId("fake".into());
        let leaves = Arc::new(SingleLeaf::new(LeafHandle { node, client }));
        let coordinator = Arc::new(Raced {
            inner: Embedded::in_memory(state([index(1, &json!({}))])),
            mappings: Mutex::new(mappings),
        });
        let root = Root::new(coordinator, leaves, RootOptions::default(), || NOW_MS);
        let sources = [r#"{"text": "a"}"#, r#"{"n": "word", "more": 1}"#];
        let documents = sources.into_iter().enumerate();
        let documents = documents.map(|(at, source)| UnagreedDocument {
            at,
            id: DocumentId::parse(&at.to_string()).expect("an id"),
            source: Bytes::from(source),
            templates: ChosenTemplates::default(),
        });
        let agreed = root
            .ingester()
            .agree_on_fields(uuid(1), documents.collect())
            .await;
        (root, agreed)
    }

    fn has_field(root: &Root, name: &str) -> bool {
        let fields = &root.cluster().state().indices[&uuid(1)].mapping.fields;
        fields.contains_key(&FieldPath::new(name))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn documents_are_read_again_when_somebody_else_changed_the_index() {
        let (root, agreed) = agreed(Vec::new()).await;
        assert!(agreed.expect("nobody disturbs").is_empty());
        assert!(has_field(&root, "text") && has_field(&root, "more"));
        let other = json!({"properties": {"n": {"type": "long"}, "other": {"type": "long"}}});
        let (root, agreed) = self::agreed(vec![other]).await;
        let refused: Vec<usize> = agreed.expect("agreed").into_keys().collect();
        assert_eq!(refused, [1], "a word is no number");
        assert!(has_field(&root, "text") && has_field(&root, "other"));
        assert!(!has_field(&root, "more"), "what is refused adds nothing");
    }

    #[test]
    fn documents_bring_fields_by_the_templates_that_are_chosen_for_them() {
        let words = json!({"words": {"mapping": {"type": "keyword"}}});
        let index = index(1, &json!({"dynamic_templates": [words]}));
        let document = |at: usize, template: &str| {
            let chosen = ("text".to_owned(), template.to_owned());
            UnagreedDocument {
                at,
                id: DocumentId::parse("1").expect("an id"),
                source: Bytes::from_static(br#"{"text": "a"}"#),
                templates: ChosenTemplates::from_iter([chosen]),
            }
        };
        let documents = [document(3, "gone"), document(5, "words")];
        let (mapping, refusals) = grown(&index, &AnalyzerRegistry::builtin(), &documents);
        let refused: Vec<usize> = refusals.into_keys().collect();
        assert_eq!(refused, [3]);
        let mapping = mapping.expect("it grows");
        let field = mapping.field("text").expect("brought");
        assert_eq!(field.kind.type_name(), "keyword");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_that_keeps_changing_is_given_up() {
        let others = (0..MAX_ROUNDS).map(|n| {
            let name = format!("field-{n}");
            json!({"properties": {name: {"type": "long"}}})
        });
        let (root, agreed) = agreed(others.collect()).await;
        let contention = CoordinatorError::Contention {
            attempts: MAX_ROUNDS,
        };
        let reason = agreed.err().map(|error| error.to_string());
        assert!(reason.is_some_and(|reason| reason.contains(&contention.to_string())));
        assert!(!has_field(&root, "text"));
    }
}
