//! When segments are merged.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tantivy::index::SegmentId;
use tantivy::indexer::{MergeCandidate, NoMergePolicy};
use tantivy::merge_policy::{LogMergePolicy, MergePolicy};
use tantivy::{FutureResult, SegmentMeta};

use super::Writer;
use crate::EngineError;
use crate::directory::ShardDirectory;

/// When segments are merged in the background.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeOptions {
    /// Whether they are merged at all.
    pub is_enabled: bool,
    /// Segments of like size that are merged into one, at least 2.
    pub min_segments: usize,
    /// Segments with more documents than this are left alone.
    pub max_documents: usize,
    /// Segments with fewer documents than this count as of like size.
    pub min_layer_documents: u32,
    /// A segment with a larger share of deleted documents than this is merged by itself, 0 to 1.
    pub max_deleted_share: f32,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self {
            is_enabled: true,
            min_segments: 8,
            max_documents: 5_000_000,
            min_layer_documents: 10_000,
            max_deleted_share: 0.3,
        }
    }
}

/// Merges of a copy, and the documents of their segments, deleted ones left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeStats {
    /// Those that were begun since the copy was opened.
    pub num_begun: u64,
    /// Their documents.
    pub documents: u64,
    /// Bytes of the segments that went in.
    pub bytes: u64,
    /// How long those took, together, whose end was seen. The end of one that fails is not, nor of one of segments
    /// that no refresh had shown.
    pub took: Duration,
    /// Those that run.
    pub num_running: u64,
    /// Their documents.
    pub running_documents: u64,
    /// Bytes of the segments that go in.
    pub running_bytes: u64,
}

/// The merges that were begun, by their segments: tantivy tells nobody which of them still run.
#[derive(Debug, Clone, Default)]
pub(super) struct RunningMerges {
    begun: Arc<Mutex<Vec<BegunMerge>>>,
    counts: Arc<MergeCounts>,
}

/// What is counted of the merges of a copy, whichever writer ran them.
#[derive(Debug, Default)]
pub(crate) struct MergeCounts {
    begun: AtomicU64,
    documents: AtomicU64,
    bytes: AtomicU64,
    took_us: AtomicU64,
}

impl MergeCounts {
    /// Returns the figures where it is not known which merges run.
    pub(crate) fn stats(&self) -> MergeStats {
        MergeStats {
            num_begun: self.begun.load(Ordering::Relaxed),
            documents: self.documents.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            took: Duration::from_micros(self.took_us.load(Ordering::Relaxed)),
            ..MergeStats::default()
        }
    }

    fn count(&self, intake: Intake) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.documents
            .fetch_add(intake.documents, Ordering::Relaxed);
        self.bytes.fetch_add(intake.bytes, Ordering::Relaxed);
    }

    fn count_end(&self, took: Duration) {
        self.took_us
            .fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }
}

/// What goes into a merge.
#[derive(Debug, Clone, Copy, Default)]
struct Intake {
    /// Those that are not deleted.
    documents: u64,
    bytes: u64,
}

/// A merge that was begun.
#[derive(Debug)]
struct BegunMerge {
    since: Instant,
    ids: Vec<SegmentId>,
    intake: Intake,
}

/// Returns segments by the names that their files begin with.
fn names_of(ids: &[SegmentId]) -> HashSet<String> {
    ids.iter().map(SegmentId::uuid_string).collect()
}

/// A merge that was begun longer ago is taken to have failed.
const LONGEST_MERGE: Duration = Duration::from_secs(3_600);

impl RunningMerges {
    fn note(&self, ids: &[SegmentId], intake: Intake) {
        self.counts.count(intake);
        self.begun.lock().push(BegunMerge {
            since: Instant::now(),
            ids: ids.to_vec(),
            intake,
        });
    }

    /// Forgets merges that have ended, by what `directory` names, and counts how long they took. tantivy asks for
    /// the next merges when one ends: called then, the time is right.
    pub(super) fn retire(&self, directory: &ShardDirectory) {
        self.retain(|merge| directory.names_all(&names_of(&merge.ids)));
    }

    /// Keeps the merges that run; the others have ended now.
    fn retain(&self, runs: impl Fn(&BegunMerge) -> bool) {
        self.begun.lock().retain(|merge| {
            let runs = runs(merge);
            if !runs {
                self.counts.count_end(merge.since.elapsed());
            }
            runs
        });
    }

