//! What this room's unit tests share: an index's meta, and a leaf that answers as told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gleaner_coordinator::Embedded;
use gleaner_model::{
    ClusterState, Generation, IndexMeta, IndexName, IndexSettings, IndexUuid, NodeId, PrimaryTerm,
    SeqNo, ShardKey, ShardNumber, Version,
};
use gleaner_proto::read::{Document, GetCall, ShardState};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall, WriteOutcome, WriteResult};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{FetchedHit, ShardHit, ShardHits, ViewId};
use gleaner_query::limits::Limits;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::{FieldStatistics, Statistics, TieBreak};
use parking_lot::Mutex;
use serde_json::Value;

use crate::leaves::SingleLeaf;
use crate::{Located, Root, RootOptions};

/// The time of every request: 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;

/// Returns the UUID of index `n`.
pub(crate) fn uuid(n: u8) -> IndexUuid {
    IndexUuid([n; 16])
}

/// Returns a shard of index `n`.
pub(crate) fn shard(n: u8, shard: u32) -> ShardKey {
    let shard = ShardNumber(shard);
    ShardKey {
        index: uuid(n),
        shard,
    }
}

/// Returns index `n`, named `index-n`, with two shards.
pub(crate) fn index(n: u8, mapping: &Value) -> IndexMeta {
    let settings = IndexSettings {
        number_of_shards: 2,
        routing_slots: gleaner_model::settings::routing_slots_for(2),
        ..IndexSettings::default()
    };
    let mapping = parse_mapping(mapping, None, &MappingRules::from(&settings));
    IndexMeta {
        uuid: uuid(n),
        name: IndexName::parse(&format!("index-{n}")).expect("a good name"),
        created_ms: 0,
        mapping: Arc::new(mapping.expect("a good mapping")),
        primary_terms: vec![PrimaryTerm(1); 2],
        copies: Vec::new(),
        settings,
        aliases: BTreeMap::new(),
        is_closed: false,
    }
}

/// Returns a cluster state with these indices.
pub(crate) fn state(indices: impl IntoIterator<Item = IndexMeta>) -> ClusterState {
    let indices = indices
        .into_iter()
        .map(|index| (index.uuid, Arc::new(index)));
    ClusterState {
        indices: indices.collect(),
        ..ClusterState::default()
    }
}

/// A hit of a fake leaf: score and tie-break.
pub(crate) type FakeHit = (f32, u64);

/// A leaf that holds whatever it is told, each shard at view 1 at first.
#[derive(Default)]
pub(crate) struct FakeLeaf {
    /// Hits by shard, best first.
    pub(crate) hits: Mutex<BTreeMap<ShardKey, Vec<FakeHit>>>,
    /// Shards whose searches fail, and how.
    pub(crate) faults: Mutex<BTreeMap<ShardKey, LeafFault>>,
    /// Shards that are never done.
    pub(crate) hanging: Mutex<BTreeSet<ShardKey>>,
    /// Newest view by shard.
    pub(crate) views: Mutex<BTreeMap<ShardKey, u64>>,
    /// Views that are kept although they are not the newest.
    pub(crate) is_keeping_views: Mutex<bool>,
    /// Shards that a search answers for although more were asked.
    pub(crate) answers_at_most: Mutex<Option<usize>>,
    pub(crate) num_statistics: AtomicUsize,
    pub(crate) num_searches: AtomicUsize,
    /// Queries asked last, by index.
    pub(crate) asked: Mutex<BTreeMap<IndexUuid, SearchCall>>,
    /// Write calls in the order they came.
    pub(crate) written: Mutex<Vec<WriteCall>>,
}

impl FakeLeaf {
    fn view(&self, asked: ShardView) -> Result<ViewId, LeafFault> {
        let newest = self.views.lock().get(&asked.shard).copied().unwrap_or(1);
        match asked.view {
            Some(view) if view.0 != newest && !*self.is_keeping_views.lock() => {
                Err(LeafFault::ViewMissing {
                    shard: asked.shard,
                    view: view.0,
                })
            }
            Some(view) => Ok(view),
            None => Ok(ViewId(newest)),
        }
    }

    fn answer(&self, asked: ShardView, top: usize) -> Result<ShardHits, LeafFault> {
        if let Some(fault) = self.faults.lock().get(&asked.shard) {
            return Err(fault.clone());
        }
        let view = self.view(asked)?;
        let all = self
            .hits
            .lock()
            .get(&asked.shard)
            .cloned()
            .unwrap_or_default();
        let hit = |(place, (score, hash)): (usize, &FakeHit)| ShardHit {
            score: Some(*score),
            keys: Vec::new(),
            tie: TieBreak {
                hash: *hash,
                id: None,
            },
            seq_no: SeqNo(place as u64),
            place: *hash,
        };
        Ok(ShardHits {
            generation: Generation::default(),
            view,
            num_documents: 100,
            total: all.len() as u64,
            hits: all.iter().enumerate().map(hit).take(top).collect(),
            max_score: all.first().map(|(score, _)| *score),
            aggregations: None,
            timed_out: false,
            terminated_early: false,
            times: None,
        })
    }

