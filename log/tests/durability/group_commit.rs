//! Appends that wait together share a sync; what does not fit in the queue is refused at once.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use gleaner_log::files::{Entry, File, Files, SimulatedFiles, Survival};
use gleaner_log::{Appended, LocalLog, LogError, LogOptions, ShardLog};
use parking_lot::{Condvar, Mutex};

use crate::world::{append, fill, journaled, open, payload, read_all, shard};

/// A disk whose syncs wait while the gate is closed.
#[derive(Debug, Clone)]
struct GatedFiles {
    files: SimulatedFiles,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    is_closed: bool,
    num_waiting: usize,
}

impl Gate {
    fn set_closed(&self, is_closed: bool) {
        self.state.lock().is_closed = is_closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock();
        state.num_waiting += 1;
        self.changed.notify_all();
        while state.is_closed {
            self.changed.wait(&mut state);
        }
        state.num_waiting -= 1;
    }

    /// Returns once a commit thread stands before the gate.
    fn wait_for_waiter(&self) {
        let mut state = self.state.lock();
        while state.num_waiting == 0 {
            let waited = self.changed.wait_for(&mut state, Duration::from_secs(20));
            assert!(!waited.timed_out(), "nothing is synced");
        }
    }
}

/// The gated disk of a test; opens the gate when the test ends, so that a failed one ends too.
struct Held(GatedFiles);

impl Deref for Held {
    type Target = GatedFiles;

    fn deref(&self) -> &GatedFiles {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.set_closed(false);
    }
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn File>,
    gate: Arc<Gate>,
}

impl GatedFiles {
    fn gated(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile {
            file,
            gate: self.gate.clone(),
        })
    }
}

impl Files for GatedFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.gated(self.files.open(path)?))
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.gated(self.files.create(path)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.files.remove_dir_all(path)
    }
    fn remove_empty_dir(&self, path: &Path) -> io::Result<()> {
        self.files.remove_empty_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.files.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }
}

impl File for GatedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.file.write_at(offset, buf)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
}

fn gated(queue_len: usize) -> (LocalLog, Held) {
    gated_within(queue_len, usize::MAX)
}

fn gated_within(queue_len: usize, queue_bytes: usize) -> (LocalLog, Held) {
    let files = GatedFiles {
        files: SimulatedFiles::new(),
        gate: Arc::default(),
    };
    let options = LogOptions {
        queue_len,
        queue_bytes,
        files: Arc::new(files.clone()),
        ..journaled(&files.files)
    };
    (open(options).0, Held(files))
}

type Answer = BoxFuture<'static, Result<Appended, LogError>>;

/// Queues an append.
fn start(log: &LocalLog, number: u64) -> Answer {
    start_on(log, 0, vec![payload(number)])
}

/// As [`start`], of some shard.
fn start_on(log: &LocalLog, number: u32, batch: Vec<Bytes>) -> Answer {
    let queued = log.queue(append(shard(number), batch));
    Box::pin(queued.expect("it is queued").durable())
}

#[tokio::test]
async fn appends_that_wait_together_share_one_sync() {
    let (log, files) = gated(100);
    fill(&log, shard(0), 1).await;
    let before = files.files.num_syncs();
    files.gate.set_closed(true);
    let mut answers = vec![start(&log, 1)];
    files.gate.wait_for_waiter();
    answers.extend((2..65).map(|number| start(&log, number)));
    files.gate.set_closed(false);
    for answer in join_all(answers).await {
        answer.expect("append");
    }
    assert_eq!(files.files.num_syncs() - before, 2, "64 appends, two syncs");
    let stats = log.stats();
    assert_eq!((stats.batches, stats.rounds, stats.syncs), (65, 3, 3));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 65);
}

/// Appends to each of four shards, all in one round; returns how many syncs that took.
async fn sync_round(log: &LocalLog, files: &Held, bytes_each: usize) -> u64 {
    files.gate.set_closed(true);
    let mut answers = vec![start(log, 0)];
    files.gate.wait_for_waiter();
    let before = files.files.num_syncs();
    let batch = || vec![Bytes::from(vec![b'x'; bytes_each])];
    answers.extend((0..4).map(|number| start_on(log, number, batch())));
    files.gate.set_closed(false);
    for answer in join_all(answers).await {
        answer.expect("append");
    }
    // The one that waited at the gate.
    files.files.num_syncs() - before - 1
}

