//! Random queries of every scored kind.

use std::ops::Bound;

use gleaner_model::{DocumentId, FieldPath};
use gleaner_query::dsl::{BoostMode, DecayShape, Modifier, ScoreMode};
use gleaner_query::resolved::{
    Bm25, Clause, Decay, Function, FunctionScore, Origin, Scalar, Similarities, WeightedFunction,
};
use gleaner_query::search::SortMode;
use rand::Rng;
use rand::rngs::StdRng;

use crate::corpus::{Corpus, PLANTED, VOCABULARY, body, draw_word, flag, labels, tag, title, word};

/// Draws a query; plain disjunctions, conjunctions and terms come most often.
pub(crate) fn random(rng: &mut StdRng, corpus: &Corpus) -> Clause {
    match rng.random_range(0..22) {
        0..=3 => term(rng),
        4..=7 => should(terms(rng, 2)),
        8 | 9 => should(terms(rng, 3)),
        10 | 11 => must(terms(rng, 2)),
        12 => phrase(rng, corpus),
        13 => Clause::DisMax {
            clauses: terms(rng, 3),
            tie_breaker: [0.0, 0.3, 1.0][rng.random_range(0..3)],
        },
        14 => Clause::Demote {
            positive: Box::new(should(terms(rng, 2))),
            negative: Box::new(filter(rng, corpus)),
            factor: 0.5,
        },
        15 => Clause::Synonyms {
            field: counted_field(rng),
            terms: distinct_words(rng, 2),
        },
        16 => {
            let group = distinct_words(rng, 3);
            Clause::Blended {
                field: counted_field(rng),
                terms: group.into_iter().zip([1.0, 0.8, 0.5]).collect(),
            }
        }
        17 | 18 => functions(rng, corpus),
        _ => compound(rng, corpus),
    }
}

/// Scores made of functions of `number`, under filters, sometimes with a least score.
fn functions(rng: &mut StdRng, corpus: &Corpus) -> Clause {
    let number = || FieldPath::new("number");
    let function = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => Function::One,
        1 => Function::FieldValue {
            field: number(),
            factor: 0.5,
            modifier: Modifier::Square,
            missing: None,
        },
        2 => Function::Decay(Decay {
            field: number(),
            shape: [DecayShape::Gauss, DecayShape::Exp, DecayShape::Linear][rng.random_range(0..3)],
            origin: Origin::Number(f64::from(rng.random_range(-20..20))),
            scale: 15.0,
            offset: 3.0,
            decay: 0.4,
            mode: SortMode::Min,
        }),
        _ => Function::Proximity {
            field: number(),
            origin: Origin::Number(f64::from(rng.random_range(-20..20))),
            pivot: 10.0,
        },
    };
    let num_functions = rng.random_range(0..4);
    let mut scored = FunctionScore {
        query: should(terms(rng, 2)),
        filters: Vec::new(),
        functions: Vec::new(),
        score_mode: [
            ScoreMode::Multiply,
            ScoreMode::Sum,
            ScoreMode::Avg,
            ScoreMode::First,
        ][rng.random_range(0..4)],
        boost_mode: [
            BoostMode::Multiply,
            BoostMode::Replace,
            BoostMode::Sum,
            BoostMode::Max,
        ][rng.random_range(0..4)],
        max_boost: [f32::MAX, 7.5][rng.random_range(0..2)],
        min_score: rng.random_bool(0.3).then_some(1.5),
    };
    for _ in 0..num_functions {
        scored.filters.push(match rng.random_bool(0.5) {
            true => Clause::MatchAll,
            false => filter(rng, corpus),
        });
        scored.functions.push(WeightedFunction {
            weight: [1.0, 0.3, 4.0][rng.random_range(0..3)],
            function: function(rng),
        });
    }
    let scored = Clause::Functions(Box::new(scored));
    match rng.random_bool(0.3) {
        true => should(vec![term(rng), scored]),
        false => scored,
    }
}

/// Draws how the text fields are scored: half of the time as everywhere. The length of `labels` does not count.
pub(crate) fn similarities(rng: &mut StdRng) -> Similarities {
    let flat = |k1| (labels(), Bm25::new(k1, 0.0).expect("in range"));
    if rng.random_bool(0.5) {
        return [flat(1.2)].into_iter().collect();
    }
    let mut drawn = || {
        let k1 = [0.0, 0.4, 1.2, 2.0, rng.random_range(0.0..10.0), 1e4][rng.random_range(0..6)];
        let b = [0.0, 0.75, 0.75, rng.random(), 1.0][rng.random_range(0..5)];
        Bm25::new(k1, b).expect("in range")
    };
    let (of_body, of_title) = (drawn(), drawn());
    let k1 = of_body.k1();
    [(body(), of_body), (title(), of_title), flat(k1)]
        .into_iter()
        .collect()
}

/// Draws `count` words of a query.
pub(crate) fn words(rng: &mut StdRng, count: usize) -> Vec<u32> {
    (0..count).map(|_| asked_word(rng)).collect()
}

/// Returns a disjunction of words of the body.
pub(crate) fn any_of(words: &[u32]) -> Clause {
    should(
        words
            .iter()
            .map(|&w| Clause::Term {
                field: body(),
                term: word(w),
            })
            .collect(),
    )
}

fn asked_word(rng: &mut StdRng) -> u32 {
    match rng.random_bool(0.4) {
        true => VOCABULARY + rng.random_range(0..PLANTED),
        false => draw_word(rng),
    }
}

