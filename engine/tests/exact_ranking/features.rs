//! The query phase beside ranking: orders, starting points, limits, filters, expansions.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use gleaner_engine::EngineError;
use gleaner_engine::expand::expand;
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_engine::search::{SearchEnv, search};
use gleaner_model::FieldPath;
use gleaner_model::hash::tie_break_hash;
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::{ShardHit, SortValue};
use gleaner_query::resolved::{Clause, ExpansionRequest, Pattern, Scalar, ShardQuery, Statistics};
use gleaner_query::search::{Missing, SortKey, SortTarget, TrackTotal};
use serde_json::json;

use crate::corpus::{self, Corpus, Document, PLANTED, VOCABULARY, body, tag, title, word};
use crate::layout::{Cluster, LAYOUTS, Layout, query};

const LAYOUT: Layout = Layout {
    shards: 3,
    segments: 3,
};

fn cluster(size: usize) -> (Corpus, Cluster) {
    let corpus = Corpus::generate(5, size);
    let cluster = Cluster::build(&corpus, LAYOUT);
    (corpus, cluster)
}

fn key(field: &str, descending: bool) -> SortKey {
    SortKey {
        target: SortTarget::Field(field.to_owned()),
        descending,
        missing: Missing::Last,
        mode: None,
        unmapped_type: None,
        format: None,
        numeric_type: None,
    }
}

fn everything() -> ShardQuery {
    query(&Clause::MatchAll, &Arc::new(Statistics::default()))
}

/// Runs a query and returns the hits with their ids, in the order of the root's merge.
fn hits(cluster: &Cluster, query: &ShardQuery) -> Vec<(String, ShardHit)> {
    let answers = cluster.run(query).expect("the query is good");
    let mut all = Vec::new();
    for (target, answer) in cluster.targets.iter().zip(answers) {
        for hit in answer.hits {
            let id = target.view.document(hit.place).expect("it is there").id;
            all.push((id.as_str().to_owned(), hit));
        }
    }
    all.sort_by(|(_, a), (_, b)| {
        gleaner_query::order::compare_keys(&query.sort, &a.keys, &b.keys).then(a.tie.cmp(&b.tie))
    });
    all
}

fn ids(cluster: &Cluster, query: &ShardQuery) -> Vec<String> {
    hits(cluster, query).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn sorting_by_fields_gives_the_order_of_the_values() {
    let (corpus, cluster) = cluster(400);
    let sort = vec![key("tag", true), key("number", false)];
    let query = ShardQuery {
        top: 60,
        sort,
        ..everything()
    };
    let mut expected: Vec<&Document> = corpus.live.values().collect();
    expected.sort_by_key(|d| (std::cmp::Reverse(d.tag), d.number, tie_break_hash(&d.id)));
    let expected: Vec<&str> = expected.iter().take(60).map(|d| d.id.as_str()).collect();
    assert_eq!(ids(&cluster, &query), expected);
    let first = hits(&cluster, &query).remove(0).1;
    assert_eq!(first.keys[0], SortValue::Text("t4".to_owned()));
    assert_eq!(first.score, None);
}

#[test]
fn pages_by_search_after_are_the_whole_order() {
    let (corpus, cluster) = cluster(300);
    let sort = vec![key("number", true)];
    let mut pages: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let query = ShardQuery {
            top: 37,
            sort: sort.clone(),
            search_after: after,
            ..everything()
        };
        let page = hits(&cluster, &query);
        let Some((_, last)) = page.last() else {
            break;
        };
        let SortValue::I64(number) = last.keys[0] else {
            panic!("a number")
        };
        after = Some(vec![json!(number), json!(last.tie.hash)]);
        pages.extend(page.into_iter().map(|(id, _)| id));
    }
    let whole = ids(
        &cluster,
        &ShardQuery {
            top: 1_000,
            sort,
            ..everything()
        },
    );
    assert_eq!(pages, whole);
    assert_eq!(whole.len(), corpus.live.len());
}

