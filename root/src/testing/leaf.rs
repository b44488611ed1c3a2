//! A leaf that answers as told.

mod pace;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{Generation, IndexUuid, MappingVersion, PrimaryTerm, SeqNo, ShardKey, Version};
use gleaner_proto::node::NodeFault;
use gleaner_proto::postings::{LocateAnswer, LocateCall, LocateIn, LocateSet, LocatedDocument};
use gleaner_proto::read::{
    Documents, GenerationsCall, GetCall, ShardState, ShownGeneration, WaitForRefreshCall,
};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, FetchFrom, FetchHits,
    OpenViewsCall, PinnedView, SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall, WriteOutcome, WriteResult};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{FetchedHit, FetchedHits, ShardHit, ShardHits, ViewId};
use gleaner_query::resolved::{
    ExpansionCandidate, FieldStatistics, Statistics, TieBreak, Unmatched,
};
use parking_lot::Mutex;

/// A hit of a fake leaf: score and tie-break.
pub(crate) type FakeHit = (f32, u64);

/// What draws times, if anything.
#[derive(Default)]
pub(crate) struct Draw(pub(crate) Option<Box<dyn FnMut() -> Duration + Send>>);

/// A leaf that holds whatever it is told, each shard at view 1 at first.
#[derive(Default)]
pub(crate) struct FakeLeaf {
    /// Hits by shard, best first.
    pub(crate) hits: Mutex<BTreeMap<ShardKey, Vec<FakeHit>>>,
    /// Shards whose searches fail, and how.
    pub(crate) faults: Mutex<BTreeMap<ShardKey, LeafFault>>,
    /// Shards that are behind when others are asked for with them.
    pub(crate) behind: Mutex<BTreeSet<ShardKey>>,
    /// Shards that are never done when they are asked for alone.
    pub(crate) hanging_alone: Mutex<BTreeSet<ShardKey>>,
    /// Shards that are never done.
    pub(crate) hanging: Mutex<BTreeSet<ShardKey>>,
    /// What shards say when they are searched: why nothing matches.
    pub(crate) unmatched: Mutex<BTreeMap<ShardKey, Unmatched>>,
    /// Shards that hold no document.
    pub(crate) empty: Mutex<BTreeSet<ShardKey>>,
    /// Shards that hold no term.
    pub(crate) termless: Mutex<BTreeSet<ShardKey>>,
    /// Shards whose copies here are without their primaries.
    pub(crate) stale: Mutex<BTreeSet<ShardKey>>,
    /// How many mappings it has heard of since the first.
    pub(crate) num_mappings: AtomicU64,
    /// Shards of the last searches, each as often as it was asked.
    pub(crate) searched: Mutex<Vec<ShardKey>>,
    /// Newest view by shard.
    pub(crate) views: Mutex<BTreeMap<ShardKey, u64>>,
    /// Views that are kept although they are not the newest.
    pub(crate) is_keeping_views: Mutex<bool>,
    /// Shards that a search answers for although more were asked.
    pub(crate) answers_at_most: Mutex<Option<usize>>,
    /// What every pattern stands for.
    pub(crate) candidates: Mutex<Vec<ExpansionCandidate>>,
    pub(crate) num_expands: AtomicUsize,
    pub(crate) num_statistics: AtomicUsize,
    pub(crate) num_searches: AtomicUsize,
    /// Queries asked last, by index.
    pub(crate) asked: Mutex<BTreeMap<IndexUuid, SearchCall>>,
    /// Write calls in the order they came.
    pub(crate) written: Mutex<Vec<WriteCall>>,
    /// Time that each call of the search path takes.
    pub(crate) delay: Mutex<Duration>,
    /// Draws the time of the next call, instead.
    pub(crate) draw: Mutex<Draw>,
    /// Time that opening views takes.
    pub(crate) open_delay: Mutex<Duration>,
    /// Time that each fetch takes beyond that.
    pub(crate) fetch_delay: Mutex<Duration>,
    /// Partial aggregations of the next answers to searches, in turn.
    pub(crate) partials: Mutex<VecDeque<Bytes>>,
    /// Whether nobody is there.
    pub(crate) is_gone: Mutex<bool>,
    /// Shards whose fetches fail, and how.
    pub(crate) fetch_faults: Mutex<BTreeMap<ShardKey, LeafFault>>,
    /// Shards whose flushes fail, and how.
    pub(crate) flush_faults: Mutex<BTreeMap<ShardKey, LeafFault>>,
    /// Shards whose hits fit into one answer to a fetch; 0 is any number.
    pub(crate) most_fetched: AtomicUsize,
    /// Calls of the search path that came, and those that were dropped before they were answered.
    pub(crate) num_calls: AtomicUsize,
    pub(crate) num_dropped: AtomicUsize,
    pub(crate) num_fetches: AtomicUsize,
    /// Calls that asked what is shown.
    pub(crate) num_asked: AtomicUsize,
    /// Shards that rest.
    pub(crate) resting: Mutex<BTreeSet<ShardKey>>,
    /// Shards whose hits were fetched by number.
    pub(crate) num_looked_up: AtomicUsize,
    /// Views asked of `renew_views` and `release_views`.
    pub(crate) renewed: Mutex<Vec<PinnedView>>,
    pub(crate) released: Mutex<Vec<PinnedView>>,
    /// Added to the views: those of two copies are not the same at the same generation.
    pub(crate) view_offset: u64,
    /// Changes each answer to a search.
    pub(crate) edit: Mutex<Option<Edit>>,
    /// Operations waited for by `wait_for_refresh`.
    pub(crate) awaited: Mutex<Vec<SeqNo>>,
    /// What it tells of its copies, and how often it was asked.
    pub(crate) states: Mutex<Vec<ShardState>>,
    pub(crate) num_states: AtomicUsize,
}

