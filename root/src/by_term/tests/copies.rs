//! Copies of shards on the engine, held by two leaves.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_coordinator::Embedded;
use gleaner_engine::directory::Reading;
use gleaner_engine::fetch::{FetchSpec, fetch};
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_engine::postings::{DocumentPlace as Place, PageOf, locate, page, places_of};
use gleaner_engine::search::{SearchEnv, Target, search};
use gleaner_engine::statistics::statistics;
use gleaner_engine::writer::MergeOptions;
use gleaner_engine::{EngineError, ShardIndex, ShardMeta, ShardOptions, View};
use gleaner_log::files::SimulatedFiles;
use gleaner_model::{
    DocumentId, Generation, IndexMeta, NodeId, Operation, OperationKind, PrimaryTerm, SeqNo,
    ShardKey, Version,
};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_proto::node::NodeFault;
use gleaner_proto::postings::{
    LocateAnswer, LocateCall, LocatedDocument, PostingsAnswer, PostingsCall,
};
use gleaner_proto::read::{Documents, GetCall, ShardState, WaitForRefreshCall};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, FetchFrom, FetchHits,
    OpenViewsCall, PinnedView, SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{FetchedHits, ShardHits, ViewId};
use gleaner_query::resolved::StatisticsRequest;
use parking_lot::Mutex;
use serde_json::Value;

use crate::leaves::{Copies, Leaves};
use crate::testing::{NOW_MS, state};
use crate::{LeafHandle, Root, RootOptions};

/// A copy of a shard, and the views of it that were given out.
struct Held {
    index: ShardIndex,
    views: Mutex<HashMap<ViewId, Arc<View>>>,
    next: Mutex<u64>,
}

/// A leaf that answers from its copies, but for what it is told.
#[derive(Default)]
pub(super) struct CopyLeaf {
    copies: BTreeMap<ShardKey, Held>,
    /// Terms whose lists fail, and how.
    pub(super) faults: Mutex<HashMap<String, LeafFault>>,
    /// Terms whose next list comes from this view, if that shows enough.
    pub(super) old_views: Mutex<HashMap<(ShardKey, String), Arc<View>>>,
    /// Whether a new operation becomes visible before each list that is asked of the newest view.
    pub(super) is_restless: AtomicBool,
    /// Whether its copies are without their primaries.
    pub(super) is_stale: AtomicBool,
    /// Documents of a page, if fewer than asked for.
    pub(super) page: Mutex<Option<usize>>,
    /// Terms whose lists were asked for, with the number of shards and whether a view was named.
    pub(super) asked: Mutex<Vec<(String, usize, bool)>>,
    pub(super) num_located: AtomicUsize,
}

impl CopyLeaf {
    fn held(&self, shard: ShardKey) -> Result<&Held, LeafFault> {
        self.copies.get(&shard).ok_or(LeafFault::NotHere { shard })
    }

    pub(super) fn newest(&self, shard: ShardKey) -> Arc<View> {
        self.copies[&shard].index.view()
    }

    fn view(&self, asked: ShardView) -> Result<Arc<View>, LeafFault> {
        let held = self.held(asked.shard)?;
        let shard = asked.shard;
        if let Some(id) = asked.view {
            let view = held.views.lock().get(&id).cloned();
            return view.ok_or(LeafFault::ViewMissing { shard, view: id.0 });
        }
        let view = held.index.view();
        let visible = view.generation().visible;
        match asked.at_least {
            Some(wanted) if visible < wanted => Err(LeafFault::Behind {
                shard,
                wanted,
                visible,
            }),
            _ => Ok(Self::keep(held, view)),
        }
    }

    fn keep(held: &Held, view: Arc<View>) -> Arc<View> {
        held.views.lock().insert(view.id(), Arc::clone(&view));
        view
    }

    fn apply(&self, shard: ShardKey, kind: OperationKind) {
        let held = &self.copies[&shard];
        let mut next = held.next.lock();
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: held.index.view().mapping().version,
            timestamp_ms: 0,
            kind,
        };
        held.index
            .apply(SeqNo(*next), &operation)
            .expect("in order");
        *next += 1;
    }

    /// Returns a document that holds none of the words of tests; the same on each copy.
    fn next_document(&self, shard: ShardKey) -> OperationKind {
        let next = *self.copies[&shard].next.lock();
        OperationKind::Index {
            id: DocumentId::parse(&format!("r{next}")).expect("a good id"),
            routing: None,
            version: Version(1),
            source: Bytes::from_static(br#"{"text": "restless"}"#),
        }
    }

    /// Shows what was applied, on this copy alone.
    pub(super) fn refresh_copy(&self, shard: ShardKey) {
        let held = &self.copies[&shard];
        let next = SeqNo(*held.next.lock());
        held.index.refresh(next).expect("all was applied");
    }

    pub(super) fn merge(&self, shard: ShardKey) {
        self.copies[&shard].index.force_merge(1).expect("it merges");
        self.refresh_copy(shard);
    }

    fn list_view(&self, asked: ShardView, term: &str) -> Result<Arc<View>, LeafFault> {
        if asked.view.is_some() {
            return self.view(asked);
        }
        if self.is_restless.load(Ordering::Relaxed) {
            self.apply(asked.shard, self.next_document(asked.shard));
            self.refresh_copy(asked.shard);
        }
        let held = self.held(asked.shard)?;
        let key = (asked.shard, term.to_owned());
        let mut old = self.old_views.lock();
        let is_enough = |view: &Arc<View>| {
            asked
                .at_least
                .is_none_or(|wanted| view.generation().visible >= wanted)
        };
        match old.remove(&key).filter(is_enough) {
            Some(view) => Ok(Self::keep(held, view)),
            None => self.view(asked),
        }
    }
}