#[test]
fn pages_by_score_are_the_whole_order() {
    let (_, cluster) = cluster(300);
    let clause = Clause::Term {
        field: body(),
        term: word(1),
    };
    let statistics = Arc::new(cluster.statistics(&clause));
    let by_score = query(&clause, &statistics);
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = ShardQuery {
            top: 7,
            search_after: after,
            ..by_score.clone()
        };
        let mut page = hits(&cluster, &page);
        page.sort_by(|(_, a), (_, b)| {
            b.score
                .unwrap()
                .total_cmp(&a.score.unwrap())
                .then(a.tie.cmp(&b.tie))
        });
        let Some((_, last)) = page.last() else {
            break;
        };
        after = Some(vec![
            json!(f64::from(last.score.unwrap())),
            json!(last.tie.hash),
        ]);
        pages.extend(
            page.into_iter()
                .map(|(id, hit)| (id, hit.score.unwrap().to_bits())),
        );
    }
    let whole = cluster.search(&clause, &statistics, 1_000, TrackTotal::Exact);
    assert_eq!(pages, whole.hits);
}

#[test]
fn min_score_and_post_filter_change_totals_as_they_change_hits() {
    let (corpus, cluster) = cluster(300);
    let clause = Clause::Term {
        field: body(),
        term: word(0),
    };
    let statistics = Arc::new(cluster.statistics(&clause));
    let all = cluster.search(&clause, &statistics, 1_000, TrackTotal::Exact);
    let least = f32::from_bits(all.hits[all.hits.len() / 2].1);
    let expected = all
        .hits
        .iter()
        .filter(|(_, bits)| f32::from_bits(*bits) >= least)
        .count();
    let above = ShardQuery {
        min_score: Some(least),
        top: 1_000,
        ..query(&clause, &statistics)
    };
    let answers = cluster.run(&above).unwrap();
    assert_eq!(
        answers.iter().map(|answer| answer.total).sum::<u64>(),
        expected as u64
    );
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer.hits.len())
            .sum::<usize>(),
        expected
    );

    let gate = Clause::Term {
        field: tag(),
        term: "t1".to_owned(),
    };
    let gated = ShardQuery {
        post_filter: Some(gate),
        ..query(&clause, &statistics)
    };
    let total: u64 = cluster
        .run(&gated)
        .unwrap()
        .iter()
        .map(|answer| answer.total)
        .sum();
    let matches = |d: &&Document| d.body.contains(&0) && d.tag == 1;
    assert_eq!(total, corpus.live.values().filter(matches).count() as u64);
}

#[test]
fn totals_up_to_a_limit_do_not_depend_on_the_layout() {
    let corpus = Corpus::generate(6, 400);
    let common = |number| Clause::Term {
        field: body(),
        term: word(number),
    };
    let either = Clause::Bool {
        must: Vec::new(),
        should: vec![common(0), common(3)],
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 1,
    };
    for layout in LAYOUTS {
        let cluster = Cluster::build(&corpus, layout);
        let statistics = Arc::new(cluster.statistics(&either));
        let exact = cluster
            .search(&either, &statistics, 3, TrackTotal::Exact)
            .total;
        for limit in [0, 1, 50, exact - 1, exact, exact + 1, 100_000] {
            for top in [0, 3] {
                let counted = cluster
                    .search(&either, &statistics, top, TrackTotal::UpTo(limit))
                    .total;
                let (counted, expected) = (counted.min(limit + 1), exact.min(limit + 1));
                assert_eq!(counted, expected, "{layout:?} {limit} {top}");
            }
        }
        let counted = cluster
            .search(&either, &statistics, 0, TrackTotal::Exact)
            .total;
        assert_eq!(counted, exact);
    }
}

