//! `html_strip`: drops tags, comments, scripts and styles; decodes character references.
//!
//! As in Lucene, an element that makes a line of its own becomes a line break, one that stands in a
//! line becomes nothing. What is no markup (`a < b`, an unclosed tag) stays as it is.

use super::{CharFilter, FilterOutput, OffsetMap, entities};
use crate::meter::Meter;

/// Longest tag, in bytes: what is longer counts as text, which bounds the search for its end.
const MAX_TAG_BYTES: usize = 8_192;

/// Elements that stand in a line.
const INLINE: [&str; 49] = [
    "a", "abbr", "acronym", "applet", "b", "basefont", "bdo", "big", "button", "cite", "code",
    "dfn", "em", "font", "i", "iframe", "img", "input", "ins", "kbd", "label", "map", "object",
    "param", "q", "rp", "rt", "ruby", "s", "samp", "select", "small", "span", "strike", "strong",
    "sub", "sup", "textarea", "tt", "u", "var", "del", "bdi", "mark", "time", "data", "wbr",
    "meter", "progress",
];

/// Strips markup, but for some tags.
#[derive(Debug)]
pub(super) struct HtmlStrip {
    /// Names of elements whose tags stay, in lower case.
    escaped: Vec<String>,
}

/// A piece of markup at some place.
struct Markup {
    /// In bytes.
    length: usize,
    replacement: &'static str,
}

impl HtmlStrip {
    pub(super) fn new(escaped: Option<Vec<String>>) -> Self {
        let escaped = escaped.unwrap_or_default();
        Self {
            escaped: escaped
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Returns the markup at the front of `rest`, which starts with `<`.
    fn markup(&self, rest: &str, ends: &mut Ends) -> Option<Markup> {
        if rest.starts_with("<!--") {
            let length = ends.find(0, rest, "-->")?;
            return Some(Markup {
                length,
                replacement: "",
            });
        }
        let after = rest[1..].chars().next()?;
        if after == '!' || after == '?' {
            let length = tag_length(rest)?;
            return Some(Markup {
                length,
                replacement: "\n",
            });
        }
        let name_start = if after == '/' { 2 } else { 1 };
        let name = element_name(&rest[name_start..])?;
        let mut length = tag_length(rest)?;
        if self.escaped.contains(&name) {
            return None;
        }
        let is_opening = after != '/' && !rest[..length].ends_with("/>");
        if is_opening && name == "script" {
            length += ends.find(1, &rest[length..], "</script>").unwrap_or(0);
        } else if is_opening && name == "style" {
            length += ends.find(2, &rest[length..], "</style>").unwrap_or(0);
        }
        let is_inline = INLINE.contains(&name.as_str());
        Some(Markup {
            length,
            replacement: if is_inline { "" } else { "\n" },
        })
    }
}

/// Remembers which closing texts do not occur any more, so that a text with many openings and no
/// closing is searched once.
#[derive(Default)]
struct Ends {
    is_exhausted: [bool; 3],
}

impl Ends {
    /// Returns the length of `rest` up to and with `closing`, upper or lower case.
    fn find(&mut self, which: usize, rest: &str, closing: &str) -> Option<usize> {
        if self.is_exhausted[which] {
            return None;
        }
        let found = rest
            .as_bytes()
            .windows(closing.len())
            .position(|window| window.eq_ignore_ascii_case(closing.as_bytes()));
        self.is_exhausted[which] = found.is_none();
        found.map(|at| at + closing.len())
    }
}

/// Returns the element's name in lower case; `None` when no name starts here.
fn element_name(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':') {
        return None;
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')))
        .unwrap_or(text.len());
    Some(text[..end].to_ascii_lowercase())
}

/// Returns the length of a tag with its `>`; `None` when another tag starts before, or it is too
/// long. Quoted attribute values may hold `<` and `>`.
fn tag_length(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in rest
        .as_bytes()
        .iter()
        .enumerate()
        .skip(1)
        .take(MAX_TAG_BYTES)
    {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            (None, b'<') => return None,
            (None, _) => {}
        }
    }
    None
}

impl CharFilter for HtmlStrip {
    fn apply(&self, text: &str, meter: &Meter<'_>) -> (String, OffsetMap) {
        let mut filtered = FilterOutput::new(text, meter);
        let mut ends = Ends::default();
        let mut at = 0;
        while let Some(found) = text[at..].find(['<', '&']) {
            at += found;
            let rest = &text[at..];
            if rest.starts_with('&') {
                if let Some((c, length)) = entities::decode(rest) {
                    filtered.copy_to(at);
                    filtered.replace_to(at + length, c.encode_utf8(&mut [0; 4]));
                    at += length;
                    continue;
                }
            } else if let Some(markup) = self.markup(rest, &mut ends) {
                filtered.copy_to(at);
                filtered.replace_to(at + markup.length, markup.replacement);
                at += markup.length;
                continue;
            }
            at += 1;
        }
        filtered.finish()
    }

    fn is_normalizing(&self) -> bool {
        false
    }
}
