//! Single documents: what a get returns, what a write did.

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{ClusterState, IndexMeta};
use gleaner_proto::read::Document;
use gleaner_proto::write::{WriteAction, WriteResult};
use gleaner_query::search::SourceFilter;
use gleaner_query::source::{filter_source, values_at};
use gleaner_root::RootError;
use gleaner_root::ingest::IngestResult;
use http::StatusCode;
use serde_json::{Map, Value, json};

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

/// Returns the document as `GET` shows it.
pub(crate) fn found(
    index: &str,
    document: &Document,
    form: &DocumentForm,
    meta: Option<&IndexMeta>,
) -> Result<Value, ApiError> {
    let mut shown = Map::new();
    shown.insert("_index".to_owned(), index.into());
    shown.insert("_id".to_owned(), document.id.as_str().into());
    shown.insert("_version".to_owned(), document.version.0.into());
    shown.insert("_seq_no".to_owned(), document.seq_no.0.into());
    shown.insert("_primary_term".to_owned(), document.term.0.into());
    if let Some(routing) = &document.routing {
        shown.insert("_routing".to_owned(), routing.as_str().into());
    }
    shown.insert("found".to_owned(), true.into());
    let has_source = form.source.enabled && meta.is_none_or(|meta| meta.mapping.source_enabled);
    if has_source {
        let source = filter_source(&document.source, &form.source)?;
        shown.insert("_source".to_owned(), parsed(&source)?);
    }
    if let (false, Some(meta)) = (form.stored_fields.is_empty(), meta) {
        let fields = stored_values(&parsed(&document.source)?, &form.stored_fields, meta);
        if !fields.is_empty() {
            shown.insert("fields".to_owned(), Value::Object(fields));
        }
    }
    Ok(Value::Object(shown))
}

/// Returns a found document without the names it was asked by, as `_explain` shows it.
pub(crate) fn without_identity(mut found: Value) -> Value {
    if let Some(object) = found.as_object_mut() {
        object.retain(|key, _| !matches!(key.as_str(), "_index" | "_id" | "_version"));
    }
    found
}

/// Returns the answer for a document that is not there.
pub(crate) fn missing(index: &str, id: &str) -> Value {
    json!({"_index": index, "_id": id, "found": false})
}

fn parsed(source: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(source).map_err(|error| {
        let reason = format!("a stored document is not JSON: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", reason)
    })
}

/// Fields are stored inside `_source`; those declared `"store": true` are taken from there.
fn stored_values(source: &Value, wanted: &[String], meta: &IndexMeta) -> Map<String, Value> {
    let stored = meta.mapping.fields.iter().filter(|(path, field)| {
        field
            .declared
            .get("store")
            .is_some_and(|store| *store == true || store == "true")
            && wanted
                .iter()
                .any(|pattern| matches_pattern(pattern, path.as_str()))
    });
    let mut fields = Map::new();
    for (path, _) in stored {
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

/// Returns status and body of one write; `Err` when it was refused.
pub(crate) fn written(
    result: &IngestResult,
    state: &ClusterState,
) -> Result<(StatusCode, Value), ApiError> {
    let outcome = result
        .outcome
        .as_ref()
        .map_err(|error| refused(result, error))?;
    let (status, word) = match outcome.result {
        WriteResult::Created => (StatusCode::CREATED, "created"),
        WriteResult::Updated => (StatusCode::OK, "updated"),
        WriteResult::Deleted => (StatusCode::OK, "deleted"),
        WriteResult::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        WriteResult::Noop => (StatusCode::OK, "noop"),
    };
    let replicas = result
        .shard
        .and_then(|shard| state.indices.get(&shard.index))
        .map_or(0, |index| index.settings.number_of_replicas);
    // Nothing was written, so no copy took part.
    let copies = if outcome.result == WriteResult::Noop {
        (0, 0)
    } else {
        (1 + replicas, 1)
    };
    let mut shown = json!({
        "_index": result.index,
        "_id": result.id,
        "_version": outcome.version.0,
        "result": word,
        "_shards": {"total": copies.0, "successful": copies.1, "failed": 0},
        "_seq_no": outcome.seq_no.0,
        "_primary_term": outcome.term.0,
    });
    if result.forced_refresh {
        shown["forced_refresh"] = true.into();
    }
    if let Some(source) = &outcome.source {
        shown["get"] = json!({
            "_seq_no": outcome.seq_no.0,
            "_primary_term": outcome.term.0,
            "found": true,
            "_source": parsed(source)?,
        });
    }
    Ok((status, shown))
}

/// Returns the error of a refused write, with the place it was refused at.
pub(crate) fn refused(result: &IngestResult, error: &RootError) -> ApiError {
    let shown = ApiError::from(error);
    match (&result.shard, error) {
        (Some(shard), RootError::Write(_)) if shown.status != StatusCode::BAD_REQUEST => shown
            .with("index_uuid", super::uuid_text(&shard.index))
            .with("shard", shard.shard.0.to_string())
            .with("index", result.index.as_str()),
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
