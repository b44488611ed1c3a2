//! The log on local files: commit threads, one folder per shard, reads without locks held.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use crossbeam::channel::{Sender, TrySendError, bounded};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use gleaner_threads::TimeSlice;
use tokio::sync::{Notify, oneshot};
use twox_hash::XxHash3_64;

use crate::agreement::Agreement;
use crate::base::{LogBase, LogStart};
use crate::batch::{BatchPage, RecordBatch};
use crate::error::LogError;
use crate::files::create_durable_dir;
use crate::journal::{self, Journal};
use crate::lane::{Control, Counters, Lane, Permit, Request, Round, Undone, Write};
use crate::options::LogOptions;
use crate::put_aside::PutAside;
use crate::recovery::OpenReport;
use crate::shard_log::{Append, Appended, ProducerSequence, ReadBatch, Record, ShardLog, Ticket};
use crate::terms::TermTable;
use crate::view::{ShardView, Views};
use crate::writer::Reply;
use opening::OpenFolders;
pub use steps::CommitSteps;

mod opening;
mod steps;

/// A [`ShardLog`] on the files of one machine.
///
/// Appends of all callers share syncs: a commit thread takes what waits, writes it, and makes it durable with
/// one sync of its journal, or of each touched segment when it is much. Reads run on tokio's blocking
/// threads. The last reference to drop waits for the commit threads, which finish what was asked and leave all
/// of it where it belongs.
///
/// One process per folder: the caller must hold a lock on it.
#[derive(Debug)]
pub struct LocalLog {
    lanes: Vec<LaneHandle>,
    views: Views,
    counters: Arc<Counters>,
    waiting_bytes: Arc<AtomicUsize>,
    options: LogOptions,
    put_aside: PutAside,
    /// Told of each request, where the caller does the work of the commit threads.
    stepped: Option<Arc<Notify>>,
}

#[derive(Debug)]
struct LaneHandle {
    /// `None` only while the log is being dropped.
    sender: Option<Sender<Request>>,
    /// `None` where the caller does its work.
    thread: Option<JoinHandle<()>>,
}

/// Counters since the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStats {
    /// Appends that reached a commit thread.
    pub batches: u64,
    /// Rounds of group commit that wrote something.
    pub rounds: u64,
    /// Syncs of segments or of a journal for them; the fewer per batch, the more was shared.
    pub syncs: u64,
}

impl LocalLog {
    /// Opens the log in `dir`, which is created if need be; reads and checks all of it.
    ///
    /// A damaged shard does not keep the others from opening: see [`OpenReport`].
    ///
    /// # Errors
    /// [`LogError::Io`] when the folder itself cannot be used.
    pub fn open(dir: &Path, options: LogOptions) -> Result<(Self, OpenReport), LogError> {
        let (mut log, lanes, report) = Self::open_lanes(dir, options)?;
        for (number, lane) in lanes.into_iter().enumerate() {
            let thread = std::thread::Builder::new()
                .name(format!("log-commit-{number}"))
                .spawn(move || {
                    // Whoever writes waits for it, and it for the disk.
                    TimeSlice::Short.request();
                    lane.run();
                })
                .map_err(|error| LogError::io("start a thread for", dir, error))?;
            log.lanes[number].thread = Some(thread);
        }
        Ok((log, report))
    }

    /// As [`LocalLog::open`], without a thread of its own: the caller does the work of the commit threads, when it
    /// wants that done, and reads are carried out where they are asked for. For simulations.
    ///
    /// # Errors
    /// As for [`LocalLog::open`].
    pub fn open_stepped(
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, CommitSteps, OpenReport), LogError> {
        let (mut log, lanes, report) = Self::open_lanes(dir, options)?;
        let steps = CommitSteps::new(lanes);
        log.stepped = Some(steps.requests());
        Ok((log, steps, report))
    }

