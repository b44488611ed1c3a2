//! One process of a leaf: a runtime with a clock of its own, the log on the leaf's disk, and a copy that is opened, driven
//! and opened again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gleaner_log::files::{SimulatedFiles, Survival};
use gleaner_log::{CommitSteps, LocalLog, LogOptions, ShardLog};
use gleaner_model::{ClusterState, CopyId, Incarnation, NodeId, NodeUuid, ShardKey};
use gleaner_replication::Event;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::client::Call;
use super::engine::Commit;
use super::forgetting::{FolderAge, keep_marks, look};
use super::history::History;
use super::links::{LeafPeers, Links};
use super::model::ModelCopy;
use super::store::Store;
use crate::NodeIdentity;
use crate::agree::host::{CopyLoop, Standing};
use crate::agree::identity::HeldCopy;
use crate::agree::rules::Rule;
use crate::agree::{Agreeing, AgreeingOptions, CopyDriver};
use crate::replicate::followers::Followers;
use crate::replicate::halt::Halt;

/// How long until a copy that has halted is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Rounds of the log after which its journal is emptied.
const ROUNDS_PER_CHECKPOINT: u32 = 24;

/// Where the log is on a disk.
const ROOT: &str = "/log";

pub(super) fn name_of(leaf: usize) -> NodeId {
    NodeId(format!("leaf-{leaf}").into())
}

pub(super) fn node_of(leaf: usize) -> NodeUuid {
    NodeUuid([leaf as u8 + 1; 16])
}

/// Returns the name of a leaf's first copy.
pub(super) fn copy_of(leaf: usize) -> CopyId {
    CopyId([leaf as u8 + 1; 16])
}

/// What a leaf keeps when its process ends.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) files: SimulatedFiles,
    pub(super) commit: Arc<Mutex<Commit>>,
    /// How many milliseconds a round of the log takes.
    pub(super) round_ms: Arc<Mutex<u64>>,
    /// How its node was started.
    pub(super) age: Arc<Mutex<FolderAge>>,
}

/// What all processes of a run share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) shard: ShardKey,
    pub(super) num_leaves: usize,
    pub(super) links: Links,
    pub(super) store: Store,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) omitted: Option<Rule>,
    /// Whether disks are put back as they were: what copies hold is noted, and compared, then.
    pub(super) forgets: bool,
}

/// A process.
pub(super) struct Process {
    runtime: Runtime,
    pub(super) hub: Arc<Agreeing>,
    pub(super) incarnation: Incarnation,
    copy: Arc<Mutex<Option<Arc<ModelCopy>>>>,
    /// How fast its clock is.
    rate: f64,
    /// Milliseconds of its clock that have not passed yet.
    owed_ms: f64,
}

impl Process {
    /// Starts a process on a leaf's disk.
    pub(super) fn start(
        around: &Surroundings,
        leaf: usize,
        number: u8,
        disk: &Disk,
        rate: f64,
    ) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without threads");
        let entered = runtime.enter();
        let (log, steps) = open_log(disk, &around.history);
        let log: Arc<dyn ShardLog> = Arc::new(log);
        let incarnation = Incarnation([number; 16]);
        let identity = NodeIdentity {
            node: node_of(leaf),
            incarnation,
        };
        let peers = Arc::new(LeafPeers {
            links: around.links.clone(),
            leaf,
            num_leaves: around.num_leaves,
        });
        let entries = around.store.link(leaf);
        let state = watch::Sender::new(Arc::new(ClusterState::default())).subscribe();
        let mut hub = Agreeing::new(AgreeingOptions {
            entries: entries.clone(),
            identity,
            log: Arc::clone(&log),
            peers,
            state,
            // The model gives none.
            search_lease: Duration::ZERO,
        });
        Arc::get_mut(&mut hub).expect("nobody else has it").omitted = around.omitted;
        let copy: Arc<Mutex<Option<Arc<ModelCopy>>>> = Arc::default();
        tokio::spawn(Agreeing::run(Arc::downgrade(&hub), hub.watch()));
        tokio::spawn(run_log(steps, Arc::clone(&disk.round_ms)));
        if around.forgets {
            look(&disk.age, &around.store, leaf);
            tokio::spawn(keep_marks(Arc::downgrade(&hub)));
        }
        tokio::spawn(live(Life {
            around: around.clone(),
            leaf,
            hub: Arc::clone(&hub),
            log,
            incarnation,
            commit: Arc::clone(&disk.commit),
            age: Arc::clone(&disk.age),
            copy: Arc::clone(&copy),
        }));
        drop(entered);
        around.history.lock().tally.num_lives += 1;
        Self {
            runtime,
            hub,
            incarnation,
            copy,
            rate,
            owed_ms: 0.0,
        }
    }

    /// Returns its copy, while it is open.
    pub(super) fn copy(&self) -> Option<Arc<ModelCopy>> {
        self.copy.lock().clone()
    }

    /// Gives its copy a call of a client.
    pub(super) fn call(&self, call: Call) {
        if let Some(copy) = self.copy() {
            self.runtime.spawn(copy.answer(call));
        }
    }

    /// Has its copy give its role to another one, where it leads.
    pub(super) fn hand_over(&self, to: CopyId) {
        let _entered = self.runtime.enter();
        if let Some(copy) = self.copy().filter(|copy| copy.leads().is_some()) {
            copy.driver.handle(Event::HandOver { to });
        }
    }

    /// Opens a stream of another leaf.
    pub(super) fn open_stream(&self, links: &Links, stream: u64) {
        links.open(stream, &self.hub, self.runtime.handle());
    }

    /// Lets a millisecond of true time pass.
    pub(super) fn step(&mut self) {
        self.owed_ms += self.rate;
        let passing_ms = self.owed_ms.floor();
        self.owed_ms -= passing_ms;
        let passing = Duration::from_millis(passing_ms as u64);
        self.runtime
            .block_on(async move { tokio::time::sleep(passing).await });
    }

    /// Goes on after it has stood still: its clock has gone on.
    pub(super) fn resume(&mut self, stood_ms: u64) {
        let passed = Duration::from_millis((stood_ms as f64 * self.rate) as u64);
        self.runtime.block_on(tokio::time::advance(passed));
    }

    /// Ends it at once. Of what its log has not synced, the disk keeps what `survival` says.
    pub(super) fn kill(self, disk: &Disk, survival: Survival) {
        let Self { runtime, hub, .. } = self;
        drop(runtime);
        for driver in hub.drivers() {
            hub.forget(driver.shard, driver.copy);
        }
        drop(hub);
        disk.files.reboot(survival);
    }
}

