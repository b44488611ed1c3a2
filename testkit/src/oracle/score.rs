//! Scores by definition, one document at a time.

use super::clause::{Clause, Combine, Operator};
use super::document::{self, Analysed, Text};
use super::{FieldType, Oracle, Similarity};

/// A query made ready: its texts analysed, its terms counted over all live documents.
pub(super) struct Scorer {
    root: Node,
}

/// A clause with the numbers it needs.
enum Node {
    All,
    None,
    /// Terms, each at its distance from the first: one for a term, several for a phrase.
    Terms(Terms),
    Sum {
        must: Vec<Node>,
        should: Vec<Node>,
        filter: Vec<Node>,
        must_not: Vec<Node>,
        minimum: usize,
    },
    Best(Vec<Node>, f64),
    Constant(Box<Node>),
    Range(String, i64, i64),
    Boost(Box<Node>, f64),
}

struct Terms {
    field: String,
    phrase: Vec<(u32, String)>,
    /// Sum over the terms.
    idf: f64,
    /// Mean length; `None` for whole values that are not counted, which all score the same.
    average: Option<f64>,
    similarity: Similarity,
}

/// What queries are made ready with.
struct Planner<'a>(&'a Oracle);

impl Scorer {
    pub(super) fn new(oracle: &Oracle, clause: &Clause) -> Self {
        let root = Planner(oracle).node(clause);
        Self { root }
    }

    /// Returns the score of `document`; `None` where it does not match.
    pub(super) fn score(&self, document: &Analysed) -> Option<f64> {
        self.root.score(document, 1.0)
    }
}

impl Planner<'_> {
    fn node(&self, clause: &Clause) -> Node {
        match clause {
            Clause::All => Node::All,
            Clause::Term { field, value } => self.terms(field, vec![(0, value.clone())]),
            Clause::TermsSet {
                field,
                terms,
                minimum,
            } => self.terms_set(field, terms, *minimum),
            Clause::Phrase { field, text } => self.phrase(field, text),
            Clause::Match {
                field,
                text,
                operator,
                minimum,
            } => self.matching(field, text, *operator, *minimum),
            Clause::MultiMatch {
                fields,
                text,
                combine,
            } => self.multi_match(fields, text, *combine),
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                minimum,
            } => {
                let is_free = must.is_empty() && filter.is_empty();
                // Nothing else is required: then one of the optional clauses is, whatever was said
                // (Lucene, `BooleanWeight`).
                let at_least = usize::from(is_free && !should.is_empty());
                Node::Sum {
                    must: self.nodes(must),
                    should: self.nodes(should),
                    filter: self.nodes(filter),
                    must_not: self.nodes(must_not),
                    minimum: minimum.unwrap_or(0).max(at_least),
                }
            }
            Clause::DisMax {
                clauses,
                tie_breaker,
            } => Node::Best(self.nodes(clauses), f64::from(*tie_breaker)),
            Clause::Constant(clause) => Node::Constant(Box::new(self.node(clause))),
            Clause::Range { field, from, below } => Node::Range(field.clone(), *from, *below),
            Clause::Boost { clause, factor } => {
                Node::Boost(Box::new(self.node(clause)), f64::from(*factor))
            }
        }
    }

    fn nodes(&self, clauses: &[Clause]) -> Vec<Node> {
        clauses.iter().map(|clause| self.node(clause)).collect()
    }

    fn tokens(&self, field: &str, text: &str) -> Vec<(u32, String)> {
        let kind = self.0.fields.get(field).expect("queries name known fields");
        document::tokens(kind, text)
    }

    fn matching(
        &self,
        field: &str,
        text: &str,
        operator: Operator,
        minimum: Option<usize>,
    ) -> Node {
        let terms = self.tokens(field, text).into_iter();
        let nodes: Vec<Node> = terms.map(|term| self.terms(field, vec![term])).collect();
        if nodes.is_empty() {
            return Node::None;
        }
        let required = match operator {
            Operator::And => nodes.len(),
            Operator::Or => minimum.unwrap_or(1).max(1),
        };
        Node::Sum {
            must: Vec::new(),
            // A text of one word has nothing to choose from.
            minimum: if nodes.len() == 1 { 1 } else { required },
            should: nodes,
            filter: Vec::new(),
            must_not: Vec::new(),
        }
    }

    fn terms_set(&self, field: &str, terms: &[String], minimum: usize) -> Node {
        let terms = terms.iter();
        let terms = terms.map(|term| self.terms(field, vec![(0, term.clone())]));
        Node::Sum {
            must: Vec::new(),
            should: terms.collect(),
            filter: Vec::new(),
            must_not: Vec::new(),
            minimum: minimum.max(1),
        }
    }

    fn phrase(&self, field: &str, text: &str) -> Node {
        match self.tokens(field, text) {
            tokens if tokens.is_empty() => Node::None,
            tokens => self.terms(field, tokens),
        }
    }

    fn multi_match(&self, fields: &[(String, f32)], text: &str, combine: Combine) -> Node {
        let of_field = |(field, factor): &(String, f32)| {
            let node = match combine {
                Combine::Phrase => self.phrase(field, text),
                _ => self.matching(field, text, Operator::Or, None),
            };
            Node::Boost(Box::new(node), f64::from(*factor))
        };
        let share = if combine == Combine::MostFields {
            1.0
        } else {
            0.0
        };
        Node::Best(fields.iter().map(of_field).collect(), share)
    }

    fn terms(&self, field: &str, phrase: Vec<(u32, String)>) -> Node {
        let texts = || self.0.documents.values().filter_map(|d| d.text(field));
        let all = texts().count() as f64;
        let idf_of = |(_, term): &(u32, String)| {
            let n = texts().filter(|text| text.frequency(term) > 0).count() as f64;
            (1.0 + (all - n + 0.5) / (n + 0.5)).ln()
        };
        let idf = phrase.iter().map(idf_of).sum();
        let length: u64 = texts().map(|text| u64::from(text.length)).sum();
        let average = length as f64 / all;
        let similarity = self.0.similarities.get(field).copied().unwrap_or_default();
        let (average, similarity) = match self.0.fields.get(field) {
            Some(FieldType::Text(_) | FieldType::TextOnce(_)) => (Some(average), similarity),
            Some(FieldType::TextWithoutNorms(_) | FieldType::KeywordCounted) => (
                Some(average),
                Similarity {
                    b: 0.0,
                    ..similarity
                },
            ),
            Some(FieldType::Keyword | FieldType::Integer) | None => (None, similarity),
        };
        Node::Terms(Terms {
            field: field.to_owned(),
            phrase,
            idf,
            average,
            similarity,
        })
    }
}