fn fault(shard: ShardKey) -> impl Fn(EngineError) -> LeafFault {
    move |error| LeafFault::Internal {
        shard,
        reason: error.to_string(),
    }
}

#[async_trait]
impl LeafClient for CopyLeaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        let one = |asked: &ShardView| {
            let view = self.view(*asked)?;
            let counted = statistics(&view, &call.request, &Control::unlimited());
            Ok(StatisticsAnswer {
                view: view.id(),
                generation: view.generation(),
                statistics: counted.map_err(fault(asked.shard))?,
                num_documents: Some(view.num_documents()),
                may_be_stale: self.is_stale.load(Ordering::Relaxed),
            })
        };
        call.shards.iter().map(one).collect()
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        let what = "expansion".to_owned();
        let fault = LeafFault::Unsupported { what };
        call.shards.iter().map(|_| Err(fault.clone())).collect()
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        let views: Vec<_> = call.shards.iter().map(|asked| self.view(*asked)).collect();
        let readable = call.shards.iter().zip(&views);
        let readable = readable.filter_map(|(asked, view)| {
            let view = Arc::clone(view.as_ref().ok()?);
            Some(Target {
                key: asked.shard,
                view,
            })
        });
        let targets: Vec<Target> = readable.collect();
        let env = SearchEnv {
            control: &Arc::new(Control::unlimited()),
            filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
            memory: &MemoryAccount::root("test", 1 << 30),
            pool: None,
        };
        let mut answers = search(&targets, &call.query, &env).into_iter();
        let both = call.shards.iter().zip(views);
        both.map(|(asked, view)| {
            view?;
            let answer = answers.next().expect("one for each target");
            answer.map_err(fault(asked.shard))
        })
        .collect()
    }

    async fn postings(&self, call: PostingsCall) -> Vec<Result<PostingsAnswer, LeafFault>> {
        let is_named = call.shards.iter().any(|list| list.shard.view.is_some());
        let note = (call.term.clone(), call.shards.len(), is_named);
        self.asked.lock().push(note);
        if let Some(fault) = self.faults.lock().get(&call.term) {
            return call.shards.iter().map(|_| Err(fault.clone())).collect();
        }
        let limit = self.page.lock().unwrap_or(call.limit);
        let wanted = |after| PageOf {
            field: &call.field,
            term: &call.term,
            after,
            limit,
            is_weighted: call.is_weighted,
        };
        let fields = BTreeMap::from([(call.field.clone(), Default::default())]);
        let of_field = StatisticsRequest {
            fields,
            totals: false,
        };
        let (control, memory) = (Control::unlimited(), MemoryAccount::root("test", 1 << 30));
        let mut answers = Vec::new();
        for list in &call.shards {
            let shard = list.shard.shard;
            let view = self.list_view(list.shard, &call.term);
            answers.push(view.and_then(|view| {
                let found = page(&view, &wanted(list.after), &control, &memory);
                let found = found.map_err(fault(shard))?;
                let numbers = statistics(&view, &of_field, &control).map_err(fault(shard))?;
                Ok(PostingsAnswer {
                    view: view.id(),
                    generation: view.generation(),
                    num_documents: view.num_documents(),
                    field: numbers.fields[&call.field],
                    list: found.list,
                    is_last: found.is_last,
                    times: None,
                    may_be_stale: self.is_stale.load(Ordering::Relaxed),
                })
            }));
        }
        answers
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        self.num_located.fetch_add(1, Ordering::Relaxed);
        let mut answers = Vec::new();
        for asked in &call.shards {
            let key = asked.shard.shard;
            answers.push(self.view(asked.shard).and_then(|view| {
                let mut sets = Vec::new();
                for set in &asked.sets {
                    let places = locate(&view, &set.documents, set.top, &Control::unlimited());
                    let places = places.map_err(fault(key))?.into_iter();
                    let places = places.map(|Place { seq_no, place, tie }| LocatedDocument {
                        seq_no,
                        place,
                        tie,
                    });
                    sets.push(places.collect());
                }
                Ok(LocateAnswer {
                    view: view.id(),
                    generation: view.generation(),
                    num_documents: view.num_documents(),
                    sets,
                    times: None,
                    may_be_stale: self.is_stale.load(Ordering::Relaxed),
                })
            }));
        }
        answers
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        let spec = FetchSpec {
            explain: call.what.explain.as_deref(),
            ..FetchSpec::default()
        };
        let of_shard = |from: &FetchFrom| {
            let (view, key) = (self.view(from.shard)?, from.shard.shard);
            let control = Control::unlimited();
            let places = match &from.hits {
                FetchHits::Places(places) => places.clone(),
                FetchHits::Numbers(numbers) => {
                    let places = places_of(&view, numbers, &control).map_err(fault(key))?;
                    let view = view.id().0;
                    places.ok_or(LeafFault::ViewMissing { shard: key, view })?
                }
            };
            let hits = fetch(&view, &places, &spec, &control).map_err(fault(key))?;
            Ok(hits.into())
        };
        call.shards.iter().map(of_shard).collect()
    }

    async fn explain(&self, _call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        Ok(ExplainAnswer::default())
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        let pinned = |shard: &ShardKey| {
            let view = self.view(ShardView {
                shard: *shard,
                view: None,
                at_least: None,
            })?;
            Ok(PinnedView {
                shard: *shard,
                view: view.id(),
                holder: call.holder,
                may_be_stale: self.is_stale.load(Ordering::Relaxed),
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
        Err(LeafFault::NotHere { shard: call.shard })
    }

    async fn get(&self, _call: GetCall) -> Result<Documents, LeafFault> {
        Ok(Documents::default())
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        self.refresh_copy(shard);
        Ok(self.newest(shard).generation())
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        Ok(self.newest(call.shard).generation())
    }

    async fn flush(&self, _shard: ShardKey) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn force_merge(&self, shard: ShardKey, _max_segments: usize) -> Result<(), LeafFault> {
        self.merge(shard);
        Ok(())
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        Ok(Vec::new())
    }
}

/// Two leaves that each hold a copy of every shard, and a root over them.
pub(super) struct Pair {
    pub(super) leaves: [Arc<CopyLeaf>; 2],
    pub(super) root: Root,
    versions: HashMap<(ShardKey, String), u64>,
}

struct Everywhere(Copies);

impl Leaves for Everywhere {
    fn copies(&self, _shard: ShardKey) -> Copies {
        Arc::clone(&self.0)
    }

    fn all(&self) -> Vec<LeafHandle> {
        self.0.to_vec()
    }
}

fn open(meta: &IndexMeta, key: ShardKey) -> Held {
    let shard = ShardMeta {
        key,
        name: meta.name.clone(),
        mapping: Arc::clone(&meta.mapping),
        analyzers: Arc::new(AnalyzerRegistry::builtin()),
    };
    let options = ShardOptions {
        merges: MergeOptions {
            is_enabled: false,
            ..MergeOptions::default()
        },
        files: Arc::new(SimulatedFiles::new()),
        reading: Reading::Copied,
        ..ShardOptions::default()
    };
    let (index, _) = ShardIndex::open(Path::new("/shard"), shard, options).expect("it opens");
    Held {
        index,
        views: Mutex::default(),
        next: Mutex::new(0),
    }
}

impl Pair {
    pub(super) fn new(indices: Vec<IndexMeta>, options: RootOptions) -> Self {
        let leaf = || {
            let shards = indices.iter();
            let copies =
                shards.flat_map(|meta| meta.shards().map(move |key| (key, open(meta, key))));
            Arc::new(CopyLeaf {
                copies: copies.collect(),
                ..CopyLeaf::default()
            })
        };
        let leaves = [leaf(), leaf()];
        let located = leaves.iter().enumerate().map(|(n, leaf)| LeafHandle {
            node: NodeId(format!("leaf-{n}").into()),
            client: Arc::clone(leaf) as _,
        });
        let everywhere = Arc::new(Everywhere(located.collect()));
        let coordinator = Arc::new(Embedded::in_memory(state(indices)));
        Self {
            leaves,
            root: Root::new(coordinator, everywhere, options, || NOW_MS),
            versions: HashMap::new(),
        }
    }

    fn order(&self, shard: ShardKey, kind: &OperationKind) {
        for leaf in &self.leaves {
            leaf.apply(shard, kind.clone());
        }
    }

    fn version(&mut self, shard: ShardKey, id: &str) -> Version {
        let version = self.versions.entry((shard, id.to_owned())).or_default();
        *version += 1;
        Version(*version)
    }

    pub(super) fn put(&mut self, shard: ShardKey, id: &str, source: &Value) {
        let version = self.version(shard, id);
        let kind = OperationKind::Index {
            id: DocumentId::parse(id).expect("a good id"),
            routing: None,
            version,
            source: Bytes::from(source.to_string()),
        };
        self.order(shard, &kind);
    }

    pub(super) fn delete(&mut self, shard: ShardKey, id: &str) {
        let version = self.version(shard, id);
        let kind = OperationKind::Delete {
            id: DocumentId::parse(id).expect("a good id"),
            routing: None,
            version,
        };
        self.order(shard, &kind);
    }

    /// Shows everything on both copies.
    pub(super) fn refresh(&self, shards: impl IntoIterator<Item = ShardKey>) {
        for shard in shards {
            self.leaves.iter().for_each(|leaf| leaf.refresh_copy(shard));
        }
    }

    /// Returns how many requests for lists came, on both leaves.
    pub(super) fn num_asked(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.asked.lock().len()).sum()
    }
}
