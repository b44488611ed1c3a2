//! A leaf that answers at once from memory, so that only the root's own work is left to measure.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_datasets::Random;
use gleaner_model::settings::{IndexSettings, routing_slots_for};
use gleaner_model::state::IndexMeta;
use gleaner_model::{
    ClusterState, DocumentId, Generation, IndexName, IndexUuid, NodeId, PrimaryTerm, Role, SeqNo,
    ShardKey, Version,
};
use gleaner_proto::node::{LocalNode, NodeFault, Readiness};
use gleaner_proto::read::WaitForRefreshCall;
use gleaner_proto::search::FetchHits;
use gleaner_proto::{LeafClient, LeafFault, Services, read, search, serve, write};
use gleaner_query::answer::{FetchedHit, FetchedHits, ShardHit, ShardHits, ViewId};
use gleaner_query::resolved::{FieldStatistics, Statistics, TieBreak};
use gleaner_root::leaves::SingleLeaf;
use gleaner_root::{LeafHandle, Root, RootOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::corpus::SEED;
use crate::ours;

/// Name of the index that the canned leaf holds.
pub const INDEX: &str = "canned";

/// Returns a root over an index of `num_shards` shards, each of which answers with its ten best.
///
/// # Panics
/// Never: the name of the index is a good one.
pub fn root(num_shards: u32) -> Root {
    let settings = IndexSettings {
        number_of_shards: num_shards,
        routing_slots: routing_slots_for(num_shards),
        ..IndexSettings::default()
    };
    let index = IndexMeta {
        settings,
        mapping: ours::mapping(),
        primary_terms: vec![PrimaryTerm(1); num_shards as usize],
        ..IndexMeta::new(
            IndexUuid([7; 16]),
            IndexName::parse(INDEX).expect("a good name"),
        )
    };
    let mut state = ClusterState::default();
    state.indices.insert(index.uuid, Arc::new(index));
    let (sender, _) = watch::channel(Arc::new(state));
    let client: Arc<dyn LeafClient> = Arc::new(CannedLeaf);
    let leaf = SingleLeaf::new(LeafHandle {
        node: NodeId("canned".into()),
        client,
    });
    Root::new(
        Arc::new(FixedState(sender)),
        Arc::new(leaf),
        RootOptions::default(),
        || 0,
    )
}

/// A state that nobody changes.
struct FixedState(watch::Sender<Arc<ClusterState>>);

#[async_trait]
impl Coordinator for FixedState {
    fn state(&self) -> Arc<ClusterState> {
        self.0.borrow().clone()
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        Ok(self.state())
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.0.subscribe()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        _next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        Err(CoordinatorError::Conflict {
            current: self.state().version,
            expected,
        })
    }
}

/// Serves the canned leaf on a port of its own of this machine; returns its address.
///
/// # Panics
/// Outside of a tokio runtime; when no port is free.
pub async fn served() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (ready, readiness) = watch::channel(Readiness::Ready);
    let node = LocalNode::new(NodeId("canned".into()), Role::Leaf, "bench", readiness);
    let services = Services {
        node: Arc::new(node),
        leaf: Some(Arc::new(CannedLeaf)),
        replication: None,
        leases: None,
    };
    tokio::spawn(async move {
        let served = serve(listener, services, std::future::pending()).await;
        drop((ready, served));
    });
    address
}

struct CannedLeaf;

/// The ten best of a shard: scores fall, and shards interleave.
fn hits(shard: ShardKey) -> ShardHits {
    let mut random = Random::stream(SEED, u64::from(shard.shard.0));
    let mut score = 20.0_f32;
    let hits = (0..10).map(|place| {
        score -= random.below(1_000) as f32 / 1_000.0;
        let tie = TieBreak {
            hash: random.next_u64(),
            id: None,
        };
        ShardHit {
            group: None,
            score: Some(score),
            keys: Vec::new(),
            tie,
            seq_no: SeqNo(place),
            place,
        }
    });
    ShardHits {
        generation: Generation::default(),
        view: ViewId(0),
        num_documents: 1_000,
        total: 100,
        hits: hits.collect(),
        max_score: Some(20.0),
        aggregations: None,
        timed_out: false,
        terminated_early: false,
        times: None,
        unmatched: None,
        may_be_stale: false,
    }
}

