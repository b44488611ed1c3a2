//! Exact ranking: pruned search over any layout against a naive scan of one list of documents.
//!
//! The corpus is made to hurt: lengths differ 100-fold between shards, words repeat, documents are
//! duplicated (ties), updated, deleted, merged. Hits, order, scores (to the bit) and totals must
//! not depend on shards and segments. The same data makes stock tantivy fail, which shows that the
//! test can tell.
//!
//! `GLEANER_PROVE` and `GLEANER_SEED` size and seed it, as in `cargo xtask prove`.

mod corpus;
mod features;
mod layout;
mod oracle;
mod queries;
mod relations;
mod stock;

use std::sync::Arc;

use gleaner_query::resolved::{Clause, Scalar, ShardQuery, Statistics};
use gleaner_query::search::TrackTotal;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use corpus::Corpus;
use layout::{Cluster, LAYOUTS, Layout};

/// Queries compared when nothing is to be proven at length.
const QUERIES: usize = 300;

fn seed() -> u64 {
    std::env::var("GLEANER_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(7)
}

fn num_queries() -> usize {
    if std::env::var_os("GLEANER_PROVE").is_some() {
        20_000
    } else {
        QUERIES
    }
}

/// Compares `num_queries` random queries on one layout; returns how many were compared.
fn compare(corpus: &Corpus, cluster: &Cluster, num_queries: usize, seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    for number in 0..num_queries {
        let clause = queries::random(&mut rng, corpus);
        let top = [1, 3, 10, 10, 50][rng.random_range(0..5)];
        let track = match rng.random_range(0..3) {
            0 => TrackTotal::Exact,
            1 => TrackTotal::UpTo(rng.random_range(1..500)),
            _ => TrackTotal::UpTo(10_000),
        };
        let statistics = Arc::new(cluster.statistics(&clause));
        let query = ShardQuery {
            top,
            track_total: track,
            similarities: queries::similarities(&mut rng),
            ..layout::query(&clause, &statistics)
        };
        let expected = oracle::search(corpus, &query);
        let found = cluster.answer(&query);
        let similarities = &query.similarities;
        let context = format!("seed {seed} query {number} top {top} {clause:?} {similarities:?}");
        assert_eq!(found.hits.len(), expected.hits.len(), "{context}");
        for (found, expected) in found.hits.iter().zip(&expected.hits) {
            assert_eq!(found, expected, "{context}");
        }
        let limit = match track {
            TrackTotal::UpTo(limit) => limit,
            _ => u64::MAX,
        };
        // One match beyond the limit tells that there are more.
        let enough = limit.saturating_add(1);
        assert_eq!(
            found.total.min(enough),
            expected.total.min(enough),
            "{context} {track:?}"
        );
    }
    num_queries
}

#[test]
fn hits_scores_and_totals_do_not_depend_on_the_layout() {
    let seed = seed();
    let per_layout = num_queries().div_ceil(2 * LAYOUTS.len());
    let size = if num_queries() > QUERIES {
        8_000
    } else {
        2_000
    };
    for (half, repeats) in [0.0, 0.03].into_iter().enumerate() {
        let corpus = Corpus::with_repeats(seed + half as u64, size, repeats);
        for (at, layout) in LAYOUTS.iter().enumerate() {
            let cluster = Cluster::build(&corpus, *layout);
            let seed = seed + (10 * half + at) as u64;
            compare(&corpus, &cluster, per_layout, seed);
        }
    }
}

#[test]
fn a_merge_changes_nothing() {
    let seed = seed() + 1_000;
    let corpus = Corpus::generate(seed, 1_200);
    let layout = Layout {
        shards: 2,
        segments: 5,
    };
    let mut cluster = Cluster::build(&corpus, layout);
    compare(&corpus, &cluster, 40, seed);
    cluster.merge();
    compare(&corpus, &cluster, 40, seed);
}

#[test]
fn statistics_are_those_of_live_documents() {
    let corpus = Corpus::generate(seed() + 2_000, 1_500);
    let request = |word: u32| {
        [corpus::body(), corpus::labels()].map(|field| Clause::Term {
            field,
            term: corpus::word(word),
        })
    };
    for layout in [LAYOUTS[0], LAYOUTS[3]] {
        let cluster = Cluster::build(&corpus, layout);
        for clause in [0, 1, 5, 40, 200].into_iter().flat_map(request) {
            let expected = oracle::statistics(&corpus, &clause);
            assert_eq!(
                cluster.statistics(&clause),
                expected,
                "{layout:?} {clause:?}"
            );
        }
        for value in [false, true] {
            let clause = Clause::Exact {
                field: corpus::flag(),
                value: Scalar::Bool(value),
            };
            let expected = oracle::statistics(&corpus, &clause);
            assert!(expected.terms[&corpus::flag()][&value.to_string()] > 0);
            assert_eq!(cluster.statistics(&clause), expected, "{layout:?} {value}");
        }
    }
}

#[test]
fn stock_pruning_fails_where_ours_is_exact() {
    let corpus = Corpus::generate(seed(), 5_000);
    let cluster = Cluster::build(
        &corpus,
        Layout {
            shards: 3,
            segments: 1,
        },
    );
    let mut rng = StdRng::seed_from_u64(seed());
    let (mut in_shard, mut merged, num_queries) = (0, 0, 400);
    for number in 0..num_queries {
        let num_words = rng.random_range(1..=2);
        let words = queries::words(&mut rng, num_words);
        let top = [1, 3, 10][number % 3];
        let clause = queries::any_of(&words);
        let wrong = stock::is_wrong(&cluster, &clause, &words, (&corpus, top));
        in_shard += usize::from(wrong.0);
        merged += usize::from(wrong.1);
        let statistics = Arc::new(cluster.statistics(&clause));
        let query = ShardQuery {
            top,
            ..layout::query(&clause, &statistics)
        };
        let (found, expected) = (cluster.answer(&query), oracle::search(&corpus, &query));
        assert_eq!(found, expected, "{words:?}");
    }
    println!("stock tantivy: {in_shard} shard lists, {merged} merged of {num_queries} wrong");
    assert!(
        in_shard > 0 && merged > 0,
        "the corpus must be one that stock pruning gets wrong"
    );
}

#[test]
fn a_term_without_statistics_is_an_error() {
    let corpus = Corpus::generate(1, 50);
    let cluster = Cluster::build(&corpus, LAYOUTS[0]);
    let clause = Clause::Term {
        field: corpus::body(),
        term: corpus::word(1),
    };
    let nothing = Arc::new(Statistics::default());
    let error = cluster.try_search(&clause, &nothing, 10).unwrap_err();
    assert!(error.to_string().contains("no statistics came"), "{error}");
}