impl Node {
    fn score(&self, document: &Analysed, boost: f64) -> Option<f64> {
        match self {
            Self::All => Some(boost),
            Self::None => None,
            Self::Terms(terms) => terms.score(document.text(&terms.field)?, boost),
            Self::Sum { .. } => self.sum(document, boost),
            Self::Best(nodes, share) => {
                let scores = nodes.iter().filter_map(|node| node.score(document, boost));
                let scores: Vec<f64> = scores.collect();
                let best = scores.iter().copied().reduce(f64::max)?;
                Some(best + share * (scores.iter().sum::<f64>() - best))
            }
            Self::Constant(node) => node.score(document, 1.0).map(|_| boost),
            Self::Range(field, from, below) => {
                let value = document.integer(field)?;
                (*from <= value && value < *below).then_some(boost)
            }
            Self::Boost(node, factor) => node.score(document, boost * factor),
        }
    }

    fn matches(&self, document: &Analysed) -> bool {
        self.score(document, 1.0).is_some()
    }

    fn sum(&self, document: &Analysed, boost: f64) -> Option<f64> {
        let Self::Sum {
            must,
            should,
            filter,
            must_not,
            minimum,
        } = self
        else {
            return None;
        };
        if must_not.iter().any(|node| node.matches(document)) {
            return None;
        }
        if !filter.iter().all(|node| node.matches(document)) {
            return None;
        }
        let mut sum = 0.0;
        for node in must {
            sum += node.score(document, boost)?;
        }
        let mut num_matching = 0;
        for node in should {
            if let Some(score) = node.score(document, boost) {
                sum += score;
                num_matching += 1;
            }
        }
        (num_matching >= *minimum).then_some(sum)
    }
}

impl Terms {
    fn score(&self, text: &Text, boost: f64) -> Option<f64> {
        let frequency = match self.phrase.as_slice() {
            [(_, term)] => text.frequency(term),
            phrase => text.phrase_frequency(phrase),
        };
        if frequency == 0 {
            return None;
        }
        let weight = boost * self.idf;
        let Some(average) = self.average else {
            return Some(weight);
        };
        let tf = frequency as f64;
        let Similarity { k1, b } = self.similarity;
        let norm = k1 * (1.0 - b + b * f64::from(text.length) / average);
        Some(weight * ((k1 + 1.0) * tf / (tf + norm)))
    }
}
