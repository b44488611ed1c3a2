//! What is sound in a damaged folder: enough to index its documents again, or not.
//!
//! A document is its parts of a segment's store (id, routing, `_source`) and doc values (`_seq_no`, `_version`,
//! `_term`), and the list of deletes says that it lives. What is derived from these, the postings with their
//! terms, positions and norms, may be damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_log::files::Files;
use gleaner_machine::mapped::{MappedBytes, MappedOwner};
use tantivy::columnar::{Column, ColumnarReader};
use tantivy::directory::footer::Footer;
use tantivy::directory::{FileSlice, OwnedBytes};
use tantivy::fastfield::AliveBitSet;
use tantivy::store::StoreReader;

use super::damage::{Damage, DamagedFile};
use super::{
    Access, CommitMeta, META, Reading, Verification, handle, meta, read_whole, sealed, verify,
};
use crate::EngineError;
use crate::schema::names;

/// Kinds of files that are derived from others.
const DERIVED: [&str; 4] = ["idx", "pos", "term", meta::NORMS];

/// A durable commit some of whose files are damaged, none of which its documents need.
pub(crate) struct Remains {
    folder: PathBuf,
    reading: Reading,
    owner: Arc<MappedOwner>,
    pub(crate) commit: CommitMeta,
    /// tantivy's meta.
    pub(crate) meta: Vec<u8>,
}

/// The documents of one segment.
pub(crate) struct SegmentRemains {
    pub(crate) store: StoreReader,
    pub(crate) seq_nos: Column<u64>,
    pub(crate) versions: Column<u64>,
    pub(crate) terms: Column<u64>,
    alive: Option<AliveBitSet>,
    max_doc: u32,
}

/// Blocks of a store that are kept unpacked: documents are read in the order in which they were written.
const KEPT_BLOCKS: usize = 8;

impl Remains {
    /// Reads a damaged folder, and changes nothing in it.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with the files that the documents need, or as [`super::ShardDirectory::open`].
    pub(crate) fn read(
        folder: &Path,
        files: &dyn Files,
        access: &Access,
    ) -> Result<Self, EngineError> {
        let bytes = read_whole(files, &folder.join(META))?;
        let bytes = bytes.ok_or_else(|| EngineError::Corrupt("meta.json is missing".to_owned()))?;
        let unsealed = sealed::unseal(&bytes, &access.shard)?;
        let commit = CommitMeta::parse(&unsealed.meta)?;
        let damage = match &unsealed.files {
            Some(sums) => verify::check_files(files, folder, sums, Verification::Content)?,
            None => verify::sum_unlisted(files, folder, &commit.segments)?.err(),
        };
        let damaged = damage
            .iter()
            .flat_map(|damage| damage.files().iter().cloned());
        if let Some(damage) = Damage::of(damaged.filter(is_needed).collect()) {
            return Err(EngineError::Damaged(damage));
        }
        Ok(Self {
            folder: folder.to_owned(),
            reading: access.reading,
            owner: MappedOwner::new(),
            commit,
            meta: unsealed.meta,
        })
    }

    /// Opens the documents of all segments.
    pub(crate) fn segments(&self, files: &dyn Files) -> Result<Vec<SegmentRemains>, EngineError> {
        let segments = self.commit.segments.parts();
        segments
            .map(|(id, max_doc, deletes)| {
                let body = |name: &str| self.body(files, name);
                let store = StoreReader::open(body(&format!("{id}.store"))?, KEPT_BLOCKS);
                let columns = ColumnarReader::open(body(&format!("{id}.fast"))?);
                let columns = columns.map_err(EngineError::io("opening doc values"))?;
                let alive = deletes.map(|name| body(&name)).transpose()?;
                let alive = alive.map(|file| file.read_bytes().map(AliveBitSet::open));
                let alive = alive
                    .transpose()
                    .map_err(EngineError::io("reading deletes"))?;
                Ok(SegmentRemains {
                    store: store.map_err(EngineError::io("opening a store"))?,
                    seq_nos: column(&columns, names::SEQ_NO)?,
                    versions: column(&columns, names::VERSION)?,
                    terms: column(&columns, names::TERM)?,
                    alive,
                    max_doc,
                })
            })
            .collect()
    }

    /// Refuses once a file was cut while its documents were read.
    pub(crate) fn check_uncut(&self) -> Result<(), EngineError> {
        let checked = verify::check_uncut(&self.owner);
        checked.map_err(EngineError::Damaged)
    }

    /// Returns a file without its footer.
    fn body(&self, files: &dyn Files, name: &str) -> Result<FileSlice, EngineError> {
        let file = match self.reading {
            Reading::Mapped => {
                let file = fs::File::open(self.folder.join(name));
                let bytes = file.and_then(|file| MappedBytes::of(&file, &self.owner));
                let bytes = bytes.map_err(EngineError::io("mapping a file"))?;
                FileSlice::new(Arc::new(OwnedBytes::new(bytes)))
            }
            Reading::Copied => {
                let bytes = files.open(&self.folder.join(name));
                let bytes = bytes.and_then(|file| handle::read_all(&*file));
                let bytes = bytes.map_err(EngineError::io("reading a file"))?;
                FileSlice::from(OwnedBytes::new(bytes).as_slice().to_vec())
            }
        };
        let (_, body) =
            Footer::extract_footer(file).map_err(EngineError::io("reading a footer"))?;
        Ok(body)
    }
}

impl SegmentRemains {
    /// Returns the live documents.
    pub(crate) fn live(&self) -> impl Iterator<Item = u32> + '_ {
        let is_alive = |doc: &u32| (self.alive.as_ref()).is_none_or(|alive| alive.is_alive(*doc));
        (0..self.max_doc).filter(is_alive)
    }
}

fn is_needed(file: &DamagedFile) -> bool {
    let kind = file.name.rsplit_once('.').map(|(_, kind)| kind);
    kind.is_none_or(|kind| !DERIVED.contains(&kind))
}

fn column(columns: &ColumnarReader, name: &str) -> Result<Column<u64>, EngineError> {
    let found = columns.read_columns(name);
    let found = found.map_err(EngineError::io("reading doc values"))?;
    let opened = found
        .first()
        .map(tantivy::columnar::DynamicColumnHandle::open_u64_lenient);
    let opened = opened
        .transpose()
        .map_err(EngineError::io("opening doc values"))?;
    opened
        .flatten()
        .ok_or_else(|| EngineError::Corrupt(format!("a segment has no column `{name}`")))
}
