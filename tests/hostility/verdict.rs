//! What an answer to a hostile request may look like.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use gleaner_testkit::http::Response;
use serde_json::Value;

use crate::requests::Hostile;

/// Something that must not be.
pub(crate) enum Finding {
    /// The connection ended without an answer.
    Silence(String),
    /// A fault of ours.
    ServerError(String),
    /// An error that clients cannot read.
    Shape(String),
    /// An answer that took too long.
    Slow(Duration),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(error) => write!(f, "    no answer: {error}"),
            Self::ServerError(told) => write!(f, "    a fault of ours: {told}"),
            Self::Shape(told) => write!(f, "    an error of another shape: {told}"),
            Self::Slow(took) => write!(f, "    answered after {took:?}"),
        }
    }
}

/// Returns what is wrong with an answer, if anything.
pub(crate) fn judge(hostile: &Hostile, answer: Result<Response>) -> Option<Finding> {
    let response = match answer {
        Ok(response) => response,
        // A head that is no HTTP is answered by closing the connection.
        Err(_) if hostile.breaks_http => return None,
        Err(error) => return Some(Finding::Silence(format!("{error:#}"))),
    };
    // Shards are opened and closed meanwhile, and readiness is to say so.
    let is_told = response.status == 503 && hostile.request.path.starts_with("/_health/ready");
    if response.status >= 500 && !is_told {
        return Some(Finding::ServerError(response.shown()));
    }
    // A field that no index has, or a template that is not there, is the empty object, as in Elasticsearch.
    let path = &hostile.request.path;
    let is_nothing = response.status == 404
        && (path.contains("/_mapping/field/") || path.starts_with("/_template/"))
        && response.body.trim_ascii() == b"{}";
    let is_readable = response.status < 400
        || is_told
        || is_nothing
        || hostile.breaks_http
        || hostile.request.method == "HEAD"
        // The client itself may have asked for less of the error than there is.
        || hostile.request.path.contains("filter_path=")
        || is_of_the_dialect(&response);
    (!is_readable).then(|| Finding::Shape(response.shown()))
}

/// Is this an error as the dialect writes it, or a document that says that something is absent?
fn is_of_the_dialect(response: &Response) -> bool {
    let Ok(body) = response.json() else {
        return false;
    };
    let status = body["status"].as_u64() == Some(u64::from(response.status));
    match &body["error"] {
        Value::Object(error) => {
            let is_text = |key: &str| error.get(key).is_some_and(Value::is_string);
            let causes = error.get("root_cause").and_then(Value::as_array);
            status && is_text("type") && is_text("reason") && causes.is_some_and(|c| !c.is_empty())
        }
        Value::String(_) => status,
        _ => ["found", "result", "num_freed", "timed_out", "matched"]
            .iter()
            .any(|key| body.get(key).is_some()),
    }
}
