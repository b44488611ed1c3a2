//! Single documents, counts, explanations and the state of shards.

mod copies;
mod ignored;
mod nodes;
mod primary;
mod retrying;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{DocumentId, IndexMeta, IndexUuid, NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::read::{Document, Documents, GetCall, ShardState};
use gleaner_query::names::{self, ResolveOptions, ResolvedIndex};
use gleaner_shard_router::shard_of;

use ignored::IgnoringMappings;

pub use ignored::IgnoringMapping;
pub use nodes::NodeReport;

use crate::RootError;
use crate::SharedParts;
use crate::blocks::{self, Level};
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::force_merge::ForceMerge;
use crate::health::Book;
use crate::leaves::Copies;
use crate::plan::Target;
use crate::planner::Planner;
use crate::scatter::Scatterer;
use crate::search::Searcher;
use crate::shown::VisibleFloor;
use crate::visibility::CopyOutcome;

/// For how long leaves that are started with this root may be away before that is worth a warning.
const STARTING: Duration = Duration::from_secs(30);

/// Longest wait for the state of a leaf's shards: it answers from memory or not at all.
const STATES_PATIENCE: Duration = Duration::from_secs(2);

/// Asks for one document.
#[derive(Debug, Clone, Default)]
pub struct GetRequest {
    /// Index or alias of one index.
    pub index: String,
    /// The document.
    pub id: String,
    /// Routing value; an empty one is none.
    pub routing: Option<String>,
    /// Whether writes that searches cannot see yet count.
    pub realtime: bool,
    /// Whether the shard is refreshed first.
    pub refresh: bool,
}

/// What was found of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetResponse {
    /// Name of the index.
    pub index: String,
    /// The document; `None` where there is none.
    pub document: Option<Document>,
    /// Whether the copy that was read is without its primary: acknowledged writes may be missing.
    pub may_be_stale: bool,
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

/// What the leaves tell of their shards.
#[derive(Debug, Clone, Default)]
pub struct ShardStates {
    /// Every copy, by name of the index, shard and leaf.
    pub copies: Vec<LocatedShard>,
    /// Leaves that there are.
    pub num_leaves: usize,
    /// Those among them that did not tell.
    pub silent: Vec<NodeId>,
    /// Shards of open indices that no leaf told of, which a silent one may hold; 0 where all leaves told.
    pub num_untold: usize,
}

impl ShardStates {
    /// Returns how many leaves told.
    #[must_use]
    pub fn num_alive(&self) -> usize {
        self.num_leaves - self.silent.len()
    }

    /// Returns one copy of each shard: the primary where it tells, else another.
    #[must_use]
    pub fn one_each(&self) -> Vec<&LocatedShard> {
        let mut by_shard: BTreeMap<ShardKey, &LocatedShard> = BTreeMap::new();
        for copy in &self.copies {
            let known = by_shard.entry(copy.state.shard).or_insert(copy);
            if copy.state.is_primary {
                *known = copy;
            }
        }
        by_shard.into_values().collect()
    }
}

/// Reads documents by id, and what shards and nodes say of themselves.
pub struct Reader {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) planner: Arc<Planner>,
    pub(crate) searcher: Arc<Searcher>,
    pub(crate) scatterer: Arc<Scatterer>,
    pub(crate) health: Arc<Book>,
    pub(crate) shown: Arc<VisibleFloor>,
    ignoring: IgnoringMappings,
}

impl Reader {
    pub(crate) fn new(shared: &SharedParts, searcher: &Arc<Searcher>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            planner: Arc::clone(&searcher.planner),
            searcher: Arc::clone(searcher),
            scatterer: Arc::clone(&searcher.scatterer),
            health: Arc::clone(&shared.health),
            shown: Arc::clone(&shared.shown),
            ignoring: IgnoringMappings::default(),
        }
    }
}

impl Reader {
    /// Returns the leaves whose copies of a shard hold everything acknowledged, the primary first; all that hold a copy,
    /// where that is not known.
    pub fn in_sync(&self, shard: ShardKey) -> Vec<NodeId> {
        let copies = self.cluster.leaves.in_sync(shard);
        copies.iter().map(|copy| copy.node.clone()).collect()
    }

    /// Returns a document, or that there is none.
    ///
    /// # Errors
    /// [`RootError`] when the index is unknown or its shard does not answer.
    pub async fn get(&self, request: &GetRequest) -> Result<GetResponse, RootError> {
        let mut found = self.multi_get(std::slice::from_ref(request)).await;
        found
            .pop()
            .unwrap_or_else(|| Err(RootError::Internal("no answer".to_owned())))
    }