    /// Returns those of a writer that comes after this one: none runs, and the counts go on.
    pub(super) fn of_next_writer(&self) -> Self {
        Self {
            begun: Arc::default(),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Forgets merges of segments that may be merged: those are in none that runs.
    fn forget(&self, free: &[SegmentMeta]) {
        let free: HashSet<SegmentId> = free.iter().map(SegmentMeta::id).collect();
        let mut begun = self.begun.lock();
        begun.retain(|merge| merge.ids.iter().all(|id| !free.contains(id)));
    }

    /// Forgets merges that have ended, where the index has the segments `present`: the end of a
    /// merge takes its segments out. One that failed counts until segments are looked at again, or for an hour.
    fn forget_ended(&self, present: &HashSet<SegmentId>) {
        let is_recent = |merge: &BegunMerge| merge.since.elapsed() < LONGEST_MERGE;
        self.begun.lock().retain(is_recent);
        self.retain(|merge| merge.ids.iter().all(|id| present.contains(id)));
    }

    /// Returns whether any is under way, where the index has the segments `present`.
    fn is_any_running(&self, present: &HashSet<SegmentId>) -> bool {
        self.forget_ended(present);
        !self.begun.lock().is_empty()
    }

    /// Returns the figures, where the index has the segments `present`; where that is not known, all that were begun run.
    fn stats(&self, present: Option<&HashSet<SegmentId>>) -> MergeStats {
        let runs = |merge: &&BegunMerge| {
            let mut ids = merge.ids.iter();
            present.is_none_or(|present| ids.all(|id| present.contains(id)))
        };
        let begun = self.begun.lock();
        let running = || begun.iter().filter(runs);
        MergeStats {
            num_running: running().count() as u64,
            running_documents: running().map(|merge| merge.intake.documents).sum(),
            running_bytes: running().map(|merge| merge.intake.bytes).sum(),
            ..self.counts.stats()
        }
    }
}

/// The merges of an index: to tell of them takes reading what segments it has.
pub(crate) struct MergeWatch {
    index: tantivy::Index,
    begun: RunningMerges,
}

impl MergeWatch {
    /// Returns the figures. One that has failed runs until segments are looked at again, or for an hour.
    pub(crate) fn stats(&self) -> MergeStats {
        if self.begun.begun.lock().is_empty() {
            return self.begun.counts.stats();
        }
        let present = self.index.searchable_segment_ids();
        let present = present.ok().map(|ids| ids.into_iter().collect());
        self.begun.stats(present.as_ref())
    }
}

/// Merges that policies have begun, since the process did.
static NUM_BEGUN: AtomicU64 = AtomicU64::new(0);

/// Returns how many merges were begun by themselves, of all shards of the process.
pub fn merges_begun() -> u64 {
    NUM_BEGUN.load(Ordering::Relaxed)
}

/// A policy, and a note of what it had merged.
#[derive(Debug)]
struct RecordingPolicy {
    policy: LogMergePolicy,
    begun: RunningMerges,
    directory: ShardDirectory,
}

impl MergePolicy for RecordingPolicy {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        self.begun.retire(&self.directory);
        self.begun.forget(segments);
        let candidates = self.policy.compute_merge_candidates(segments);
        NUM_BEGUN.fetch_add(candidates.len() as u64, Ordering::Relaxed);
        for MergeCandidate(ids) in &candidates {
            let merged = segments.iter().filter(|meta| ids.contains(&meta.id()));
            let intake = Intake {
                documents: merged.map(|meta| u64::from(meta.num_docs())).sum(),
                bytes: self.directory.bytes_of(&names_of(ids)),
            };
            self.begun.note(ids, intake);
        }
        candidates
    }
}

impl MergeOptions {
    /// Returns the policy, which notes what it has merged of the segments in `directory`.
    pub(super) fn policy(
        &self,
        begun: &RunningMerges,
        directory: &ShardDirectory,
    ) -> Box<dyn MergePolicy> {
        if !self.is_enabled {
            return Box::new(NoMergePolicy);
        }
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(self.min_segments);
        policy.set_max_docs_before_merge(self.max_documents);
        policy.set_min_layer_size(self.min_layer_documents);
        policy.set_del_docs_ratio_before_merge(self.max_deleted_share);
        Box::new(RecordingPolicy {
            policy,
            begun: begun.clone(),
            directory: directory.clone(),
        })
    }
}

/// A merge that runs. Waiting for it needs no lock on the writer.
pub(crate) type RunningMerge = FutureResult<Option<SegmentMeta>>;

/// What a forced merge merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForcedMerge {
    /// The smallest segment, by itself. There is one thread for merges, so when it has ended, those
    /// that were asked for before have too.
    Barrier,
    /// The smallest ones into one, so that this many are left.
    Down(usize),
}

