//! Pruned answers are those of a walk over every match, and the clock is looked at often enough.

use std::sync::Arc;

use gleaner_model::{FieldPath, IndexUuid, ShardKey, ShardNumber};
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Clause, ShardQuery, Statistics, StatisticsRequest};
use gleaner_query::search::TrackTotal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::aggregate::testing::{self, Index, Layout, mapping};
use crate::control::{Control, MemoryAccount};
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
    let index = Index::new(&mapping, &documents.collect(), layout);
    let target = |(shard, view)| Target {
        key: ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(shard as u32),
        },
        view,
    };
    index.views().into_iter().enumerate().map(target).collect()
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
        slop: 0,
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

fn draw_query(targets: &[Target], vocabulary: f64, rng: &mut StdRng) -> ShardQuery {
    let clause = draw_clause(rng, vocabulary);
    let numbers = numbers(targets, &clause);
    ShardQuery {
        query: clause,
        statistics: numbers,
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
    (control, filters): (&Arc<Control>, &Arc<FilterCache>),
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
    let with = (&control, &filters);
    for _ in 0..700 {
        let query = draw_query(&targets, vocabulary, &mut rng);
        // It has to look at every match to know when to stop.
        let walked = ShardQuery {
            terminate_after: Some(u64::MAX),
            ..query.clone()
        };
        let expected = outcome(&query, &run(&targets, &walked, with));
        let found = outcome(&query, &run(&targets, &query, with));
        assert_eq!(found, expected, "{query:?}");
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

/// 30,000 documents of `a` and `b` in equal numbers of which the first few are the best by far: no
/// block behind them is above the threshold.
fn best_first() -> Vec<Target> {
    let mapping = mapping(&json!({"text": {"type": "text"}}));
    let document = |i: usize| {
        let text = if i < 20 {
            "a b"
        } else {
            "a b c d e f g h i j k l"
        };
        (format!("d{i}"), json!({"text": text}))
    };
    let index = Index::new(&mapping, &(0..30_000).map(document).collect(), ONE_SEGMENT);
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(0),
    };
    let view = index.views().remove(0);
    vec![Target { key, view }]
}

#[test]
fn the_clock_is_looked_at_every_4096_postings_although_all_are_skipped() {
    let targets = best_first();
    let term = |word: &str| Clause::Term {
        field: FieldPath::new("text"),
        term: word.to_owned(),
    };
    let combined = |must, should| Clause::Bool {
        minimum_should_match: u32::from(!Vec::is_empty(&should)),
        must,
        should,
        filter: vec![],
        must_not: vec![],
    };
    let both = || vec![term("a"), term("b")];
    let phrase = Clause::Phrase {
        field: FieldPath::new("text"),
        positions: vec![(0, vec!["a".to_owned()]), (1, vec!["b".to_owned()])],
        slop: 0,
    };
    for clause in [
        term("a"),
        combined(both(), vec![]),
        combined(vec![], both()),
        Clause::DisMax {
            clauses: both(),
            tie_breaker: 0.5,
        },
        combined(both(), vec![term("l")]),
        combined(both(), vec![phrase.clone()]),
        phrase,
    ] {
        let query = ShardQuery {
            statistics: numbers(&targets, &clause),
            query: clause,
            top: 10,
            track_total: TrackTotal::No,
            ..testing::query(vec![], vec![])
        };
        let control = Arc::new(Control::unlimited());
        let filters = Arc::new(FilterCache::new(FilterCacheOptions::default()));
        let answers = run(&targets, &query, (&control, &filters));
        assert_eq!(answers[0].hits.len(), 10);
        let least = 30_000 / 4_096;
        assert!(
            control.num_checks() >= least,
            "{} {query:?}",
            control.num_checks()
        );
    }
}