fn fetched(shard: ShardKey, place: u64) -> FetchedHit {
    let id = format!("{}-{place}", shard.shard);
    FetchedHit {
        ignored: Vec::new(),
        ignored_values: Default::default(),
        matched_queries: Vec::new(),
        id: DocumentId::parse(&id).expect("short"),
        routing: None,
        seq_no: SeqNo(place),
        term: PrimaryTerm(1),
        version: Version(1),
        source: Bytes::from_static(br#"{"title":"canned","body":"canned"}"#),
        fields: Default::default(),
        highlight: Default::default(),
        explanation: None,
    }
}

fn statistics(call: &search::StatisticsCall) -> search::StatisticsAnswer {
    let mut statistics = Statistics::default();
    for (field, terms) in &call.request.fields {
        let numbers = FieldStatistics {
            documents: 1_000,
            total_length: 100_000,
        };
        statistics.fields.insert(field.clone(), numbers);
        let counts = terms.iter().map(|term| (term.clone(), 100)).collect();
        statistics.terms.insert(field.clone(), counts);
    }
    search::StatisticsAnswer {
        view: ViewId(0),
        generation: Generation::default(),
        statistics,
        num_documents: None,
        may_be_stale: false,
    }
}

/// Refuses what no search asks.
fn not_canned(what: &'static str) -> LeafFault {
    LeafFault::Rejected {
        queue: what.into(),
        capacity: 0,
    }
}

#[async_trait]
impl LeafClient for CannedLeaf {
    async fn statistics(
        &self,
        call: search::StatisticsCall,
    ) -> Vec<Result<search::StatisticsAnswer, LeafFault>> {
        call.shards.iter().map(|_| Ok(statistics(&call))).collect()
    }

    async fn search(&self, call: search::SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        call.shards
            .iter()
            .map(|shard| Ok(hits(shard.shard)))
            .collect()
    }

    async fn fetch(&self, call: search::FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        let of_shard = |from: &search::FetchFrom| {
            let (FetchHits::Places(hits) | FetchHits::Numbers(hits)) = &from.hits;
            let hits = hits.iter();
            let hits = hits.map(|&place| fetched(from.shard.shard, place));
            Ok(hits.collect::<Vec<_>>().into())
        };
        call.shards.iter().map(of_shard).collect()
    }

    async fn expand(
        &self,
        call: search::ExpandCall,
    ) -> Vec<Result<search::ExpandAnswer, LeafFault>> {
        call.shards
            .iter()
            .map(|_| Err(not_canned("expand")))
            .collect()
    }

    async fn explain(&self, _: search::ExplainCall) -> Result<search::ExplainAnswer, LeafFault> {
        Ok(search::ExplainAnswer::default())
    }

    async fn open_views(
        &self,
        call: search::OpenViewsCall,
    ) -> Vec<Result<search::PinnedView, LeafFault>> {
        call.shards
            .iter()
            .map(|_| Err(not_canned("views")))
            .collect()
    }

    async fn renew_views(
        &self,
        views: Vec<search::PinnedView>,
        _: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        views.iter().map(|_| Ok(())).collect()
    }

    async fn release_views(&self, views: Vec<search::PinnedView>) -> usize {
        views.len()
    }

    async fn write(&self, _: write::WriteCall) -> Result<write::WriteAnswer, LeafFault> {
        Err(not_canned("write"))
    }

    async fn get(&self, call: read::GetCall) -> Result<read::Documents, LeafFault> {
        drop(call);
        Err(not_canned("get"))
    }

    async fn refresh(&self, _: ShardKey) -> Result<Generation, LeafFault> {
        Ok(Generation::default())
    }

    async fn wait_for_refresh(&self, _: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        Ok(Generation::default())
    }

    async fn flush(&self, _: ShardKey) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn force_merge(&self, _: ShardKey, _: usize) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn shard_states(&self) -> Result<Vec<read::ShardState>, NodeFault> {
        Ok(Vec::new())
    }
}
