//! Cutting a text into fragments around its matches.
//!
//! A fragment starts with the sentence of its first match and takes whole sentences while it stays
//! within the size; a sentence that is longer is cut at words around the match. A size of 0 is no
//! limit: each fragment is the sentence of its match. Lengths count characters. Source: the behaviour
//! of Elasticsearch's `BoundedBreakIteratorScanner`.

use gleaner_query::search::HighlightOptions;
use unicode_segmentation::UnicodeSegmentation;

use super::matcher::Span;

/// A piece of a value with its matches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Passage {
    /// Number of the value.
    pub(super) value: usize,
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
    /// Matches inside, ascending.
    pub(super) spans: Vec<Span>,
    /// How good it is; larger is better.
    pub(super) score: f64,
}

impl Passage {
    /// Returns where it stands among the field's values.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.value, self.start)
    }

    /// Returns how many bytes its marked text takes, at most.
    pub(super) fn num_bytes_marked(&self, options: &HighlightOptions) -> usize {
        let tags = tag(&options.pre_tags).len() + tag(&options.post_tags).len();
        let per_byte = if options.encode_html {
            LONGEST_ESCAPE
        } else {
            1
        };
        let text = (self.end - self.start).saturating_mul(per_byte);
        size_of::<String>() + text.saturating_add(self.spans.len().saturating_mul(tags))
    }

    /// Returns its text with matches marked by the first of the tags, as Elasticsearch's `unified`
    /// highlighter does; a fragment without white space around it, a field asked for whole as it is.
    pub(super) fn marked(&self, text: &str, options: &HighlightOptions) -> String {
        let mut out = String::with_capacity(self.end - self.start + 16 * self.spans.len());
        let mut at = self.start;
        for span in &self.spans {
            out.push_str(&encoded(&text[at..span.start], options.encode_html));
            out.push_str(tag(&options.pre_tags));
            out.push_str(&encoded(&text[span.start..span.end], options.encode_html));
            out.push_str(tag(&options.post_tags));
            at = span.end;
        }
        out.push_str(&encoded(&text[at..self.end], options.encode_html));
        if options.number_of_fragments == 0 {
            return out;
        }
        out.trim().to_owned()
    }
}

/// Bytes of the longest escape of a byte in HTML.
const LONGEST_ESCAPE: usize = 6;

fn tag(tags: &[String]) -> &str {
    tags.first().map_or("", String::as_str)
}

/// Returns `text` with the characters that mean something in HTML escaped.
pub(super) fn encoded(text: &str, is_html: bool) -> String {
    if !is_html {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#x27;"),
            '/' => out.push_str("&#x2F;"),
            other => out.push(other),
        }
    }
    out
}

/// Cuts a value around `spans` (ascending, not overlapping) into passages of about `size`
/// characters, or into sentences for 0; `None` keeps the value whole.
pub(super) fn cut(value: usize, text: &str, spans: Vec<Span>, size: Option<usize>) -> Vec<Passage> {
    let Some(size) = size else {
        return vec![Passage {
            value,
            start: 0,
            end: text.len(),
            spans,
            score: 0.0,
        }];
    };
    let sentences: Vec<usize> = text
        .split_sentence_bound_indices()
        .map(|(at, _)| at)
        .collect();
    let mut passages: Vec<Passage> = Vec::new();
    for span in spans {
        match passages.last_mut() {
            Some(last) if span.start < last.end => {
                // A match is never cut in two.
                last.end = last.end.max(span.end);
                last.spans.push(span);
            }
            last => {
                let floor = last.map_or(0, |last| last.end);
                let (start, end) = window(text, &sentences, &span, (floor, size));
                passages.push(Passage {
                    value,
                    start,
                    end,
                    spans: vec![span],
                    score: 0.0,
                });
            }
        }
    }
    passages
}

/// Returns the bounds of the passage of a match, not before `floor`.
fn window(
    text: &str,
    sentences: &[usize],
    span: &Span,
    (floor, size): (usize, usize),
) -> (usize, usize) {
    let next = sentences.partition_point(|start| *start <= span.start);
    let start = sentences
        .get(next.wrapping_sub(1))
        .copied()
        .unwrap_or(0)
        .max(floor);
    let bound = |i: usize| sentences.get(i).copied().unwrap_or(text.len());
    let mut following = next;
    let mut end = bound(following);
    if size == 0 {
        return (start, end.max(span.end));
    }
    let Some(mut used) = length_within(&text[start..end], size) else {
        return within_sentence(text, (start, end), span, size);
    };
    while end < text.len() {
        let further = bound(following + 1);
        let Some(length) = length_within(&text[end..further], size - used) else {
            break;
        };
        used += length;
        (end, following) = (further, following + 1);
    }
    (start, end.max(span.end))
}

/// Cuts a long sentence at words: as much as fits before the match, the rest of the size after it.
fn within_sentence(
    text: &str,
    (start, end): (usize, usize),
    span: &Span,
    size: usize,
) -> (usize, usize) {
    let before = &text[start..span.start];
    let mut from = start;
    if length_within(before, size).is_none() {
        let kept = before
            .char_indices()
            .rev()
            .nth(size.saturating_sub(1))
            .map_or(0, |(at, _)| at);
        from = start + word_start(before, kept);
    }
    let used = length(&text[from..span.start]);
    let after = &text[span.start..end];
    let room = size.saturating_sub(used);
    let reach = after
        .char_indices()
        .nth(room)
        .map_or(after.len(), |(at, _)| at);
    let to = span.start + word_end(after, reach);
    (from, to.clamp(span.end, end.max(span.end)))
}

/// Returns the start of the word that holds byte `at`.
fn word_start(text: &str, at: usize) -> usize {
    let bounds = text.split_word_bound_indices().map(|(start, _)| start);
    bounds.take_while(|start| *start <= at).last().unwrap_or(0)
}

/// Returns the end of the word that holds the byte before `at`.
fn word_end(text: &str, at: usize) -> usize {
    let mut ends = text
        .split_word_bound_indices()
        .map(|(start, word)| start + word.len());
    ends.find(|end| *end >= at).unwrap_or(text.len())
}

/// Returns the start of a text, about `size` characters, cut at a word; empty for size 0.
pub(super) fn start_of(text: &str, size: usize) -> &str {
    if size == 0 {
        return "";
    }
    let reach = text
        .char_indices()
        .nth(size)
        .map_or(text.len(), |(at, _)| at);
    let sentences = text
        .split_sentence_bound_indices()
        .map(|(at, sentence)| at + sentence.len());
    let whole = sentences.take_while(|end| *end <= reach).last();
    let end = whole.unwrap_or_else(|| word_end(text, reach));
    text[..end].trim()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Returns the length of `text` where it is at most `size`; reads no further.
fn length_within(text: &str, size: usize) -> Option<usize> {
    let length = text.chars().take(size.saturating_add(1)).count();
    (length <= size).then_some(length)
}