    /// Returns documents in the order asked, by one call per shard; each succeeds or fails by itself.
    pub async fn multi_get(&self, requests: &[GetRequest]) -> Vec<Result<GetResponse, RootError>> {
        let deadline = Deadline::after(self.cluster.default_timeout());
        // One that is asked for again is read once.
        let mut groups: BTreeMap<(ShardKey, bool, bool), BTreeMap<DocumentId, Vec<usize>>> =
            BTreeMap::new();
        let mut answers = Vec::with_capacity(requests.len());
        for (at, request) in requests.iter().enumerate() {
            answers.push(self.cluster.locate(request).map(|(index, shard, id)| {
                let group = (shard, request.realtime, request.refresh);
                let places = groups.entry(group).or_default().entry(id);
                places.or_default().push(at);
                GetResponse {
                    index: index.name.to_string(),
                    document: None,
                    may_be_stale: false,
                }
            }));
        }
        let read = groups
            .into_iter()
            .map(|((shard, realtime, refresh), wanted)| async move {
                let (ids, places): (Vec<DocumentId>, Vec<Vec<usize>>) = wanted.into_iter().unzip();
                let call = GetCall {
                    shard,
                    ids,
                    realtime,
                    remaining: deadline.remaining(),
                };
                let outcome = self.get_of_shard(call, refresh).await;
                let refusal = match &outcome {
                    Ok(_) => None,
                    Err(fault) => self.cluster.refusal(fault, deadline).await,
                };
                (places, outcome, refusal)
            });
        for (places, outcome, refusal) in join_all(read).await {
            match outcome {
                Ok(documents) => {
                    for (places, document) in places.into_iter().zip(documents.found) {
                        for at in places {
                            if let Ok(answer) = &mut answers[at] {
                                answer.document.clone_from(&document);
                                answer.may_be_stale = documents.may_be_stale;
                            }
                        }
                    }
                }
                Err(fault) => {
                    for at in places.into_iter().flatten() {
                        answers[at] = match (&answers[at], refusal) {
                            (Ok(answer), Some(refused)) => Err(refused(answer.index.clone())),
                            _ => Err(RootError::Leaf(fault.clone())),
                        };
                    }
                }
            }
        }
        answers
    }
}

/// Returns what copies of `shard` came to; that it has none, where there are none.
fn or_none(shard: ShardKey, mut outcomes: Vec<CopyOutcome>) -> Vec<CopyOutcome> {
    if outcomes.is_empty() {
        outcomes.push(CopyOutcome {
            shard,
            node: None,
            outcome: Err(LeafFault::NotHere { shard }),
        });
    }
    outcomes
}

impl ClusterView {
    /// Returns index, shard and id of a document. Routing decides the shard only: a document
    /// reached by another routing of the same shard is found, as in the dialect.
    pub(crate) fn locate(
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
}

impl Reader {
    async fn get_of_shard(&self, call: GetCall, refresh: bool) -> Result<Documents, LeafFault> {
        let (shard, expected) = (call.shard, call.ids.len());
        // Only the primary knows what is not visible yet, and refreshes.
        let documents = match call.realtime || refresh {
            true => self.get_of_primary(call, refresh).await?,
            false => self.get_visible(call).await?,
        };
        if documents.found.len() == expected {
            return Ok(documents);
        }
        let reason = "the leaf read another number of documents than asked".to_owned();
        Err(LeafFault::Internal { shard, reason })
    }

    /// Returns the state of every shard copy on every leaf, of known indices, and which leaves did
    /// not tell. One that has been left out of searches for its silence is not waited for.
    pub async fn shard_states(&self) -> ShardStates {
        self.shard_states_of(None).await
    }

