//! The exhaustive oracle: one list of plain documents, every one scored, one sort.
//!
//! Does: say what a search over all live documents answers, by the definitions alone: BM25 in f64,
//! summed in the order of the clauses, rounded once; statistics of live documents; lengths as the norms
//! keep them; ties by hash of the id, then the id.
//! Does not: share code with the engine or the planner; only the analyzers are the product's own.
//! Called by tests. Read [`Oracle`] first, then [`clause::Clause`].

pub mod clause;
mod document;
mod norm;
mod score;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gleaner_analysis::Analyzer;
use gleaner_model::hash::tie_break_hash;
use serde_json::Value;

pub use clause::{Clause, Combine, Operator};
use document::Analysed;
use score::Scorer;

/// How a field of the oracle is searched.
#[derive(Debug, Clone)]
pub enum FieldType {
    /// Analysed text with norms.
    Text(Analyzer),
    /// Analysed text of which a word counts once, however often it stands there (`index_options: docs`); it has
    /// no phrases.
    TextOnce(Analyzer),
    /// Analysed text without norms: its length does not count.
    TextWithoutNorms(Analyzer),
    /// Whole values, without norms.
    Keyword,
    /// Whole values, without norms, each of which counts as often as a document has it (`index_options: freqs`).
    KeywordCounted,
    /// A whole number, for ranges.
    Integer,
}

/// The numbers of BM25.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// How late further occurrences of a term stop counting, 0 or more.
    pub k1: f64,
    /// How much the length of the field counts, 0 to 1.
    pub b: f64,
}

impl Default for Similarity {
    /// Those of Lucene.
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// All live documents of an index.
#[derive(Debug, Clone)]
pub struct Oracle {
    fields: BTreeMap<String, FieldType>,
    /// Of text fields that have not Lucene's numbers.
    similarities: BTreeMap<String, Similarity>,
    documents: BTreeMap<String, Analysed>,
}

/// What a search answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Every match, not cut at any limit.
    pub total: u64,
    /// Id and bits of the score, in order.
    pub hits: Vec<(String, u32)>,
}

impl Oracle {
    /// Returns an oracle without documents.
    pub fn new(fields: impl IntoIterator<Item = (&'static str, FieldType)>) -> Self {
        let fields = fields.into_iter();
        Self {
            fields: fields.map(|(name, kind)| (name.to_owned(), kind)).collect(),
            similarities: BTreeMap::new(),
            documents: BTreeMap::new(),
        }
    }

    /// Scores a text field with other numbers.
    pub fn score_by(&mut self, field: &str, similarity: Similarity) {
        self.similarities.insert(field.to_owned(), similarity);
    }

    /// Puts a document, in the place of an older one of that id.
    pub fn put(&mut self, id: &str, source: Value) {
        let document = Analysed::new(&self.fields, source);
        self.documents.insert(id.to_owned(), document);
    }

    /// Removes a document; returns whether there was one.
    pub fn delete(&mut self, id: &str) -> bool {
        self.documents.remove(id).is_some()
    }

    /// Returns the document as put.
    pub fn source(&self, id: &str) -> Option<&Value> {
        self.documents.get(id).map(|document| &document.source)
    }

    /// Returns the ids of the live documents, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// Scores every document and returns those from number `from`, at most `size`.
    pub fn search(&self, clause: &Clause, from: usize, size: usize) -> Answer {
        let scorer = Scorer::new(self, clause);
        let mut hits: Vec<(&str, f32)> = Vec::new();
        for (id, document) in &self.documents {
            if let Some(score) = scorer.score(document) {
                hits.push((id, score as f32));
            }
        }
        hits.sort_by(best_first);
        let window = hits.iter().skip(from).take(size);
        Answer {
            total: hits.len() as u64,
            hits: window
                .map(|(id, score)| ((*id).to_owned(), score.to_bits()))
                .collect(),
        }
    }
}

fn best_first(a: &(&str, f32), b: &(&str, f32)) -> Ordering {
    let by_hash = || tie_break_hash(a.0).cmp(&tie_break_hash(b.0));
    let by_score = b.1.total_cmp(&a.1);
    by_score.then_with(by_hash).then_with(|| a.0.cmp(b.0))
}

#[cfg(test)]
mod tests {
    use gleaner_analysis::AnalyzerRegistry;
    use serde_json::json;

    use super::*;

    fn oracle() -> Oracle {
        let standard = AnalyzerRegistry::builtin()
            .analyzer("standard")
            .expect("it is built in");
        let mut oracle = Oracle::new([("t", FieldType::Text(standard)), ("k", FieldType::Keyword)]);
        oracle.put("1", json!({"t": "red fox", "k": "a"}));
        oracle.put("2", json!({"t": "red red dog runs", "k": "b"}));
        oracle.put("3", json!({"t": "a cat", "k": "a"}));
        oracle
    }

