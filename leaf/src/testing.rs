//! What this room's unit tests share: an index's meta, an engine, a leaf on a log in memory.

pub(crate) mod holder;
pub(crate) mod killed;
pub(crate) mod store;

use std::collections::{BTreeSet, VecDeque};
use std::future::ready;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded, update};
use gleaner_engine::copy::{ShardIndex, ShardMeta, ShardOptions};
use gleaner_log::{
    Agreement, Append, Appended, BatchPage, LogBase, LogError, LogStart, MemoryLog,
    ProducerSequence, ReadBatch, Record, RecordBatch, ShardLog, TermTable, Ticket,
};
use gleaner_model::{
    ChosenTemplates, ClusterState, DocumentId, IndexMeta, IndexName, IndexSettings, IndexUuid,
    Mapping, PrimaryTerm, SeqNo, ShardKey, ShardNumber,
};
use gleaner_proto::read::{Document, GetCall};
use gleaner_proto::search::{SearchCall, ShardView};
use gleaner_proto::write::{Condition, WriteAction, WriteAnswer, WriteCall, WriteItem};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::resolved::{Clause, ShardQuery, Statistics};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::copy::shard::Shard;
use crate::write::Primary;
use crate::{Leaf, LeafOptions};

/// Returns an index of one shard that is refreshed on demand only, told apart by `n`.
pub(crate) fn index(n: u8) -> IndexMeta {
    let settings = IndexSettings {
        number_of_shards: 1,
        refresh_interval_ms: None,
        ..IndexSettings::default()
    };
    IndexMeta {
        settings,
        primary_terms: vec![PrimaryTerm::default()],
        ..IndexMeta::new(
            IndexUuid([n; 16]),
            IndexName::parse(&format!("index-{n}")).expect("a good name"),
        )
    }
}

/// Returns the only shard of index `n`.
pub(crate) fn key(n: u8) -> ShardKey {
    ShardKey {
        index: IndexUuid([n; 16]),
        shard: ShardNumber(0),
    }
}

/// Returns an empty engine whose folder goes at once: good for views, not for writes.
pub(crate) fn engine(n: u8) -> ShardIndex {
    let folder = tempfile::tempdir().expect("a folder");
    let meta = ShardMeta {
        key: key(n),
        name: index(n).name,
        mapping: Arc::new(Mapping::default()),
        analyzers: Arc::new(AnalyzerRegistry::builtin()),
    };
    let opened = ShardIndex::open(folder.path(), meta, ShardOptions::default());
    opened.expect("an empty engine").0
}

/// A log in memory whose appends can be held, refused, and whose shards can be damaged.
#[derive(Default)]
pub(crate) struct FaultyLog {
    inner: Arc<MemoryLog>,
    fates: Mutex<VecDeque<oneshot::Receiver<bool>>>,
    damaged: Mutex<BTreeSet<ShardKey>>,
    num_appends: AtomicUsize,
}

impl FaultyLog {
    /// Holds the next append without a fate until the returned sender says whether the disk has
    /// room for it.
    pub(crate) fn hold_next(&self) -> oneshot::Sender<bool> {
        let (sender, receiver) = oneshot::channel();
        self.fates.lock().push_back(receiver);
        sender
    }

    /// Refuses the next append without a fate.
    pub(crate) fn refuse_next(&self) {
        self.hold_next().send(false).expect("the receiver is kept");
    }

    /// Returns how often something was to be appended.
    pub(crate) fn num_appends(&self) -> usize {
        self.num_appends.load(Ordering::Relaxed)
    }

    /// Makes every call for `shard` find it damaged.
    pub(crate) fn damage(&self, shard: ShardKey) {
        self.damaged.lock().insert(shard);
    }

    fn check(&self, shard: ShardKey) -> Result<(), LogError> {
        if !self.damaged.lock().contains(&shard) {
            return Ok(());
        }
        Err(LogError::Corrupt {
            shard,
            segment: PathBuf::from("segment"),
            offset: 0,
            reason: "made so by a test".to_owned(),
        })
    }
}

#[async_trait]
impl ShardLog for FaultyLog {
    fn queue(&self, append: Append) -> Result<Ticket, LogError> {
        self.num_appends.fetch_add(1, Ordering::Relaxed);
        let fate = self.fates.lock().pop_front();
        let shard = append.shard;
        if let Err(error) = self.check(shard) {
            return Ok(Ticket::new(ready(Err(error))));
        }
        let Some(fate) = fate else {
            return self.inner.queue(append);
        };
        let inner = Arc::clone(&self.inner);
        Ok(Ticket::new(async move {
            if !fate.await.unwrap_or(true) {
                return Err(LogError::DiskFull { shard });
            }
            inner.append(append).await
        }))
    }