    /// Returns what [`Self::shard_states`] does, of the shards of `indices` alone; `None`: of all.
    pub async fn shard_states_of(&self, indices: Option<&[IndexUuid]>) -> ShardStates {
        let state = self.cluster.state();
        let leaves = self.cluster.leaves.all();
        let asked = leaves.iter().map(|located| async {
            if self.health.open().is_silent(&located.node) {
                return None;
            }
            let states = match indices {
                None => located.client.shard_states(),
                Some(indices) => located.client.shard_states_of(indices),
            };
            let reason = match tokio::time::timeout(STATES_PATIENCE, states).await {
                Ok(Ok(states)) => return Some(states),
                Ok(Err(fault)) => fault.to_string(),
                Err(_elapsed) => "no answer in time".to_owned(),
            };
            let node = &located.node;
            match self.cluster.begun.elapsed() < STARTING {
                true => tracing::info!(%node, reason, "could not read shard states from leaf"),
                false => tracing::warn!(%node, reason, "could not read shard states from leaf"),
            }
            None
        });
        let answers = join_all(asked).await;
        let mut found: BTreeMap<(String, ShardKey, NodeId), LocatedShard> = BTreeMap::new();
        let mut silent = Vec::new();
        for (located, states) in leaves.iter().zip(answers) {
            if states.is_none() {
                silent.push(located.node.clone());
            }
            for shard in states.unwrap_or_default() {
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
        let copies: Vec<LocatedShard> = found.into_values().collect();
        let told: BTreeSet<ShardKey> = copies.iter().map(|copy| copy.state.shard).collect();
        let is_asked = |index: &&Arc<IndexMeta>| {
            !index.is_closed && indices.is_none_or(|indices| indices.contains(&index.uuid))
        };
        let open = state.indices.values().filter(is_asked);
        let shards = open.flat_map(|index| index.shards());
        let num_untold = match silent.is_empty() {
            true => 0,
            false => shards.filter(|shard| !told.contains(shard)).count(),
        };
        ShardStates {
            copies,
            num_leaves: leaves.len(),
            silent,
            num_untold,
        }
    }

    /// Makes durable commits on all copies that are in sync.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub async fn flush(&self, target: &Target) -> Result<Vec<CopyOutcome>, RootError> {
        let plans = self.planner.targets_at(target, None)?;
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        let flushed = shards.map(|asked| self.flush_copies(asked.shard));
        Ok(join_all(flushed).await.into_iter().flatten().collect())
    }

    /// Makes durable commits on all copies of `shard` that are in sync.
    async fn flush_copies(&self, shard: ShardKey) -> Vec<CopyOutcome> {
        let copies = self.cluster.leaves.in_sync(shard);
        let flushed = copies.iter().map(async |copy| CopyOutcome {
            shard,
            node: Some(copy.node.clone()),
            outcome: copy.client.flush(shard).await,
        });
        or_none(shard, join_all(flushed).await)
    }

    /// Merges the segments of each copy, and then commits it durably if `merge` says so.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub(crate) async fn force_merge(
        &self,
        merge: &ForceMerge,
    ) -> Result<Vec<CopyOutcome>, RootError> {
        let ForceMerge {
            target,
            max_segments,
            only_primaries,
            is_flushed,
        } = merge;
        let plans = self
            .planner
            .targets_at(target, Some(Level::MetadataWrite))?;
        let leaves = &self.cluster.leaves;
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        let merged = shards.map(async |asked| {
            let shard = asked.shard;
            let copies: Copies = match only_primaries {
                true => leaves.primary(shard).into_iter().collect(),
                false => leaves.in_sync(shard),
            };
            let merged = copies.iter().map(async |copy| {
                let mut outcome = copy.client.force_merge(shard, *max_segments).await;
                if outcome.is_ok() && *is_flushed {
                    outcome = copy.client.flush(shard).await;
                }
                CopyOutcome {
                    shard,
                    node: Some(copy.node.clone()),
                    outcome,
                }
            });
            or_none(shard, join_all(merged).await)
        });
        Ok(join_all(merged).await.into_iter().flatten().collect())
    }
}

impl ClusterView {
    /// Returns the indices named, to show what they are.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved, or a block of one keeps its metadata from
    /// being read.
    pub fn shown_indices(
        &self,
        expression: &str,
        options: &ResolveOptions,
    ) -> Result<Vec<ResolvedIndex>, RootError> {
        let found = names::resolve(expression, &self.state(), options)?;
        for found in &found {
            blocks::check(&found.meta, Level::MetadataRead)?;
        }
        Ok(found)
    }

    /// Returns the one index to read a document of behind a name, with the routing that the request or
    /// the alias gives.
    pub(crate) fn single_index(
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
        blocks::check(&found.meta, Level::Read)?;
        let routing = names::single_routing(name, routing, found.index_routing)?;
        Ok((found.meta, routing))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Fixture, index};

    #[tokio::test]
    async fn shards_of_a_leaf_that_does_not_tell_are_counted_as_untold() {
        let fixture = Fixture::new([index(1, &json!({})), index(2, &json!({}))]);
        let states = fixture.root.reader().shard_states().await;
        assert_eq!((states.num_untold, states.num_alive()), (0, 1));
        *fixture.leaf.is_gone.lock() = true;
        let states = fixture.root.reader().shard_states().await;
        assert_eq!((states.num_untold, states.num_alive()), (4, 0));
    }
}
