//! A request on its way to a handler.

mod body;
mod content_type;
mod lines;
mod read_search;
mod reading;
mod room;
pub(crate) mod target;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use gleaner_query::dsl::Query;
use gleaner_query::search::parse_query_body;
use gleaner_query::settings::cluster;
use gleaner_query::{QueryError, json};
use gleaner_root::Root;
use gleaner_root::memory as answer;
use gleaner_root::origin::Origin;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use parking_lot::Mutex;
use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::response::{AnswerMaker, Reply};
use crate::route::Route;
use crate::security::Sender;
use crate::service::App;

pub(crate) use body::BodyReader;
pub(crate) use lines::Lines;
pub(crate) use read_search::ReadSearch;
pub(crate) use reading::{ALLOWED, Reading};
pub(crate) use room::{BodyReservation, BodyRoom};

/// Header in which a front says how many milliseconds it goes on waiting.
const REMAINING: &str = "x-gleaner-remaining-ms";

/// Header in which a root tells a front how many microseconds threads of leaves, and its own, were busy with a request.
const COST: HeaderName = HeaderName::from_static("x-gleaner-cost-us");

/// Routes whose answers tell what they cost. What leaves take for the others is not known: a front charges them the time
/// until they are answered.
const COSTED: [&str; 4] = ["search", "msearch", "scroll", "indices.analyze"];

/// Adds what this process took to what an answer says that it cost, if it says so.
pub(crate) fn add_cost(headers: &mut HeaderMap, took: Duration) {
    let Some(told) = headers.get_mut(COST) else {
        return;
    };
    let of_leaves = told.to_str().ok().and_then(|told| told.parse().ok());
    let own = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    *told = HeaderValue::from(own.saturating_add(of_leaves.unwrap_or(0)));
}

/// Time that is left for an answer to reach the front that waits for it; of short times a tenth is.
const WAY_BACK: Duration = Duration::from_millis(100);

/// What a handler answers.
pub(crate) type Answer = Result<Reply, ApiError>;

/// Answers a request of one route.
pub(crate) type Handler = fn(Request) -> BoxFuture<'static, Answer>;

/// A request with its route found and its parameters checked.
pub(crate) struct Request {
    pub(crate) app: Arc<App>,
    pub(crate) route: &'static Route,
    pub(crate) handler: Handler,
    /// As it was sent.
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) parameters: Parameters,
    /// Parts of the path by name, unescaped.
    pub(crate) parts: Vec<(&'static str, String)>,
    /// Behind a lock only because a body cannot be shared between threads, which a request can.
    pub(crate) body: Mutex<Body>,
    /// All of it, or why there is none, where it was read before the route reads it.
    pub(crate) whole: Option<Result<Bytes, ApiError>>,
    /// What it says, where it was read for the key of its answer: nobody reads it twice.
    pub(crate) read: Option<Box<ReadSearch>>,
    /// What has been read of it, until the request is answered.
    pub(crate) held: BodyReservation,
    /// What its answer is made with.
    pub(crate) making: AnswerMaker,
    /// What reading its JSON takes in memory.
    pub(crate) parsed: Option<answer::HeldMemory>,
    pub(crate) started: Instant,
    pub(crate) sender: Sender,
    /// Whether its answer is to say on which state it was evaluated, since it may be kept.
    pub(crate) wants_edition: bool,
}

fn patience_of(headers: &HeaderMap) -> Option<Duration> {
    let told = headers.get(REMAINING)?.to_str().ok()?;
    let remaining = Duration::from_millis(told.parse().ok()?);
    Some(remaining - (remaining / 10).min(WAY_BACK))
}

impl Request {
    /// Returns the root.
    pub(crate) fn root(&self) -> &Root {
        &self.app.root
    }