fn open_log(disk: &Disk, history: &Mutex<History>) -> (LocalLog, CommitSteps) {
    let options = LogOptions {
        files: Arc::new(disk.files.clone()),
        segment_bytes: 4 << 10,
        journal_bytes: 16 << 10,
        floor_interval: Duration::MAX,
        ..LogOptions::default()
    };
    let opened = LocalLog::open_stepped(Path::new(ROOT), options);
    let (log, steps, report) = opened.expect("the folder can be used");
    for failed in report
        .shards
        .iter()
        .filter_map(|shard| shard.failed.as_ref())
    {
        history
            .lock()
            .break_promise(format!("a log does not open: {failed}"));
    }
    (log, steps)
}

/// Does the work of the log's commit thread, as slowly as the disk is.
async fn run_log(mut steps: CommitSteps, round_ms: Arc<Mutex<u64>>) {
    let mut num_rounds: u32 = 0;
    loop {
        steps.asked().await;
        let begun = tokio::time::Instant::now();
        // It may become slower, or faster, meanwhile.
        while begun.elapsed() < Duration::from_millis(*round_ms.lock()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        steps.run();
        num_rounds += 1;
        if num_rounds.is_multiple_of(ROUNDS_PER_CHECKPOINT) {
            steps.checkpoint();
        }
    }
}

/// What the life of a copy needs.
pub(super) struct Life {
    pub(super) around: Surroundings,
    pub(super) leaf: usize,
    pub(super) hub: Arc<Agreeing>,
    pub(super) log: Arc<dyn ShardLog>,
    incarnation: Incarnation,
    pub(super) commit: Arc<Mutex<Commit>>,
    pub(super) age: Arc<Mutex<FolderAge>>,
    copy: Arc<Mutex<Option<Arc<ModelCopy>>>>,
}

/// Opens the copy and drives it, again and again.
async fn live(life: Life) {
    loop {
        if let Err(halt) = life.drive().await {
            let mut history = life.around.history.lock();
            history.note(|| format!("copy {} halts: {halt:?}", life.leaf + 1));
            if let Halt::Files(reason) = halt {
                history.break_promise(format!("a copy whose log is whole needs files: {reason}"));
            }
        }
        *life.copy.lock() = None;
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

impl Life {
    /// Opens the copy and drives it until it halts.
    async fn drive(&self) -> Result<(), Halt> {
        let shard = self.around.shard;
        let later = |reason: &str| Halt::Later(reason.to_owned());
        let read = || async {
            let stored = self.hub.entries.read(shard).await;
            let stored = stored.map_err(|error| Halt::later(&error))?;
            stored.ok_or_else(|| later("the shard has no entry"))
        };
        let stored = read().await?;
        let copy = self.hub.own_copy(&stored.entry);
        let copy = copy.ok_or_else(|| later("the entry names no copy here"))?;
        if self.around.forgets {
            self.check_memory(&stored, copy).await?;
        }
        let commit = self.commit.lock().clone();
        let committed = gleaner_model::SeqNo(commit.next);
        let driver = CopyDriver::open(
            &self.hub,
            shard,
            HeldCopy::first(copy),
            committed,
            Arc::new(Followers::default()),
        );
        let driver = driver.await.map_err(|error| Halt::broken(&error))?;
        let stored = match read().await {
            Ok(stored) => stored,
            Err(halt) => {
                driver.end();
                return Err(halt);
            }
        };
        self.hub.add(&driver, &stored);
        let (log, history) = (Arc::clone(&self.log), Arc::clone(&self.around.history));
        let model = ModelCopy::open(Arc::clone(&driver), log, history, self.incarnation, commit);
        *self.copy.lock() = Some(Arc::clone(&model));
        let copy_loop = CopyLoop {
            driver: &driver,
            log: &self.log,
            host: &*model,
        };
        let halt = copy_loop.run(&mut Standing::default()).await;
        driver.end();
        Err(halt)
    }
}
