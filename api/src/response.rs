//! Answers: JSON, tables and plain text, in the form the client asked for.

mod filter_path;
mod table;
mod tree;
mod yaml;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::ApiError;
use crate::parameters::Parameters;

pub(crate) use filter_path::{FilterPath, Share};
pub(crate) use table::{Cell, Column, Table};

use tree::Tree;

/// Bytes that most answers without documents have room in.
const SMALL_BODY: usize = 512;

/// An answer before it is given its form.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    content: Content,
    headers: Vec<(HeaderName, HeaderValue)>,
}

enum Content {
    /// Compact JSON.
    Json(Bytes),
    /// JSON that has its form already.
    Formed(Bytes),
    /// Compact JSON that is sent whole, whatever the filter.
    Error(Bytes),
    Text(String),
    Table(Box<Table>),
    Empty,
    /// Goes out as it is made; no form but compact JSON.
    Stream(Body),
}

impl Reply {
    /// Returns a 200 with `body` as JSON.
    pub(crate) fn json(body: &impl Serialize) -> Self {
        Self::with_status(StatusCode::OK, body)
    }

    /// Returns a 200 with `body` as JSON of roughly `num_bytes`: a large answer that grows while it is
    /// written is copied several times.
    pub(crate) fn json_of(num_bytes: usize, body: &impl Serialize) -> Self {
        Self::written(StatusCode::OK, Vec::with_capacity(num_bytes), body)
    }

    /// Returns an answer with `body` as JSON.
    pub(crate) fn with_status(status: StatusCode, body: &impl Serialize) -> Self {
        Self::written(status, Vec::with_capacity(SMALL_BODY), body)
    }

    fn written(status: StatusCode, mut bytes: Vec<u8>, body: &impl Serialize) -> Self {
        match serde_json::to_writer(&mut bytes, body) {
            Ok(()) => Self::of(status, Content::Json(Bytes::from(bytes))),
            Err(error) => {
                let reason = format!("the answer could not be written as JSON: {error}");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self::error(&ApiError::new(status, "exception", reason))
            }
        }
    }

