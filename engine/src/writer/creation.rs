//! An empty index, as the writer of a shard makes it.

use gleaner_model::Mapping;
use tantivy::IndexSettings;
use tantivy::index::Index;
use tantivy::store::Compressor;

use crate::EngineError;
use crate::directory::ShardDirectory;
use crate::schema::fields;

/// Bytes of documents that the store packs together: to read one is to unpack them all. Smaller blocks make
/// a search of ten hits faster and the index larger (docs/decisions/0025-store-blocks.md).
const STORE_BLOCK_BYTES: usize = 6 << 10;

/// Makes an empty index: in memory only, until the first durable commit.
pub(super) fn create(directory: &ShardDirectory, mapping: &Mapping) -> Result<(), EngineError> {
    let settings = IndexSettings {
        docstore_compression: Compressor::Lz4,
        // A thread per segment in the making is too dear with many shards on a node.
        docstore_compress_dedicated_thread: false,
        docstore_blocksize: STORE_BLOCK_BYTES,
        ..IndexSettings::default()
    };
    Index::create(directory.clone(), fields::initial_schema(mapping), settings)?;
    Ok(())
}
