//! Writing, measured: documents into an index, single records into a log.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use gleaner_log::{Append, LocalLog, LogOptions, ShardLog};
use gleaner_model::settings::routing_slots_for;
use gleaner_model::{IndexUuid, PrimaryTerm, SeqNo, ShardKey, ShardNumber};
use tempfile::TempDir;

use crate::bare::{Bare, Tokens};
use crate::corpus::Corpus;
use crate::group_commit::GroupCommit;
use crate::ours;
use crate::race::process_cpu;

/// Bytes of a record in the log's measures: a short document.
const RECORD_BYTES: usize = 1_024;

/// What some writing took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteRate {
    /// Documents or records written.
    pub count: usize,
    /// Time on the clock.
    pub wall: Duration,
    /// CPU time of the process.
    pub cpu: Duration,
    /// Bytes of the index afterwards; 0 for logs.
    pub index_bytes: u64,
}

impl WriteRate {
    /// Returns writes per second on the clock.
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    /// Returns writes per second of CPU time.
    pub fn per_cpu_second(&self) -> f64 {
        self.count as f64 / self.cpu.as_secs_f64()
    }
}

/// How far an index is brought before time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Committed; background merges have ended.
    Committed,
    /// Merged into one segment and committed.
    Merged,
}

/// Indexes `corpus` with tantivy's own writer: JSON read, fields indexed, source stored.
///
/// # Errors
/// When tantivy refuses.
pub fn index_bare(corpus: &Corpus, settled: Settled) -> Result<WriteRate> {
    let folder = TempDir::new()?;
    let (start, cpu) = (Instant::now(), process_cpu());
    let bare = Bare::create(folder.path(), Tokens::Stock)?;
    let mut writer = bare.writer()?;
    for source in &corpus.sources {
        writer.add_document(bare.document(source)?)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    if settled == Settled::Merged {
        bare.merge()?;
    }
    rate(corpus.sources.len(), start, cpu, folder.path())
}

/// As [`index_bare`], with a commit each time `interval` has passed.
///
/// # Errors
/// When tantivy refuses.
pub fn index_bare_refreshing(corpus: &Corpus, interval: Duration) -> Result<WriteRate> {
    let folder = TempDir::new()?;
    let (start, cpu) = (Instant::now(), process_cpu());
    let bare = Bare::create(folder.path(), Tokens::Stock)?;
    let mut writer = bare.writer()?;
    let mut committed = Instant::now();
    for source in &corpus.sources {
        writer.add_document(bare.document(source)?)?;
        if committed.elapsed() >= interval {
            writer.commit()?;
            committed = Instant::now();
        }
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    rate(corpus.sources.len(), start, cpu, folder.path())
}

/// Indexes `corpus` into shard copies by applying operations, as a leaf does from its log.
///
/// # Errors
/// When the engine refuses.
pub fn index_ours(corpus: &Corpus, num_shards: u32, settled: Settled) -> Result<WriteRate> {
    let folder = TempDir::new()?;
    let (start, cpu) = (Instant::now(), process_cpu());
    let (mapping, slots) = (ours::mapping(), routing_slots_for(num_shards));
    let mut shards = Vec::new();
    for shard in 0..num_shards {
        let index = ours::open_shard(&folder.path().join(shard.to_string()), shard)?;
        shards.push((index, SeqNo(0)));
    }
    for (article, source) in corpus.articles.iter().zip(&corpus.sources) {
        let shard = gleaner_shard_router::shard_of(&article.id, slots, num_shards);
        let (index, next) = &mut shards[shard.0 as usize];
        index.apply(*next, &ours::operation(&article.id, source, &mapping)?)?;
        *next = next.next();
    }
    for (index, next) in &shards {
        index.refresh(*next)?;
        if settled == Settled::Merged {
            index.force_merge(1)?;
        }
        // With the merges that were begun: bare tantivy waits for its own.
        index.close_writer()?;
        index.close()?;
    }
    rate(corpus.sources.len(), start, cpu, folder.path())
}

fn rate(count: usize, start: Instant, cpu: Duration, folder: &Path) -> Result<WriteRate> {
    let (wall, cpu) = (start.elapsed(), process_cpu() - cpu);
    Ok(WriteRate {
        count,
        wall,
        cpu,
        index_bytes: num_bytes(folder)?,
    })
}

/// Returns the bytes of all files below `folder`.
///
/// # Errors
/// When it cannot be read.
pub fn num_bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() {
            num_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}

/// Lets `num_writers` append `each` records one by one, each waiting until its own is durable:
/// one file, append, `fdatasync`, shared by all who wait.
///
/// # Errors
/// When the disk refuses.
pub fn append_bare(num_writers: usize, each: usize) -> Result<WriteRate> {
    let folder = TempDir::new()?;
    let commit = Arc::new(GroupCommit::open(&folder.path().join("log"))?);
    append(num_writers, each, move |record| {
        let commit = Arc::clone(&commit);
        async move { commit.append(record).await }
    })
}

/// As [`append_bare`], to one shard of our log.
///
/// # Errors
/// When the log refuses.
pub fn append_ours(num_writers: usize, each: usize) -> Result<WriteRate> {
    let folder = TempDir::new()?;
    let (log, _) = LocalLog::open(folder.path(), LogOptions::default())?;
    let log = Arc::new(log);
    let shard = ShardKey {
        index: IndexUuid([7; 16]),
        shard: ShardNumber(0),
    };
    append(num_writers, each, move |record| {
        let log = Arc::clone(&log);
        let append = Append {
            shard,
            term: PrimaryTerm(1),
            expected_last: None,
            producer: None,
            batch: vec![record],
        };
        async move { Ok(log.append(append).await.map(|_| ())?) }
    })
}

fn append<F, A>(num_writers: usize, each: usize, append: A) -> Result<WriteRate>
where
    A: Fn(Bytes) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    let record = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let (start, cpu) = (Instant::now(), process_cpu());
    runtime.block_on(async {
        let writer = || {
            let (append, record) = (append.clone(), record.clone());
            tokio::spawn(async move {
                for _ in 0..each {
                    append(record.clone()).await?;
                }
                anyhow::Ok(())
            })
        };
        let writers: Vec<_> = (0..num_writers).map(|_| writer()).collect();
        for writer in writers {
            writer.await??;
        }
        anyhow::Ok(())
    })?;
    let (wall, cpu) = (start.elapsed(), process_cpu() - cpu);
    Ok(WriteRate {
        count: num_writers * each,
        wall,
        cpu,
        index_bytes: 0,
    })
}
