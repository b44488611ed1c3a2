//! Answers that the front keeps: looked up before a request is forwarded, kept when its answer has come.
//!
//! Does: decide by [`Reads`] which requests these are, fetch whole answers with their edition, hand on at once what is
//! too large to be kept. Does not: know the dialect, or what is current; the cache does. Read first:
//! [`KeptAnswers::answer`].

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use gleaner_cache::respond::{BYPASS, LEAST_PACKED, MISS, Wanted, X_EDITION, mark, respond};
use gleaner_cache::{Answer, Cache, Keep, Served};
use gleaner_model::Edition;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::sync::oneshot;
use tower::ServiceExt as _;
use tower_http::compression::Compression;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _, SizeAbove};

use crate::refusal::Refusal;

mod several;

/// Echoed by roots, so it is of one request.
pub(crate) const OPAQUE_ID: HeaderName = HeaderName::from_static("x-opaque-id");

/// Largest answer that is gathered before it is handed on: what may be kept, at most.
const MOST_BYTES: u64 = 1 << 20;

/// Fields of a request that are about the form of its own answer: the answer that is kept has none.
pub(crate) const OF_ONE: [HeaderName; 2] = [header::IF_NONE_MATCH, header::ACCEPT_ENCODING];

/// Knows which requests have answers that may be kept, by what they ask for.
pub trait Reads: Send + Sync {
    /// May who sends this be given what is kept? Where a backend might refuse the sender, by the name that is called or the
    /// page that the request comes from, it is forwarded, and the backend judges. By default everybody may.
    fn may_be_answered(&self, _: &Parts) -> bool {
        true
    }

    /// Returns how the answer may be kept; `None` where it may not, and where a backend would refuse the request.
    fn keep(&self, head: &Parts, body: &Bytes) -> Option<Keep>;

    /// Returns the parts of a request of several, each of which has an answer of its own that may be kept; `None` for other
    /// requests.
    fn several(&self, _: &Parts, _: &Bytes) -> Option<Arc<dyn Several>> {
        None
    }
}

/// A request of several parts, which are looked up one by one.
pub trait Several: Send + Sync {
    /// Returns how the answer to each part may be kept; `None` where it may not.
    fn keeps(&self) -> &[Option<Keep>];

    /// Returns the body of a request for the parts at `places` alone.
    fn body_for(&self, places: &[usize]) -> Bytes;

    /// Returns the answer to each of `num` parts that a backend was sent; `None` where it did not answer them one by one.
    fn answers_in(&self, answer: &Response<Bytes>, num: usize) -> Option<Vec<Answer>>;

    /// Puts the answers to all parts together; they took so long.
    fn joined(&self, answers: &[(StatusCode, Bytes)], took: Duration) -> Bytes;
}

/// What keeps answers of a front. Clones share it.
#[derive(Clone)]
pub struct KeptAnswers {
    /// The answers.
    pub cache: Arc<Cache>,
    /// Which they may be.
    pub reads: Arc<dyn Reads>,
}

impl fmt::Debug for KeptAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptAnswers")
    }
}

/// What came instead of an answer that may be kept: it is for the request that fetched it alone.
pub(crate) type Aside = Result<Response<Body>, Refusal>;

/// What a request asks of the answers that are kept.
pub(crate) enum Lookup {
    /// Its own.
    One(Keep),
    /// Those of its parts.
    Several(Arc<dyn Several>),
}

impl Lookup {
    /// Returns a key of the request.
    pub(crate) fn key(&self) -> Option<&[u8; 32]> {
        let keep = match self {
            Self::One(keep) => Some(keep),
            Self::Several(several) => several.keeps().iter().flatten().next(),
        };
        keep.map(|keep| &keep.key.0)
    }

    /// Returns how many answers may be kept.
    pub(crate) fn num_kept(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(several) => several.keeps().iter().flatten().count(),
        }
    }
}

impl KeptAnswers {
    /// Returns how the answer to a request, or those to its parts, may be kept. `HEAD` has no answer of its own.
    pub(crate) fn look_up(&self, head: &Parts, body: &Bytes) -> Option<Lookup> {
        if head.method != Method::GET && head.method != Method::POST {
            return None;
        }
        if !self.reads.may_be_answered(head) {
            return None;
        }
        let one = self.reads.keep(head, body).map(Lookup::One);
        one.or_else(|| self.reads.several(head, body).map(Lookup::Several))
    }