    #[test]
    fn scores_are_as_computed_by_hand() {
        // N = 3, n = 2, average length 8/3; document 2: tf 2, length 4.
        let idf = (1.0_f64 + 1.5 / 2.5).ln();
        let norm = 1.2 * (0.25 + 0.75 * 4.0 / (8.0 / 3.0));
        let expected = (idf * (2.2 * 2.0 / (2.0 + norm))) as f32;
        let clause = Clause::matching("t", "red", Operator::Or);
        let answer = oracle().search(&clause, 0, 10);
        assert_eq!(answer.total, 2);
        let second = answer.hits.iter().find(|(id, _)| id == "2").expect("a hit");
        assert_eq!(second.1, expected.to_bits());
    }

    #[test]
    fn a_field_is_scored_with_its_own_numbers() {
        let mut oracle = oracle();
        let own = Similarity { k1: 2.0, b: 0.5 };
        oracle.score_by("t", own);
        let idf = (1.0_f64 + 1.5 / 2.5).ln();
        let norm = 2.0 * (0.5 + 0.5 * 4.0 / (8.0 / 3.0));
        let expected = (idf * (3.0 * 2.0 / (2.0 + norm))) as f32;
        let clause = Clause::matching("t", "red", Operator::Or);
        let answer = oracle.search(&clause, 0, 10);
        let second = answer.hits.iter().find(|(id, _)| id == "2").expect("a hit");
        assert_eq!(second.1, expected.to_bits());
    }

    #[test]
    fn words_may_count_once_and_lengths_not_at_all() {
        let standard = AnalyzerRegistry::builtin()
            .analyzer("standard")
            .expect("it is built in");
        let mut oracle = Oracle::new([
            ("once", FieldType::TextOnce(standard.clone())),
            ("said", FieldType::Text(standard.clone())),
            ("flat", FieldType::TextWithoutNorms(standard)),
        ]);
        oracle.put(
            "1",
            json!({"once": "red red fox", "said": "red fox", "flat": "red red dog runs"}),
        );
        oracle.put(
            "2",
            json!({"once": "a fox", "said": "a fox", "flat": "a fox"}),
        );
        let found = |field: &str, text: &str| {
            let clause = Clause::matching(field, text, Operator::Or);
            oracle.search(&clause, 0, 10)
        };
        for text in ["red", "fox", "red fox"] {
            assert_eq!(found("once", text), found("said", text), "{text}");
        }
        // N = 2, n = 1, tf 2; as if of the mean length.
        let idf = 2.0_f64.ln();
        let expected = (idf * (2.2 * 2.0 / (2.0 + 1.2))) as f32;
        assert_eq!(
            found("flat", "red").hits,
            [("1".to_owned(), expected.to_bits())]
        );
    }

    #[test]
    fn whole_values_may_count_as_often_as_they_are_given() {
        let fields = [("k", FieldType::KeywordCounted), ("n", FieldType::Integer)];
        let mut oracle = Oracle::new(fields);
        oracle.put("1", json!({"k": ["a b", "c", "a b"]}));
        oracle.put("2", json!({"k": "a b"}));
        oracle.put("3", json!({"n": 1}));
        // N = 2, n = 2; as if of the mean length.
        let idf = (1.0_f64 + 0.5 / 2.5).ln();
        let twice = (idf * (2.2 * 2.0 / (2.0 + 1.2))) as f32;
        let answer = oracle.search(&Clause::term("k", "a b"), 0, 10);
        let expected = [("1", twice), ("2", idf as f32)];
        let expected = expected.map(|(id, score)| (id.to_owned(), score.to_bits()));
        assert_eq!(answer.hits, expected);
    }

    #[test]
    fn as_many_terms_of_a_set_match_as_are_wanted() {
        let set = |minimum| Clause::TermsSet {
            field: "t".to_owned(),
            terms: ["red", "dog", "cat"].map(str::to_owned).to_vec(),
            minimum,
        };
        let found = |minimum| oracle().search(&set(minimum), 0, 10).total;
        assert_eq!([0, 1, 2, 3, 4].map(found), [3, 3, 1, 0, 0]);
    }

    #[test]
    fn deleted_documents_leave_the_statistics() {
        let mut oracle = oracle();
        oracle.delete("2");
        let clause = Clause::term("k", "a");
        let answer = oracle.search(&clause, 0, 10);
        let idf = (1.0_f64 + 0.5 / 2.5).ln() as f32;
        assert!(answer.hits.iter().all(|(_, score)| *score == idf.to_bits()));
        assert_eq!(answer.hits.len(), 2);
    }

    #[test]
    fn a_phrase_keeps_the_gaps_of_its_words() {
        let oracle = oracle();
        let found = |text: &str| oracle.search(&Clause::phrase("t", text), 0, 10).total;
        assert_eq!(found("red dog"), 1);
        assert_eq!(found("dog red"), 0);
        assert_eq!(found("red red"), 1);
    }
}
