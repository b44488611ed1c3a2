//! Single documents: what a get returns, what a write did.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::{ClusterState, IndexMeta, ShardKey};
use gleaner_proto::read::Document;
use gleaner_proto::write::{WriteAction, WriteResult};
use gleaner_query::json::tree_bytes;
use gleaner_query::mapping::stored_fields;
use gleaner_query::search::SourceFilter;
use gleaner_query::source::{ShownSource, SourceFault, kept_source, values_at};
use gleaner_root::RootError;
use gleaner_root::ingest::IngestResult;
use gleaner_root::read::IgnoringMapping;
use gleaner_root::visibility::CopyOutcome;
use http::StatusCode;
use serde::Serialize;
use serde::ser::{Error as _, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::shards;
use crate::error::ApiError;

/// What of a document is returned.
#[derive(Debug, Clone, Default)]
pub(crate) struct DocumentForm {
    /// What of `_source`.
    pub(crate) source: SourceFilter,
    /// Fields with `"store": true` to return.
    pub(crate) stored_fields: Vec<String>,
}

impl DocumentForm {
    /// Returns the form that the parts ask for: stored fields replace `_source` unless it is asked
    /// for too.
    pub(crate) fn new(source: Option<SourceFilter>, stored_fields: Option<Vec<String>>) -> Self {
        let is_asked = source.is_some()
            || stored_fields
                .as_ref()
                .is_none_or(|fields| fields.iter().any(|f| f == "_source"));
        let source = source.unwrap_or_default();
        let source = SourceFilter {
            enabled: source.enabled && is_asked,
            ..source
        };
        Self {
            source,
            stored_fields: stored_fields.unwrap_or_default(),
        }
    }
}

/// Documents whose values are not counted before they are read.
const SMALL_SOURCE: usize = 64 << 10;

impl DocumentForm {
    /// Whether anything is made from a document's `_source`.
    pub(crate) fn reads_source(&self) -> bool {
        self.source.enabled || !self.stored_fields.is_empty()
    }

    /// Returns how much memory reading the stored fields of a document takes: a tree of it, and the values that are shown.
    pub(crate) fn num_bytes_read(&self, source: &[u8]) -> usize {
        match self.stored_fields.is_empty() || source.len() < SMALL_SOURCE {
            true => 0,
            false => 2 * tree_bytes(source),
        }
    }

    /// Returns how many bytes of the `_source` of a document in `index` are shown for sure: all of it, or
    /// none where parts of it are left out.
    pub(crate) fn num_bytes_shown(&self, document: &Document, index: Option<&IndexMeta>) -> usize {
        let is_whole = |filter: &SourceFilter| *filter == SourceFilter::default();
        match is_whole(&self.source) && is_whole(&kept(index)) {
            true => document.source.len(),
            false => 0,
        }
    }
}

/// A document as `GET` shows it; `_source` is copied as it is.
#[derive(Debug, Serialize)]
pub(crate) struct DocumentBody {
    #[serde(rename = "_index", skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "_version", skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    term: u64,
    #[serde(rename = "_routing", skip_serializing_if = "Option::is_none")]
    routing: Option<String>,
    #[serde(rename = "_ignored", skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
    found: bool,
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

/// Returns the document as `GET` shows it.
pub(crate) fn found(
    index: &str,
    document: &Document,
    form: &DocumentForm,
    meta: Option<&IndexMeta>,
    keep_on: &dyn Fn() -> bool,
) -> Result<DocumentBody, ApiError> {
    let shown = ShownSource::new(&form.source, &kept(meta));
    let source = shown.of(&document.source, keep_on)?.map(Source);
    let fields = match meta {
        Some(meta) if !form.stored_fields.is_empty() => {
            stored_values(&parsed(&document.source)?, &form.stored_fields, meta)
        }
        _ => Map::new(),
    };
    Ok(DocumentBody {
        index: Some(index.to_owned()),
        id: Some(document.id.to_string()),
        version: Some(document.version.0),
        seq_no: document.seq_no.0,
        term: document.term.0,
        routing: document.routing.clone(),
        ignored: Vec::new(),
        found: true,
        source,
        fields,
    })
}

/// Returns what of `_source` an index shows.
pub(crate) fn kept(index: Option<&IndexMeta>) -> SourceFilter {
    index.map_or_else(SourceFilter::default, |index| kept_source(&index.mapping))
}

/// JSON to be copied into an answer as it is.
#[derive(Debug)]
struct Source(Bytes);

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl From<SourceFault> for ApiError {
    fn from(fault: SourceFault) -> Self {
        match fault {
            SourceFault::CalledOff => RootError::Late.into(),
            SourceFault::Damaged(_) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self::new(status, "exception", fault.to_string())
            }
        }
    }
}

fn damaged(error: &serde_json::Error) -> ApiError {
    let reason = format!("a stored document is not JSON: {error}");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", reason)
}

impl DocumentBody {
    /// Adds the fields that left out a value of the document.
    pub(crate) fn with_ignored(self, ignoring: Option<&IgnoringMapping>, source: &[u8]) -> Self {
        let ignored = ignoring.map(|ignoring| ignoring.fields_of(source));
        Self {
            ignored: ignored.unwrap_or_default(),
            ..self
        }
    }

    /// Leaves out the names it was asked by, as `_explain` shows it.
    pub(crate) fn without_identity(self) -> Self {
        Self {
            index: None,
            id: None,
            version: None,
            ..self
        }
    }
}

/// Returns the answer for a document that is not there.
pub(crate) fn missing(index: &str, id: &str) -> Value {
    json!({"_index": index, "_id": id, "found": false})
}

fn parsed(source: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(source).map_err(|error| damaged(&error))
}

/// Fields are stored inside `_source`; those declared `"store": true` are taken from there.
fn stored_values(source: &Value, wanted: &[String], meta: &IndexMeta) -> Map<String, Value> {
    let mut fields = Map::new();
    for path in stored_fields(&meta.mapping, wanted) {
        let values: Vec<Value> = values_at(source, path.as_str())
            .into_iter()
            .cloned()
            .collect();
        if !values.is_empty() {
            fields.insert(path.to_string(), Value::Array(values));
        }
    }
    fields
}

/// One write as it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct WriteBody<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(rename = "_version")]
    version: u64,
    result: &'static str,
    #[serde(rename = "_shards")]
    copies: Copies,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    term: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    forced_refresh: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    get: Option<Left>,
    /// Among others, each answer tells its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

/// The document as an update left it, where that was asked for.
#[derive(Debug, Serialize)]
struct Left {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    term: u64,
    found: bool,
    #[serde(rename = "_source")]
    source: Source,
}

/// Copies of the shard that took part in a write.
#[derive(Debug, Serialize)]
pub(crate) struct Copies {
    total: u32,
    successful: usize,
    failed: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Value>,
}

impl WriteBody<'_> {
    /// Adds the status, as answers of `_bulk` have it.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: Some(status.as_u16()),
            ..self
        }
    }
}

