//! Where the sentences of a text begin.
//!
//! By UAX #29, but for line breaks: these are white space, as in Java's `BreakIterator`, which
//! Elasticsearch cuts by. A line or a heading without a full stop belongs to the sentence that follows.
//! U+2029 ends a sentence in both.

use unicode_segmentation::UnicodeSegmentation;

const LINE_BREAKS: [char; 4] = ['\n', '\r', '\u{85}', '\u{2028}'];

const PARAGRAPH_SEPARATOR: char = '\u{2029}';

/// Characters on each side of a line break that tell whether a sentence ends there.
const LOOK: usize = 16;

/// Returns the starts of sentences, ascending, the first 0.
pub(super) fn sentence_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    // Bounds up to here are decided: of a run of line breaks only the first is looked at.
    let mut decided = 0;
    for (at, sentence) in text.split_sentence_bound_indices() {
        let end = at + sentence.len();
        if end <= decided {
            continue;
        }
        if !sentence.ends_with(LINE_BREAKS) {
            decided = end;
            starts.push(end);
            continue;
        }
        let rest = text[end..].trim_start_matches(is_space);
        decided = text.len() - rest.len();
        if ends_sentence(sentence, rest) {
            starts.push(decided);
        }
    }
    starts.retain(|start| *start == 0 || *start < text.len());
    starts
}

fn is_space(c: char) -> bool {
    c.is_whitespace() && c != PARAGRAPH_SEPARATOR
}

/// Returns whether `before` would end as a sentence if a space stood between it and `after`.
fn ends_sentence(before: &str, after: &str) -> bool {
    let before = before.trim_end_matches(is_space);
    let tail = before.char_indices().rev().take(LOOK).last();
    let mut probe = before[tail.map_or(0, |(at, _)| at)..].to_owned();
    probe.push(' ');
    let bound = probe.len();
    probe.extend(after.chars().take(LOOK));
    let mut starts = probe.split_sentence_bound_indices().map(|(at, _)| at);
    starts.any(|start| start == bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `BreakIterator.getSentenceInstance(Locale.ROOT)` of Java 17 breaks them.
    #[test]
    fn line_breaks_end_a_sentence_only_behind_a_full_stop() {
        for (text, expected) in [
            ("", vec![0]),
            ("one two\nthree four", vec![0]),
            ("one\n\ntwo", vec![0]),
            ("a\r\nb", vec![0]),
            ("a\u{85}b\u{2028}c", vec![0]),
            ("a\u{2029}b", vec![0, 4]),
            ("One.\nTwo", vec![0, 5]),
            ("no?\nyes", vec![0, 4]),
            ("Hello!\n\nWorld", vec![0, 8]),
            ("Hello. \n World", vec![0, 9]),
            ("He said \"no.\"\nThen", vec![0, 14]),
            ("etc.\nand so", vec![0]),
            ("A heading\n\nOne is here. Two is.\n", vec![0, 24]),
        ] {
            assert_eq!(sentence_starts(text), expected, "{text:?}");
        }
    }
}
