//! Single documents, counts, explanations and the state of shards.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures::future::join_all;
use gleaner_model::{DocumentId, IndexMeta, NodeId, ShardKey};
use gleaner_proto::read::{Document, GetCall, ShardState};
use gleaner_proto::search::{ExplainAnswer, ExplainCall, ShardView};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::names;
use gleaner_query::search::SearchRequest;
use gleaner_shard_router::shard_of;

use crate::deadline::Deadline;
use crate::plan::Target;
use crate::search::{Asked, SearchOptions, shard_query};
use crate::{Root, RootError};

/// Asks for one document.
#[derive(Debug, Clone, Default)]
pub struct GetRequest {
    /// Index or alias of one index.
    pub index: String,
    /// The document.
    pub id: String,
    /// Routing value.
    pub routing: Option<String>,
    /// Whether writes that searches cannot see yet count.
    pub realtime: bool,
    /// Whether the shard is refreshed first.
    pub refresh: bool,
}

/// A shard's state with its index and leaf.
#[derive(Debug, Clone)]
pub struct LocatedShard {
    /// The index.
    pub index: Arc<IndexMeta>,
    /// The leaf that holds the copy.
    pub node: NodeId,
    /// Its state.
    pub state: ShardState,
}

/// An index, and the resolved form of a query there or what is wrong with it.
pub type Validated = (String, Result<String, RootError>);

impl Root {
    /// Returns a document, or `None`, with the name of its index.
    ///
    /// # Errors
    /// [`RootError`] when the index is unknown or its shard does not answer.
    pub async fn get(&self, request: &GetRequest) -> Result<(String, Option<Document>), RootError> {
        let mut found = self.multi_get(std::slice::from_ref(request)).await;
        found
            .pop()
            .unwrap_or_else(|| Err(RootError::Internal("no answer".to_owned())))
    }

    /// Returns documents in the order asked, by one call per shard; each succeeds or fails by itself.
    pub async fn multi_get(
        &self,
        requests: &[GetRequest],
    ) -> Vec<Result<(String, Option<Document>), RootError>> {
        let deadline = Deadline::after(self.options.default_timeout);
        let mut groups: BTreeMap<(ShardKey, bool, bool), Vec<(usize, DocumentId)>> =
            BTreeMap::new();
        let mut answers = Vec::with_capacity(requests.len());
        for (at, request) in requests.iter().enumerate() {
            answers.push(self.locate(request).map(|(index, shard, id)| {
                let group = (shard, request.realtime, request.refresh);
                groups.entry(group).or_default().push((at, id));
                (index.name.to_string(), None)
            }));
        }
        let read = groups
            .into_iter()
            .map(|((shard, realtime, refresh), wanted)| async move {
                let (places, ids): (Vec<usize>, Vec<DocumentId>) = wanted.into_iter().unzip();
                let call = GetCall {
                    shard,
                    ids,
                    realtime,
                    remaining: deadline.remaining(),
                };
                (places, self.get_of_shard(call, refresh).await)
            });
        for (places, outcome) in join_all(read).await {
            match outcome {
                Ok(documents) => {
                    for (at, document) in places.into_iter().zip(documents) {
                        if let Ok((_, found)) = &mut answers[at] {
                            *found = document;
                        }
                    }
                }
                Err(fault) => places
                    .into_iter()
                    .for_each(|at| answers[at] = Err(RootError::Leaf(fault.clone()))),
            }
        }
        answers
    }

    /// Returns index, shard and id of a document. Routing decides the shard only: a document
    /// reached by another routing of the same shard is found, as in the dialect.
    fn locate(
        &self,
        request: &GetRequest,
    ) -> Result<(Arc<IndexMeta>, ShardKey, DocumentId), RootError> {
        let (index, routing) = self.single_index(&request.index, request.routing.clone())?;
        let id = DocumentId::parse(&request.id)?;
        if index.mapping.routing_required && routing.is_none() {
            return Err(RootError::Write(
                gleaner_proto::write::WriteFault::Document {
                    kind: "routing_missing_exception".into(),
                    reason: format!("routing is required for [{}]/[{id}]", index.name),
                    cause: None,
                },
            ));
        }
        let shard = shard_for(&index, routing.as_deref().unwrap_or(id.as_str()));
        Ok((index, shard, id))
    }

    async fn get_of_shard(
        &self,
        call: GetCall,
        refresh: bool,
    ) -> Result<Vec<Option<Document>>, LeafFault> {
        let (shard, remaining, expected) = (call.shard, call.remaining, call.ids.len());
        let located = self.leaves.primary(shard);
        let located = located.ok_or(LeafFault::NotHere { shard })?;
        let read = async {
            if refresh {
                located.client.refresh(shard).await?;
            }
            located.client.get(call).await
        };
        let late = |_| LeafFault::DeadlinePassed { shard };
        let documents = tokio::time::timeout(remaining, read)
            .await
            .map_err(late)??;
        if documents.len() == expected {
            return Ok(documents);
        }
        let reason = "the leaf read another number of documents than asked".to_owned();
        Err(LeafFault::Internal { shard, reason })
    }

