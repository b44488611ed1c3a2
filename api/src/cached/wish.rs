//! What a request says about answers that are kept.

use std::time::Duration;

use gleaner_cache::StaleLimits;
use http::{HeaderMap, header};

use crate::parameters::Parameters;

/// Returns how old an answer a request takes that is no longer current: `max-stale=N` and `stale-if-error=N`, in seconds.
/// One that only says `max-stale` takes any.
pub(super) fn stale_limits(headers: &HeaderMap) -> StaleLimits {
    let mut limits = StaleLimits::default();
    for directive in directives(headers) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = match value.trim().trim_matches('"') {
            "" => u64::MAX,
            // What is no number means nothing, as an unknown directive.
            text => text.parse().unwrap_or(0),
        };
        let limit = Duration::from_secs(seconds);
        match name.trim() {
            name if name.eq_ignore_ascii_case("max-stale") => limits.always = limit,
            name if name.eq_ignore_ascii_case("stale-if-error") => limits.on_error = limit,
            _ => {}
        }
    }
    limits
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let controls = headers.get_all(header::CACHE_CONTROL).iter();
    let controls = controls.filter_map(|value| value.to_str().ok());
    controls.flat_map(|text| text.split(',')).map(str::trim)
}

/// Whether a request takes an answer that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It does, and its own may be kept.
    Any,
    /// It is evaluated, and its answer may be kept (`Cache-Control: no-cache`).
    Renewed,
    /// It is evaluated for itself (`Cache-Control: no-store`, `request_cache=false`).
    Around,
}

impl Wish {
    /// Reads it from the headers and the URI.
    pub(super) fn of(headers: &HeaderMap, parameters: &Parameters) -> Self {
        let mut wish = Self::Any;
        for directive in directives(headers) {
            if directive.eq_ignore_ascii_case("no-store") {
                return Self::Around;
            }
            if directive.eq_ignore_ascii_case("no-cache") {
                wish = Self::Renewed;
            }
        }
        match parameters.flag("request_cache") {
            // A value that means nothing is refused by the route.
            Ok(Some(false)) | Err(_) => Self::Around,
            Ok(Some(true) | None) => wish,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(control: &str, query: &str) -> Wish {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, control.parse().expect("a header"));
        let parameters = Parameters::parse(Some(query)).expect("well formed");
        Wish::of(&headers, &parameters)
    }

    #[test]
    fn a_request_says_how_old_an_answer_may_be() {
        let seconds = Duration::from_secs;
        for (control, always, on_error) in [
            ("", seconds(0), seconds(0)),
            ("max-stale=60", seconds(60), seconds(0)),
            ("Max-Stale", seconds(u64::MAX), seconds(0)),
            (
                "max-age=3, stale-if-error = \"30\"",
                seconds(0),
                seconds(30),
            ),
            ("max-stale=soon, stale-if-error=-1", seconds(0), seconds(0)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, control.parse().expect("a header"));
            let limits = StaleLimits { always, on_error };
            assert_eq!(stale_limits(&headers), limits, "{control}");
        }
    }

    #[test]
    fn a_request_says_whether_it_takes_what_is_kept() {
        for (control, query, expected) in [
            ("", "", Wish::Any),
            ("max-age=3", "request_cache=true", Wish::Any),
            ("No-Cache", "", Wish::Renewed),
            ("max-age=0, no-store", "", Wish::Around),
            ("no-cache, no-store", "", Wish::Around),
            ("no-cache", "request_cache=false", Wish::Around),
            ("", "request_cache=perhaps", Wish::Around),
        ] {
            assert_eq!(wish(control, query), expected, "{control} {query}");
        }
    }
}
