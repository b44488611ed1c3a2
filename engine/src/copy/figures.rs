//! What a copy tells of its size and its work.

use std::collections::HashMap;

use super::{SegmentStats, ShardIndex, ShardStats};
use crate::EngineError;
use crate::view::View;
use crate::writer::MergeStats;

impl ShardIndex {
    /// Returns the copy's figures.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read.
    pub fn stats(&self) -> Result<ShardStats, EngineError> {
        let view = self.view();
        // By the directory: tantivy reads each file anew and asks the schema of the segment's reader for the fields in it,
        // which may be younger than the view.
        let sizes = self.directory.file_sizes()?;
        let mut of_segments: HashMap<&str, u64> = HashMap::new();
        for (name, bytes) in &sizes {
            let (id, _) = name.split_once('.').unwrap_or((name, ""));
            *of_segments.entry(id).or_default() += bytes;
        }
        let segments = view.segments().iter().map(|segment| SegmentStats {
            bytes: of_segments
                .get(segment.key().segment.uuid_string().as_str())
                .copied()
                .unwrap_or(0),
            ..segment.counts()
        });
        Ok(ShardStats {
            segments: segments.collect(),
            store_bytes: sizes.iter().map(|(_, bytes)| bytes).sum(),
            ..self.counts_of(&view)
        })
    }

    /// Returns the figures that need no look at the disk; bytes of files are 0.
    pub fn counts(&self) -> ShardStats {
        self.counts_of(&self.view())
    }

    fn counts_of(&self, view: &View) -> ShardStats {
        let segments = view.segments().iter().map(crate::SegmentView::counts);
        let segments: Vec<SegmentStats> = segments.collect();
        let (writer_bytes, merges) = self.writer_figures();
        ShardStats {
            documents: view.num_documents(),
            deleted: segments.iter().map(|segment| segment.deleted).sum(),
            segments,
            num_segments: self.directory.num_segments() as u64,
            store_bytes: 0,
            writer_bytes: writer_bytes as u64,
            merges,
        }
    }

    /// Returns the bytes of the segment in the making, and the merges, without waiting for who uses the writer: no merge
    /// is known to run then.
    fn writer_figures(&self) -> (usize, MergeStats) {
        let writer = self.writer.try_lock();
        let held = writer.map(|writer| (writer.held_bytes(), writer.merge_watch()));
        // The writer is free by then: the list of segments is long where there are many fields.
        match held {
            Some((bytes, merges)) => (bytes, merges.stats()),
            None => (self.share.buffered_bytes(), self.merges.stats()),
        }
    }
}
