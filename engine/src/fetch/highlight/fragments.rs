//! Cutting a text into fragments around its matches.
//!
//! A fragment starts with the sentence of its first match and takes whole sentences while it stays
//! within the size; a sentence that is longer is cut at words around the match. A size of 0 is no
//! limit: each fragment is the sentence of its match. Lengths count characters. Source: the behaviour
//! of Elasticsearch's `BoundedBreakIteratorScanner` under Lucene's `FieldHighlighter`.

use gleaner_partial::control::Stop;
use gleaner_query::search::HighlightOptions;
use unicode_segmentation::UnicodeSegmentation;

use super::Pace;
use super::matcher::Span;
use super::sentences::sentence_starts;

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
        let text = num_bytes_encoded(self.end - self.start, options.encode_html);
        text.saturating_add(self.spans.len().saturating_mul(tags))
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

/// Returns how many bytes `len` bytes of text take, at most, with those that mean something in HTML escaped where
/// `is_html`.
pub(super) fn num_bytes_encoded(len: usize, is_html: bool) -> usize {
    let per_byte = if is_html { LONGEST_ESCAPE } else { 1 };
    size_of::<String>().saturating_add(len.saturating_mul(per_byte))
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
///
/// # Errors
/// When `pace` stops.
pub(super) fn cut(
    value: usize,
    text: &str,
    spans: Vec<Span>,
    size: Option<usize>,
    pace: &mut Pace<'_>,
) -> Result<Vec<Passage>, Stop> {
    let Some(size) = size else {
        return Ok(vec![Passage {
            value,
            start: 0,
            end: text.len(),
            spans,
            score: 0.0,
        }]);
    };
    let mut scanner = Scanner::new(text, size, pace)?;
    let mut passages: Vec<Passage> = Vec::new();
    for span in spans {
        pace.step(1)?;
        match passages.last_mut() {
            Some(last) if span.start < last.end => {
                // A match is never cut in two.
                last.end = last.end.max(span.end);
                last.spans.push(span);
            }
            last => {
                let floor = last.map_or(0, |last| last.end);
                let (start, end) = scanner.bounds(&span, pace)?;
                passages.push(Passage {
                    value,
                    start: start.max(floor).min(span.start),
                    end: end.max(span.end),
                    spans: vec![span],
                    score: 0.0,
                });
            }
        }
    }
    Ok(passages)
}

/// Finds the bounds of passages, of matches in ascending order.
struct Scanner<'t> {
    text: &'t str,
    /// Starts of the sentences, ascending.
    sentences: Vec<usize>,
    /// Characters; 0 is no limit.
    size: usize,
    /// The sentences that the last passage was cut from.
    window: (usize, usize),
    /// End of the last passage.
    end: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, size: usize, pace: &mut Pace<'_>) -> Result<Self, Stop> {
        Ok(Self {
            text,
            sentences: sentence_starts(text, pace)?,
            size,
            window: (0, 0),
            end: 0,
        })
    }

    /// Returns the bounds of the passage of a match: around its middle, so that long ones stand there.
    fn bounds(&mut self, span: &Span, pace: &mut Pace<'_>) -> Result<(usize, usize), Stop> {
        let half = length(&self.text[span.start..span.end]) / 2;
        let at = forward(self.text, span.start, half.max(1));
        if self.size == 0 {
            let middle = forward(self.text, span.start, half);
            let last = self.text[..span.end].char_indices().next_back();
            let last = last.map_or(span.start, |(last, _)| last);
            return Ok((
                self.sentence_before(at),
                self.sentence_after(middle.min(last)),
            ));
        }
        let (start, end) = if self.window.0 < at && at < self.window.1 {
            (self.end, self.window.1)
        } else {
            self.window = self.sentences_around(at);
            self.window
        };
        let (start, end) = match length_within(&self.text[start..end], self.size) {
            Some(_) => (start, end),
            None => self.at_words((start, end), at, pace)?,
        };
        self.end = end;
        Ok((start, end))
    }

    /// Returns the bounds of the whole sentences around `at` that the size has room for, one at least.
    fn sentences_around(&self, at: usize) -> (usize, usize) {
        let start = self.sentence_before(at);
        let used = length_within(&self.text[start..at], self.size);
        let target = forward(self.text, at, used.map_or(0, |used| self.size - used));
        if target >= self.text.len() {
            return (start, self.text.len());
        }
        let next = self.sentences.partition_point(|bound| *bound <= target);
        let end = self.sentences[..next].last().copied().unwrap_or(0);
        match end > start {
            true => (start, end),
            false => (start, self.sentence_after(target)),
        }
    }

    /// Cuts a long sentence at words: as much as fits before `at`, the rest of the size after it.
    fn at_words(
        &self,
        (mut start, mut end): (usize, usize),
        at: usize,
        pace: &mut Pace<'_>,
    ) -> Result<(usize, usize), Stop> {
        let before = &self.text[start.min(at)..at];
        let reach = before.char_indices().rev().nth(self.size - 1);
        if let Some((reach, _)) = reach.filter(|(reach, _)| *reach > 0) {
            start += word_bound_before(before, reach, pace)?;
        }
        let used = length_within(&self.text[start.min(at)..at], self.size);
        let target = forward(self.text, at, used.map_or(0, |used| self.size - used));
        if target < self.window.1 {
            let bound = word_bound_after(self.text, start, target, pace)?;
            end = bound.min(self.window.1);
        }
        Ok((start, end))
    }

    /// Returns the last start of a sentence before byte `at`.
    fn sentence_before(&self, at: usize) -> usize {
        let next = self.sentences.partition_point(|bound| *bound < at);
        self.sentences[..next].last().copied().unwrap_or(0)
    }

    /// Returns the end of the sentence that holds byte `at`.
    fn sentence_after(&self, at: usize) -> usize {
        let next = self.sentences.partition_point(|bound| *bound <= at);
        self.sentences.get(next).copied().unwrap_or(self.text.len())
    }
}

