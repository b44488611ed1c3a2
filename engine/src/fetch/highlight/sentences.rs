//! Where the sentences of a text begin.
//!
//! By UAX #29, but for line breaks: these are white space, as in Java's `BreakIterator`, which
//! Elasticsearch cuts by. A line or a heading without a full stop belongs to the sentence that follows.
//! U+2029 ends a sentence in both. Called by: `fragments`. Read first: [`sentence_starts`].

use gleaner_partial::control::Stop;
use unicode_segmentation::UnicodeSegmentation;

use super::Pace;

const LINE_BREAKS: [char; 4] = ['\n', '\r', '\u{85}', '\u{2028}'];

const PARAGRAPH_SEPARATOR: char = '\u{2029}';

/// Characters on each side of a line break that tell whether a sentence ends there.
const LOOK: usize = 16;

/// Most characters that are segmented at once. From each character behind a full stop the segmentation looks ahead for
/// the next letter, which takes up to the square of the characters that it is given: half a million looks for these.
const CHUNK: usize = 1_024;

/// Steps of the pace that a chunk takes: two of its characters cost as much as a token.
const STEPS_PER_CHUNK: usize = CHUNK / 2;

/// Returns the starts of sentences, ascending, the first 0. Takes time by the length of the text.
///
/// They are those of the text as a whole, except where a stretch of half a chunk holds nothing that a sentence could
/// begin with, or no letter, stop or line break that tells whether the full stop before it ended a sentence.
///
/// # Errors
/// When `pace` stops.
pub(super) fn sentence_starts(text: &str, pace: &mut Pace<'_>) -> Result<Vec<usize>, Stop> {
    let mut starts = Starts::new(text);
    let mut from = 0;
    while from < text.len() {
        pace.step(STEPS_PER_CHUNK)?;
        let chunk = Chunk::of(text, from, CHUNK);
        for end in chunk.ends {
            starts.add(end);
        }
        from = chunk.next;
    }
    Ok(starts.found)
}

/// The ends of sentences by UAX #29 in a part of a text.
struct Chunk {
    /// Bytes of the text, ascending; the end of the text is one.
    ends: Vec<usize>,
    /// Where the next chunk starts.
    next: usize,
}

impl Chunk {
    /// Segments at most `most` characters from byte `from`, where the last chunk has ended.
    fn of(text: &str, from: usize, most: usize) -> Self {
        let rest = &text[from..];
        let end = rest.char_indices().nth(most);
        let size = end.map_or(rest.len(), |(end, _)| end);
        let part = &rest[..size];
        let sentences = part.split_sentence_bound_indices();
        let ends = sentences.map(|(at, sentence)| from + at + sentence.len());
        let mut ends: Vec<usize> = ends.collect();
        if size == rest.len() {
            return Self {
                ends,
                next: text.len(),
            };
        }
        // The last is the chunk's own end. What follows the chunk may tell that the one before it is none either; those
        // before that have a full stop or a line break behind them, beyond which nothing is looked at.
        ends.pop();
        let undecided = ends.last().map_or(size, |end| end - from);
        let decided = last_beginning(&part[..undecided]);
        let next = decided.or_else(|| last_beginning(part));
        let next = from + next.unwrap_or(size);
        ends.retain(|end| *end <= next);
        Self { ends, next }
    }
}

/// Returns the last byte but the first from which the rest is segmented as if nothing stood before it.
fn last_beginning(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().rev();
    let found = chars.find(|(at, c)| *at > 0 && begins_sentence(*c));
    found.map(|(at, _)| at)
}

/// Returns whether `c` behind the end of a sentence begins another one. No rule looks back across such a character:
/// a letter, a digit, a symbol, but no mark, space, quote or stop.
fn begins_sentence(c: char) -> bool {
    if c.is_ascii_alphanumeric() {
        return true;
    }
    let probe = String::from_iter(['?', c]);
    probe.split_sentence_bounds().count() == 2
}

/// The starts of sentences up to some place in a text.
struct Starts<'t> {
    text: &'t str,
    /// Ascending, the first 0.
    found: Vec<usize>,
    /// End of the last sentence by UAX #29.
    end: usize,
    /// Bounds up to here are decided: of a run of line breaks only the first is looked at.
    decided: usize,
}