    fn open_lanes(
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, Vec<Lane>, OpenReport), LogError> {
        let files = options.files.clone();
        create_durable_dir(files.as_ref(), dir)
            .map_err(|error| LogError::io("create", dir, error))?;
        let replayed = journal::replay(files.as_ref(), dir)?;
        let is_journal_left = !replayed.failed.is_empty();
        let OpenFolders {
            writers,
            views,
            put_aside,
            report,
            ..
        } = OpenFolders::all(dir, &options, replayed)?;
        let views: Views = Arc::new(parking_lot::RwLock::new(views));
        let counters = Arc::new(Counters::default());
        let folders = Arc::default();
        let (mut handles, mut lanes) = (Vec::new(), Vec::new());
        for (number, shards) in writers.into_iter().enumerate() {
            let (sender, receiver) = bounded(options.queue_len);
            let mut journal = Journal::new(files.clone(), dir, number, options.journal_bytes);
            if is_journal_left {
                journal.leave();
            }
            lanes.push(Lane {
                root: dir.to_owned(),
                options: options.clone(),
                views: views.clone(),
                counters: counters.clone(),
                folders: Arc::clone(&folders),
                receiver,
                shards,
                journal,
                round: Round::default(),
                undone: Undone::default(),
                put_aside: put_aside.clone(),
            });
            handles.push(LaneHandle {
                sender: Some(sender),
                thread: None,
            });
        }
        let log = Self {
            lanes: handles,
            views,
            counters,
            waiting_bytes: Arc::default(),
            options,
            put_aside,
            stepped: None,
        };
        Ok((log, lanes, report))
    }

    /// Returns the counters.
    pub fn stats(&self) -> LogStats {
        let counters = &self.counters;
        LogStats {
            batches: counters.batches.load(Ordering::Relaxed),
            rounds: counters.rounds.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
        }
    }

    /// Hands a request to the shard's commit thread; never waits.
    fn submit(&self, shard: ShardKey, request: Request) -> Result<(), LogError> {
        let lane = &self.lanes[lane_of(shard, self.lanes.len())];
        let sender = lane.sender.as_ref().ok_or(LogError::Closed)?;
        sender.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => LogError::Busy,
            TrySendError::Disconnected(_) => LogError::Closed,
        })?;
        if let Some(requests) = &self.stepped {
            requests.notify_one();
        }
        Ok(())
    }

    /// Queues what has so many bytes of payload.
    fn queue_write(&self, shard: ShardKey, bytes: usize, write: Write) -> Result<Ticket, LogError> {
        let limit = self.options.limits().max_batch_bytes;
        if bytes > limit {
            return Err(LogError::TooLarge { bytes, limit });
        }
        let permit = Permit::take(&self.waiting_bytes, bytes, self.options.queue_bytes);
        let permit = permit.ok_or(LogError::Busy)?;
        let (reply, answer) = oneshot::channel();
        self.submit(shard, Request::Write(write, permit, reply))?;
        Ok(Ticket::new(answered(shard, answer)))
    }

    /// Sends a request and waits for its answer.
    async fn ask<T>(
        &self,
        shard: ShardKey,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        self.submit(shard, request(reply))?;
        answered(shard, answer).await
    }

    /// Runs a read on a blocking thread; `None` for a shard that was never named.
    async fn with_view<T: Send + 'static>(
        &self,
        shard: ShardKey,
        read: impl FnOnce(&ShardView) -> Result<T, LogError> + Send + 'static,
    ) -> Result<Option<T>, LogError> {
        let Some(view) = self.views.read().get(&shard).cloned() else {
            return Ok(None);
        };
        if self.stepped.is_some() {
            return read(&view).map(Some);
        }
        let task = tokio::task::spawn_blocking(move || read(&view));
        task.await.map_err(|_| LogError::Closed)?.map(Some)
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        for lane in &mut self.lanes {
            lane.sender = None;
        }
        for lane in &mut self.lanes {
            if let Some(thread) = lane.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a commit thread of the log panicked");
            }
        }
    }
}

#[async_trait]
impl ShardLog for LocalLog {
    fn queue(&self, append: Append) -> Result<Ticket, LogError> {
        let (shard, bytes) = (append.shard, append.payload_bytes());
        self.queue_write(shard, bytes, Write::Append(append))
    }