    /// Answers a request with what is kept, or by `forward`, which gets the head to ask a backend with.
    ///
    /// # Errors
    /// Those of `forward`.
    pub(crate) async fn answer<F>(
        &self,
        keep: &Keep,
        head: Parts,
        forward: impl FnOnce(Parts) -> F + Send + 'static,
    ) -> Result<Response<Body>, Refusal>
    where
        F: Future<Output = Aside> + Send + 'static,
    {
        let mut wanted = Wanted::of(&head.headers, head.method != Method::POST);
        // Fronts are asked by clients, who have no use for it.
        wanted.edition = false;
        let opaque_id = head.headers.get(OPAQUE_ID).cloned();
        let codings = head.headers.get(header::ACCEPT_ENCODING).cloned();
        let (put_aside, aside) = oneshot::channel();
        // Made where nothing is kept only, and in a box: the cache hands it on.
        let fetching = || Box::pin(gleaner_telemetry::carried(fetch(head, forward, put_aside)));
        let served = self.cache.answer(keep, fetching).await;
        let served = served.map_err(|lost| Refusal::failed("none", &lost.to_string()))?;
        let mut response = match aside_of(&served, aside) {
            Some(aside) => {
                let mut response = aside?;
                mark(response.headers_mut(), word(&served));
                response
            }
            None => packed(respond(served, keep, &wanted), codings).await,
        };
        if let Some(opaque_id) = opaque_id {
            response.headers_mut().insert(OPAQUE_ID, opaque_id);
        }
        Ok(response)
    }
}

fn word(served: &Served) -> &'static str {
    match served {
        Served::Renewed(_) => BYPASS,
        Served::Kept(_) | Served::Stale(_) | Served::Shared(_) | Served::Evaluated(_) => MISS,
    }
}

/// Returns what this request's own evaluation brought instead of an answer that may be kept.
fn aside_of(served: &Served, mut aside: oneshot::Receiver<Aside>) -> Option<Aside> {
    match served {
        Served::Evaluated(_) | Served::Renewed(_) => aside.try_recv().ok(),
        Served::Kept(_) | Served::Stale(_) | Served::Shared(_) => None,
    }
}

/// Asks a backend for an answer that may be kept. What is too large, and a refusal, is put aside for the request that
/// asked, and others hear that it is nothing for them.
async fn fetch<F>(
    mut head: Parts,
    forward: impl FnOnce(Parts) -> F,
    put_aside: oneshot::Sender<Aside>,
) -> Answer
where
    F: Future<Output = Aside>,
{
    for name in OF_ONE {
        head.headers.remove(name);
    }
    let edition = HeaderValue::from_static("wanted");
    head.headers.insert(X_EDITION, edition);
    let (head, body) = match forward(head).await {
        Ok(answer) if length(answer.headers()).is_some_and(|length| length <= MOST_BYTES) => {
            answer.into_parts()
        }
        other => return aside(other, put_aside),
    };
    match to_bytes(body, usize::MAX).await {
        Ok(body) => whole(head.status, head.headers, body),
        Err(error) => {
            let refusal = Refusal::failed("root", &crate::body::innermost(&error));
            aside(Err(refusal), put_aside)
        }
    }
}

fn aside(instead: Aside, put_aside: oneshot::Sender<Aside>) -> Answer {
    let stand_in = stand_in(&instead);
    // Nobody waits any more where the request is gone.
    drop(put_aside.send(instead));
    stand_in
}

/// Returns what others who wait are told of an answer that is for one request alone.
pub(crate) fn stand_in(instead: &Aside) -> Answer {
    let has_failed = match instead {
        Ok(answer) => answer.status().is_server_error(),
        Err(_) => true,
    };
    Answer {
        // Without an edition, so nobody else takes it for an answer. Where this has failed, an older one may do.
        status: match has_failed {
            true => StatusCode::BAD_GATEWAY,
            false => StatusCode::OK,
        },
        headers: HeaderMap::new(),
        body: Bytes::new(),
        edition: None,
    }
}

fn whole(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Answer {
    let edition = headers.remove(X_EDITION);
    let edition = edition.as_ref().and_then(|text| text.to_str().ok());
    headers.remove(OPAQUE_ID);
    headers.remove(header::ETAG);
    Answer {
        status,
        headers,
        body,
        edition: edition.and_then(Edition::parse),
    }
}

pub(crate) fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Packs an answer as the client takes it.
pub(crate) async fn packed(
    response: Response<Bytes>,
    codings: Option<HeaderValue>,
) -> Response<Body> {
    let response = response.map(Body::from);
    let Some(codings) = codings else {
        return response;
    };
    let mut request = Request::new(response);
    request
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, codings);
    let answered =
        |request: Request<Response<Body>>| async move { Ok::<_, Infallible>(request.into_body()) };
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(LEAST_PACKED));
    let packing = Compression::new(tower::service_fn(answered)).compress_when(worth_it);
    match packing.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}
