//! Words that stand to each other, and texts over several fields: the same for any layout, and beside a naive count.

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::dsl::IntervalRelation;
use gleaner_query::resolved::{
    Blend, Clause, IntervalOrder, IntervalScoring, IntervalSource, Intervals, ShardQuery,
};
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::corpus::{Corpus, VOCABULARY, body, draw_word, title, word};
use crate::layout::{Cluster, LAYOUTS, query};
use crate::queries;

/// Queries of each layout.
const QUERIES: usize = 60;

fn terms(rng: &mut StdRng) -> IntervalSource {
    let mut terms: Vec<String> = (0..rng.random_range(1..3))
        .map(|_| word(draw_word(rng)))
        .collect();
    terms.sort();
    terms.dedup();
    IntervalSource::Terms {
        field: body(),
        terms,
    }
}

fn source(rng: &mut StdRng, depth: u32) -> IntervalSource {
    if depth == 0 || rng.random_bool(0.3) {
        return terms(rng);
    }
    let one = |rng: &mut StdRng| Box::new(source(rng, depth - 1));
    let several = |rng: &mut StdRng| -> Vec<IntervalSource> {
        (0..rng.random_range(2..4))
            .map(|_| source(rng, depth - 1))
            .collect()
    };
    match rng.random_range(0..6) {
        0 => IntervalSource::AnyOf(several(rng)),
        1 => IntervalSource::Filter {
            source: one(rng),
            relation: IntervalRelation::ALL[rng.random_range(0..8)].1,
            by: one(rng),
        },
        2 => IntervalSource::Extend {
            source: one(rng),
            before: rng.random_range(0..3),
            after: rng.random_range(0..3),
        },
        3 => IntervalSource::First {
            source: one(rng),
            end: rng.random_range(1..60),
        },
        _ => IntervalSource::AllOf {
            sources: several(rng),
            order: [
                IntervalOrder::Ordered,
                IntervalOrder::Unordered,
                IntervalOrder::Separate,
                IntervalOrder::Adjacent,
            ][rng.random_range(0..4)],
            max_gaps: rng.random_bool(0.5).then(|| rng.random_range(0..40)),
        },
    }
}

fn clause(rng: &mut StdRng) -> Clause {
    let words = |field, rng: &mut StdRng| Clause::Term {
        field,
        term: word(rng.random_range(0..VOCABULARY)),
    };
    match rng.random_range(0..5) {
        0 => {
            let asked = word(draw_word(rng));
            let term = |field| Clause::Term {
                field,
                term: asked.clone(),
            };
            Clause::Across {
                clauses: vec![term(title()), term(body())],
                weights: vec![1.0 + rng.random_range(0..3) as f32, 1.0],
                blend: [Blend::OneField, Blend::Best(0.3)][rng.random_range(0..2)],
            }
        }
        1 => Clause::AtLeast {
            clauses: (0..4).map(|_| words(body(), rng)).collect(),
            field: FieldPath::new("number"),
        },
        _ => Clause::Intervals(Box::new(Intervals {
            field: body(),
            source: source(rng, 3),
            scoring: [IntervalScoring::Saturated, IntervalScoring::Bm25][rng.random_range(0..2)],
        })),
    }
}

#[test]
fn relations_of_words_do_not_depend_on_the_layout() {
    let corpus = Corpus::generate(crate::seed() + 3_000, 900);
    let clusters: Vec<Cluster> = LAYOUTS
        .iter()
        .map(|layout| Cluster::build(&corpus, *layout))
        .collect();
    let mut rng = StdRng::seed_from_u64(crate::seed());
    let mut num_hits = 0;
    for number in 0..QUERIES {
        let asked = clause(&mut rng);
        let asked = match number % 3 {
            0 => Clause::Bool {
                must: vec![queries::any_of(&queries::words(&mut rng, 2))],
                should: Vec::new(),
                filter: vec![asked],
                must_not: Vec::new(),
                minimum_should_match: 0,
            },
            1 => Clause::DisMax {
                clauses: vec![asked, queries::any_of(&queries::words(&mut rng, 1))],
                tie_breaker: 0.5,
            },
            _ => asked,
        };
        let statistics = Arc::new(clusters[0].statistics(&asked));
        let query = ShardQuery {
            top: 40,
            similarities: queries::similarities(&mut rng),
            ..query(&asked, &statistics)
        };
        let expected = clusters[0].answer(&query);
        num_hits += expected.hits.len();
        for (cluster, layout) in clusters.iter().zip(LAYOUTS).skip(1) {
            assert_eq!(
                cluster.statistics(&asked),
                *statistics,
                "{layout:?} {asked:?}"
            );
            assert_eq!(cluster.answer(&query), expected, "{layout:?} {asked:?}");
        }
    }
    assert!(num_hits > QUERIES, "only {num_hits} hits");
}

#[test]
fn ordered_words_are_those_of_a_naive_look_at_each_text() {
    let corpus = Corpus::generate(crate::seed() + 4_000, 500);
    let cluster = Cluster::build(&corpus, LAYOUTS[3]);
    let mut rng = StdRng::seed_from_u64(crate::seed() + 1);
    let mut num_found = 0;
    for _ in 0..40 {
        let (one, other) = (draw_word(&mut rng), draw_word(&mut rng));
        let most: usize = rng.random_range(0..6);
        let source = |number: u32| IntervalSource::Terms {
            field: body(),
            terms: vec![word(number)],
        };
        let asked = Clause::Intervals(Box::new(Intervals {
            field: body(),
            source: IntervalSource::AllOf {
                sources: vec![source(one), source(other)],
                order: IntervalOrder::Ordered,
                max_gaps: Some(most as u32),
            },
            scoring: IntervalScoring::Saturated,
        }));
        let is_match = |text: &[u32]| {
            text.iter().enumerate().any(|(at, found)| {
                let behind = text.iter().skip(at + 1).take(most + 1);
                *found == one && behind.into_iter().any(|found| *found == other)
            })
        };
        let expected = corpus
            .live
            .values()
            .filter(|document| is_match(&document.body))
            .count();
        let statistics = Arc::new(cluster.statistics(&asked));
        let found = cluster.answer(&query(&asked, &statistics));
        assert_eq!(found.total, expected as u64, "{one} {other} {most}");
        num_found += expected;
    }
    assert!(num_found > 40, "only {num_found}");
}
