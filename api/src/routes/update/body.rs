//! The body of an update, alone or on a bulk's line.

use bytes::Bytes;
use gleaner_proto::write::{Condition, Update};
use gleaner_query::json::did_you_mean;
use gleaner_query::search::parse_source_filter;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::request::target::WriteConditions;

/// An update as asked for, with a condition that its body may carry.
pub(in crate::routes) struct UpdateBody {
    pub(in crate::routes) update: Update,
    pub(in crate::routes) condition: Condition,
}

/// The keys there are, for hints.
const KNOWN: [&str; 9] = [
    "doc",
    "upsert",
    "script",
    "doc_as_upsert",
    "scripted_upsert",
    "detect_noop",
    "_source",
    "if_seq_no",
    "if_primary_term",
];

/// The keys as they stand; documents stay text.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    doc: Option<&'a RawValue>,
    #[serde(borrow)]
    upsert: Option<&'a RawValue>,
    #[serde(borrow)]
    script: Option<&'a RawValue>,
    doc_as_upsert: Option<bool>,
    scripted_upsert: Option<bool>,
    detect_noop: Option<bool>,
    #[serde(rename = "_source")]
    source: Option<Value>,
    if_seq_no: Option<i64>,
    if_primary_term: Option<i64>,
    #[serde(flatten)]
    unknown: serde_json::Map<String, Value>,
}

/// Reads `{"doc": …, "upsert": …, …}`.
///
/// # Errors
/// 400 for what is not such an object, for scripts, and for a body without anything to do.
pub(in crate::routes) fn parse(body: &[u8]) -> Result<UpdateBody, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::validation(&[
            "script or doc is missing".to_owned()
        ]));
    }
    let keys = read(body)?;
    if keys.script.is_some() || keys.scripted_upsert.unwrap_or(false) {
        return Err(ApiError::unsupported("script"));
    }
    let doc_as_upsert = keys.doc_as_upsert.unwrap_or(false);
    let doc = object("doc", keys.doc)?;
    let upsert = object("upsert", keys.upsert)?;
    if doc.is_none() {
        let reason = if doc_as_upsert {
            "doc must be specified if doc_as_upsert is enabled"
        } else {
            "script or doc is missing"
        };
        return Err(ApiError::validation(&[reason.to_owned()]));
    }
    let returned_source = keys.source.as_ref().map(parse_source_filter).transpose()?;
    let wanted = WriteConditions {
        seq_no: keys.if_seq_no,
        term: keys.if_primary_term,
        ..WriteConditions::default()
    };
    let update = Update {
        doc,
        upsert,
        doc_as_upsert,
        detect_noop: keys.detect_noop.unwrap_or(true),
        retry_on_conflict: 0,
        returned_source,
    };
    Ok(UpdateBody {
        update,
        condition: wanted.condition()?,
    })
}

fn read(body: &[u8]) -> Result<Keys<'_>, ApiError> {
    let malformed = |error: serde_json::Error| {
        let reason = format!(
            "[{}:{}] [UpdateRequest] {error}",
            error.line(),
            error.column()
        );
        ApiError::new(
            http::StatusCode::BAD_REQUEST,
            "x_content_parse_exception",
            reason,
        )
    };
    let keys: Keys<'_> = serde_json::from_slice(body).map_err(malformed)?;
    match keys.unknown.keys().next() {
        None => Ok(keys),
        Some(key) => {
            let hint = did_you_mean(key, KNOWN);
            let reason = format!("[UpdateRequest] unknown field [{key}]{hint}");
            let kind = "x_content_parse_exception";
            Err(ApiError::new(http::StatusCode::BAD_REQUEST, kind, reason))
        }
    }
}

fn object(key: &str, raw: Option<&RawValue>) -> Result<Option<Bytes>, ApiError> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else {
        return Ok(None);
    };
    if text.starts_with('{') {
        return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
    }
    let reason = format!("[UpdateRequest] [{key}] must be an object");
    let kind = "x_content_parse_exception";
    Err(ApiError::new(http::StatusCode::BAD_REQUEST, kind, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stay_as_received() {
        let body = br#"{"doc": {"a":  1.50}, "doc_as_upsert": true, "_source": ["a"]}"#;
        let UpdateBody { update, condition } = parse(body).expect("an update");
        assert_eq!(update.doc.as_deref(), Some(&br#"{"a":  1.50}"#[..]));
        assert!(update.doc_as_upsert && update.detect_noop);
        assert_eq!(update.returned_source.expect("asked for").includes, ["a"]);
        assert_eq!(condition, Condition::None);
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (body, part) in [
            ("{}", "script or doc is missing"),
            (r#"{"doc_as_upsert": true}"#, "doc must be specified"),
            (r#"{"script": "x"}"#, "[script] is not supported"),
            (r#"{"dac": {}}"#, "unknown field [dac] did you mean [doc]?"),
            (r#"{"doc": 1}"#, "[doc] must be an object"),
            (r#"{"doc": "#, "[UpdateRequest]"),
        ] {
            let error = parse(body.as_bytes()).err().expect(body);
            assert!(error.reason().contains(part), "{body}: {}", error.reason());
        }
    }
}
