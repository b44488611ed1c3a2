//! The schema grows: columns for new fields are appended, and nothing is indexed again.
//!
//! tantivy fixes an index's schema when it is opened. So what is pending is put into the meta in
//! memory, the meta gets the longer schema, and index and writer are opened anew. Segments written
//! before read as if no document had the new fields: columns and terms are simply absent, norms are
//! added by the directory. See `docs/decisions/0005-new-fields.md`.

use std::sync::Arc;

use serde_json::Value;
use tantivy::index::Index;
use tantivy::schema::Schema;

use super::Writer;
use super::memory::{Gauge, Share};
use crate::EngineError;
use crate::directory::ShardDirectory;
use crate::schema::document::DocumentBuilder;
use crate::schema::fields::{self, Fields};

/// Opens the index at the directory's meta in memory.
pub(super) fn open_index(
    directory: &ShardDirectory,
    share: &Arc<Share>,
) -> Result<Index, EngineError> {
    let directory = directory.next_epoch()?;
    let meta = directory
        .meta()
        .ok_or_else(|| EngineError::internal("no meta"))?;
    let meta: Value = parse(&meta)?;
    let schema: Schema = serde_json::from_value(meta["schema"].clone())
        .map_err(|error| EngineError::Corrupt(format!("the schema cannot be read: {error}")))?;
    // Norms must be complete before tantivy opens a segment.
    directory.set_norm_columns(fields::columns_with_norms(&schema));
    let mut index = Index::open(directory.clone())?;
    let share = Arc::clone(share);
    index.register_plugin(Arc::new(Gauge { share, directory }));
    Ok(index)
}

impl Writer {
    /// Makes the schema hold every field of the mapping.
    pub(super) fn ensure_schema(&mut self) -> Result<(), EngineError> {
        if self.covered == Some(self.mapping.version) {
            return Ok(());
        }
        if let Some(schema) = fields::grown_schema(&self.index.schema(), &self.mapping) {
            self.grow(&schema)?;
        }
        self.register_analyzers();
        self.fields = Arc::new(Fields::new(&self.mapping, &self.index.schema())?);
        let fields = Arc::clone(&self.fields);
        let builder = DocumentBuilder::new(&self.mapping, &self.analyzers, fields);
        self.builder.store(Arc::new(builder));
        self.covered = Some(self.mapping.version);
        Ok(())
    }

    fn grow(&mut self, schema: &Schema) -> Result<(), EngineError> {
        self.flush()?;
        // RunningMerge merges are abandoned: they would end under the old schema. Their epoch ends
        // first, so that none of them writes the meta after us.
        self.num_growths += 1;
        self.directory = self.directory.next_epoch()?;
        self.tantivy = None;
        let schema = serde_json::to_value(schema);
        let schema = schema.map_err(|error| EngineError::internal(error.to_string()))?;
        self.change_meta(|meta| meta["schema"] = schema)?;
        self.index = open_index(&self.directory, &self.share)?;
        Ok(())
    }

    /// Writes the checkpoint into the meta in memory although no document changed.
    pub(super) fn write_checkpoint(&mut self) -> Result<(), EngineError> {
        let payload = self.payload();
        if self.tantivy.is_some() {
            // tantivy keeps a copy of the meta and would write the old payload back.
            let mut prepared = self.tantivy()?.prepare_commit()?;
            prepared.set_payload(&payload);
            prepared.commit()?;
            return Ok(());
        }
        self.change_meta(|meta| meta["payload"] = Value::String(payload))
    }

    /// Changes the meta in memory; only while tantivy's writer is closed.
    fn change_meta(&mut self, change: impl FnOnce(&mut Value)) -> Result<(), EngineError> {
        let meta = self.directory.meta();
        let meta = meta.ok_or_else(|| EngineError::internal("no meta"))?;
        let mut meta = parse(&meta)?;
        change(&mut meta);
        self.directory.set_meta(meta.to_string().as_bytes())
    }
}

fn parse(meta: &[u8]) -> Result<Value, EngineError> {
    serde_json::from_slice(meta)
        .map_err(|error| EngineError::Corrupt(format!("meta.json cannot be read: {error}")))
}
