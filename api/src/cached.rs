//! The way of requests whose answers may be kept, around their routes.
//!
//! Does: read what such a request asks of the cache, find its key, answer it from the cache or by its route, and say
//! in headers which it was (`X-Cache`, `Age`, `ETag`). Does not: keep answers (`gleaner-cache` does), evaluate.
//! Called by: [`crate::service`], where there is a cache. Read first: [`answer`].

mod key;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use gleaner_cache::{Answer, Cache, CacheOptions, Current, Entry, Generations, Keep, Served};
use gleaner_model::Edition;
use gleaner_query::canonical::edition::Targets;
use gleaner_root::Root;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::error::ApiError;
use crate::options::ApiOptions;
use crate::request::Request;
use crate::response::{Form, Reply, warning_values};
use crate::service::carry_out;

pub(crate) use key::takes;
pub use key::{KeyMaker, Moment};
use wish::Wish;

/// Says whether an answer was kept: `hit`, `miss`, or `bypass` where the request went around the cache.
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Returns the cache that `options` ask for; `None` where it has no memory.
pub(crate) fn cache_of(root: &Arc<Root>, options: &ApiOptions) -> Option<Arc<Cache>> {
    let clock = root.cluster().clock();
    let memory_bytes = options.cache_bytes;
    let cache = || {
        let options = CacheOptions {
            memory_bytes,
            entry_bytes: options.cache_entry_bytes,
            clock,
        };
        Cache::new(options, Arc::new(OfRoot(Arc::clone(root))))
    };
    (memory_bytes > 0).then(cache)
}

/// What is current by a root in this process, which knows, or asks the leaves.
struct OfRoot(Arc<Root>);

#[async_trait]
impl Generations for OfRoot {
    fn current(&self, targets: &Targets) -> Current {
        if !self.0.knows_editions() {
            return Current::Elsewhere;
        }
        let current = self.0.current_edition(targets);
        current.map_or(Current::Unknown, Current::Edition)
    }

    async fn ask(&self, targets: &Targets, patience: Duration) -> Option<Edition> {
        self.0.ask_edition(targets, patience).await
    }
}

/// A request of a route whose answers may be kept, ready to be carried out.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) form: Form,
    /// About parameters of this request: they stand in no answer that is kept.
    pub(crate) warnings: Vec<String>,
    /// Whether it may be told that nothing has changed: it is no `POST`.
    pub(crate) is_conditional: bool,
}

/// Answers a request: with what is kept, with an equal one, or by its route.
pub(crate) async fn answer(cache: &Arc<Cache>, asked: Asked) -> Response<Body> {
    let Asked {
        mut request,
        form,
        warnings,
        is_conditional,
    } = asked;
    let wish = Wish::of(&request.headers, &request.parameters);
    let body = request.bytes().await;
    let keep = match (&body, wish) {
        (Ok(body), Wish::Any | Wish::Renewed) => key::keep_of(&request, &form, body),
        (_, Wish::Around) | (Err(_), _) => None,
    };
    request.whole = Some(body);
    let Some(keep) = keep else {
        let mut response = carry_out(request, form, &warnings).await;
        mark(&mut response, "bypass");
        return response;
    };
    request.wants_edition = true;
    let condition = is_conditional.then(|| request.headers.get(header::IF_NONE_MATCH).cloned());
    let fetching = async move { read_whole(carry_out(request, form, &[]).await).await };
    let served = match wish {
        Wish::Renewed => Ok(Served::Evaluated(cache.renew(&keep, fetching).await)),
        Wish::Any | Wish::Around => cache.answer(&keep, || fetching).await,
    };
    let mut response = match served {
        Ok(served) => respond(served, &keep, condition.as_ref()),
        Err(lost) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let error = ApiError::new(status, "exception", lost.to_string());
            Reply::error(&error).into_unshaped_response()
        }
    };
    if wish == Wish::Renewed {
        mark(&mut response, "bypass");
    }
    for value in warning_values(&warnings) {
        response.headers_mut().append(header::WARNING, value);
    }
    response
}

/// Takes an answer apart. Its body is there already: only bulks are sent while they are made.
async fn read_whole(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    let edition = head.extensions.get::<Edition>().copied();
    match to_bytes(body, usize::MAX).await {
        Ok(body) => Answer {
            status: head.status,
            headers: head.headers,
            body,
            edition,
        },
        Err(_) => Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            headers: head.headers,
            body: bytes::Bytes::new(),
            edition: None,
        },
    }
}

/// Puts an answer together; `condition` is there where the request may be told that it has it already.
fn respond(served: Served, keep: &Keep, condition: Option<&Option<HeaderValue>>) -> Response<Body> {
    let (mut response, edition) = match served {
        Served::Kept(entry) => kept(&entry),
        Served::Shared(answer) => passed_on(answer, "hit"),
        Served::Evaluated(answer) => passed_on(answer, "miss"),
    };
    let (Some(condition), Some(edition)) = (condition, edition) else {
        return response;
    };
    let tag = format!("\"{edition}-{}\"", keep.key);
    let is_known = condition.as_ref().is_some_and(|known| names(known, &tag));
    if is_known && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn kept(entry: &Entry) -> (Response<Body>, Option<Edition>) {
    let mut response = Response::new(Body::from(entry.body.clone()));
    *response.headers_mut() = entry.headers.clone();
    mark(&mut response, "hit");
    let age = HeaderValue::from(entry.age().as_secs());
    response.headers_mut().insert(header::AGE, age);
    (response, Some(entry.edition))
}

fn passed_on(answer: Answer, word: &'static str) -> (Response<Body>, Option<Edition>) {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    mark(&mut response, word);
    (response, answer.edition)
}

fn mark(response: &mut Response<Body>, word: &'static str) {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(X_CACHE, HeaderValue::from_static(word));
}

/// Returns whether a list of tags names `tag`, or any (RFC 9110, section 13.1.2; weak ones count).
fn names(list: &HeaderValue, tag: &str) -> bool {
    let mut tags = list.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests;
