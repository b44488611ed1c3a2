//! The one table of errors: what went wrong → status, type and fields of the dialect.

mod leaf;
mod root;

pub(crate) use root::shard_failure;

use std::borrow::Cow;

use gleaner_model::{IndexUuid, NameError};
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::distribution::Distribution;
use crate::render::uuid_text;

/// An answer that reports a failure: of a request, or of one item in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", self.detail.kind, self.detail.reason)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Boxed: answers that succeed should not carry its size about.
    detail: Box<Detail>,
}

#[derive(Debug, Clone, Default)]
struct Detail {
    kind: Cow<'static, str>,
    reason: String,
    /// Further fields: `index`, `resource.id`, `line`, …
    fields: Map<String, Value>,
    /// What lies beneath, where it is not the error itself.
    root_causes: Vec<ApiError>,
    cause: Option<ApiError>,
    /// What the request did before it failed, and should be told of.
    warnings: Vec<String>,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        kind: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        let detail = Detail {
            kind: kind.into(),
            reason: reason.into(),
            ..Detail::default()
        };
        Self {
            status,
            detail: Box::new(detail),
        }
    }

    /// Returns an `illegal_argument_exception`, 400.
    pub(crate) fn illegal(reason: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "illegal_argument_exception",
            reason,
        )
    }

    /// Returns a `parse_exception`, 400.
    pub(crate) fn parse(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "parse_exception", reason)
    }

    /// Returns an `action_request_validation_exception`, 400.
    pub(crate) fn validation(reasons: &[String]) -> Self {
        let numbered: String = reasons
            .iter()
            .enumerate()
            .map(|(at, reason)| format!(" {}: {reason};", at + 1))
            .collect();
        let reason = format!("Validation Failed:{numbered}");
        Self::new(
            StatusCode::BAD_REQUEST,
            "action_request_validation_exception",
            reason,
        )
    }

    /// Returns the refusal of a feature that is not there, by name.
    pub(crate) fn unsupported(feature: &str) -> Self {
        let reason = format!("[{feature}] is not supported by this version");
        Self::new(
            StatusCode::BAD_REQUEST,
            "unsupported_operation_exception",
            reason,
        )
    }

    /// Returns a 413.
    pub(crate) fn too_large(reason: impl Into<String>) -> Self {
        let kind = "content_too_long_exception";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, kind, reason)
    }

    /// Returns an `index_not_found_exception`, 404.
    pub(crate) fn index_not_found(name: &str) -> Self {
        let reason = format!("no such index [{name}]");
        Self::new(StatusCode::NOT_FOUND, "index_not_found_exception", reason).for_missing(name)
    }

    /// Returns the error in other words.
    pub(crate) fn reworded(mut self, reason: impl Into<String>) -> Self {
        self.detail.reason = reason.into();
        self
    }

    /// Returns the error as the dialect of `distribution` names it: the type of documents that do not fit
    /// their mapping is younger than OpenSearch.
    pub(crate) fn spoken_by(mut self, distribution: Distribution) -> Self {
        if distribution == Distribution::OpenSearch {
            let is_own = self.detail.kind == "document_parsing_exception";
            if is_own {
                self.detail.kind = "mapper_parsing_exception".into();
            }
            let cause = self.detail.cause.take();
            self.detail.cause = cause.map(|cause| cause.spoken_by(distribution));
        }
        self
    }

    /// Returns the error under another status.
    pub(crate) fn at(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Returns a field that is a text.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.detail.fields.get(name)?.as_str()
    }

    /// Adds what led to it.
    pub(crate) fn caused_by(mut self, cause: ApiError) -> Self {
        self.detail.cause = Some(cause);
        self
    }

    /// Adds what lies beneath.
    pub(crate) fn rooted_in(mut self, causes: Vec<ApiError>) -> Self {
        self.detail.root_causes = causes;
        self
    }

    /// Adds warnings, which the answer has as headers.
    pub(crate) fn warned(mut self, texts: Vec<String>) -> Self {
        self.detail.warnings.extend(texts);
        self
    }

    /// Returns the warnings added so far.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.detail.warnings
    }

    /// Adds the fields of an index that exists.
    pub(crate) fn for_index(self, name: &str, uuid: &IndexUuid) -> Self {
        self.with("index_uuid", uuid_text(uuid)).with("index", name)
    }

    fn for_missing(self, name: &str) -> Self {
        self.with("resource.type", "index_or_alias")
            .with("resource.id", name)
            .with("index_uuid", "_na_")
            .with("index", name)
    }

    /// Returns the dialect's type.
    pub(crate) fn kind(&self) -> &str {
        &self.detail.kind
    }

    /// Returns the text for people.
    pub(crate) fn reason(&self) -> &str {
        &self.detail.reason
    }

    /// Returns whether the same request would fail again however long one waits: it wants more than there
    /// ever is.
    pub(crate) fn is_permanent(&self) -> bool {
        let durability = self.detail.fields.get("durability");
        let is_own = durability.and_then(Value::as_str) == Some("PERMANENT");
        is_own || self.detail.root_causes.iter().any(Self::is_permanent)
    }

    /// Returns the text of what led to it, or its own.
    pub(crate) fn cause_reason(&self) -> &str {
        self.detail
            .cause
            .as_ref()
            .map_or(self.reason(), Self::reason)
    }

    /// Returns type, reason, fields and cause: the error of an item or a shard.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), Value::from(self.kind()));
        object.insert("reason".to_owned(), Value::from(self.reason()));
        object.extend(self.detail.fields.clone());
        if let Some(cause) = &self.detail.cause {
            object.insert("caused_by".to_owned(), cause.to_json());
        }
        Value::Object(object)
    }

    /// Returns the `error` object of a whole answer: as [`ApiError::to_json`], with root causes.
    pub(crate) fn to_error_object(&self) -> Value {
        let root_causes: Vec<Value> = if self.detail.root_causes.is_empty() {
            let mut own = self.clone();
            own.detail.cause = None;
            vec![own.to_json()]
        } else {
            self.detail.root_causes.iter().map(Self::to_json).collect()
        };
        let mut object = Map::new();
        object.insert("root_cause".to_owned(), Value::Array(root_causes));
        if let Value::Object(own) = self.to_json() {
            object.extend(own);
        }
        Value::Object(object)
    }

    /// Returns the body of an answer that is this error.
    pub(crate) fn to_body(&self) -> Value {
        json!({"error": self.to_error_object(), "status": self.status.as_u16()})
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let named = named_in(&error.reason).to_owned();
        let made = Self::new(status, error.kind.name(), error.reason);
        let made = match error.place {
            Some(place) => made.with("line", place.line).with("col", place.column),
            None => made,
        };
        match error.kind {
            ErrorType::IndexNotFound => made.for_missing(&named),
            ErrorType::IndexClosed => made.reworded("closed").with("index", named),
            ErrorType::AliasesNotFound => made
                .with("resource.type", "aliases")
                .with("resource.id", named),
            ErrorType::InvalidIndexName | ErrorType::InvalidAliasName => {
                made.with("index_uuid", "_na_").with("index", named)
            }
            _ => made,
        }
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        let reason = error.to_string();
        match error {
            NameError::Index { name, .. } => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_index_name_exception",
                reason,
            )
            .with("index_uuid", "_na_")
            .with("index", name),
            NameError::IdEmpty | NameError::IdTooLong { .. } | NameError::Uuid(_) => {
                Self::illegal(reason)
            }
        }
    }
}

/// Returns the first text in brackets: where the dialect's reasons name what they speak of.
fn named_in(reason: &str) -> &str {
    let inside = reason.split_once('[').map_or("", |(_, rest)| rest);
    inside.split_once(']').map_or(inside, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_index_is_told_as_the_dialect_tells_it() {
        let body = ApiError::index_not_found("books").to_body();
        let told = json!({
            "type": "index_not_found_exception", "reason": "no such index [books]",
            "resource.type": "index_or_alias", "resource.id": "books",
            "index_uuid": "_na_", "index": "books",
        });
        let mut error = told.clone();
        error["root_cause"] = json!([told]);
        assert_eq!(body, json!({"error": error, "status": 404}));
    }

    #[test]
    fn validation_faults_are_numbered() {
        let error = ApiError::validation(&["id is missing".to_owned(), "no".to_owned()]);
        assert_eq!(
            error.reason(),
            "Validation Failed: 1: id is missing; 2: no;"
        );
    }

    #[test]
    fn the_name_in_brackets_is_found() {
        assert_eq!(named_in("no such index [a] and [b]"), "a");
        assert_eq!(named_in("nothing"), "");
    }
}