fn distinct_words(rng: &mut StdRng, count: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < count {
        let new = word(asked_word(rng));
        if !found.contains(&new) {
            found.push(new);
        }
    }
    found
}

fn field(rng: &mut StdRng) -> FieldPath {
    if rng.random_bool(0.75) {
        body()
    } else {
        title()
    }
}

/// A field whose terms are counted: of text, or of whole values.
fn counted_field(rng: &mut StdRng) -> FieldPath {
    match rng.random_bool(0.3) {
        true => labels(),
        false => body(),
    }
}

fn term(rng: &mut StdRng) -> Clause {
    let clause = match rng.random_range(0..15) {
        0 => Clause::Term {
            field: tag(),
            term: format!("t{}", rng.random_range(0..6)),
        },
        1 => flagged(rng),
        2 | 3 => Clause::Term {
            field: labels(),
            term: word(asked_word(rng)),
        },
        _ => Clause::Term {
            field: field(rng),
            term: word(asked_word(rng)),
        },
    };
    if rng.random_bool(0.2) {
        let factor = [0.0, 0.1, 2.0, 7.5][rng.random_range(0..4)];
        return Clause::Boost {
            clause: Box::new(clause),
            factor,
        };
    }
    clause
}

fn flagged(rng: &mut StdRng) -> Clause {
    Clause::Exact {
        field: flag(),
        value: Scalar::Bool(rng.random_bool(0.5)),
    }
}

fn terms(rng: &mut StdRng, count: usize) -> Vec<Clause> {
    (0..count).map(|_| term(rng)).collect()
}

fn should(clauses: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: Vec::new(),
        should: clauses,
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 1,
    }
}

fn must(clauses: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: clauses,
        should: Vec::new(),
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 0,
    }
}

/// Two or three words that stand together somewhere, sometimes with an alternative.
fn phrase(rng: &mut StdRng, corpus: &Corpus) -> Clause {
    let documents: Vec<_> = corpus.live.values().filter(|d| d.body.len() > 3).collect();
    let text = &documents[rng.random_range(0..documents.len())].body;
    let start = rng.random_range(0..text.len() - 2);
    let num_words = rng.random_range(2..=3);
    let mut positions: Vec<(u32, Vec<String>)> = (0..num_words)
        .map(|at| (at as u32, vec![word(text[start + at])]))
        .collect();
    if rng.random_bool(0.3) {
        positions[1].1.push(word(asked_word(rng)));
        positions[1].1.dedup();
    }
    Clause::Phrase {
        field: body(),
        positions,
        slop: 0,
    }
}

fn filter(rng: &mut StdRng, corpus: &Corpus) -> Clause {
    match rng.random_range(0..7) {
        0 => Clause::Term {
            field: tag(),
            term: format!("t{}", rng.random_range(0..5)),
        },
        1 => Clause::AnyOf {
            field: tag(),
            values: (0..2)
                .map(|at| Scalar::Text(format!("t{}", at * 2)))
                .collect(),
        },
        2 => {
            let lower = rng.random_range(-60..40);
            Clause::Range {
                field: FieldPath::new("number"),
                lower: Bound::Included(Scalar::I64(lower)),
                upper: Bound::Excluded(Scalar::I64(lower + rng.random_range(1..60))),
            }
        }
        3 => Clause::Exists {
            fields: vec![[title(), labels()][rng.random_range(0..2)].clone()],
        },
        4 => phrase(rng, corpus),
        5 => flagged(rng),
        _ => {
            let ids = (0..200).map(|_| format!("d{}", rng.random_range(0..3_000)));
            let mut ids: Vec<DocumentId> = ids
                .map(|id| DocumentId::parse(&id).expect("a good id"))
                .collect();
            ids.sort();
            ids.dedup();
            Clause::Ids { ids }
        }
    }
}

/// Filters, exclusions, minimum_should_match, nesting.
fn compound(rng: &mut StdRng, corpus: &Corpus) -> Clause {
    let num_must = rng.random_range(0..3);
    let num_should = rng.random_range(0..4);
    let mut should: Vec<Clause> = terms(rng, num_should);
    if rng.random_bool(0.3) {
        should.push(must(vec![
            term(rng),
            Clause::Constant(Box::new(filter(rng, corpus))),
        ]));
    }
    let minimum = match rng.random_bool(0.05) {
        true => should.len() + 1,
        false => rng.random_range(0..=should.len().min(2)),
    };
    let num_filters = rng.random_range(0..2);
    let clause = Clause::Bool {
        must: terms(rng, num_must),
        should,
        filter: (0..num_filters).map(|_| filter(rng, corpus)).collect(),
        must_not: (0..rng.random_range(0..2))
            .map(|_| filter(rng, corpus))
            .collect(),
        minimum_should_match: minimum as u32,
    };
    match &clause {
        // Nothing asked for at all has its own rule, tested apart.
        Clause::Bool {
            must,
            should,
            filter,
            ..
        } if must.is_empty() && should.is_empty() && filter.is_empty() => {
            self::should(terms(rng, 2))
        }
        _ if rng.random_bool(0.25) => Clause::Bool {
            must: vec![clause],
            should: Vec::new(),
            filter: vec![filter(rng, corpus)],
            must_not: Vec::new(),
            minimum_should_match: 0,
        },
        _ => clause,
    }
}