/// Bounds of words that are looked at between two steps of the pace: a few take no step.
const BOUNDS_PER_STEP: usize = 16;

/// Counts the bound of number `number`, from 0.
fn count_bound(number: usize, pace: &mut Pace<'_>) -> Result<(), Stop> {
    if number % BOUNDS_PER_STEP == BOUNDS_PER_STEP - 1 {
        pace.step(BOUNDS_PER_STEP)?;
    }
    Ok(())
}

/// Returns the last bound of a word before byte `at`, 0 where there is none.
fn word_bound_before(text: &str, at: usize, pace: &mut Pace<'_>) -> Result<usize, Stop> {
    let mut last = 0;
    for (number, (bound, _)) in text.split_word_bound_indices().enumerate() {
        if bound >= at {
            break;
        }
        count_bound(number, pace)?;
        last = bound;
    }
    Ok(last)
}

/// Returns the first bound of a word behind byte `at`; `from` is a bound before it.
fn word_bound_after(
    text: &str,
    from: usize,
    at: usize,
    pace: &mut Pace<'_>,
) -> Result<usize, Stop> {
    for (number, (start, word)) in text[from..].split_word_bound_indices().enumerate() {
        let bound = from + start + word.len();
        if bound > at {
            return Ok(bound);
        }
        count_bound(number, pace)?;
    }
    Ok(text.len())
}

/// Returns the start of a text, about `size` characters: up to the first bound of a word behind them.
/// Empty for size 0. Source: Elasticsearch's `CustomFieldHighlighter`.
///
/// # Errors
/// When `pace` stops.
pub(super) fn start_of<'t>(
    text: &'t str,
    size: usize,
    pace: &mut Pace<'_>,
) -> Result<&'t str, Stop> {
    if size == 0 {
        return Ok("");
    }
    let reach = forward(text, 0, size);
    let end = if reach < text.len() {
        word_bound_after(text, 0, reach, pace)?
    } else {
        text.len()
    };
    Ok(text[..end].trim())
}

/// Returns the byte `count` characters behind byte `at`, at most the end.
fn forward(text: &str, at: usize, count: usize) -> usize {
    let mut rest = text[at..].char_indices();
    rest.nth(count).map_or(text.len(), |(byte, _)| at + byte)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Returns the length of `text` where it is at most `size`; reads no further.
fn length_within(text: &str, size: usize) -> Option<usize> {
    let length = text.chars().take(size.saturating_add(1)).count();
    (length <= size).then_some(length)
}