    async fn hang(&self, shards: &[ShardView]) {
        let is_hanging = shards
            .iter()
            .any(|asked| self.hanging.lock().contains(&asked.shard));
        if is_hanging {
            futures::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl LeafClient for FakeLeaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        self.num_statistics.fetch_add(1, Ordering::Relaxed);
        let mut statistics = Statistics::default();
        for (field, terms) in &call.request.fields {
            let numbers = FieldStatistics {
                documents: 100,
                total_length: 1_000,
            };
            statistics.fields.insert(field.clone(), numbers);
            let counts = terms.iter().map(|term| (term.clone(), 7)).collect();
            statistics.terms.insert(field.clone(), counts);
        }
        let answer = |asked: &ShardView| {
            Ok(StatisticsAnswer {
                view: self.view(*asked)?,
                generation: Generation::default(),
                statistics: statistics.clone(),
            })
        };
        call.shards.iter().map(answer).collect()
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        let answer = |asked: &ShardView| {
            Ok(ExpandAnswer {
                view: self.view(*asked)?,
                generation: Generation::default(),
                candidates: call.requests.iter().map(|_| Vec::new()).collect(),
            })
        };
        call.shards.iter().map(answer).collect()
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        self.num_searches.fetch_add(1, Ordering::Relaxed);
        self.hang(&call.shards).await;
        if let Some(first) = call.shards.first() {
            self.asked.lock().insert(first.shard.index, call.clone());
        }
        let at_most = self.answers_at_most.lock().unwrap_or(usize::MAX);
        let shards = call.shards.iter().take(at_most);
        shards
            .map(|asked| self.answer(*asked, call.query.top))
            .collect()
    }

    async fn fetch(&self, call: FetchCall) -> Result<Vec<FetchedHit>, LeafFault> {
        let hit = |place: &u64| FetchedHit {
            id: gleaner_model::DocumentId::parse(&place.to_string()).expect("a good id"),
            routing: None,
            seq_no: SeqNo(0),
            term: PrimaryTerm(1),
            version: Version(1),
            source: bytes::Bytes::from_static(b"{}"),
            fields: Default::default(),
            highlight: Default::default(),
            explanation: None,
        };
        Ok(call.places.iter().map(hit).collect())
    }

    async fn explain(&self, _call: ExplainCall) -> Result<Option<ExplainAnswer>, LeafFault> {
        Ok(None)
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        let holder = call.holder;
        let pinned = |shard: &ShardKey| {
            let view = self.view(ShardView {
                shard: *shard,
                view: None,
                at_least: None,
            })?;
            Ok(PinnedView {
                shard: *shard,
                view,
                holder,
            })
        };
        call.shards.iter().map(pinned).collect()
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        _keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        views.iter().map(|_| Ok(())).collect()
    }

    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        views.len()
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        let shard = call.shard;
        let num_items = call.items.len() as u64;
        self.written.lock().push(call);
        if let Some(fault) = self.faults.lock().get(&shard) {
            return Err(fault.clone());
        }
        let outcome = |seq_no| {
            Ok(WriteOutcome {
                result: WriteResult::Created,
                version: Version(1),
                seq_no: SeqNo(seq_no),
                term: PrimaryTerm(1),
                source: None,
            })
        };
        Ok(WriteAnswer {
            items: (0..num_items).map(outcome).collect(),
            duplicate: false,
        })
    }

    async fn get(&self, call: GetCall) -> Result<Vec<Option<Document>>, LeafFault> {
        Ok(call.ids.iter().map(|_| None).collect())
    }

    async fn refresh(&self, _shard: ShardKey) -> Result<Generation, LeafFault> {
        Ok(Generation::default())
    }

    async fn wait_for_refresh(
        &self,
        _shard: ShardKey,
        _seq_no: SeqNo,
        _deadline: Duration,
    ) -> Result<Generation, LeafFault> {
        Ok(Generation::default())
    }

    async fn flush(&self, _shard: ShardKey) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn force_merge(&self, _shard: ShardKey, _max_segments: usize) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn shard_states(&self) -> Vec<ShardState> {
        Vec::new()
    }
}

/// A root over one fake leaf that holds every shard.
pub(crate) struct Fixture {
    pub(crate) leaf: Arc<FakeLeaf>,
    pub(crate) root: Root,
}

impl Fixture {
    /// Returns a root that knows `indices`.
    pub(crate) fn new(indices: impl IntoIterator<Item = IndexMeta>) -> Self {
        let leaf = Arc::new(FakeLeaf::default());
        let located = Located {
            node: NodeId("fake".into()),
            client: Arc::clone(&leaf) as _,
        };
        let coordinator = Arc::new(Embedded::in_memory(state(indices)));
        let leaves = Arc::new(SingleLeaf(located));
        let root = Root::new(coordinator, leaves, RootOptions::default(), || NOW_MS);
        Self { leaf, root }
    }
}

/// Returns the limits in force.
pub(crate) fn limits() -> Limits {
    Limits::default()
}