#[test]
fn a_cancelled_search_fails_and_a_late_one_answers_with_what_it_has() {
    let (_, cluster) = cluster(200);
    let run = |control: Control| {
        let env = SearchEnv {
            control: &Arc::new(control),
            filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
            memory: &MemoryAccount::root("test", 1 << 20),
            pool: None,
        };
        search(
            &cluster.targets,
            &ShardQuery {
                sort: vec![key("number", false)],
                ..everything()
            },
            &env,
        )
    };
    let cancelled = Control::unlimited();
    cancelled.cancel();
    let answers = run(cancelled);
    assert!(answers.iter().all(|answer| matches!(
        answer,
        Err(EngineError::Evaluation(EvaluationError::Cancelled))
    )));
    let late = run(Control::until(Instant::now()));
    assert!(
        late.iter()
            .all(|answer| answer.as_ref().is_ok_and(|answer| answer.timed_out))
    );
}

#[test]
fn too_large_a_window_breaks_the_circuit() {
    let (_, cluster) = cluster(50);
    let env = SearchEnv {
        control: &Arc::new(Control::unlimited()),
        filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
        memory: &MemoryAccount::root("request", 1_000),
        pool: None,
    };
    let answers = search(
        &cluster.targets,
        &ShardQuery {
            top: 10_000,
            ..everything()
        },
        &env,
    );
    assert!(matches!(
        answers[0],
        Err(EngineError::Evaluation(
            EvaluationError::CircuitBreaking { .. }
        ))
    ));
}

#[test]
fn terminate_after_looks_at_so_many_documents_of_each_shard() {
    let (_, cluster) = cluster(300);
    let query = ShardQuery {
        terminate_after: Some(5),
        ..everything()
    };
    for answer in cluster.run(&query).unwrap() {
        assert!(answer.terminated_early && answer.total == 5, "{answer:?}");
    }
}

#[test]
fn expansions_are_the_first_live_terms_in_order() {
    let (corpus, cluster) = cluster(300);
    let request = ExpansionRequest {
        field: body(),
        pattern: Pattern::Prefix {
            prefix: "w1".to_owned(),
            ignore_case: false,
        },
        limit: 20,
    };
    for target in &cluster.targets {
        let mut held = MemoryAccount::root("test", 1 << 20).reserve(0).unwrap();
        let found = expand(&target.view, &request, &Control::unlimited(), &mut held).unwrap();
        let of_shard = |d: &&Document| {
            d.class * LAYOUT.shards / corpus::CLASSES == target.key.shard.0 as usize
        };
        let mut expected: Vec<String> = (0..VOCABULARY + PLANTED)
            .filter(|w| {
                corpus
                    .live
                    .values()
                    .filter(of_shard)
                    .any(|d| d.body.contains(w))
            })
            .map(word)
            .filter(|word| word.starts_with("w1"))
            .collect();
        expected.sort();
        expected.truncate(20);
        assert_eq!(
            found.iter().map(|c| c.term.clone()).collect::<Vec<_>>(),
            expected
        );
        assert!(found.iter().all(|candidate| candidate.documents > 0));
    }
}