impl Writer {
    /// Starts a merge; `None` when there is nothing to merge. No other merges are begun until
    /// [`Writer::resume_merging`].
    ///
    /// It fails by itself when one of its segments is gone by then: another merge had it, or the
    /// schema has grown meanwhile.
    pub(crate) fn start_merge(
        &mut self,
        forced: ForcedMerge,
    ) -> Result<Option<RunningMerge>, EngineError> {
        self.flush()?;
        self.guarded(|writer| {
            let mut smallest = match forced {
                ForcedMerge::Down(max_segments) => smallest(writer, max_segments)?,
                ForcedMerge::Barrier => smallest(writer, 1)?,
            };
            if smallest.is_empty() {
                return Ok(None);
            }
            if forced == ForcedMerge::Barrier {
                smallest.drain(..smallest.len() - 1);
            }
            let documents = smallest.iter().map(|(_, documents)| documents).sum();
            let ids: Vec<SegmentId> = smallest.into_iter().map(|(id, _)| id).collect();
            let bytes = writer.directory.bytes_of(&names_of(&ids));
            // The one that was waited for has ended.
            writer.begun.retire(&writer.directory);
            writer.begun.note(&ids, Intake { documents, bytes });
            let tantivy = writer.tantivy()?;
            tantivy.set_merge_policy(Box::new(NoMergePolicy));
            Ok(Some(tantivy.merge(&ids)))
        })
    }

    /// Returns whether segments are being merged.
    pub(crate) fn is_merging(&self) -> Result<bool, EngineError> {
        if !self.is_open() {
            return Ok(false);
        }
        let present = self.index.searchable_segment_ids()?;
        Ok(self.begun.is_any_running(&present.into_iter().collect()))
    }

    /// Returns what merges are counted by.
    pub(crate) fn merge_counts(&self) -> &Arc<MergeCounts> {
        &self.begun.counts
    }

    /// Returns a handle that reads the figures of merges without holding the writer.
    pub(crate) fn merge_watch(&self) -> MergeWatch {
        MergeWatch {
            index: self.index.clone(),
            begun: self.begun.clone(),
        }
    }

    /// Lets segments be merged in the background again.
    pub(crate) fn resume_merging(&mut self) {
        self.begun.retire(&self.directory);
        if let Some(tantivy) = &self.tantivy {
            let policy = self.options.merges.policy(&self.begun, &self.directory);
            tantivy.set_merge_policy(policy);
        }
    }
}

/// Returns the segments to merge into one so that at most `max_segments` are left, each with its number of documents.
///
/// Only ids leave this function: a meta that is held keeps the files of its segment on disk.
fn smallest(writer: &Writer, max_segments: usize) -> Result<Vec<(SegmentId, u64)>, EngineError> {
    let mut segments = writer.index.searchable_segment_metas()?;
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.num_docs()));
    let has_deletes = segments
        .iter()
        .any(|segment| segment.num_deleted_docs() > 0);
    if segments.len() <= max_segments && !(max_segments == 1 && has_deletes) {
        return Ok(Vec::new());
    }
    Ok(segments[max_segments - 1..]
        .iter()
        .map(|segment| (segment.id(), u64::from(segment.num_docs())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_runs_until_its_segments_are_gone_or_free_again() {
        let index = tantivy::Index::create_in_ram(tantivy::schema::Schema::builder().build());
        let metas: Vec<SegmentMeta> = (0..3)
            .map(|_| index.new_segment_meta(SegmentId::generate_random(), 1))
            .collect();
        let ids: Vec<SegmentId> = metas.iter().map(SegmentMeta::id).collect();
        let present = |ids: &[SegmentId]| ids.iter().copied().collect::<HashSet<_>>();
        let begun = RunningMerges::default();
        let of = |documents: u64| Intake {
            documents,
            bytes: 10 * documents,
        };
        assert!(!begun.is_any_running(&present(&ids)));
        begun.note(&ids[..2], of(2));
        assert!(begun.is_any_running(&present(&ids)));
        begun.forget(&metas[2..]);
        assert!(begun.is_any_running(&present(&ids)), "of another segment");
        assert!(!begun.is_any_running(&present(&ids[1..])), "it has ended");
        begun.note(&ids[..2], of(2));
        begun.forget(&metas[1..]);
        assert!(!begun.is_any_running(&present(&ids)), "it has failed");
        begun.note(&ids, of(3));
        let both = MergeStats {
            num_begun: 3,
            documents: 7,
            bytes: 70,
            took: begun.counts.stats().took,
            num_running: 1,
            running_documents: 3,
            running_bytes: 30,
        };
        assert_eq!(begun.stats(Some(&present(&ids))), both);
        assert_eq!(begun.stats(None), both);
        assert_eq!(begun.stats(Some(&present(&ids[1..]))).num_running, 0);
        let next = MergeStats {
            num_running: 0,
            running_documents: 0,
            running_bytes: 0,
            ..both
        };
        assert_eq!(begun.of_next_writer().stats(None), next);
    }
}