    fn put_aside(&self, shard: ShardKey) -> Option<PathBuf> {
        self.inner.put_aside(shard)
    }

    fn queue_copy(
        &self,
        shard: ShardKey,
        batch: RecordBatch,
        under: PrimaryTerm,
    ) -> Result<Ticket, LogError> {
        self.inner.queue_copy(shard, batch, under)
    }

    async fn read(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<ReadBatch, LogError> {
        self.check(shard)?;
        self.inner.read(shard, from, max_bytes).await
    }

    async fn read_batches(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<BatchPage, LogError> {
        self.check(shard)?;
        self.inner.read_batches(shard, from, max_bytes).await
    }

    async fn read_one(&self, shard: ShardKey, seq_no: SeqNo) -> Result<Option<Record>, LogError> {
        self.inner.read_one(shard, seq_no).await
    }

    async fn tail(&self, shard: ShardKey) -> Result<Option<SeqNo>, LogError> {
        self.check(shard)?;
        self.inner.tail(shard).await
    }

    async fn fence(&self, shard: ShardKey, term: PrimaryTerm) -> Result<Option<SeqNo>, LogError> {
        self.inner.fence(shard, term).await
    }

    async fn trim(&self, shard: ShardKey, below: SeqNo) -> Result<SeqNo, LogError> {
        self.inner.trim(shard, below).await
    }

    async fn truncate(&self, shard: ShardKey, from: SeqNo) -> Result<SeqNo, LogError> {
        self.inner.truncate(shard, from).await
    }

    async fn remove(&self, shard: ShardKey) -> Result<(), LogError> {
        self.inner.remove(shard).await
    }

    async fn begin_at(&self, shard: ShardKey, begin: LogStart) -> Result<(), LogError> {
        self.inner.begin_at(shard, begin).await
    }

    async fn produced(
        &self,
        shard: ShardKey,
        producer: ProducerSequence,
    ) -> Result<Option<Appended>, LogError> {
        self.inner.produced(shard, producer).await
    }

    fn note_agreement(&self, shard: ShardKey, agreement: Agreement) {
        self.inner.note_agreement(shard, agreement);
    }

    fn agreement(&self, shard: ShardKey) -> Result<Agreement, LogError> {
        self.inner.agreement(shard)
    }

    async fn base_at(&self, shard: ShardKey, at: SeqNo) -> Result<Option<LogBase>, LogError> {
        self.inner.base_at(shard, at).await
    }

    async fn terms(&self, shard: ShardKey) -> Result<TermTable, LogError> {
        self.inner.terms(shard).await
    }

    async fn chain(&self, shard: ShardKey, at: SeqNo) -> Result<Option<u64>, LogError> {
        self.inner.chain(shard, at).await
    }
}

/// A leaf that holds index 1, its folder and its log.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) coordinator: Arc<Embedded>,
    pub(crate) log: Arc<FaultyLog>,
    options: LeafOptions,
    pub(crate) leaf: Arc<Leaf>,
}

impl Fixture {
    /// Starts a leaf on a log in memory.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts a leaf with changed options.
    pub(crate) fn with(change: impl FnOnce(&mut LeafOptions)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = LeafOptions::new(folder.path().to_owned(), || 0);
        change(&mut options);
        let coordinator = Arc::new(Embedded::in_memory(ClusterState::default()));
        let log = Arc::new(FaultyLog::default());
        let leaf = Leaf::start(
            options.clone(),
            Arc::clone(&coordinator) as _,
            Arc::clone(&log) as _,
        );
        Self {
            folder,
            coordinator,
            log,
            options,
            leaf: leaf.expect("threads"),
        }
    }

    /// Changes the cluster state.
    pub(crate) async fn change(&self, change: impl Fn(&mut ClusterState)) {
        let changed = update::<CoordinatorError, _>(&*self.coordinator, |state| {
            let mut next = state.clone();
            change(&mut next);
            Ok(Some(next))
        });
        changed.await.expect("memory takes it");
    }

    /// Makes index `n`.
    pub(crate) async fn create(&self, n: u8) {
        self.change(|state| {
            let index = index(n);
            state.indices.insert(index.uuid, Arc::new(index));
        })
        .await;
    }

    /// Returns the shard of index 1, which is made when it is not there.
    pub(crate) async fn shard(&self) -> Arc<Shard> {
        if !self.coordinator.state().indices.contains_key(&key(1).index) {
            self.create(1).await;
        }
        self.leaf.shard(key(1), PATIENCE).await.expect("opens")
    }

    /// Returns the primary of index 1, which is made when it is not there.
    pub(crate) async fn primary(&self) -> Arc<Primary> {
        self.shard().await;
        let primary = self.leaf.copies.primary(key(1), PATIENCE).await;
        primary.expect("it is the only copy")
    }