    /// Returns what it is read with.
    pub(crate) fn reading(&self) -> Reading<'_> {
        let cluster = self.root().cluster();
        let state = cluster.state();
        Reading {
            parameters: &self.parameters,
            parts: &self.parts,
            limits: cluster::limits(state.settings(), cluster.options().limits),
            state,
            now_ms: cluster.now_ms(),
        }
    }

    /// Returns what a list of tasks shows of who asked.
    pub(crate) fn origin(&self, source: &Bytes) -> Origin {
        let opaque_id = self.headers.get("x-opaque-id");
        let opaque_id = opaque_id.and_then(|value| value.to_str().ok());
        Origin {
            opaque_id: opaque_id.map(str::to_owned),
            owner: self
                .sender
                .principal
                .holder()
                .map(|holder| holder.id.to_string()),
            source: source.clone(),
        }
    }

    /// Returns how long the front that passed the request on waits for the answer, less what the way back takes;
    /// `None` where it came without one. A client that sends the header itself shortens its own searches only.
    pub(crate) fn patience(&self) -> Option<Duration> {
        patience_of(&self.headers)
    }

    /// Returns whether the answer tells what it cost: a front passed the request on, and charges by that, and it is known
    /// what leaves took.
    pub(crate) fn tells_cost(&self) -> bool {
        COSTED.contains(&self.route.name) && self.headers.contains_key(REMAINING)
    }

    /// Has the answer tell the processor time that leaves took, where it tells what it cost.
    pub(crate) fn telling_cost(&self, reply: Reply, cost: Duration) -> Reply {
        match self.tells_cost() {
            true => reply.with_header(COST, &cost.as_micros().to_string()),
            false => reply,
        }
    }

    /// Returns the whole path, escaped as it was sent.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Returns a part of the path.
    pub(crate) fn part(&self, name: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a part that the route's paths all have.
    ///
    /// # Errors
    /// 500 when the route's table lacks it.
    pub(crate) fn required_part(&self, name: &str) -> Result<&str, ApiError> {
        let missing = || {
            let reason = format!("route [{}] has no part [{name}]", self.route.name);
            ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "exception", reason)
        };
        self.part(name).ok_or_else(missing)
    }

    /// Returns the whole body, unpacked, or the `source` parameter where there is no body.
    ///
    /// # Errors
    /// 406 for a type that is not JSON, 413 when it is too large, 429 when all bodies together are, 400
    /// when it is not UTF-8; as [`Request::renew_rights`].
    pub(crate) async fn bytes(&mut self) -> Result<Bytes, ApiError> {
        if let Some(whole) = self.whole.take() {
            return whole;
        }
        let limit = self.app.options.max_body_bytes;
        let body = self.read_all(limit).await?;
        body_in_uri(&body, &self.parameters)
    }

    async fn read_all(&mut self, limit: usize) -> Result<Bytes, ApiError> {
        let mut reader = self.body_reader(limit)?;
        let mut whole = Vec::new();
        while let Some(piece) = reader.next().await? {
            self.held.grow(piece.len())?;
            whole.extend_from_slice(&piece);
        }
        // It may have come slowly.
        self.renew_rights()?;
        check_whole(&self.headers, &whole)?;
        Ok(Bytes::from(whole))
    }

    /// Takes the body to be read piece by piece.
    ///
    /// # Errors
    /// 406 or 415 for a type or encoding that is not read.
    pub(crate) fn body_reader(&mut self, limit: usize) -> Result<BodyReader, ApiError> {
        check_type(&self.headers)?;
        let body = std::mem::replace(self.body.get_mut(), Body::empty());
        BodyReader::new(body, &self.headers, &self.app.options, limit)
    }

    /// Takes the body to be read line by line; what its lines hold is counted until they are dropped.
    ///
    /// # Errors
    /// As [`Request::body_reader`].
    pub(crate) fn lines(&mut self, limit: usize) -> Result<Lines, ApiError> {
        Ok(Lines::new(self.body_reader(limit)?, self.app.bodies.open()))
    }

    /// Returns the body as JSON; `None` when there is none.
    ///
    /// # Errors
    /// As [`Request::bytes`], and 400 for what is not JSON.
    pub(crate) async fn json(&mut self) -> Result<Option<Value>, ApiError> {
        let body = self.bytes().await?;
        if body.trim_ascii().is_empty() {
            return Ok(None);
        }
        let limits = self.root().cluster().limits();
        let read = self
            .parsed(&body, move |body| json::read(body, &limits))
            .await;
        read.map(Some)
    }

    /// Parses JSON of the request: off the runtime's threads when it is large, and within the memory of the
    /// request, since values take many times their text.
    ///
    /// # Errors
    /// Those of `parse`; 429 when there is no memory for it.
    pub(crate) async fn parsed<T, F>(&mut self, body: &Bytes, parse: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> Result<T, QueryError> + Send + 'static,
    {
        let (parsed, held) = self.making.parsed(body, parse).await?;
        self.parsed = held;
        Ok(parsed)
    }

    /// Returns the query of a body, which may be empty.
    ///
    /// # Errors
    /// As [`Request::parsed`].
    pub(crate) async fn query(&mut self, body: &Bytes) -> Result<Option<Query>, ApiError> {
        let limits = self.root().cluster().limits();
        let parse = move |body: &[u8]| parse_query_body(body, &limits);
        self.parsed(body, parse).await
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// As [`Request::json`], and 400 when there is none.
    pub(crate) async fn required_json(&mut self) -> Result<Value, ApiError> {
        let body = self.json().await?;
        body.ok_or_else(|| ApiError::parse("request body is required"))
    }
}

/// Returns a body that was read, or where it is empty the one that the `source` parameter holds.
///
/// # Errors
/// 400 when the type of that is not given, 406 when it is not JSON.
pub(crate) fn body_in_uri(body: &Bytes, parameters: &Parameters) -> Result<Bytes, ApiError> {
    let source = parameters.get("source").filter(|_| body.is_empty());
    let Some(source) = source else {
        return Ok(body.clone());
    };
    let Some(kind) = parameters.get("source_content_type") else {
        return Err(ApiError::illegal(
            "source and source_content_type parameters are required",
        ));
    };
    content_type::check(kind)?;
    Ok(Bytes::copy_from_slice(source.as_bytes()))
}

/// Refuses a body without a type, or that is not UTF-8.
///
/// # Errors
/// 406 and 400.
pub(crate) fn check_whole(headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    content_type::check_present(headers)?;
    match std::str::from_utf8(body) {
        Ok(_) => Ok(()),
        Err(_) => Err(ApiError::parse("request body is not UTF-8")),
    }
}

/// Refuses a type of body that is not read.
///
/// # Errors
/// 406.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    content_type::of(headers)?.map_or(Ok(()), content_type::check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_tell_what_they_cost_are_there() {
        for name in COSTED {
            let mut routes = crate::parameter_tables();
            assert!(routes.any(|route| route.name == name), "{name}");
        }
    }

    #[test]
    fn a_front_says_how_long_it_waits() {
        for (told, expected) in [
            ("5000", Some(4_900)),
            ("100", Some(90)),
            ("0", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REMAINING, told.parse().expect("a value"));
            assert_eq!(
                patience_of(&headers),
                expected.map(Duration::from_millis),
                "{told}"
            );
        }
        assert_eq!(patience_of(&HeaderMap::new()), None);
    }
}
