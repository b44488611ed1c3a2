//! Answers: JSON, tables and plain text, in the form the client asked for.

mod buffer;
mod filter_path;
mod form;
mod making;
mod table;
mod tree;
mod warnings;
mod yaml;

use axum::body::Body;
use bytes::Bytes;
use gleaner_model::Edition;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::ApiError;
use crate::headers::CHALLENGES;
use crate::parameters::Parameters;

pub(crate) use buffer::{Buffer, KeepOn};
pub(crate) use filter_path::{FilterPath, Share};
pub(crate) use form::Form;
pub(crate) use making::{AnswerMaker, Extent};
pub(crate) use table::{Cell, Column, Table};
pub(crate) use warnings::values as warning_values;

use buffer::counted;
use form::{JSON, shaped, shaped_or_compact};

/// Bytes that most answers without documents have room in.
const SMALL_BODY: usize = 512;

/// An answer before it is given its form.
pub(crate) struct Reply {
    head: Head,
    content: Content,
}

/// An answer without its body.
struct Head {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the request asked for and did not get.
    warnings: Vec<String>,
    /// The state that it was evaluated on, where it may be kept.
    edition: Option<Edition>,
}

enum Content {
    /// Compact JSON about what is done already, a write for example: it is sent in any case, without its
    /// form where there is no room or no time for one.
    Json(Bytes),
    /// The same, of which the bytes are charged already.
    Done(Bytes),
    /// Compact JSON whose bytes are charged already. Where its form finds no room or no time the request is
    /// refused, and can be sent again.
    Counted(Bytes),
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

    /// Returns a 200 with JSON that [`AnswerMaker::written`] made.
    pub(crate) fn made(body: Bytes) -> Self {
        Self::of(StatusCode::OK, Content::Counted(body))
    }

    /// Returns an answer with `body` as JSON.
    pub(crate) fn with_status(status: StatusCode, body: &impl Serialize) -> Self {
        let mut bytes = Vec::with_capacity(SMALL_BODY);
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

    /// Returns the answer that reports `error`, with its warnings: whole, whatever parts of an answer were asked for.
    pub(crate) fn error(error: &ApiError) -> Self {
        let body = error.to_body().to_string();
        let reply = Self::of(error.status, Content::Error(Bytes::from(body)));
        let challenges = CHALLENGES.iter();
        let challenges = challenges.filter(|_| error.status == StatusCode::UNAUTHORIZED);
        challenges
            .fold(reply, |reply, challenge| {
                reply.with_header(header::WWW_AUTHENTICATE, challenge)
            })
            .retried_later(error.status == StatusCode::TOO_MANY_REQUESTS && !error.is_permanent())
            .warning(error.warnings())
    }

    /// Says when to try again what was refused for want of room, if something was.
    pub(crate) fn retried_later(self, is_refused: bool) -> Self {
        match is_refused {
            true => self.with_header(header::RETRY_AFTER, RETRY_AFTER),
            false => self,
        }
    }

    fn of(status: StatusCode, content: Content) -> Self {
        let head = Head {
            status,
            headers: Vec::new(),
            warnings: Vec::new(),
            edition: None,
        };
        Self { head, content }
    }

    /// Adds a `Warning` for each of `texts`, as the dialect tells what it did not do. Clients see the first
    /// of them, and how many there are.
    pub(crate) fn warning(mut self, texts: &[String]) -> Self {
        self.head.warnings.extend_from_slice(texts);
        self
    }

    /// Says on which state the answer was evaluated: it may be kept for as long as that is the current one.
    pub(crate) fn evaluated_on(mut self, edition: Option<Edition>) -> Self {
        self.head.edition = edition;
        self
    }

    /// Returns all warnings added so far.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.head.warnings
    }

    /// Has JSON sent in any case, without its form where there is no room or no time for one: what it says
    /// is done, and is not done again when the request is sent again.
    pub(crate) fn about_what_is_done(mut self) -> Self {
        if let Content::Counted(bytes) = self.content {
            self.content = Content::Done(bytes);
        }
        self
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.head.headers.push((name, value));
        }
        self
    }
}

impl Reply {
    /// Gives the answer its form. Its bytes count until they are written.
    ///
    /// # Errors
    /// 400 for columns that a table does not have, 429 or 503 when there is no memory or no time for the
    /// form of an answer that can be asked for again.
    pub(crate) async fn into_response(
        self,
        form: &Form,
        parameters: &Parameters,
        making: &AnswerMaker,
    ) -> Result<http::Response<Body>, ApiError> {
        let memory = &making.memory;
        let text = |text: String| (TEXT, counted(text.into(), memory));
        let (kind, bytes) = match self.content {
            Content::Empty => return Ok(self.head.with(None, Body::empty())),
            Content::Stream(body) => return Ok(self.head.with(Some(JSON), body)),
            Content::Text(whole) => text(whole),
            Content::Formed(bytes) => (JSON, counted(bytes, memory)),
            Content::Table(table) if !form.is_json() => text(table.to_text(parameters)?),
            Content::Table(table) => {
                let json = table.to_json(parameters)?;
                let bytes = serde_json::to_vec(&json).unwrap_or_default();
                shaped_or_compact(counted(bytes.into(), memory), form, making).await
            }
            Content::Json(bytes) => shaped_or_compact(counted(bytes, memory), form, making).await,
            Content::Done(bytes) => shaped_or_compact(bytes, form, making).await,
            Content::Counted(bytes) => shaped(bytes, form, making).await?,
            Content::Error(bytes) => shaped_or_compact(bytes, &form.whole(), making).await,
        };
        Ok(self.head.with(Some(kind), Body::from(bytes)))
    }