    fn queue_copy(
        &self,
        shard: ShardKey,
        batch: RecordBatch,
        under: PrimaryTerm,
    ) -> Result<Ticket, LogError> {
        let bytes = batch.payload_bytes();
        let write = Write::Copy {
            shard,
            batch,
            under,
        };
        self.queue_write(shard, bytes, write)
    }

    async fn read(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<ReadBatch, LogError> {
        let page = self.with_view(shard, move |view| view.read(from, max_bytes));
        Ok(page.await?.unwrap_or(ReadBatch {
            records: Vec::new(),
            first_available: SeqNo(0),
            next: from,
        }))
    }

    async fn read_batches(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<BatchPage, LogError> {
        let page = self.with_view(shard, move |view| view.read_batches(from, max_bytes));
        let page = page.await?;
        Ok(page.unwrap_or_else(|| BatchPage::of_unknown_shard(from)))
    }

    async fn read_one(&self, shard: ShardKey, seq_no: SeqNo) -> Result<Option<Record>, LogError> {
        let found = self.with_view(shard, move |view| view.read_one(seq_no));
        Ok(found.await?.flatten())
    }

    async fn tail(&self, shard: ShardKey) -> Result<Option<SeqNo>, LogError> {
        let view = self.views.read().get(&shard).cloned();
        view.map_or(Ok(None), |view| view.tail())
    }

    async fn fence(&self, shard: ShardKey, term: PrimaryTerm) -> Result<Option<SeqNo>, LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Fence(shard, term, reply))
        })
        .await
    }

    async fn trim(&self, shard: ShardKey, below: SeqNo) -> Result<SeqNo, LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Trim(shard, below, reply))
        })
        .await
    }

    async fn truncate(&self, shard: ShardKey, from: SeqNo) -> Result<SeqNo, LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Truncate(shard, from, reply))
        })
        .await
    }

    async fn remove(&self, shard: ShardKey) -> Result<(), LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Remove(shard, reply))
        })
        .await
    }

    async fn begin_at(&self, shard: ShardKey, begin: LogStart) -> Result<(), LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Begin(shard, begin, reply))
        })
        .await
    }

    async fn produced(
        &self,
        shard: ShardKey,
        producer: ProducerSequence,
    ) -> Result<Option<Appended>, LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Produced(shard, producer, reply))
        })
        .await
    }

    fn note_agreement(&self, shard: ShardKey, agreement: Agreement) {
        if let Some(view) = self.views.read().get(&shard) {
            view.note_agreement(agreement);
        }
    }

    fn put_aside(&self, shard: ShardKey) -> Option<PathBuf> {
        self.put_aside.of(shard)
    }

    fn agreement(&self, shard: ShardKey) -> Result<Agreement, LogError> {
        let Some(view) = self.views.read().get(&shard).cloned() else {
            return Ok(Agreement::default());
        };
        view.check()?;
        Ok(view.agreement())
    }

    async fn base_at(&self, shard: ShardKey, at: SeqNo) -> Result<Option<LogBase>, LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::BaseAt(shard, at, reply))
        })
        .await
    }

    async fn terms(&self, shard: ShardKey) -> Result<TermTable, LogError> {
        self.ask(shard, |reply| {
            Request::Control(Control::Terms(shard, reply))
        })
        .await
    }

    async fn chain(&self, shard: ShardKey, at: SeqNo) -> Result<Option<u64>, LogError> {
        let found = self.with_view(shard, move |view| view.chain(at));
        Ok(found.await?.flatten())
    }
}

/// Waits for a commit thread's answer to a request.
async fn answered<T>(
    shard: ShardKey,
    answer: oneshot::Receiver<Result<T, LogError>>,
) -> Result<T, LogError> {
    // No answer: the commit thread ended in the middle of the request.
    let unknown = LogError::Indeterminate {
        shard,
        source: None,
    };
    answer.await.unwrap_or(Err(unknown))
}

/// Returns the commit thread of a shard; neighbours of one index get different ones.
fn lane_of(shard: ShardKey, num_lanes: usize) -> usize {
    let index = XxHash3_64::oneshot(&shard.index.0);
    (index.wrapping_add(u64::from(shard.shard.0)) % num_lanes as u64) as usize
}
