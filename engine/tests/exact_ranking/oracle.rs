//! A naive search: every document, every clause, one list, one sort.

use std::collections::BTreeMap;
use std::ops::Bound;

use gleaner_model::FieldPath;
use gleaner_model::hash::tie_break_hash;
use gleaner_query::resolved::{
    Clause, FieldStatistics, Function, FunctionScore, Origin, Scalar, ShardQuery, Statistics,
    StatisticsRequest,
};
use tantivy::fieldnorm::FieldNormReader;

use crate::corpus::{Corpus, Document};
use crate::layout::Found;

/// Ranks all live documents.
pub(crate) fn search(corpus: &Corpus, query: &ShardQuery) -> Found {
    let scored = |document: &Document| {
        let score = boosted(&query.query, document, query, 1.0)?;
        Some((score as f32, document.id.clone()))
    };
    let mut hits: Vec<(f32, String)> = corpus.live.values().filter_map(scored).collect();
    hits.sort_by(|a, b| {
        let by_hash = || tie_break_hash(&a.1).cmp(&tie_break_hash(&b.1));
        b.0.total_cmp(&a.0)
            .then_with(by_hash)
            .then_with(|| a.1.cmp(&b.1))
    });
    let total = hits.len() as u64;
    hits.truncate(query.top);
    Found {
        hits: hits
            .into_iter()
            .map(|(score, id)| (id, score.to_bits()))
            .collect(),
        total,
    }
}

/// Counts what a query needs, naively.
pub(crate) fn statistics(corpus: &Corpus, clause: &Clause) -> Statistics {
    let mut request = StatisticsRequest::default();
    request.collect(clause);
    let mut answer = Statistics::default();
    for (field, terms) in &request.fields {
        let texts = || corpus.live.values().map(|document| words(document, field));
        let with_field = || texts().filter(|words| !words.is_empty());
        let numbers = FieldStatistics {
            documents: with_field().count() as u64,
            total_length: with_field()
                .map(|words| u64::from(quantised(words.len())))
                .sum(),
        };
        answer.fields.insert(field.clone(), numbers);
        let count = |term: &String| {
            texts()
                .filter(|words| words.contains(&number(term)))
                .count() as u64
        };
        let counts: BTreeMap<String, u64> = terms
            .iter()
            .map(|term| (term.clone(), count(term)))
            .collect();
        answer.terms.insert(field.clone(), counts);
    }
    answer
}

fn quantised(length: usize) -> u32 {
    FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(length as u32))
}

/// The words of a field by number.
fn words<'d>(document: &'d Document, field: &FieldPath) -> &'d [u32] {
    match field.as_str() {
        "title" => &document.title,
        "body" => &document.body,
        "labels" => &document.labels,
        "tag" => std::slice::from_ref(&document.tag),
        "flag" => match document.flag() {
            None => &[],
            Some(false) => &[0],
            Some(true) => &[1],
        },
        other => panic!("no field {other}"),
    }
}

/// The number of a term: of `w12` or `t12`, or a flag.
fn number(term: &str) -> u32 {
    match term {
        "false" => 0,
        "true" => 1,
        _ => term[1..].parse().expect("a term of the corpus"),
    }
}