    /// Explains the score of one document under a query; `None` when there is no such document.
    ///
    /// # Errors
    /// [`RootError`] when the query or the index is wrong or the shard does not answer.
    pub async fn explain(
        &self,
        get: &GetRequest,
        request: &SearchRequest,
    ) -> Result<(String, Option<ExplainAnswer>), RootError> {
        let (index, routing) = self.single_index(&get.index, get.routing.clone())?;
        let id = DocumentId::parse(&get.id)?;
        let asked_shard = shard_for(&index, routing.as_deref().unwrap_or(id.as_str()));
        let deadline = Deadline::after(self.options.default_timeout);
        let mut plans = self.targets(&Target {
            expression: Some(get.index.clone()),
            ..Target::default()
        })?;
        let now_ms = self.now_ms();
        let mut calls = Vec::new();
        let request = SearchRequest {
            explain: true,
            ..request.clone()
        };
        self.resolve_all(&mut plans, (&request, now_ms), deadline, &mut calls)
            .await?;
        let counted = self
            .counted(&mut plans, (&request, false), deadline, &mut calls)
            .await;
        let options = SearchOptions::default();
        let asked = Asked {
            request: &request,
            options: &options,
            statistics: counted.statistics,
            now_ms,
        };
        let query = Arc::new(shard_query((0, &plans[0]), &asked));
        let shard = plans[0]
            .shards
            .iter()
            .find(|shard| shard.shard == asked_shard)
            .copied();
        let shard = shard.unwrap_or(ShardView {
            shard: asked_shard,
            view: None,
            at_least: None,
        });
        let located = self.leaves.searcher(asked_shard);
        let located = located.ok_or(LeafFault::NotHere { shard: asked_shard })?;
        let remaining = deadline.remaining();
        let explain = located.client.explain(ExplainCall {
            shard,
            id,
            query,
            remaining,
        });
        let late = |_| LeafFault::DeadlinePassed { shard: asked_shard };
        let answer = tokio::time::timeout(remaining, explain)
            .await
            .map_err(late)??;
        Ok((index.name.to_string(), answer))
    }

    /// Checks that a query can be asked of each index; returns its resolved form or what is wrong.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub fn validate(
        &self,
        target: &Target,
        request: &SearchRequest,
    ) -> Result<Vec<Validated>, RootError> {
        let now_ms = self.now_ms();
        let checked = self.targets(target)?.into_iter().map(|mut plan| {
            let mut expansions = crate::resolve::Expansions::default();
            let outcome = self.resolve_plan(&mut plan, request, now_ms, &mut expansions);
            let shown = outcome.map(|()| format!("{:?}", plan.resolved.query));
            (plan.index.name.to_string(), shown)
        });
        Ok(checked.collect())
    }

    /// Returns the state of every shard copy on every leaf, of known indices.
    pub async fn shard_states(&self) -> Vec<LocatedShard> {
        let state = self.state();
        let leaves = self.leaves.all();
        let asked = leaves.iter().map(|located| located.client.shard_states());
        let answers = join_all(asked).await;
        let mut found: BTreeMap<(String, ShardKey, NodeId), LocatedShard> = BTreeMap::new();
        for (located, states) in leaves.iter().zip(answers) {
            for shard in states {
                let Some(index) = state.indices.get(&shard.shard.index) else {
                    continue;
                };
                let key = (index.name.to_string(), shard.shard, located.node.clone());
                let (index, node) = (Arc::clone(index), located.node.clone());
                found.insert(
                    key,
                    LocatedShard {
                        index,
                        node,
                        state: shard,
                    },
                );
            }
        }
        found.into_values().collect()
    }

    /// Does something to the primary of every shard that `target` names.
    pub(crate) async fn each_shard<F, Fut>(
        &self,
        target: &Target,
        action: F,
    ) -> Result<Vec<(ShardKey, Result<(), LeafFault>)>, RootError>
    where
        F: Fn(Arc<dyn LeafClient>, ShardKey) -> Fut,
        Fut: Future<Output = Result<(), LeafFault>>,
    {
        let plans = self.targets(target)?;
        let shards = plans
            .iter()
            .flat_map(|plan| plan.shards.iter().map(|shard| shard.shard));
        let actions = shards.map(|shard| {
            let located = self.leaves.primary(shard);
            let outcome = located.map(|located| action(located.client, shard));
            async move {
                match outcome {
                    Some(outcome) => (shard, outcome.await),
                    None => (shard, Err(LeafFault::NotHere { shard })),
                }
            }
        });
        Ok(join_all(actions).await)
    }

    /// Makes durable commits.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub async fn flush(
        &self,
        target: &Target,
    ) -> Result<Vec<(ShardKey, Result<(), LeafFault>)>, RootError> {
        self.each_shard(
            target,
            |client, shard| async move { client.flush(shard).await },
        )
        .await
    }

    /// Merges segments down to at most `max_segments` per shard.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub async fn force_merge(
        &self,
        target: &Target,
        max_segments: usize,
    ) -> Result<Vec<(ShardKey, Result<(), LeafFault>)>, RootError> {
        self.each_shard(target, |client, shard| async move {
            client.force_merge(shard, max_segments).await
        })
        .await
    }

    /// Returns the one index behind a name, with the alias's routing where none was given.
    fn single_index(
        &self,
        name: &str,
        routing: Option<String>,
    ) -> Result<(Arc<IndexMeta>, Option<String>), RootError> {
        let state = self.state();
        let found = names::resolve_single(name, &state)?;
        let found = found.ok_or_else(|| RootError::IndexNotFound(name.to_owned()))?;
        if found.meta.is_closed {
            return Err(RootError::IndexClosed(found.meta.name.to_string()));
        }
        Ok((found.meta, routing.or(found.search_routing)))
    }
}

fn shard_for(index: &IndexMeta, key: &str) -> ShardKey {
    let settings = &index.settings;
    let shard = shard_of(key, settings.routing_slots, settings.number_of_shards);
    ShardKey {
        index: index.uuid,
        shard,
    }
}