/// What changes the answer to a search.
pub(crate) type Edit = fn(&SearchCall, &mut ShardHits);

impl FakeLeaf {
    fn generation(&self, view: ViewId) -> Generation {
        Generation {
            mapping: MappingVersion(1 + self.num_mappings.load(Ordering::Relaxed)),
            visible: SeqNo(view.0 - self.view_offset),
            history: gleaner_model::HistoryId::FIRST,
        }
    }

    fn view(&self, asked: ShardView) -> Result<ViewId, LeafFault> {
        let newest = self.views.lock().get(&asked.shard).copied().unwrap_or(1) + self.view_offset;
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
        let all = self.hits.lock().get(&asked.shard).cloned();
        let all = all.unwrap_or_default();
        let unmatched = self.unmatched.lock().get(&asked.shard).cloned();
        let hit = |(score, hash): &FakeHit| ShardHit {
            group: None,
            score: Some(*score),
            keys: Vec::new(),
            tie: TieBreak {
                hash: *hash,
                id: None,
            },
            seq_no: SeqNo(*hash),
            place: *hash,
        };
        Ok(ShardHits {
            generation: self.generation(view),
            view,
            num_documents: 100 * u64::from(!self.empty.lock().contains(&asked.shard)),
            total: all.len() as u64,
            hits: all.iter().map(hit).take(top).collect(),
            max_score: all.first().map(|(score, _)| *score),
            aggregations: self.partials.lock().pop_front(),
            timed_out: false,
            terminated_early: false,
            times: None,
            unmatched: unmatched.map(Box::new),
            may_be_stale: self.stale.lock().contains(&asked.shard),
        })
    }

    fn shows(&self, shard: ShardKey) -> Result<(), LeafFault> {
        if !self.behind.lock().contains(&shard) {
            return Ok(());
        }
        Err(LeafFault::Behind {
            shard,
            wanted: SeqNo(2),
            visible: SeqNo(1),
        })
    }
}