/// Returns the score of a document under the numbers of a query, `None` where it does not match.
fn boosted(clause: &Clause, document: &Document, numbers: &ShardQuery, boost: f64) -> Option<f64> {
    let inner = |clause: &Clause| boosted(clause, document, numbers, boost);
    let text = Text { document, numbers };
    match clause {
        Clause::MatchAll => Some(boost),
        Clause::MatchNone => None,
        Clause::Term { field, term } => text.score(field, &[term], &[term], boost),
        Clause::Exact {
            field,
            value: Scalar::Bool(value),
        } => {
            let term = value.to_string();
            text.score(field, &[&term], &[&term], boost)
        }
        Clause::Synonyms { field, terms } => {
            let terms: Vec<&String> = terms.iter().collect();
            text.score(field, &terms, &terms, boost)
        }
        Clause::Blended { field, terms } => {
            let group: Vec<&String> = terms.iter().map(|(term, _)| term).collect();
            let scores = terms.iter().filter_map(|(term, factor)| {
                text.score(field, &group, &[term], boost * f64::from(*factor))
            });
            let scores: Vec<f64> = scores.collect();
            (!scores.is_empty()).then(|| scores.iter().sum())
        }
        Clause::Phrase {
            field,
            positions,
            slop: 0,
        } => {
            let terms = positions.iter().flat_map(|(_, terms)| terms);
            let numbers = &numbers.statistics;
            let held = terms.filter(|term| numbers.terms[field][*term] > 0);
            let idf: f64 = held.map(|term| idf(numbers, field, &[term])).sum();
            text.weigh(field, boost * idf, phrase_count(document, field, positions))
        }
        Clause::Bool {
            must_not, filter, ..
        } => {
            let holds = |clause: &Clause| inner_matches(clause, document);
            if must_not.iter().any(holds) || !filter.iter().all(holds) {
                return None;
            }
            sum(clause, inner)
        }
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => {
            let scores: Vec<f64> = clauses.iter().filter_map(inner).collect();
            let best = scores.iter().copied().reduce(f64::max)?;
            Some(best + f64::from(*tie_breaker) * (scores.iter().sum::<f64>() - best))
        }
        Clause::Constant(clause) => inner_matches(clause, document).then_some(boost),
        Clause::Demote {
            positive,
            negative,
            factor,
        } => {
            let demoted = inner_matches(negative, document);
            inner(positive).map(|score| {
                if demoted {
                    score * f64::from(*factor)
                } else {
                    score
                }
            })
        }
        Clause::Functions(scored) => functions(scored, document, numbers, boost),
        Clause::Boost { clause, factor } => {
            boosted(clause, document, numbers, boost * f64::from(*factor))
        }
        _ => inner_matches(clause, document).then_some(boost),
    }
}

fn distance(value: f64, origin: Origin) -> f64 {
    match origin {
        Origin::Number(origin) => (value - origin).abs(),
        Origin::Nanos(_) | Origin::Point(_) => 0.0,
    }
}

/// A score made of functions of `number` and of the id.
fn functions(
    scored: &FunctionScore,
    document: &Document,
    numbers: &ShardQuery,
    boost: f64,
) -> Option<f64> {
    let (within, outside) = match scored.min_score {
        Some(_) => (1.0, boost),
        None => (boost, 1.0),
    };
    let query = boosted(&scored.query, document, numbers, within)?;
    let value = document.number as f64;
    let pairs = scored.filters.iter().zip(&scored.functions);
    let pairs =
        pairs.filter(|(filter, _)| **filter == Clause::MatchAll || inner_matches(filter, document));
    let given: Vec<(f64, f64)> = pairs
        .map(|(_, function)| {
            let weight = f64::from(function.weight);
            let number = match &function.function {
                Function::FieldValue {
                    factor, modifier, ..
                } => modifier.apply(value * factor),
                Function::Decay(decay) => decay.apply(&[distance(value, decay.origin)]),
                Function::Proximity { origin, pivot, .. } => {
                    pivot / (pivot + distance(value, *origin))
                }
                _ => 1.0,
            };
            (number * weight, weight)
        })
        .collect();
    let combined = scored.score_mode.combine(given.into_iter());
    let combined = combined.min(f64::from(scored.max_boost));
    let score = |query: f64| match scored.functions.is_empty() {
        true => query,
        false => scored.boost_mode.combine(query, combined),
    };
    let is_out = scored
        .min_score
        .is_some_and(|least| (score(query) as f32) < least);
    (!is_out).then(|| score(query * outside))
}

/// The scored part of a `bool`.
fn sum(clause: &Clause, score: impl Fn(&Clause) -> Option<f64>) -> Option<f64> {
    let Clause::Bool {
        must,
        should,
        filter,
        minimum_should_match,
        ..
    } = clause
    else {
        panic!("not a bool");
    };
    let (mut sum, mut matching) = (0.0, 0);
    for clause in must {
        sum += score(clause)?;
    }
    for score in should.iter().filter_map(score) {
        sum += score;
        matching += 1;
    }
    let is_required = must.is_empty() && filter.is_empty() && !should.is_empty();
    (matching >= (*minimum_should_match).max(u32::from(is_required))).then_some(sum)
}