    /// Writes to index 1; returns once what was written is applied.
    pub(crate) async fn write(&self, items: Vec<WriteItem>) -> Result<WriteAnswer, LeafFault> {
        let shard = self.shard().await;
        let answer = self.leaf.write(call(items)).await?;
        shard.pipeline.wait_idle().await;
        Ok(answer)
    }

    /// Returns a document of index 1, written but perhaps not visible.
    pub(crate) async fn get(&self, id_text: &str) -> Option<Document> {
        let get = GetCall {
            shard: key(1),
            ids: vec![id(id_text)],
            realtime: true,
            remaining: PATIENCE,
        };
        self.leaf.get(get).await.expect("reads").found.remove(0)
    }

    /// Has the shard be due for a refresh every few milliseconds.
    pub(crate) async fn refresh_often(&self, change: impl Fn(&mut IndexSettings)) {
        self.shard().await;
        self.change(|state| {
            let index = state.indices.get_mut(&key(1).index).expect("made");
            let settings = &mut Arc::make_mut(index).settings;
            settings.refresh_interval_ms = Some(10);
            settings.search_idle_after_ms = 0;
            change(settings);
        })
        .await;
    }

    /// Writes a document to a shard that rests: one of whose refreshes was left out.
    pub(crate) async fn resting(self) -> Self {
        self.refresh_often(|_| {}).await;
        let shard = self.shard().await;
        soon(async {
            while !shard.refreshes.read() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        self.write(vec![put("a", "{}")]).await.expect("written");
        self
    }

    /// Returns how many documents a search finds.
    pub(crate) async fn num_found(&self) -> u64 {
        let newest = ShardView {
            shard: key(1),
            view: None,
            at_least: None,
        };
        let call = search(Clause::MatchAll, Statistics::default(), newest);
        let answer = soon(self.leaf.search(call)).await.remove(0);
        answer.expect("it can be searched").total
    }

    /// Stops as a crash would and starts again on the same log and folder.
    pub(crate) async fn crash(self) -> Self {
        self.leaf.abandon().await;
        self.start_again()
    }

    /// Starts again after the leaf has stopped.
    pub(crate) fn start_again(self) -> Self {
        let Self {
            folder,
            coordinator,
            log,
            options,
            leaf,
        } = self;
        drop(leaf);
        let leaf = Leaf::start(
            options.clone(),
            Arc::clone(&coordinator) as _,
            Arc::clone(&log) as _,
        );
        Self {
            folder,
            coordinator,
            log,
            options,
            leaf: leaf.expect("threads"),
        }
    }
}

impl Leaf {
    /// Returns what a copy has that is open, or will be within `patience`.
    pub(crate) async fn shard(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<Arc<Shard>, LeafFault> {
        let copy = self.copies.copy(key, patience).await?;
        Ok(Arc::clone(copy.shard()))
    }
}

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns an id.
pub(crate) fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).expect("a good id")
}

/// Returns a write without conditions.
pub(crate) fn item(id_text: &str, action: WriteAction) -> WriteItem {
    WriteItem {
        id: id(id_text),
        routing: None,
        action,
        condition: Condition::None,
        templates: ChosenTemplates::default(),
    }
}

/// Returns a write of a whole document.
pub(crate) fn put(id_text: &str, source: &'static str) -> WriteItem {
    let source = bytes::Bytes::from_static(source.as_bytes());
    let create = false;
    item(id_text, WriteAction::Index { source, create })
}

/// Returns a source with `n` of 1 that takes 20 MiB: spaces are written as they came, and read at once.
pub(crate) fn large_source() -> &'static str {
    let spaces = " ".repeat(20 << 20);
    format!(r#"{{"n":1,"x":[{spaces}1]}}"#).leak()
}

/// Returns what `what` comes to; fails when that takes long.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, what).await;
    outcome.expect("nobody waits for ever")
}

/// Returns a call that writes `items` to index 1.
pub(crate) fn call(items: Vec<WriteItem>) -> WriteCall {
    WriteCall {
        shard: key(1),
        term: PrimaryTerm(1),
        items,
        idempotency: None,
        remaining: PATIENCE,
        asks_fields: false,
        refused: Vec::new(),
    }
}

/// Returns a call that searches for the best hits.
pub(crate) fn search(query: Clause, statistics: Statistics, shard: ShardView) -> SearchCall {
    let query = ShardQuery {
        track_scores: true,
        ..ShardQuery::best(query, Arc::new(statistics), 25)
    };
    SearchCall {
        shards: vec![shard],
        query: Arc::new(query),
        remaining: PATIENCE,
    }
}