/// Returns status and body of one write; `Err` when it was refused.
pub(crate) fn written<'a>(
    result: &'a IngestResult,
    state: &ClusterState,
) -> Result<(StatusCode, WriteBody<'a>), ApiError> {
    let outcome = result
        .outcome
        .as_ref()
        .map_err(|error| refused(&result.index, result.shard, error))?;
    let (status, word) = match outcome.result {
        WriteResult::Created => (StatusCode::CREATED, "created"),
        WriteResult::Updated => (StatusCode::OK, "updated"),
        WriteResult::Deleted => (StatusCode::OK, "deleted"),
        WriteResult::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        WriteResult::Noop => (StatusCode::OK, "noop"),
    };
    let shown = match &outcome.source {
        Some(source) => {
            let kept = kept(index_of(result.shard, state).map(|index| &**index));
            ShownSource::new(&SourceFilter::default(), &kept).of(source, &|| true)?
        }
        None => None,
    };
    let left = |source: Bytes| -> Result<Left, ApiError> {
        Ok(Left {
            seq_no: outcome.seq_no.0,
            term: outcome.term.0,
            found: true,
            source: Source(source),
        })
    };
    let get = shown.map(left).transpose()?;
    let written = WriteBody {
        index: &result.index,
        id: &result.id,
        version: outcome.version.0,
        result: word,
        copies: copies(result.shard, &result.shown, outcome.result, state),
        seq_no: outcome.seq_no.0,
        term: outcome.term.0,
        forced_refresh: result.forced_refresh.then_some(true),
        get,
        status: None,
    };
    Ok((status, written))
}

fn index_of(shard: Option<ShardKey>, state: &ClusterState) -> Option<&Arc<IndexMeta>> {
    shard.and_then(|shard| state.indices.get(&shard.index))
}

/// Returns `_shards` of a write, of which became on each copy what `shown` says.
pub(crate) fn copies(
    shard: Option<ShardKey>,
    shown: &[CopyOutcome],
    what: WriteResult,
    state: &ClusterState,
) -> Copies {
    let index = index_of(shard, state);
    let num_replicas = index.map_or(0, |index| index.settings.number_of_replicas);
    // The primary wrote it; other copies are counted where they were waited for.
    let failures = shards::failures(shown, state);
    let num_shown = shown.len() - failures.len();
    // Nothing was written, so no copy took part.
    let (total, successful) = match what {
        WriteResult::Noop => (0, 0),
        _ => (1 + num_replicas, num_shown.max(1)),
    };
    Copies {
        total,
        successful,
        failed: failures.len(),
        failures,
    }
}

/// Returns the error of a refused write, with the place it was refused at.
pub(crate) fn refused(index: &str, shard: Option<ShardKey>, error: &RootError) -> ApiError {
    let shown = ApiError::from(error);
    match (shard, error) {
        (Some(shard), RootError::Write(_)) if shown.status != StatusCode::BAD_REQUEST => shown
            .with("index_uuid", super::uuid_text(&shard.index))
            .with("shard", shard.shard.0.to_string())
            .with("index", index),
        _ => shown,
    }
}

/// Returns the word for an action in bulk answers.
pub(crate) fn action_name(action: &WriteAction) -> &'static str {
    match action {
        WriteAction::Index { create: true, .. } => "create",
        WriteAction::Index { create: false, .. } => "index",
        WriteAction::Update(_) => "update",
        WriteAction::Delete => "delete",
    }
}