#[tokio::test]
async fn a_small_round_of_several_shards_takes_one_sync_and_a_large_one_of_each() {
    let (log, files) = gated(100);
    for number in 0..4 {
        fill(&log, shard(number), 1).await;
    }
    assert_eq!(sync_round(&log, &files, 100).await, 1);
    assert_eq!(sync_round(&log, &files, 10_000).await, 1);
    assert_eq!(sync_round(&log, &files, 100_000).await, 4);
    assert_eq!(sync_round(&log, &files, 100).await, 1);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (log, files) = gated(4);
    fill(&log, shard(0), 1).await;
    files.gate.set_closed(true);
    let mut answers = vec![start(&log, 1)];
    files.gate.wait_for_waiter();
    answers.extend((2..6).map(|number| start(&log, number)));
    let refused = log.append(append(shard(0), vec![payload(6)])).await;
    assert!(matches!(refused, Err(LogError::Busy)), "{refused:?}");
    files.gate.set_closed(false);
    for answer in join_all(answers).await {
        answer.expect("what was queued is done");
    }
}

#[tokio::test]
async fn a_whole_batch_before_a_refused_one_does_not_come_back() {
    let (log, files) = gated(100);
    fill(&log, shard(0), 1).await;
    files.gate.set_closed(true);
    let first = start(&log, 1);
    files.gate.wait_for_waiter();
    let mut round: Vec<_> = (2..10).map(|number| start(&log, number)).collect();
    // Room for the first batches of the round, not for all.
    files.files.set_capacity(files.files.used_bytes() + 500);
    files.gate.set_closed(false);
    first.await.expect("written before");
    for answer in join_all(round.drain(..)).await {
        assert!(
            matches!(answer, Err(LogError::DiskFull { .. })),
            "{answer:?}"
        );
    }
    for dice in 0..50 {
        let crashed = files.files.fork();
        crashed.reboot(Survival::Random(dice));
        let (log, _) = open(journaled(&crashed));
        assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 2);
    }
}

#[tokio::test]
async fn records_are_not_read_before_they_are_durable() {
    let (log, files) = gated(100);
    fill(&log, shard(0), 1).await;
    files.gate.set_closed(true);
    let answer = start(&log, 1);
    files.gate.wait_for_waiter();
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 1);
    files.gate.set_closed(false);
    answer.await.expect("append");
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 2);
}

#[tokio::test]
async fn waiting_bytes_are_bounded_but_one_append_is_let_in() {
    let (log, files) = gated_within(100, 10);
    fill(&log, shard(0), 1).await;
    files.gate.set_closed(true);
    let answer = start(&log, 1);
    files.gate.wait_for_waiter();
    let refused = log.append(append(shard(0), vec![payload(2)])).await;
    assert!(matches!(refused, Err(LogError::Busy)), "{refused:?}");
    files.gate.set_closed(false);
    answer.await.expect("larger than the bound, but alone");
    fill(&log, shard(0), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_of_many_shards_get_positions_without_gaps() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let opened = LocalLog::open(dir.path(), LogOptions::default());
    let log = Arc::new(opened.expect("log opens").0);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..32_u32 {
        let log = log.clone();
        writers.spawn(async move {
            let mut positions = Vec::new();
            for number in 0..20 {
                let key = shard(writer % 5);
                let batch = vec![payload(number), payload(number)];
                let appended = log.append(append(key, batch)).await.expect("append");
                positions.push((key, appended.first.0));
                positions.push((key, appended.last.0));
            }
            positions
        });
    }
    let mut seen: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    seen.sort_unstable();
    for number in 0..5 {
        let of_shard = seen.iter().filter(|(key, _)| *key == shard(number));
        let len = read_all(log.as_ref(), shard(number))
            .await
            .expect("whole")
            .len() as u64;
        assert!(of_shard.map(|(_, position)| *position).eq(0..len));
    }
    assert!(log.stats().syncs <= log.stats().batches);
}
