//! How good a passage is: BM25 over passages of one field.
//!
//! Source: Lucene's `PassageScorer` (k1 = 1.2, b = 0.75, pivot = 87 characters): rare terms weigh
//! more, early passages a little more.

use std::collections::HashMap;

use super::fragments::Passage;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// Length of a typical passage.
const PIVOT: f64 = 87.0;

/// Rates the passages of a field, which ascend by place. As in Java, lengths and places count UTF-16
/// units of all values, with one unit between two.
pub(super) fn rate(passages: &mut [Passage], texts: &[String]) {
    let lengths = texts.iter().map(|text| num_units(text) + 1);
    let length = lengths.sum::<usize>().saturating_sub(1);
    let starts = starts(passages, texts);
    let mut totals: HashMap<usize, f64> = HashMap::new();
    for span in passages.iter().flat_map(|passage| &passage.spans) {
        *totals.entry(span.term).or_default() += 1.0;
    }
    let num_passages = 1.0 + length as f64 / PIVOT;
    for (passage, start) in passages.iter_mut().zip(starts) {
        let mut counts: HashMap<usize, f64> = HashMap::new();
        for span in &passage.spans {
            *counts.entry(span.term).or_default() += 1.0;
        }
        let text = &texts[passage.value][passage.start..passage.end];
        let size = num_units(text) as f64;
        let norm = K1 * ((1.0 - B) + B * size / PIVOT);
        let mut terms: Vec<(usize, f64)> = counts.into_iter().collect();
        // Sums in one order give one result.
        terms.sort_by_key(|(term, _)| *term);
        let sum: f64 = terms
            .into_iter()
            .map(|(term, count)| {
                let weight = (K1 + 1.0) * (1.0 + (num_passages + 0.5) / (totals[&term] + 0.5)).ln();
                weight * count / (count + norm)
            })
            .sum();
        passage.score = sum * (1.0 + 1.0 / (PIVOT + start as f64).ln());
    }
}

/// Returns where passages start among all values, in one walk over the text.
fn starts(passages: &[Passage], texts: &[String]) -> Vec<usize> {
    let (mut value, mut at, mut units) = (0, 0, 0);
    let mut starts = Vec::with_capacity(passages.len());
    for passage in passages {
        while value < passage.value {
            units += num_units(&texts[value][at..]) + 1;
            (value, at) = (value + 1, 0);
        }
        units += num_units(&texts[value][at..passage.start]);
        at = passage.start;
        starts.push(units);
    }
    starts
}

fn num_units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::highlight::matcher::Span;

    fn passage(value: usize, start: usize, end: usize) -> Passage {
        let span = Span {
            start,
            end,
            term: 0,
        };
        Passage {
            value,
            start,
            end,
            spans: vec![span],
            score: 0.0,
        }
    }

    #[test]
    fn places_count_units_of_all_values() {
        let texts = ["äö fox", "😀 fox", "fox"].map(str::to_owned);
        let passages = [passage(0, 5, 8), passage(1, 5, 8), passage(2, 0, 3)];
        assert_eq!(starts(&passages, &texts), [3, 7 + 3, 7 + 7]);
    }

    #[test]
    fn passages_of_later_values_are_rated_lower() {
        let texts = ["a fox.", "a fox."].map(str::to_owned);
        let mut passages = [passage(0, 0, 6), passage(1, 0, 6)];
        rate(&mut passages, &texts);
        assert!(passages[0].score > passages[1].score);
        // Letters of two bytes are no longer than others.
        let (short, long) = (["fox".to_owned()], ["föx".to_owned()]);
        let (mut one, mut other) = ([passage(0, 0, 3)], [passage(0, 0, 4)]);
        rate(&mut one, &short);
        rate(&mut other, &long);
        assert_eq!(
            one[0].score.total_cmp(&other[0].score),
            std::cmp::Ordering::Equal
        );
    }
}
