//! A damaged copy's documents, indexed again from `_source`.

use std::path::Path;

use gleaner_model::{Operation, OperationKind, PrimaryTerm, SeqNo, Version};

use super::{Checkpoint, ShardIndex, ShardMeta, ShardOptions};
use crate::EngineError;
use crate::directory::{Access, Remains, SegmentRemains};
use crate::schema::fields::{self, SystemFields};
use crate::view::stored;
use crate::writer::Writer;

/// Where a live document is: its seq_no, then the segment and its number there.
type Place = (u64, usize, u32);

impl ShardIndex {
    /// Makes the index of the damaged folder `from` anew in the empty folder `to`, durable, from its documents:
    /// each keeps its seq_no, version and term, and the commit reaches as far as the damaged one.
    ///
    /// The documents are read under the mapping of the commit: a field that was mapped after a document was
    /// written is indexed for it too, as reindexing would.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] names the files without which it cannot be done; as [`Self::open`].
    pub fn rebuild(
        from: &Path,
        to: &Path,
        meta: ShardMeta,
        options: ShardOptions,
    ) -> Result<Checkpoint, EngineError> {
        let access = Access {
            shard: super::identity(meta.key),
            reading: options.reading,
            verification: options.verification,
        };
        let files = std::sync::Arc::clone(&options.files);
        let remains = Remains::read(from, &*files, &access)?;
        let segments = remains.segments(&*files)?;
        let system = fields::system_of_meta(&remains.meta)?;
        let (index, _) = Self::open(to, meta, options)?;
        {
            let mut writer = index.writer.lock();
            for place in places(&segments) {
                let operation = read(&segments, place, system)?;
                let operation = Operation {
                    mapping: remains.commit.mapping,
                    ..operation
                };
                restore(&mut writer, SeqNo(place.0), &operation)?;
            }
            writer.go_on_at(remains.commit.next_seq_no, remains.commit.mapping)?;
        }
        remains.check_uncut()?;
        index.close()
    }
}

/// Returns the live documents in the order in which they were written.
fn places(segments: &[SegmentRemains]) -> Vec<Place> {
    let of_segment = |(at, segment): (usize, &SegmentRemains)| {
        let seq_no = |doc: u32| segment.seq_nos.first(doc).unwrap_or_default();
        let places = segment.live().map(|doc| (seq_no(doc), at, doc));
        places.collect::<Vec<Place>>()
    };
    let mut places: Vec<Place> = segments.iter().enumerate().flat_map(of_segment).collect();
    places.sort_unstable();
    places
}

fn read(
    segments: &[SegmentRemains],
    (_, at, doc): Place,
    system: SystemFields,
) -> Result<Operation, EngineError> {
    let segment = &segments[at];
    let bytes = segment.store.get_document_bytes(doc)?;
    let kept = stored::kept(&bytes, &system)
        .map_err(|what| EngineError::Corrupt(format!("document {doc} {what}")))?;
    let number = |column: &tantivy::columnar::Column<u64>| column.first(doc).unwrap_or_default();
    Ok(Operation {
        term: PrimaryTerm(number(&segment.terms)),
        mapping: gleaner_model::MappingVersion(0),
        timestamp_ms: 0,
        kind: OperationKind::Index {
            id: kept.id,
            routing: kept.routing,
            version: Version(number(&segment.versions)),
            source: kept.source,
        },
    })
}

fn restore(writer: &mut Writer, seq_no: SeqNo, operation: &Operation) -> Result<(), EngineError> {
    writer.go_on_at(seq_no, operation.mapping)?;
    writer.apply_all(seq_no, std::slice::from_ref(operation), &mut [])
}
