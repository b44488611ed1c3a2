//! Pruned answers are those of a walk over every match, and the clock is looked at often enough.

mod clock;

use std::sync::Arc;

use gleaner_model::{FieldPath, IndexUuid, ShardKey, ShardNumber};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{
    Bm25, Clause, ShardQuery, Similarities, Statistics, StatisticsRequest,
};
use gleaner_query::search::TrackTotal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::aggregate::testing::{self, Index, Layout, mapping};
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::search::{SearchEnv, Target, search};
use crate::statistics::statistics;

/// Draws one of about `vocabulary` words; small numbers are frequent.
fn draw_word(rng: &mut StdRng, vocabulary: f64) -> String {
    let uniform: f64 = rng.random();
    format!("w{}", vocabulary.powf(uniform) as u32)
}

/// Lays documents of very different lengths out.
fn targets(num_documents: usize, vocabulary: f64, layout: Layout) -> Vec<Target> {
    let mapping = mapping(&json!({
        "text": {"type": "text"}, "title": {"type": "text"}, "kind": {"type": "keyword"},
    }));
    let mut rng = StdRng::seed_from_u64(num_documents as u64);
    let documents = (0..num_documents).map(|i| {
        let length = 1 + (rng.random::<f64>().powi(6) * 150.0) as usize;
        let mut words: Vec<String> = (0..length)
            .map(|_| draw_word(&mut rng, vocabulary))
            .collect();
        if i % 50 == 0 {
            // One word over and over.
            words = vec![words.swap_remove(0); length];
        }
        let kind = format!("k{}", i % 3);
        let title = [draw_word(&mut rng, 40.0), draw_word(&mut rng, 40.0)];
        let title = (i % 4 != 0).then(|| title.join(" "));
        (
            format!("d{i}"),
            json!({"text": words.join(" "), "title": title, "kind": kind}),
        )
    });
    Index::new(&mapping, &documents.collect(), layout).targets()
}

/// Draws a phrase: mostly of the most frequent words, so that it occurs.
fn draw_phrase(rng: &mut StdRng) -> Clause {
    let num_slots = rng.random_range(2..5);
    let mut offset = 0;
    let mut positions = Vec::new();
    for _ in 0..num_slots {
        positions.push((offset, vec![draw_word(rng, 12.0)]));
        offset += [1, 1, 1, 2][rng.random_range(0..4)];
    }
    Clause::Phrase {
        field: FieldPath::new("text"),
        positions,
        slop: [0, 0, 0, 0, 2][rng.random_range(0..5)],
    }
}

/// Draws a word of a field, boosted now and then.
fn draw_term(rng: &mut StdRng, field: &str, vocabulary: f64) -> Clause {
    let term = Clause::Term {
        field: FieldPath::new(field),
        term: draw_word(rng, vocabulary),
    };
    if rng.random_bool(0.8) {
        return term;
    }
    let usual = rng.random_range(0.01..20.0);
    Clause::Boost {
        clause: Box::new(term),
        factor: [usual, usual, usual, 1e-12, 1e12][rng.random_range(0..5)],
    }
}

/// Draws words combined in any way: as `multi_match` does, or one `match` inside another.
fn draw_tree(rng: &mut StdRng, vocabulary: f64, depth: u32) -> Clause {
    let field = ["text", "text", "title"][rng.random_range(0..3)];
    if depth == 0 && rng.random_bool(0.2) {
        return draw_phrase(rng);
    } else if depth == 0 {
        return draw_term(rng, field, vocabulary);
    }
    let several = |rng: &mut StdRng, most: u32| -> Vec<Clause> {
        let nodes = 0..rng.random_range(1..=most);
        nodes
            .map(|_| draw_tree(rng, vocabulary, depth - 1))
            .collect()
    };
    match rng.random_range(0..5) {
        0 | 1 => Clause::DisMax {
            clauses: several(rng, 4),
            tie_breaker: [0.0, 0.0, 0.3, 1.0, 2.0][rng.random_range(0..5)],
        },
        2 => Clause::Blended {
            field: FieldPath::new(field),
            terms: (1..4_u8)
                .map(|n| (draw_word(rng, vocabulary), 1.0 / f32::from(n)))
                .collect(),
        },
        kind => {
            let must = if kind == 3 { several(rng, 3) } else { vec![] };
            let is_all = !must.is_empty() && rng.random_bool(0.5);
            let should = if is_all { vec![] } else { several(rng, 4) };
            let least = u32::from(must.is_empty());
            // Now and then more than there are: then nothing matches.
            let most = should.len().min(2) as u32 + u32::from(rng.random_bool(0.3));
            Clause::Bool {
                minimum_should_match: rng.random_range(least..=most),
                must,
                should,
                filter: vec![],
                must_not: vec![],
            }
        }
    }
}

