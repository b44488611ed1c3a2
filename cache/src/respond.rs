//! The answer to a request whose answer may be kept: with `X-Cache`, `Age`, `ETag`, `Vary`, or that nothing has changed.
//!
//! Does: put it together, the same for who evaluates and who stands ahead. Does not: pack it. Read first: [`respond`].

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::Edition;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::entry::age_in;
use crate::{Answer, Entry, Keep, Served};

/// Says whether an answer was kept: one of [`WORDS`].
pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// What [`X_CACHE`] says of an answer that was kept, or that an equal request under way brought.
pub const HIT: &str = "hit";

/// What [`X_CACHE`] says of an answer that was evaluated.
pub const MISS: &str = "miss";

/// What [`X_CACHE`] says of an answer whose request went around what is kept.
pub const BYPASS: &str = "bypass";

/// What [`X_CACHE`] says of an answer that may be no longer current.
pub const STALE: &str = "stale";

/// All that [`X_CACHE`] says.
pub const WORDS: [&str; 4] = [HIT, MISS, BYPASS, STALE];

/// By a front: that it wants to know the edition of the answer. In the answer: the edition, as 32 hexadecimal digits.
pub const X_EDITION: HeaderName = HeaderName::from_static("x-gleaner-edition");

/// What an answer depends on beside its URL: its form, and how it is packed.
pub const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

/// Bytes of the largest answer that is sent as it is: packed it would take a packet all the same.
pub const LEAST_PACKED: u64 = 1_400;

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

/// Where the answer to a request came from, and how old it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was kept, or an equal request under way brought it.
    Kept(Duration),
    /// It was kept, and may be no longer current.
    Stale(Duration),
    /// It was evaluated, and may be kept.
    Evaluated,
    /// It was evaluated whatever is kept.
    Bypass,
}

impl Origin {
    /// Returns that of an answer.
    pub fn of(served: &Served) -> Self {
        match served {
            Served::Kept(entry) => Self::Kept(entry.age()),
            Served::Stale(entry) => Self::Stale(entry.age()),
            Served::Shared(answer) | Served::Evaluated(answer) | Served::Renewed(answer)
                if is_stale(&answer.headers) =>
            {
                Self::Stale(age_in(&answer.headers))
            }
            Served::Shared(answer) => Self::Kept(age_in(&answer.headers)),
            Served::Evaluated(_) => Self::Evaluated,
            Served::Renewed(_) => Self::Bypass,
        }
    }
}

/// Where the answers to parts of one request came from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origins {
    num_parts: usize,
    num_kept: usize,
    num_around: usize,
    is_stale: bool,
    age: Option<Duration>,
}

impl Origins {
    /// Adds that of one more.
    pub fn add(&mut self, origin: Origin) {
        self.num_parts += 1;
        match origin {
            Origin::Kept(age) | Origin::Stale(age) => {
                self.num_kept += 1;
                self.is_stale |= matches!(origin, Origin::Stale(_));
                self.age = self.age.max(Some(age));
            }
            Origin::Bypass => self.num_around += 1,
            Origin::Evaluated => {}
        }
    }

    /// Returns what [`X_CACHE`] says of all of them: `stale` where one may be no longer current, `hit` where none was
    /// evaluated, `bypass` where all went around what is kept.
    pub fn word(&self) -> &'static str {
        match self.num_parts {
            _ if self.is_stale => STALE,
            num_parts if num_parts == self.num_kept => HIT,
            num_parts if num_parts == self.num_around => BYPASS,
            _ => MISS,
        }
    }

    /// Returns the age of the oldest that was kept.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }
}

/// Puts an answer together.
pub fn respond(served: Served, keep: &Keep, wanted: &Wanted) -> Response<Bytes> {
    let (mut response, edition) = match served {
        Served::Kept(entry) => kept(&entry, HIT),
        Served::Stale(entry) => kept(&entry, STALE),
        Served::Shared(answer) => passed_on(answer, HIT),
        Served::Evaluated(answer) => passed_on(answer, MISS),
        Served::Renewed(answer) => passed_on(answer, BYPASS),
    };
    response.headers_mut().insert(header::VARY, VARY);
    let Some(edition) = edition else {
        return response;
    };
    if wanted.edition
        && let Ok(edition) = HeaderValue::try_from(edition.to_string())
    {
        response.headers_mut().insert(X_EDITION, edition);
    }
    if wanted.is_conditional {
        tag(
            &mut response,
            &format!("\"{edition}-{}\"", keep.key),
            wanted,
        );
    }
    response
}

/// Gives an answer its tag, and leaves out its body where the client has it.
///
/// The tag is a weak one (RFC 9110, section 8.8.1): packed and plain it is the same answer in other bytes, and evaluated
/// again on the same state it took another time.
fn tag(response: &mut Response<Bytes>, tag: &str, wanted: &Wanted) {
    let is_known = wanted
        .if_none_match
        .as_ref()
        .is_some_and(|list| names(list, tag));
    if is_known && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if let Ok(tag) = HeaderValue::try_from(format!("W/{tag}")) {
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
    let is_stale = is_stale(&answer.headers);
    *response.headers_mut() = answer.headers;
    // A node behind this one has kept it for longer than it was current.
    mark(response.headers_mut(), if is_stale { STALE } else { word });
    (response, answer.edition)
}

/// Does a node behind this one say that it may be no longer current?
fn is_stale(headers: &HeaderMap) -> bool {
    headers.get(X_CACHE).is_some_and(|word| word == STALE)
}

/// Says in an answer's headers where it came from.
pub fn mark(headers: &mut HeaderMap, word: &'static str) {
    headers.insert(X_CACHE, HeaderValue::from_static(word));
}

/// Adds the warnings of one answer to those of an answer to several, each once.
pub fn add_warnings(headers: &mut HeaderMap, of_one: &HeaderMap) {
    for warning in of_one.get_all(header::WARNING) {
        let mut known = headers.get_all(header::WARNING).iter();
        if !known.any(|known| known == warning) {
            headers.append(header::WARNING, warning.clone());
        }
    }
}

/// Returns whether a list of tags names `tag`, or any (RFC 9110, section 13.1.2; weak ones count).
fn names(list: &HeaderValue, tag: &str) -> bool {
    let mut tags = list.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests;
