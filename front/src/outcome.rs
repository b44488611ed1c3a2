//! What became of a request, as metrics tell it.
//!
//! Does: count a request by its class, its outcome and what the front's own answer cache did. Does not: decide any of
//! these. Called by [`crate::front`]. Read first: [`Subject::count`].

use std::time::Duration;

use axum::body::Body;
use gleaner_cache::respond::{WORDS, X_CACHE};
use gleaner_model::metric;
use http::Response;

use crate::classes::RequestClass;
use crate::refusal::Refusal;

/// Stands for the cache of an answer that the front did not look up, and for a class that is not known.
const NONE: &str = "none";

/// What became of a request.
const OUTCOMES: [&str; 3] = [FORWARDED, REFUSED, FAILED];
const FORWARDED: &str = "forwarded";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";

/// Has all counts be there from the start.
pub(crate) fn begin() {
    for class in RequestClass::ALL {
        metrics::gauge!(metric::FRONT_WAITING.name, "class" => class.name()).set(0.0);
    }
    let classes = RequestClass::ALL.map(RequestClass::name);
    for class in classes.into_iter().chain([NONE]) {
        for outcome in OUTCOMES {
            let labels = [("class", class), ("outcome", outcome)];
            metrics::counter!(metric::FRONT_REQUESTS.name, &labels).absolute(0);
        }
    }
}

/// A request, as far as metrics tell requests apart.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    /// `None` where it was refused before its class was known.
    pub(crate) class: Option<RequestClass>,
    /// Was its answer looked up among those that the front keeps?
    pub(crate) is_looked_up: bool,
}

impl Subject {
    /// Counts the request, whose answer, or its head, came after so long.
    pub(crate) fn count(&self, answered: &Result<Response<Body>, Refusal>, after: Duration) {
        let outcome = match answered {
            Ok(_) => FORWARDED,
            Err(refusal) if refusal.status.is_client_error() => REFUSED,
            Err(_) => FAILED,
        };
        let class = self.class.map_or(NONE, RequestClass::name);
        let cache = answered.as_ref().map_or(NONE, |answer| self.cache(answer));
        let labels = [("class", class), ("outcome", outcome)];
        metrics::counter!(metric::FRONT_REQUESTS.name, &labels).increment(1);
        let labels = [("cache", cache), ("outcome", outcome)];
        metrics::histogram!(metric::FRONT_SECONDS.name, &labels).record(after.as_secs_f64());
    }

    /// Returns what the cache did. A backend that has a cache of its own says so in the same field, of answers that are
    /// not looked up here.
    fn cache(&self, answer: &Response<Body>) -> &'static str {
        let said = answer.headers().get(X_CACHE).filter(|_| self.is_looked_up);
        let word = said.and_then(|said| WORDS.into_iter().find(|word| said == word));
        word.unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_few_values_whatever_backends_say() {
        let answer = |said: &'static str| {
            let answer = Response::builder().header(X_CACHE, said);
            answer.body(Body::empty()).expect("a response")
        };
        let cases = [
            (true, "hit", "hit"),
            (true, "stale", "stale"),
            (true, "Hit from elsewhere", NONE),
            (false, "hit", NONE),
        ];
        for (is_looked_up, said, expected) in cases {
            let subject = Subject {
                class: None,
                is_looked_up,
            };
            assert_eq!(subject.cache(&answer(said)), expected, "{said}");
        }
    }
}