impl<'t> Starts<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            found: vec![0],
            end: 0,
            decided: 0,
        }
    }

    /// Adds what starts behind the next sentence by UAX #29, which ends at byte `end`.
    fn add(&mut self, end: usize) {
        let sentence = &self.text[self.end..end];
        self.end = end;
        if end <= self.decided {
            return;
        }
        let mut start = end;
        let mut is_start = true;
        if sentence.ends_with(LINE_BREAKS) {
            let rest = self.text[end..].trim_start_matches(is_space);
            start = self.text.len() - rest.len();
            is_start = ends_sentence(sentence, rest);
        }
        self.decided = start;
        if is_start && start < self.text.len() {
            self.found.push(start);
        }
    }
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
    use gleaner_partial::control::Control;

    use super::*;

    fn starts(text: &str) -> Vec<usize> {
        let control = Control::unlimited();
        sentence_starts(text, &mut Pace::new(&control)).expect("nothing stops it")
    }

    /// Returns the starts of sentences of a text that is segmented at once.
    fn starts_of_whole(text: &str) -> Vec<usize> {
        let mut starts = Starts::new(text);
        for end in Chunk::of(text, 0, usize::MAX).ends {
            starts.add(end);
        }
        starts.found
    }

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
            assert_eq!(starts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn chunks_give_the_sentences_of_the_whole_text() {
        for piece in [
            "One is here. Two is. ",
            "Mr. and Mrs. Smith, i.e. the U.S. ones, paid 3.50 at 10 p.m. and left. ",
            "no full stop at all, ",
            "nofullstopandnospace",
            "Größe. Äpfel? ¿Qué? 😀 Übung. ",
            "これは文です。次の文です。",
            "A line\nof a text.\r\nAnother one.\n\n",
            "\"Is it?\" (he said.) \u{201c}No.\u{201d} \u{2026} ",
            "1.5, 2.5, 3. 4 ",
            "e\u{301}. e\u{301}t e\u{301}.\u{301}\u{301} E\u{301} ",
            "a.          ",
            "-----. ",
        ] {
            let text = piece.repeat(5_000 / piece.len());
            // Another text before it moves the ends of the chunks over all places of a piece.
            for shift in 0..piece.chars().count() {
                let text = format!("{}{text}", "x".repeat(shift));
                assert_eq!(starts(&text), starts_of_whole(&text), "{piece:?}, {shift}");
            }
        }
    }

    #[test]
    fn sentences_may_end_where_a_chunk_does() {
        for end in [
            ". B",
            ". b",
            ".\nB",
            ".\nb",
            "! b",
            ".) B",
            ". (1) b",
            "\u{2029}b",
            "。だ",
        ] {
            for length in CHUNK - 8..=CHUNK + 1 {
                let text = format!("{}{end}{}", "a".repeat(length), " c".repeat(CHUNK));
                assert_eq!(starts(&text), starts_of_whole(&text), "{end:?}, {length}");
            }
        }
    }

    #[test]
    fn long_runs_behind_a_full_stop_are_segmented_in_as_many_steps_as_other_text() {
        for run in [" ", ")", "\u{301}", "? ", "1 ", "a "] {
            let text = format!("A.{}", run.repeat(20_000 / run.chars().count()));
            let control = Control::until_check(u64::MAX);
            let found = sentence_starts(&text, &mut Pace::new(&control));
            assert_eq!(found.expect("nothing stops it")[0], 0);
            let checks = control.num_checks();
            assert!((2..6).contains(&checks), "{checks} checks, {run:?}");
        }
    }

    #[test]
    fn segmentation_can_be_stopped() {
        let text = "no full stop at all, ".repeat(2_000);
        let control = Control::until_check(u64::MAX);
        let all = sentence_starts(&text, &mut Pace::new(&control));
        assert_eq!(all, Ok(vec![0]));
        assert!(control.num_checks() > 3, "{}", control.num_checks());
        let late = Control::until_check(1);
        let stopped = sentence_starts(&text, &mut Pace::new(&late));
        assert_eq!(stopped, Err(Stop::Deadline));
        assert_eq!(late.num_checks(), 2);
    }
}