    /// Returns an answer whose body is JSON text already.
    pub(crate) fn raw_json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::of(status, Content::Json(body.into()))
    }

    /// Returns a 200 whose body is compact JSON, filtered already.
    pub(crate) fn formed_json(body: impl Into<Bytes>) -> Self {
        Self::of(StatusCode::OK, Content::Formed(body.into()))
    }

    /// Returns an answer that is sent while it is made.
    pub(crate) fn streamed(body: Body) -> Self {
        Self::of(StatusCode::OK, Content::Stream(body))
    }

    /// Returns a 200 with plain text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::of(StatusCode::OK, Content::Text(text.into()))
    }

    /// Returns a 200 with a table of `_cat`.
    pub(crate) fn table(table: Table) -> Self {
        Self::of(StatusCode::OK, Content::Table(Box::new(table)))
    }

    /// Returns an answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::of(status, Content::Empty)
    }

    /// Returns an answer to HEAD: 200 when it is there, else 404.
    pub(crate) fn exists(is_there: bool) -> Self {
        Self::empty(if is_there {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        })
    }

    /// Returns the answer that reports `error`: whole, whatever parts of an answer were asked for.
    pub(crate) fn error(error: &ApiError) -> Self {
        let body = error.to_body().to_string();
        Self::of(error.status, Content::Error(Bytes::from(body)))
            .retried_later(error.status == StatusCode::TOO_MANY_REQUESTS && !error.is_permanent())
    }

    /// Says when to try again what was refused for want of room, if something was.
    pub(crate) fn retried_later(self, is_refused: bool) -> Self {
        match is_refused {
            true => self.with_header(header::RETRY_AFTER, RETRY_AFTER),
            false => self,
        }
    }

    fn of(status: StatusCode, content: Content) -> Self {
        Self {
            status,
            content,
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// The form an answer is to have.
#[derive(Debug, Default)]
pub(crate) struct Form {
    filter: Option<FilterPath>,
    is_pretty: bool,
    is_yaml: bool,
    is_json: bool,
}

impl Form {
    /// Reads the form from the URI and the `Accept` header.
    ///
    /// # Errors
    /// 400 for `format=cbor` and other forms that are not written.
    pub(crate) fn of(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, ApiError> {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        let accepted = accept
            .unwrap_or_default()
            .split([',', ';'])
            .next()
            .unwrap_or_default();
        let wanted = parameters.get("format").unwrap_or(match accepted.trim() {
            "application/yaml" => "yaml",
            "application/json" | "application/vnd.elasticsearch+json" => "json",
            "application/cbor" | "application/smile" => "cbor",
            _ => "",
        });
        let (is_yaml, is_json) = match wanted {
            "yaml" => (true, true),
            "json" => (false, true),
            "cbor" | "smile" => {
                let reason =
                    format!("responses as [{wanted}] are not supported, [json] and [yaml] are");
                return Err(ApiError::illegal(reason));
            }
            // `text` and the unknown: as the route has it.
            _ => (false, false),
        };
        let filter = parameters
            .get("filter_path")
            .map(FilterPath::parse)
            .filter(|f| !f.is_empty());
        Ok(Self {
            filter,
            is_pretty: parameters.is_set("pretty")?,
            is_yaml,
            is_json,
        })
    }

    /// Whether the JSON goes out without white space, filtered or not.
    pub(crate) fn is_compact(&self) -> bool {
        !self.is_pretty && !self.is_yaml
    }

    /// Returns what is sent of the answer; `None` is all of it.
    pub(crate) fn filter(&self) -> Option<&FilterPath> {
        self.filter.as_ref()
    }
}

impl Reply {
    /// Gives the answer its form.
    ///
    /// # Errors
    /// 400 for columns that a table does not have.
    pub(crate) fn into_response(
        self,
        form: &Form,
        parameters: &Parameters,
    ) -> Result<http::Response<Body>, ApiError> {
        let (kind, body) = match self.content {
            Content::Empty => (None, Body::empty()),
            Content::Text(text) => (Some(TEXT), Body::from(text)),
            Content::Stream(body) => (Some(JSON), body),
            Content::Formed(bytes) => (Some(JSON), Body::from(bytes)),
            Content::Table(table) if !form.is_json => {
                (Some(TEXT), Body::from(table.to_text(parameters)?))
            }
            Content::Table(table) => {
                let json = table.to_json(parameters)?;
                let bytes = serde_json::to_vec(&json).unwrap_or_default();
                let (kind, bytes) = shaped(Bytes::from(bytes), form.filter(), form);
                (Some(kind), Body::from(bytes))
            }
            Content::Json(bytes) => {
                let (kind, bytes) = shaped(bytes, form.filter(), form);
                (Some(kind), Body::from(bytes))
            }
            Content::Error(bytes) => {
                let (kind, bytes) = shaped(bytes, None, form);
                (Some(kind), Body::from(bytes))
            }
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        if let Some(kind) = kind {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        Ok(response)
    }
}

/// Seconds after which what was refused for want of room is worth another try.
const RETRY_AFTER: &str = "1";

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const TEXT: &str = "text/plain; charset=UTF-8";

/// Filters and prints compact JSON as asked; numbers and texts stay as they are written.
fn shaped(bytes: Bytes, filter: Option<&FilterPath>, form: &Form) -> (&'static str, Bytes) {
    if filter.is_none() && form.is_compact() {
        return (JSON, bytes);
    }
    let text = std::str::from_utf8(&bytes).ok();
    let left = filter
        .zip(text)
        .and_then(|(filter, text)| filter.left_of(text));
    let bytes = left.map_or(bytes, Bytes::from);
    if form.is_yaml {
        return match as_yaml(&bytes) {
            Some(yaml) => (YAML, yaml),
            None => (JSON, bytes),
        };
    }
    let printed = form.is_pretty.then(|| pretty(&bytes)).flatten();
    (JSON, printed.unwrap_or(bytes))
}

fn as_yaml(bytes: &[u8]) -> Option<Bytes> {
    let tree = Tree::read(std::str::from_utf8(bytes).ok()?)?;
    yaml::to_yaml(&tree).map(Bytes::from)
}

fn pretty(bytes: &[u8]) -> Option<Bytes> {
    let tree = Tree::read(std::str::from_utf8(bytes).ok()?)?;
    let mut out = String::with_capacity(2 * bytes.len());
    tree.write(Some(0), &mut out);
    out.push('\n');
    Some(Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;

    async fn sent(reply: Reply, query: &str) -> Value {
        serde_json::from_str(&text_of(reply, query).await).expect("JSON")
    }

    async fn text_of(reply: Reply, query: &str) -> String {
        let parameters = Parameters::parse(Some(query)).expect("well formed");
        let form = Form::of(&parameters, &HeaderMap::new()).expect("a form");
        let response = reply.into_response(&form, &parameters).expect("an answer");
        let body = response.into_body().collect().await.expect("a whole body");
        String::from_utf8(body.to_bytes().to_vec()).expect("text")
    }

    #[tokio::test]
    async fn values_of_filtered_and_pretty_answers_are_as_they_were_written() {
        let source =
            r#"{"long":12345678901234567890123,"tenth":1.10,"large":1e400,"half":"\ud800"}"#;
        let reply = || {
            let body = format!(r#"{{"took":1,"_source":{source}}}"#);
            Reply::raw_json(StatusCode::OK, body)
        };
        let filtered = text_of(reply(), "filter_path=_source").await;
        assert_eq!(filtered, format!(r#"{{"_source":{source}}}"#));
        let printed = text_of(reply(), "filter_path=_source&pretty").await;
        let lines = [
            "{",
            r#"  "_source": {"#,
            r#"    "long": 12345678901234567890123,"#,
            r#"    "tenth": 1.10,"#,
            r#"    "large": 1e400,"#,
            r#"    "half": "\ud800""#,
            "  }",
            "}",
            "",
        ];
        assert_eq!(printed, lines.join("\n"));
    }

    #[tokio::test]
    async fn numbers_of_yaml_answers_are_as_they_were_written() {
        let source = r#"{"long":12345678901234567890123,"tenth":1.10,"large":1e400,"text":"1.10"}"#;
        let body = format!(r#"{{"took":1,"_source":{source}}}"#);
        let reply = Reply::raw_json(StatusCode::OK, body);
        let lines = [
            "---",
            "_source:",
            "  long: 12345678901234567890123",
            "  tenth: 1.10",
            "  large: 1.0e+400",
            r#"  text: "1.10""#,
            "",
        ];
        let printed = text_of(reply, "format=yaml&filter_path=_source").await;
        assert_eq!(printed, lines.join("\n"));
        // Where a text is none that YAML has, the answer stays JSON.
        let half = r#"{"half":"\ud800"}"#;
        let reply = Reply::raw_json(StatusCode::OK, half);
        assert_eq!(text_of(reply, "format=yaml").await, half);
    }

    #[tokio::test]
    async fn errors_are_sent_whole_whatever_is_asked_for() {
        let error = ApiError::index_not_found("nope");
        for query in [
            "filter_path=hits",
            "filter_path=-error",
            "filter_path=hits&pretty",
        ] {
            let body = sent(Reply::error(&error), query).await;
            assert_eq!(body, error.to_body(), "{query}");
        }
    }

    #[test]
    fn who_wants_more_than_there_ever_is_is_not_told_to_come_again() {
        let refused = |durability: &str| {
            let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "exception", "no room");
            let beneath = error.clone().with("durability", durability);
            let reply = Reply::error(&error.rooted_in(vec![beneath]));
            let mut names = reply.headers.iter().map(|(name, _)| name);
            names.any(|name| *name == header::RETRY_AFTER)
        };
        assert!(refused("TRANSIENT"));
        assert!(!refused("PERMANENT"));
    }

    #[tokio::test]
    async fn what_is_no_error_is_filtered_whatever_its_status() {
        let body = json!({"_id": "1", "found": false});
        let reply = Reply::with_status(StatusCode::NOT_FOUND, &body);
        assert_eq!(
            sent(reply, "filter_path=found").await,
            json!({"found": false})
        );
    }
}
