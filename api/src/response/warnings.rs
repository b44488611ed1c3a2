//! `Warning` headers: what an answer did not do, in a number and a length that clients read.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Most warnings of an answer; one more says how many are left out. Python's `http.client` refuses an answer
/// with more than 100 headers.
const MAX_WARNINGS: usize = 16;

/// Most characters of a warning: it may hold a name that a client chose.
const MAX_CHARACTERS: usize = 1_024;

/// Returns the values of the headers that say `texts`.
pub(crate) fn values(texts: &[String]) -> impl Iterator<Item = HeaderValue> {
    let (shown, rest) = texts.split_at(texts.len().min(MAX_WARNINGS));
    let more = (!rest.is_empty()).then(|| format!("and {} more", rest.len()));
    let more = more.map(|text| value(&text));
    shown.iter().map(|text| value(text)).chain(more).flatten()
}

/// What stands percent-encoded in a warning: bytes outside of ASCII too.
const ENCODED: &AsciiSet = &CONTROLS.add(b'\\');

/// Returns the value of a header that says `text`; `None` where a header cannot.
fn value(text: &str) -> Option<HeaderValue> {
    let version = env!("CARGO_PKG_VERSION");
    let text = text.replace('"', "'");
    let mut shown = String::new();
    for piece in utf8_percent_encode(&text, ENCODED) {
        let room = MAX_CHARACTERS - shown.len();
        if piece.len() > room {
            // Of one encoded byte no part is shown.
            shown.push_str(if piece.starts_with('%') {
                ""
            } else {
                &piece[..room]
            });
            break;
        }
        shown.push_str(piece);
    }
    HeaderValue::from_str(&format!("299 Gleaner-{version} \"{shown}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(texts: &[String]) -> Vec<String> {
        let values = values(texts);
        let texts = values.map(|value| value.to_str().expect("ASCII").to_owned());
        texts.collect()
    }

    #[test]
    fn as_many_warnings_are_sent_as_clients_read() {
        let texts: Vec<String> = (0..100).map(|n| format!("\"{n}\" has no effect")).collect();
        let said_of = |num: usize| said(&texts[..num]);
        assert_eq!(said_of(0).len(), 0);
        assert!(said_of(1)[0].ends_with("\"'0' has no effect\""));
        assert_eq!(said_of(16).len(), 16);
        assert_eq!(said_of(100).len(), 17);
        assert!(said_of(100)[16].ends_with("\"and 84 more\""));
    }

    #[test]
    fn a_warning_with_any_name_is_sent() {
        let said = said(&["[café\n\\\"] has no effect".to_owned()]);
        assert!(
            said[0].ends_with(" \"[caf%C3%A9%0A%5C'] has no effect\""),
            "{}",
            said[0]
        );
    }

    #[test]
    fn a_warning_is_no_longer_than_a_line_that_clients_read() {
        for name in ["name", "é", "nœud"] {
            let said = said(&[name.repeat(100_000)]);
            assert!(said[0].len() < 1_100, "{}", said[0].len());
        }
    }
}
