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

/// Rates the passages of a field whose values have `length` bytes in all.
pub(super) fn rate(passages: &mut [Passage], length: usize) {
    let mut totals: HashMap<usize, f64> = HashMap::new();
    for span in passages.iter().flat_map(|passage| &passage.spans) {
        *totals.entry(span.term).or_default() += 1.0;
    }
    let num_passages = 1.0 + length as f64 / PIVOT;
    for passage in passages {
        let mut counts: HashMap<usize, f64> = HashMap::new();
        for span in &passage.spans {
            *counts.entry(span.term).or_default() += 1.0;
        }
        let size = (passage.end - passage.start) as f64;
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
        let start = passage.start as f64;
        passage.score = sum * (1.0 + 1.0 / (PIVOT + start).ln());
    }
}