#[test]
fn filters_match_what_they_say_and_again_from_the_cache() {
    let (corpus, cluster) = cluster(600);
    let number = FieldPath::new("number");
    let pattern = |pattern| Clause::Pattern {
        field: body(),
        pattern,
    };
    type Says = Box<dyn Fn(&Document) -> bool>;
    let cases: Vec<(Clause, Says)> = vec![
        (
            Clause::Range {
                field: number.clone(),
                lower: Bound::Excluded(Scalar::I64(-3)),
                upper: Bound::Included(Scalar::I64(20)),
            },
            Box::new(|d| d.number > -3 && d.number <= 20),
        ),
        (
            Clause::AnyOf {
                field: number.clone(),
                values: (0..30).map(|n| Scalar::I64(n - 10)).collect(),
            },
            Box::new(|d| (-10..20).contains(&d.number)),
        ),
        (
            Clause::Exact {
                field: number,
                value: Scalar::I64(7),
            },
            Box::new(|d| d.number == 7),
        ),
        (
            Clause::Exists {
                fields: vec![title()],
            },
            Box::new(|d| !d.title.is_empty()),
        ),
        (
            Clause::Exists {
                fields: vec![tag()],
            },
            Box::new(|_| true),
        ),
        (
            Clause::Range {
                field: tag(),
                lower: Bound::Included(Scalar::Text("t1".to_owned())),
                upper: Bound::Excluded(Scalar::Text("t3".to_owned())),
            },
            Box::new(|d| d.tag == 1 || d.tag == 2),
        ),
        (
            pattern(Pattern::Wildcard {
                pattern: "w?1".to_owned(),
                ignore_case: false,
            }),
            Box::new(|d| d.body.iter().any(|w| (10..100).contains(w) && w % 10 == 1)),
        ),
        (
            pattern(Pattern::Regexp {
                expression: "w(7|30)".to_owned(),
                ignore_case: true,
            }),
            Box::new(|d| d.body.contains(&7) || d.body.contains(&30)),
        ),
        (Clause::MatchNone, Box::new(|_| false)),
    ];
    for (filter, matches) in cases {
        let expected = corpus.live.values().filter(|d| matches(d)).count() as u64;
        let clause = Clause::Constant(Box::new(filter));
        for _ in 0..3 {
            let found = cluster.search(&clause, &Arc::default(), 10, TrackTotal::Exact);
            assert_eq!(found.total, expected, "{clause:?}");
        }
    }
}

#[test]
fn alternatives_that_no_document_holds_add_nothing_to_a_phrase() {
    let (corpus, cluster) = cluster(400);
    let document = corpus.live.values().find(|d| d.body.len() > 6);
    let body_words = &document.expect("there are long ones").body;
    let search = |others: &[u32], slop| {
        let second = body_words[2..3].iter().chain(others);
        let clause = Clause::Phrase {
            field: body(),
            positions: vec![
                (0, vec![word(body_words[1])]),
                (1, second.map(|&number| word(number)).collect()),
            ],
            slop,
        };
        let statistics = Arc::new(cluster.statistics(&clause));
        cluster.search(&clause, &statistics, 10, TrackTotal::Exact)
    };
    for slop in [0, 2] {
        let alone = search(&[], slop);
        assert!(alone.total > 0);
        assert_eq!(search(&[900_001, 900_002], slop), alone, "{slop}");
    }
}

#[test]
fn sloppy_phrases_match_within_the_slop() {
    let (corpus, cluster) = cluster(400);
    let texts: Vec<&Document> = corpus.live.values().filter(|d| d.body.len() > 6).collect();
    for document in texts.iter().take(20) {
        let (first, third) = (document.body[1], document.body[3]);
        if first == third {
            continue;
        }
        let clause = |slop| Clause::Phrase {
            field: body(),
            positions: vec![(0, vec![word(first)]), (1, vec![word(third)])],
            slop,
        };
        let statistics = Arc::new(cluster.statistics(&clause(1)));
        let found = cluster.search(&clause(1), &statistics, 10_000, TrackTotal::Exact);
        let near = |d: &Document| {
            let at = |w: u32| move |(i, &v): (usize, &u32)| (v == w).then_some(i as i64);
            let (a, b): (Vec<i64>, Vec<i64>) = (
                d.body.iter().enumerate().filter_map(at(first)).collect(),
                d.body.iter().enumerate().filter_map(at(third)).collect(),
            );
            a.iter().any(|a| b.iter().any(|b| (b - 1 - a).abs() <= 1))
        };
        let expected = corpus.live.values().filter(|d| near(d)).count() as u64;
        assert_eq!(found.total, expected, "{first} {third}");
        assert!(found.hits.iter().any(|(id, _)| *id == document.id));
    }
}
