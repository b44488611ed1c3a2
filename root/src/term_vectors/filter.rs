//! The terms that tell most of a document.
//!
//! Source: Elasticsearch, `TermVectorsFilter`; Lucene, `ClassicSimilarity.idf`. Among equal scores the first terms of the
//! alphabet are kept, where Elasticsearch keeps any.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::FieldVector;

/// Which terms of each field are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermFilter {
    /// How many, of those that score most; default 25.
    pub max_num_terms: usize,
    /// How often they stand in the field; default any number.
    pub term_freq: RangeInclusive<u64>,
    /// How many documents hold them; default any number.
    pub doc_freq: RangeInclusive<u64>,
    /// How long they are, in UTF-16 units as Java counts; default any length.
    pub word_length: RangeInclusive<u64>,
}

impl Default for TermFilter {
    fn default() -> Self {
        Self {
            max_num_terms: 25,
            term_freq: 0..=u64::MAX,
            doc_freq: 0..=u64::MAX,
            word_length: 0..=u64::MAX,
        }
    }
}

impl TermFilter {
    /// Leaves the best terms in `vector`, each with its score: tf · idf. `num_documents` have the field, and `counts` of
    /// them hold each term; where none has it, the document stands for itself.
    pub(super) fn select(
        &self,
        vector: &mut FieldVector,
        num_documents: u64,
        counts: Option<&BTreeMap<String, u64>>,
    ) {
        let is_alone = num_documents == 0;
        let num_documents = num_documents.max(1);
        let scored = vector.terms.iter().filter_map(|(term, places)| {
            let holding = counts.and_then(|counts| counts.get(term));
            let holding = holding.copied().unwrap_or_default();
            let holding = if is_alone { 1 } else { holding };
            let length = term.encode_utf16().count() as u64;
            let frequency = places.len() as u64;
            let is_kept = holding > 0
                && self.word_length.contains(&length)
                && self.term_freq.contains(&frequency)
                && self.doc_freq.contains(&holding);
            is_kept.then(|| (term.clone(), frequency as f32 * idf(holding, num_documents)))
        });
        let mut scored: Vec<(String, f32)> = scored.collect();
        // It is stable: equals stay in the order of the alphabet.
        scored.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        scored.truncate(self.max_num_terms);
        vector.scores = scored.into_iter().collect();
        let scores = &vector.scores;
        vector.terms.retain(|term, _| scores.contains_key(term));
    }
}

fn idf(holding: u64, num_documents: u64) -> f32 {
    let share = (num_documents + 1) as f64 / (holding + 1) as f64;
    (share.ln() + 1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::super::TermPlace;
    use super::*;

    /// A field with these terms, each so many times.
    fn vector(terms: &[(&str, usize)]) -> FieldVector {
        let place = TermPlace {
            position: 0,
            start: 0,
            end: 0,
        };
        let terms = terms
            .iter()
            .map(|(term, times)| ((*term).to_owned(), vec![place; *times]));
        FieldVector {
            terms: terms.collect(),
            ..FieldVector::default()
        }
    }

    fn selected(filter: &TermFilter, num_documents: u64) -> Vec<String> {
        let mut vector = vector(&[("a", 1), ("bb", 3), ("ccc", 2), ("dddd", 2)]);
        let counts = [("a", 1), ("bb", 9), ("ccc", 4), ("dddd", 4)];
        let counts = counts.map(|(term, documents)| (term.to_owned(), documents));
        filter.select(&mut vector, num_documents, Some(&counts.into()));
        assert!(vector.terms.keys().eq(vector.scores.keys()));
        vector.terms.into_keys().collect()
    }

    #[test]
    fn the_terms_that_tell_most_are_kept() {
        let all = TermFilter::default();
        assert_eq!(selected(&all, 9), ["a", "bb", "ccc", "dddd"]);
        // 3 · 1; 2 · (ln 2 + 1), twice; ln 5 + 1.
        let best = |max_num_terms| TermFilter {
            max_num_terms,
            ..TermFilter::default()
        };
        assert_eq!(selected(&best(1), 9), ["ccc"]);
        assert_eq!(selected(&best(3), 9), ["bb", "ccc", "dddd"]);
        let frequent = TermFilter {
            term_freq: 2..=2,
            ..TermFilter::default()
        };
        assert_eq!(selected(&frequent, 9), ["ccc", "dddd"]);
        let rare = TermFilter {
            doc_freq: 0..=4,
            word_length: 2..=3,
            ..TermFilter::default()
        };
        assert_eq!(selected(&rare, 9), ["ccc"]);
    }

    #[test]
    fn where_no_document_has_the_field_its_terms_count_alone() {
        let mut vector = vector(&[("a", 2)]);
        TermFilter::default().select(&mut vector, 0, None);
        assert_eq!(
            vector.scores.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), 2.0)]
        );
    }
}
