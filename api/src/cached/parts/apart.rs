//! An `_msearch` apart, and its answer: for who stands ahead of a root, and sends on what it does not have itself.
//!
//! Does: cut its lines and the answers to it, put searches and answers together again. Does not: keep or send anything.
//! Read first: [`Searches`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gleaner_cache::respond::X_EDITION;
use gleaner_cache::{Answer, Keep};
use gleaner_model::Edition;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::head_of_all;
use crate::headers::PRODUCT;

/// How the answer to a search ends inside of an `_msearch`, in place of the brace of one by itself.
pub(crate) const PART_END: &[u8] = br#","status":200}"#;

/// Between the answers to searches.
const BETWEEN: &[u8] = b",";

/// What follows the last of them.
const END: &[u8] = b"]}";

/// Headers of an answer to several searches that each of them has.
const OF_EACH: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::AGE,
    PRODUCT,
    gleaner_cache::respond::X_CACHE,
];

/// The searches of an `_msearch`, in order.
pub struct Searches {
    /// The header of each, and its body.
    lines: Vec<(Bytes, Bytes)>,
    keeps: Vec<Option<Keep>>,
}

/// The body of an answer, as far as it is read here.
#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    responses: Vec<&'a RawValue>,
}

impl Searches {
    pub(super) fn new(lines: Vec<(Bytes, Bytes)>, keeps: Vec<Option<Keep>>) -> Self {
        Self { lines, keeps }
    }

    /// Returns how the answer to each may be kept; `None` where it may not.
    pub fn keeps(&self) -> &[Option<Keep>] {
        &self.keeps
    }

    /// Returns the body of an `_msearch` for those at `places` alone.
    pub fn body_for(&self, places: &[usize]) -> Bytes {
        let mut body = BytesMut::new();
        for (header, search) in places.iter().filter_map(|at| self.lines.get(*at)) {
            for line in [header, search] {
                body.extend_from_slice(line);
                body.extend_from_slice(b"\n");
            }
        }
        body.freeze()
    }

    /// Returns the answer to each of `num` searches that a root was sent; `None` where it did not answer them one by one.
    pub fn answers_in(&self, answer: &Response<Bytes>, num: usize) -> Option<Vec<Answer>> {
        let (body, headers) = (answer.body(), answer.headers());
        if answer.status() != StatusCode::OK {
            return None;
        }
        let read: Responses<'_> = serde_json::from_slice(body).ok()?;
        if read.responses.len() != num {
            return None;
        }
        let editions = editions_in(headers, num);
        let mut of_each = HeaderMap::new();
        for name in OF_EACH {
            if let Some(value) = headers.get(&name) {
                of_each.insert(name, value.clone());
            }
        }
        let answers = read.responses.iter().zip(editions).map(|(part, edition)| {
            let whole = body.slice_ref(part.get().as_bytes());
            let Some(start) = whole.strip_suffix(PART_END) else {
                return Answer {
                    status: status_in(&whole),
                    headers: of_each.clone(),
                    body: whole,
                    edition: None,
                };
            };
            Answer {
                status: StatusCode::OK,
                headers: of_each.clone(),
                body: [start, b"}"].concat().into(),
                edition,
            }
        });
        Some(answers.collect())
    }

    /// Puts the answers to all searches together, each with its status; they took so long.
    pub fn joined(answers: &[(StatusCode, Bytes)], took: Duration) -> Bytes {
        let num_bytes: usize = answers.iter().map(|(_, body)| body.len()).sum();
        let each = PART_END.len() + BETWEEN.len();
        let mut all = BytesMut::with_capacity(num_bytes + each * answers.len() + 64);
        all.extend_from_slice(head_of_all(took).as_bytes());
        for (at, (status, body)) in answers.iter().enumerate() {
            if at > 0 {
                all.extend_from_slice(BETWEEN);
            }
            match body.strip_suffix(b"}") {
                Some(start) if *status == StatusCode::OK => {
                    all.extend_from_slice(start);
                    all.extend_from_slice(PART_END);
                }
                _ => all.extend_from_slice(body),
            }
        }
        all.extend_from_slice(END);
        all.freeze()
    }
}

/// Cuts a body into headers and searches; `None` where the route would refuse it, or it has none.
pub(super) fn lines(body: &Bytes) -> Option<Vec<(Bytes, Bytes)>> {
    let mut lines = Vec::new();
    let mut rest = body.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
    while let Some(header) = rest.next() {
        let Some(search) = rest.next() else {
            // A blank line behind the last search.
            return (header.trim_ascii().is_empty() && !lines.is_empty()).then_some(lines);
        };
        let cut = |line: &[u8]| body.slice_ref(line.strip_suffix(b"\r").unwrap_or(line));
        lines.push((cut(header), cut(search)));
    }
    (!lines.is_empty()).then_some(lines)
}

/// Writes editions of answers for a front: by their places, `-` for one without.
pub(crate) fn edition_list(editions: &[Option<Edition>]) -> String {
    let words = editions.iter().map(|edition| match edition {
        Some(edition) => edition.to_string(),
        None => "-".to_owned(),
    });
    words.collect::<Vec<_>>().join(",")
}

/// Reads what [`edition_list`] wrote of `num` answers. An answer with a warning is not kept: it does not say which of them it
/// is about.
fn editions_in(headers: &HeaderMap, num: usize) -> Vec<Option<Edition>> {
    let list = headers.get(X_EDITION).and_then(|list| list.to_str().ok());
    let editions: Vec<_> = list
        .unwrap_or_default()
        .split(',')
        .map(Edition::parse)
        .collect();
    match editions.len() == num && !headers.contains_key(header::WARNING) {
        true => editions,
        false => vec![None; num],
    }
}

/// Returns the status that the answer to a search that failed ends with.
fn status_in(answer: &[u8]) -> StatusCode {
    let read = || {
        let text = std::str::from_utf8(answer).ok()?;
        let (_, status) = text.strip_suffix('}')?.rsplit_once(r#""status":"#)?;
        let status = StatusCode::from_bytes(status.trim().as_bytes()).ok()?;
        // One of ours that succeeded ends otherwise.
        (status != StatusCode::OK).then_some(status)
    };
    read().unwrap_or(StatusCode::BAD_GATEWAY)
}
