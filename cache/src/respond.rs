//! The answer to a request whose answer may be kept: with `X-Cache`, `Age`, `ETag`, or that nothing has changed.
//!
//! Does: put it together, the same for who evaluates and who stands ahead. Does not: pack it. Read first: [`respond`].

use bytes::Bytes;
use gleaner_model::Edition;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{Answer, Entry, Keep, Served};

/// Says whether an answer was kept: `hit`, `miss`, `bypass` where the request went around what is kept, or `stale` where
/// it took one that may be no longer current.
pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// What [`X_CACHE`] says of an answer that may be no longer current.
const STALE: &str = "stale";

/// By a front: that it wants to know the edition of the answer. In the answer: the edition, as 32 hexadecimal digits.
pub const X_EDITION: HeaderName = HeaderName::from_static("x-gleaner-edition");

/// What a request says of the form of its answer.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Whether it may be told that nothing has changed: it is no `POST`.
    pub is_conditional: bool,
    /// Tags of answers that the client has.
    pub if_none_match: Option<HeaderValue>,
    /// Whether the answer names its edition.
    pub edition: bool,
}

impl Wanted {
    /// Reads it from the headers of a request.
    pub fn of(headers: &HeaderMap, is_conditional: bool) -> Self {
        Self {
            is_conditional,
            if_none_match: headers.get(header::IF_NONE_MATCH).cloned(),
            edition: headers.contains_key(X_EDITION),
        }
    }
}

/// Puts an answer together.
pub fn respond(served: Served, keep: &Keep, wanted: &Wanted) -> Response<Bytes> {
    let (mut response, edition) = match served {
        Served::Kept(entry) => kept(&entry, "hit"),
        Served::Stale(entry) => kept(&entry, STALE),
        Served::Shared(answer) => passed_on(answer, "hit"),
        Served::Evaluated(answer) => passed_on(answer, "miss"),
        Served::Renewed(answer) => passed_on(answer, "bypass"),
    };
    let Some(edition) = edition else {
        return response;
    };
    if wanted.edition
        && let Ok(edition) = HeaderValue::try_from(edition.to_string())
    {
        response.headers_mut().insert(X_EDITION, edition);
    }
    if wanted.is_conditional {
        tag(&mut response, format!("\"{edition}-{}\"", keep.key), wanted);
    }
    response
}

/// Gives an answer its tag, and leaves out its body where the client has it.
fn tag(response: &mut Response<Bytes>, tag: String, wanted: &Wanted) {
    let is_known = wanted
        .if_none_match
        .as_ref()
        .is_some_and(|list| names(list, &tag));
    if is_known && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

fn kept(entry: &Entry, word: &'static str) -> (Response<Bytes>, Option<Edition>) {
    let mut response = Response::new(entry.body.clone());
    *response.headers_mut() = entry.headers.clone();
    mark(response.headers_mut(), word);
    let age = HeaderValue::from(entry.age().as_secs());
    response.headers_mut().insert(header::AGE, age);
    (response, Some(entry.edition))
}

fn passed_on(answer: Answer, word: &'static str) -> (Response<Bytes>, Option<Edition>) {
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    let is_stale = answer
        .headers
        .get(X_CACHE)
        .is_some_and(|word| word == STALE);
    *response.headers_mut() = answer.headers;
    // A node behind this one has kept it for longer than it was current.
    mark(response.headers_mut(), if is_stale { STALE } else { word });
    (response, answer.edition)
}

/// Says in an answer's headers where it came from.
pub fn mark(headers: &mut HeaderMap, word: &'static str) {
    headers.insert(X_CACHE, HeaderValue::from_static(word));
}

/// Returns whether a list of tags names `tag`, or any (RFC 9110, section 13.1.2; weak ones count).
fn names(list: &HeaderValue, tag: &str) -> bool {
    let mut tags = list.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests;
