//! What a request says about answers that are kept.

use http::{HeaderMap, header};

use crate::parameters::Parameters;

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
        let controls = headers.get_all(header::CACHE_CONTROL).iter();
        let controls = controls.filter_map(|value| value.to_str().ok());
        let directives = controls.flat_map(|text| text.split(',')).map(str::trim);
        let mut wish = Self::Any;
        for directive in directives {
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