/// A document under the numbers of a request.
struct Text<'a> {
    document: &'a Document,
    numbers: &'a ShardQuery,
}

impl Text<'_> {
    /// Scores `wanted` words that take the largest document frequency of `group`.
    fn score(
        &self,
        field: &FieldPath,
        group: &[&String],
        wanted: &[&String],
        boost: f64,
    ) -> Option<f64> {
        let weight = boost * idf(&self.numbers.statistics, field, group);
        self.weigh(field, weight, count(self.document, field, wanted))
    }

    fn weigh(&self, field: &FieldPath, weight: f64, frequency: f64) -> Option<f64> {
        if frequency == 0.0 {
            return None;
        }
        if matches!(field.as_str(), "tag" | "flag") {
            return Some(weight);
        }
        let numbers = self.numbers.statistics.fields[field];
        let average = numbers.total_length as f64 / numbers.documents as f64;
        let length = f64::from(quantised(words(self.document, field).len()));
        let similarity = self.numbers.similarities.of(field);
        let (k1, b) = (similarity.k1(), similarity.b());
        let norm = k1 * (1.0 - b + b * length / average);
        Some(weight * ((k1 + 1.0) * frequency / (frequency + norm)))
    }
}

fn inner_matches(clause: &Clause, document: &Document) -> bool {
    match clause {
        Clause::Term { field, term } => words(document, field).contains(&number(term)),
        Clause::Exact { value: Scalar::Bool(value), .. } => document.flag() == Some(*value),
        Clause::Phrase { field, positions, .. } => phrase_count(document, field, positions) > 0.0,
        Clause::Range { lower, upper, .. } => {
            let value = document.number;
            let is_above = match lower {
                Bound::Included(Scalar::I64(bound)) => value >= *bound,
                Bound::Excluded(Scalar::I64(bound)) => value > *bound,
                _ => true,
            };
            let is_below = match upper {
                Bound::Included(Scalar::I64(bound)) => value <= *bound,
                Bound::Excluded(Scalar::I64(bound)) => value < *bound,
                _ => true,
            };
            is_above && is_below
        }
        Clause::AnyOf { field, values } => values.iter().any(|value| {
            matches!(value, Scalar::Text(text) if words(document, field).contains(&number(text)))
        }),
        Clause::Exists { fields } => {
            fields.iter().any(|field| field.as_str() == "number" || !words(document, field).is_empty())
        }
        Clause::Ids { ids } => ids.iter().any(|id| id.as_str() == document.id),
        other => panic!("the oracle does not filter by {other:?}"),
    }
}

fn idf(numbers: &Statistics, field: &FieldPath, terms: &[&String]) -> f64 {
    let all = numbers.fields[field].documents as f64;
    let of = |term: &&String| numbers.terms[field][*term];
    let n = terms.iter().map(of).max().unwrap_or_default() as f64;
    (1.0 + (all - n + 0.5) / (n + 0.5)).ln()
}

fn count(document: &Document, field: &FieldPath, terms: &[&String]) -> f64 {
    let terms: Vec<u32> = terms.iter().map(|term| number(term)).collect();
    words(document, field)
        .iter()
        .filter(|word| terms.contains(word))
        .count() as f64
}

fn phrase_count(document: &Document, field: &FieldPath, positions: &[(u32, Vec<String>)]) -> f64 {
    let words = words(document, field);
    let wanted = |terms: &[String]| terms.iter().map(|term| number(term)).collect::<Vec<_>>();
    let positions: Vec<(usize, Vec<u32>)> = positions
        .iter()
        .map(|(offset, terms)| (*offset as usize, wanted(terms)))
        .collect();
    let matches = |start: &usize| {
        positions.iter().all(|(offset, terms)| {
            words
                .get(start + offset)
                .is_some_and(|word| terms.contains(word))
        })
    };
    (0..words.len()).filter(matches).count() as f64
}