fn draw_clause(rng: &mut StdRng, vocabulary: f64) -> Clause {
    let text = FieldPath::new("text");
    let num_terms = [1, 2, 2, 3, 3, 5, 9][rng.random_range(0..7)];
    let mut terms = Vec::new();
    let is_phrase = rng.random_bool(0.25);
    for _ in 0..if is_phrase { 1 } else { num_terms } {
        let term = if is_phrase {
            draw_phrase(rng)
        } else {
            Clause::Term {
                field: text.clone(),
                term: draw_word(rng, vocabulary),
            }
        };
        terms.push(if rng.random_bool(0.2) {
            let factor = rng.random_range(0.01..20.0);
            let clause = Box::new(term);
            Clause::Boost { clause, factor }
        } else {
            term
        });
    }
    let kind = |number: u32| Clause::Term {
        field: FieldPath::new("kind"),
        term: format!("k{number}"),
    };
    let filter: Vec<Clause> = (0..u32::from(rng.random_bool(0.2))).map(kind).collect();
    let must_not: Vec<Clause> = (0..u32::from(rng.random_bool(0.1)))
        .map(|_| kind(1))
        .collect();
    let is_nested = rng.random_bool(0.25);
    let is_all = rng.random_bool(0.4);
    let (must, should) = match rng.random_range(0..5) {
        0 | 1 => {
            let depth = rng.random_range(1..=2);
            (vec![], vec![draw_tree(rng, vocabulary, depth)])
        }
        _ if is_all => (terms, vec![]),
        _ => (vec![], terms),
    };
    let is_all = should.is_empty();
    let clause = Clause::Bool {
        must,
        should,
        filter,
        must_not,
        minimum_should_match: u32::from(!is_all),
    };
    if !is_nested {
        return clause;
    }
    // As a client writes it: `must` of one `match`, and a filter beside it.
    let is_must = rng.random_bool(0.7);
    let (one, none) = (vec![clause], vec![]);
    let (must, should) = if is_must { (one, none) } else { (none, one) };
    Clause::Bool {
        must,
        should,
        filter: vec![kind(rng.random_range(0..3))],
        must_not: vec![],
        minimum_should_match: u32::from(!is_must),
    }
}

fn numbers(targets: &[Target], clause: &Clause) -> Arc<Statistics> {
    let mut request = StatisticsRequest::default();
    request.collect(clause);
    let mut numbers = Statistics::default();
    for target in targets {
        numbers.merge(&statistics(&target.view, &request, &Control::unlimited()).unwrap());
    }
    Arc::new(numbers)
}

/// Draws how the fields are scored: half of the time as everywhere.
fn draw_similarities(rng: &mut StdRng) -> Similarities {
    if rng.random_bool(0.5) {
        return Similarities::default();
    }
    let mut drawn = || {
        let k1 = [0.0, 0.4, 1.2, 2.0, rng.random_range(0.0..10.0), 1e4][rng.random_range(0..6)];
        let b = [0.0, 0.75, 0.75, rng.random(), 1.0][rng.random_range(0..5)];
        Bm25::new(k1, b).expect("in range")
    };
    let fields = [("text", drawn()), ("title", drawn())];
    let fields = fields.into_iter();
    fields
        .map(|(field, similarity)| (FieldPath::new(field), similarity))
        .collect()
}

fn draw_query(targets: &[Target], vocabulary: f64, rng: &mut StdRng) -> ShardQuery {
    let clause = draw_clause(rng, vocabulary);
    let numbers = numbers(targets, &clause);
    ShardQuery {
        query: clause,
        statistics: numbers,
        similarities: draw_similarities(rng),
        top: [1, 3, 10, 40, 400][rng.random_range(0..5)],
        post_filter: rng.random_bool(0.1).then(|| Clause::Term {
            field: FieldPath::new("kind"),
            term: "k2".to_owned(),
        }),
        search_after: rng
            .random_bool(0.1)
            .then(|| vec![json!(rng.random_range(0.0..12.0))]),
        track_total: [TrackTotal::No, TrackTotal::UpTo(300), TrackTotal::Exact]
            [rng.random_range(0..3)],
        ..testing::query(vec![], vec![])
    }
}