#[async_trait]
impl LeafClient for FakeLeaf {
    fn shown_now(&self, shard: ShardKey) -> Option<Generation> {
        let newest = self.views.lock().get(&shard).copied().unwrap_or(1);
        Some(self.generation(ViewId(newest + self.view_offset)))
    }

    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        self.num_statistics.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = self.take_time(&call.shards).await {
            return call.shards.iter().map(|_| Err(fault.clone())).collect();
        }
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
            let view = self.view(*asked)?;
            let mut statistics = statistics.clone();
            if self.termless.lock().contains(&asked.shard) {
                let counts = statistics.terms.values_mut().flat_map(BTreeMap::values_mut);
                counts.for_each(|documents| *documents = 0);
            }
            Ok(StatisticsAnswer {
                view,
                generation: self.generation(view),
                statistics,
                num_documents: Some(100),
                may_be_stale: self.stale.lock().contains(&asked.shard),
            })
        };
        call.shards.iter().map(answer).collect()
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        self.num_expands.fetch_add(1, Ordering::Relaxed);
        let candidates = self.candidates.lock().clone();
        let answer = |asked: &ShardView| {
            let view = self.view(*asked)?;
            Ok(ExpandAnswer {
                view,
                generation: self.generation(view),
                candidates: call.requests.iter().map(|_| candidates.clone()).collect(),
                may_be_stale: self.stale.lock().contains(&asked.shard),
            })
        };
        call.shards.iter().map(answer).collect()
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        self.num_searches.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = self.take_time(&call.shards).await {
            return call.shards.iter().map(|_| Err(fault.clone())).collect();
        }
        let shards = call.shards.iter().map(|asked| asked.shard);
        self.searched.lock().extend(shards);
        if let Some(first) = call.shards.first() {
            self.asked.lock().insert(first.shard.index, call.clone());
        }
        let at_most = self.answers_at_most.lock().unwrap_or(usize::MAX);
        let shards = call.shards.iter().take(at_most);
        let has_company = call.shards.len() > 1;
        let answer = |asked: &ShardView| -> Result<ShardHits, LeafFault> {
            if has_company {
                self.shows(asked.shard)?;
            }
            let mut hits = self.answer(*asked, call.query.top)?;
            if let Some(edit) = *self.edit.lock() {
                edit(&call, &mut hits);
            }
            Ok(hits)
        };
        shards.map(answer).collect()
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        let answer = |asked: &LocateIn| {
            let view = self.view(asked.shard)?;
            let all = self.hits.lock().get(&asked.shard.shard).cloned();
            let all = all.unwrap_or_default();
            let of_set = |set: &LocateSet| {
                let found = all.iter().filter(|(_, hash)| set.documents.contains(*hash));
                let located = found.map(|(_, hash)| LocatedDocument {
                    seq_no: SeqNo(*hash),
                    place: *hash,
                    tie: TieBreak {
                        hash: *hash,
                        id: None,
                    },
                });
                located.collect()
            };
            Ok(LocateAnswer {
                view,
                generation: self.generation(view),
                num_documents: 100,
                sets: asked.sets.iter().map(of_set).collect(),
                times: None,
                may_be_stale: self.stale.lock().contains(&asked.shard.shard),
            })
        };
        call.shards.iter().map(answer).collect()
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        self.num_fetches.fetch_add(1, Ordering::Relaxed);
        let all: Vec<ShardView> = call.shards.iter().map(|from| from.shard).collect();
        if let Err(fault) = self.take_time(&all).await {
            return all.iter().map(|_| Err(fault.clone())).collect();
        }
        let delay = *self.fetch_delay.lock();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let most = self.most_fetched.load(Ordering::Relaxed);
        if most > 0 && call.shards.len() > most {
            let reason = "too many hits".to_owned();
            let fault = LeafFault::TooLarge { reason };
            return all.iter().map(|_| Err(fault.clone())).collect();
        }
        let hit = |place: &u64| FetchedHit {
            ignored: Vec::new(),
            ignored_values: Default::default(),
            matched_queries: Vec::new(),
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
        let of_shard = |from: &FetchFrom| {
            if let Some(fault) = self.fetch_faults.lock().get(&from.shard.shard) {
                return Err(fault.clone());
            }
            let (shard, ViewId(view)) = (from.shard.shard, self.view(from.shard)?);
            // A document's place is its number here.
            let hits = match &from.hits {
                FetchHits::Places(places) => places,
                FetchHits::Numbers(numbers) => {
                    self.num_looked_up.fetch_add(1, Ordering::Relaxed);
                    let all = self.hits.lock().get(&shard).cloned().unwrap_or_default();
                    let is_there = |number| all.iter().any(|(_, hash)| hash == number);
                    if !numbers.iter().all(is_there) {
                        return Err(LeafFault::ViewMissing { shard, view });
                    }
                    numbers
                }
            };
            Ok(hits.iter().map(hit).collect::<Vec<_>>().into())
        };
        call.shards.iter().map(of_shard).collect()
    }

    async fn explain(&self, call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        Ok(ExplainAnswer {
            found: None,
            may_be_stale: self.stale.lock().contains(&call.shard.shard),
        })
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        let holder = call.holder;
        let newest = |shard: &ShardKey| ShardView {
            shard: *shard,
            view: None,
            at_least: None,
        };
        let asked: Vec<ShardView> = call.shards.iter().map(newest).collect();
        self.hang(&asked).await;
        let delay = *self.open_delay.lock();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let pinned = |asked: ShardView| {
            let (shard, view) = (asked.shard, self.view(asked)?);
            Ok(PinnedView {
                shard,
                view,
                holder,
                may_be_stale: self.stale.lock().contains(&shard),
            })
        };
        asked.into_iter().map(pinned).collect()
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        _keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        self.renewed.lock().extend(&views);
        views.iter().map(|_| Ok(())).collect()
    }

    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        self.released.lock().extend(&views);
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

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        let asked = ShardView {
            shard: call.shard,
            view: None,
            at_least: None,
        };
        self.take_time(&[asked]).await?;
        if let Some(fault) = self.faults.lock().get(&call.shard) {
            return Err(fault.clone());
        }
        Ok(Documents {
            found: vec![None; call.ids.len()],
            may_be_stale: self.stale.lock().contains(&call.shard),
        })
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        Ok(self.generation(self.view(newest(shard))?))
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        self.awaited.lock().push(call.seq_no);
        if let Some(fault) = self.faults.lock().get(&call.shard) {
            return Err(fault.clone());
        }
        self.refresh(call.shard).await
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        let fault = self.flush_faults.lock().get(&shard).cloned();
        fault.map_or(Ok(()), Err)
    }

    async fn force_merge(&self, shard: ShardKey, _max_segments: usize) -> Result<(), LeafFault> {
        self.hang(&[newest(shard)]).await;
        Ok(())
    }

    async fn generations(&self, call: GenerationsCall) -> Vec<Result<ShownGeneration, LeafFault>> {
        self.num_asked.fetch_add(1, Ordering::Relaxed);
        let views: Vec<ShardView> = call.shards.iter().map(|shard| newest(*shard)).collect();
        if let Err(fault) = self.take_time(&views).await {
            return call.shards.iter().map(|_| Err(fault.clone())).collect();
        }
        let shown = |shard: &ShardKey| {
            if let Some(fault) = self.faults.lock().get(shard) {
                return Err(fault.clone());
            }
            Ok(ShownGeneration {
                generation: self.generation(self.view(newest(*shard))?),
                is_resting: self.resting.lock().contains(shard),
            })
        };
        call.shards.iter().map(shown).collect()
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        self.num_states.fetch_add(1, Ordering::Relaxed);
        match *self.is_gone.lock() {
            true => Err(NodeFault::Unreachable {
                reason: "nobody is there".to_owned(),
            }),
            false => Ok(self.states.lock().clone()),
        }
    }
}

fn newest(shard: ShardKey) -> ShardView {
    ShardView {
        shard,
        view: None,
        at_least: None,
    }
}
