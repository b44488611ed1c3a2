//! Requests whose like a backend answered a moment ago, and outlived.
//!
//! A backend whose connection breaks may have died of the request. One like those that it answered within the last minute it
//! did not die of, as far as anyone can tell: it was under way beside the one that did. Such a request may go to another
//! backend.
//!
//! Does: remember, by a hash and for [`FOR`]; say which bodies are alike. Does not: say what may be sent twice. Read first:
//! [`Familiar`].

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// How long an answer counts: what a request costs depends on data, which change.
const FOR: Duration = Duration::from_secs(60);

/// Hashes that are kept, 8 bytes each; another one with the same lowest bits takes the place of one.
const PLACES: usize = 1 << 14;

/// The bits of a place that say when, in seconds; the others are of the hash.
const SECONDS: u64 = (1 << 24) - 1;

/// The body of a request, as far as it counts: plain words by the magnitude of their length, and numbers by how many digits
/// they have. What is done with them is said by the rest: names of fields before a `:`, signs of patterns, how things are nested.
pub(crate) struct Outline<'a>(pub(crate) &'a [u8]);

impl Hash for Outline<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut rest = self.0;
        let begins = |byte: &u8| *byte == b'"' || byte.is_ascii_digit();
        while let Some(at) = rest.iter().position(begins) {
            let (before, found) = rest.split_at(at);
            state.write(before);
            let (length, next) = match found[0] {
                b'"' => quoted(found),
                _ => number(found),
            };
            match next {
                Counted::Whole => state.write(&found[..length]),
                Counted::As(size) => state.write_usize(size),
            }
            rest = &found[length..];
        }
        state.write(rest);
    }
}

/// How a part of a body counts.
enum Counted {
    /// As it is.
    Whole,
    /// By its size alone.
    As(usize),
}

/// Returns how long the text at the beginning of `bytes` is, quotes included, and how it counts.
fn quoted(bytes: &[u8]) -> (usize, Counted) {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b" -_.,:@".contains(byte);
    let mut is_escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    };
    let Some(end) = bytes[1..].iter().position(ends) else {
        return (bytes.len(), Counted::Whole);
    };
    let (text, behind) = (&bytes[1..=end], &bytes[end + 2..]);
    let mut behind = behind.iter();
    let is_name = behind.find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
    let counted = match is_name || !text.iter().all(is_plain) {
        true => Counted::Whole,
        false => Counted::As(text.len().checked_ilog2().map_or(0, |log| log as usize + 1)),
    };
    (end + 2, counted)
}

/// Returns how many digits `bytes` begin with, and that they count by that.
fn number(bytes: &[u8]) -> (usize, Counted) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let num_digits = digits.count();
    (num_digits, Counted::As(64 + num_digits))
}

/// What requests are alike by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Likeness(u64);

/// Requests that were answered lately.
#[derive(Debug)]
pub(crate) struct Familiar {
    began: Instant,
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

impl Default for Familiar {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Familiar {
    /// Returns the likeness of requests of which `parts` are the same.
    pub(crate) fn likeness(&self, parts: impl Hash) -> Likeness {
        Likeness(self.hasher.hash_one(parts))
    }

    /// Notes that a request was answered.
    pub(crate) fn note(&self, Likeness(hash): Likeness) {
        self.place(hash)
            .store(hash & !SECONDS | self.now(), Relaxed);
    }

    /// Returns whether one like it was answered lately.
    pub(crate) fn knows(&self, Likeness(hash): Likeness) -> bool {
        let noted = self.place(hash).load(Relaxed);
        let age = self.now().saturating_sub(noted & SECONDS);
        noted & !SECONDS == hash & !SECONDS && age < FOR.as_secs()
    }

    /// Forgets what is like a request.
    pub(crate) fn forget(&self, Likeness(hash): Likeness) {
        self.place(hash).store(0, Relaxed);
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[hash as usize % PLACES]
    }

    /// Seconds since it began, and one: what is empty is older than anything.
    fn now(&self) -> u64 {
        (self.began.elapsed().as_secs() + 1 + FOR.as_secs()) & SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_alike_that_differ_in_plain_words_and_small_steps_of_numbers() {
        let familiar = Familiar::default();
        let are_alike = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|body| familiar.likeness(Outline(body.as_bytes())));
            one == other
        };
        let bread = r#"{"query": {"match": {"t": "rye bread"}}, "size": 10}"#;
        for (other, is_alike) in [
            (bread, true),
            (
                r#"{"query": {"match": {"t": "oat water"}}, "size": 99}"#,
                true,
            ),
            (
                r#"{"query": {"match": {"t": "rye bread"}}, "size": 100}"#,
                false,
            ),
            (
                r#"{"query": {"match": {"u": "rye bread"}}, "size": 10}"#,
                false,
            ),
            (
                r#"{"query": {"match": {"t": "rye brea*"}}, "size": 10}"#,
                false,
            ),
            (
                r#"{"query": {"match": {"t": "oat and rye and bread"}}, "size": 10}"#,
                false,
            ),
            (
                r#"{"query": {"match": {"t": ["rye bread"]}}, "size": 10}"#,
                false,
            ),
        ] {
            assert_eq!(are_alike(bread, other), is_alike, "{other}");
        }
        let pattern = |text: &str| format!(r#"{{"regexp": {{"t": "{text}"}}, "x": "y"}}"#);
        assert!(are_alike(&pattern("a{100}"), &pattern("a{100}")));
        for other in ["a{900}", r#"a\"{100}"#, "a{100"] {
            assert!(!are_alike(&pattern("a{100}"), &pattern(other)), "{other}");
        }
        assert!(!are_alike("\"a", "\"b"), "no end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_is_known_for_a_minute_or_until_it_is_forgotten() {
        let familiar = Familiar::default();
        let [one, other] = ["one", "other"].map(|path| familiar.likeness(("GET", path)));
        assert!(!familiar.knows(one) && !familiar.knows(other));
        familiar.note(one);
        familiar.note(other);
        familiar.forget(other);
        assert!(familiar.knows(one) && !familiar.knows(other));
        tokio::time::advance(FOR - Duration::from_secs(1)).await;
        assert!(familiar.knows(one));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!familiar.knows(one));
    }
}