fn run(
    targets: &[Target],
    query: &ShardQuery,
    control: &Arc<Control>,
    filters: &Arc<FilterCache>,
) -> Vec<ShardHits> {
    let answers = search(
        targets,
        query,
        &SearchEnv {
            control,
            filters,
            memory: &MemoryAccount::root("test", 1 << 30),
            pool: None,
        },
    );
    answers.into_iter().collect::<Result<_, _>>().unwrap()
}

/// Scores and places of the best, and the total up to one more than the limit.
fn outcome(query: &ShardQuery, answers: &[ShardHits]) -> (Vec<(u32, u64, u64)>, u64) {
    let hits = answers.iter().flat_map(|answer| &answer.hits);
    let mut hits: Vec<(u32, u64, u64)> = hits
        .map(|hit| {
            (
                u32::MAX - hit.score.unwrap().to_bits(),
                hit.tie.hash,
                hit.place,
            )
        })
        .collect();
    hits.sort_unstable();
    let limit = match query.track_total {
        TrackTotal::No => 0,
        TrackTotal::UpTo(limit) => limit + 1,
        TrackTotal::Exact => u64::MAX,
    };
    let total: u64 = answers.iter().map(|answer| answer.total).sum();
    (hits, total.min(limit))
}

fn assert_same_as_walked(num_documents: usize, vocabulary: f64, layout: Layout) {
    let targets = targets(num_documents, vocabulary, layout);
    let mut rng = StdRng::seed_from_u64(7);
    let control = Arc::new(Control::unlimited());
    // Filters are drawn from few, so bitmaps of them are kept, where segments are large enough.
    let filters = Arc::new(FilterCache::new(FilterCacheOptions::default()));
    for _ in 0..700 {
        let query = draw_query(&targets, vocabulary, &mut rng);
        // It has to look at every match to know when to stop.
        let walked = ShardQuery {
            terminate_after: Some(u64::MAX),
            ..query.clone()
        };
        let expected = outcome(&query, &run(&targets, &walked, &control, &filters));
        let found = outcome(&query, &run(&targets, &query, &control, &filters));
        assert_eq!(found, expected, "{query:?}");
        assert_counted_as_walked(&targets, &query, &control, &filters);
    }
    let is_large = targets
        .iter()
        .all(|target| target.view.num_documents() > 10_000);
    assert!(
        !is_large || filters.stats().hits > 50,
        "{:?}",
        filters.stats()
    );
}

/// Asks for the total alone, then for all of it beside hits, and compares with a walk over every match.
fn assert_counted_as_walked(
    targets: &[Target],
    query: &ShardQuery,
    control: &Arc<Control>,
    filters: &Arc<FilterCache>,
) {
    let exact = ShardQuery {
        track_total: TrackTotal::Exact,
        search_after: None,
        ..query.clone()
    };
    let walked = ShardQuery {
        terminate_after: Some(u64::MAX),
        ..exact.clone()
    };
    let totals = |query: &ShardQuery| -> Vec<u64> {
        let answers = run(targets, query, control, filters);
        answers.iter().map(|answer| answer.total).collect()
    };
    let expected = totals(&walked);
    assert_eq!(totals(&exact), expected, "beside hits: {query:?}");
    for track_total in [TrackTotal::Exact, TrackTotal::UpTo(300)] {
        let alone = ShardQuery {
            top: 0,
            track_total,
            ..exact.clone()
        };
        let found = outcome(&alone, &run(targets, &alone, control, filters)).1;
        let expected: u64 = expected.iter().sum();
        let limit = match track_total {
            TrackTotal::UpTo(limit) => limit + 1,
            _ => u64::MAX,
        };
        assert_eq!(found, expected.min(limit), "alone: {alone:?}");
    }
}

const ONE_SEGMENT: Layout = Layout {
    shards: 1,
    segments: 1,
    has_deletes: false,
};

#[test]
fn lists_of_many_blocks_rank_as_walked() {
    assert_same_as_walked(15_000, 300.0, ONE_SEGMENT);
}

#[test]
fn rare_and_frequent_terms_rank_as_walked() {
    assert_same_as_walked(20_000, 5_000.0, ONE_SEGMENT);
}

#[test]
fn many_segments_with_deletes_rank_as_walked() {
    let layout = Layout {
        shards: 2,
        segments: 3,
        has_deletes: true,
    };
    assert_same_as_walked(6_000, 300.0, layout);
}