    /// Returns the answer as it was written, for a request that is refused before its form is read.
    pub(crate) fn into_unshaped_response(self) -> http::Response<Body> {
        let body = match self.content {
            Content::Error(bytes) | Content::Formed(bytes) | Content::Json(bytes) => {
                Body::from(bytes)
            }
            _ => Body::empty(),
        };
        self.head.with(Some(JSON), body)
    }
}

impl Head {
    /// Puts an answer together; headers of its own replace the kind of its body.
    fn with(self, kind: Option<&'static str>, body: Body) -> http::Response<Body> {
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in self.headers {
            match name {
                // There is one, and who names another means it.
                header::CONTENT_TYPE => drop(headers.insert(name, value)),
                _ => drop(headers.append(name, value)),
            }
        }
        for value in warnings::values(&self.warnings) {
            headers.append(header::WARNING, value);
        }
        if let Some(edition) = self.edition {
            response.extensions_mut().insert(edition);
        }
        response
    }
}

/// Seconds after which what was refused for want of room is worth another try.
const RETRY_AFTER: &str = "1";

const TEXT: &str = "text/plain; charset=UTF-8";

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{all_memory, making, root_without_time};

    async fn sent(reply: Reply, query: &str) -> Value {
        serde_json::from_str(&text_of(reply, query).await).expect("JSON")
    }

    async fn text_of(reply: Reply, query: &str) -> String {
        let text = text_made(reply, query, &making()).await;
        text.expect("an answer")
    }

    async fn text_made(
        reply: Reply,
        query: &str,
        making: &AnswerMaker,
    ) -> Result<String, ApiError> {
        let parameters = Parameters::parse(Some(query)).expect("well formed");
        let form = Form::of(&parameters, &HeaderMap::new()).expect("a form");
        let response = reply.into_response(&form, &parameters, making).await?;
        let body = response.into_body().collect().await.expect("a whole body");
        Ok(String::from_utf8(body.to_bytes().to_vec()).expect("text"))
    }

    const FORMS: [&str; 3] = ["pretty", "format=yaml", "filter_path=a"];

    #[tokio::test]
    async fn what_is_done_is_said_without_room_for_its_form() {
        let root = crate::dialect::tests::root();
        let held = all_memory(&root);
        let making = AnswerMaker::new(&root);
        let body = r#"{"a":1,"b":2}"#;
        let counted = || Reply::made(Bytes::from(body));
        for query in FORMS {
            for reply in [
                Reply::raw_json(StatusCode::CREATED, body),
                counted().about_what_is_done(),
            ] {
                let said = text_made(reply, query, &making).await;
                assert_eq!(said.expect("it is done"), body, "{query}");
            }
            let refused = text_made(counted(), query, &making).await;
            let refused = refused.expect_err("it can be asked for again");
            assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{query}");
        }
        drop(held);
        let said = text_made(counted(), "filter_path=a", &making).await;
        assert_eq!(said.expect("there is room again"), r#"{"a":1}"#);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_done_is_said_without_time_for_its_form() {
        let making = AnswerMaker::new(&root_without_time());
        let body = format!(r#"{{"a":"{}"}}"#, "long".repeat(20_000));
        for query in FORMS {
            let reply = Reply::raw_json(StatusCode::OK, body.clone());
            let said = text_made(reply, query, &making).await;
            assert_eq!(said.expect("it is done"), body, "{query}");
            let reply = Reply::made(Bytes::from(body.clone()));
            let refused = text_made(reply, query, &making).await;
            let refused = refused.expect_err("it can be asked for again");
            assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{query}");
        }
    }

    /// What is done on the runtime's threads is never late.
    #[tokio::test(flavor = "multi_thread")]
    async fn long_filters_are_work_for_other_threads() {
        let making = AnswerMaker::new(&root_without_time());
        let body = format!(r#"{{"a":"{}"}}"#, "b".repeat(1_000));
        let filtered = async |filter: &str| {
            let query = format!("filter_path={filter}");
            let reply = Reply::made(Bytes::from(body.clone()));
            text_made(reply, &query, &making).await
        };
        assert_eq!(filtered("a").await.expect("it is short"), body);
        let refused = filtered(&vec!["a"; 4_000].join(",")).await;
        let refused = refused.expect_err("there is no time");
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
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
            let mut names = reply.head.headers.iter().map(|(name, _)| name);
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
