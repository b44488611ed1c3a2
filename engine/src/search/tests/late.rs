//! Searches whose time is over within a document: they end there, and answer nothing wrong.

use super::*;

/// Returns a shard of one segment: among short documents a long one, with which a phrase of one word over
/// and over is compared for dozens of looks at the clock.
fn target() -> Target {
    let mapping = mapping(&json!({"text": {"type": "text"}, "n": {"type": "long"}}));
    let texts = [
        ["ash"; 40].join(" "),
        "ash elm".to_owned(),
        ["ash"; 200].join(" "),
        "ash fir".to_owned(),
    ];
    let document = |(n, text): (usize, String)| (format!("d{n}"), json!({"text": text, "n": n}));
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let documents = texts.into_iter().enumerate().map(document).collect();
    Target {
        key: ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        },
        view: Index::new(&mapping, &documents, layout).views().remove(0),
    }
}

/// Returns the phrase; it stands in two of the four documents.
fn phrase(slop: u32) -> Clause {
    Clause::Phrase {
        field: FieldPath::new("text"),
        positions: (0..40).map(|at| (at, vec!["ash".to_owned()])).collect(),
        slop,
    }
}

/// Returns what matches all that `must` does and the phrase does not.
fn without_phrase(must: Vec<Clause>) -> Clause {
    Clause::Bool {
        must,
        should: Vec::new(),
        filter: Vec::new(),
        must_not: vec![phrase(3)],
        minimum_should_match: 0,
    }
}

/// Returns queries of two hits each, evaluated in all the ways there are.
fn queries(targets: &[Target]) -> Vec<ShardQuery> {
    let by_score = |clause| query(targets, clause);
    let sorted = |clause| ShardQuery {
        sort: vec![by_number()],
        track_scores: true,
        ..query(targets, clause)
    };
    let with_post_filter = |query: ShardQuery| ShardQuery {
        post_filter: Some(without_phrase(Vec::new())),
        ..query
    };
    vec![
        by_score(phrase(3)),
        sorted(phrase(3)),
        ShardQuery {
            min_score: Some(0.0),
            ..by_score(phrase(3))
        },
        by_score(without_phrase(vec![either(&["ash"])])),
        sorted(without_phrase(vec![either(&["ash"])])),
        with_post_filter(by_score(either(&["ash"]))),
        with_post_filter(sorted(either(&["ash"]))),
        ShardQuery {
            track_scores: false,
            ..sorted(Clause::Constant(Box::new(phrase(3))))
        },
    ]
}

fn filters() -> Arc<FilterCache> {
    Arc::new(FilterCache::new(FilterCacheOptions {
        min_segment_documents: 0,
        ..FilterCacheOptions::default()
    }))
}

/// Searches under a control that is late from that many checks on; returns how often it was checked.
fn search_until(
    most_checks: u64,
    targets: &[Target],
    query: &ShardQuery,
    filters: &Arc<FilterCache>,
) -> (ShardHits, u64) {
    let control = Arc::new(Control::until_check(most_checks));
    let env = SearchEnv {
        control: &control,
        filters,
        memory: &MemoryAccount::root("test", 1 << 30),
        pool: None,
    };
    let answer = whole(search(targets, query, &env)).remove(0);
    (answer, control.num_checks())
}

#[test]
fn a_search_ends_within_a_document_and_no_hit_of_it_is_wrong() {
    let targets = [target()];
    for query in queries(&targets) {
        let (all, num_checks) = search_until(u64::MAX, &targets, &query, &filters());
        assert_eq!((all.hits.len(), all.total, all.timed_out), (2, 2, false));
        assert!(num_checks > 60, "{num_checks} in one document: {query:?}");
        for most_checks in (0..num_checks).step_by(3) {
            let (found, checked) = search_until(most_checks, &targets, &query, &filters());
            assert!(checked <= most_checks + 16, "{checked}, {most_checks}");
            if !found.timed_out {
                assert_eq!(found, all, "{most_checks}: {query:?}");
                continue;
            }
            assert!(found.total <= all.total, "{most_checks}: {query:?}");
            for hit in &found.hits {
                assert!(all.hits.contains(hit), "{most_checks}: {hit:?} {query:?}");
            }
        }
        let (found, _) = search_until(num_checks / 2, &targets, &query, &filters());
        assert!(found.timed_out, "{query:?}");
    }
}

#[test]
fn sorted_hits_that_there_is_no_time_to_score_are_left_out() {
    let targets = [target()];
    // So many that they are gathered into a bitmap, which looks at the clock.
    let words = (0..9).map(|number| Scalar::Text(format!("word{number}")));
    let clause = Clause::Bool {
        must: vec![either(&["ash"])],
        should: vec![Clause::AnyOf {
            field: FieldPath::new("text"),
            values: words.collect(),
        }],
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 0,
    };
    let query = ShardQuery {
        sort: vec![by_number()],
        track_scores: true,
        ..query(&targets, clause)
    };
    let (all, num_checks) = search_until(u64::MAX, &targets, &query, &filters());
    assert_eq!((all.hits.len(), all.total, all.timed_out), (4, 4, false));
    // All is found in time; what is checked next is whether there is time for scores.
    let (found, _) = search_until(num_checks, &targets, &query, &filters());
    assert_eq!((found.total, found.timed_out), (4, true));
    assert!(found.hits.is_empty());
}

#[test]
fn a_count_ends_within_a_document() {
    let targets = [target()];
    for clause in [phrase(3), without_phrase(vec![either(&["ash"])])] {
        let query = ShardQuery {
            top: 0,
            ..query(&targets, clause)
        };
        let (all, num_checks) = search_until(u64::MAX, &targets, &query, &filters());
        assert_eq!((all.total, all.timed_out), (2, false));
        let (late, checked) = search_until(num_checks / 2, &targets, &query, &filters());
        assert!(late.timed_out && late.total <= 2);
        assert!(checked <= num_checks / 2 + 16, "{checked}");
    }
}

#[test]
fn no_filter_is_remembered_that_was_cut_short() {
    let targets = [target()];
    for query in queries(&targets) {
        let (all, num_checks) = search_until(u64::MAX, &targets, &query, &filters());
        let kept = filters();
        for most_checks in [num_checks / 2, num_checks / 2, u64::MAX, u64::MAX] {
            let (found, _) = search_until(most_checks, &targets, &query, &kept);
            assert!(found.timed_out || found == all, "{query:?}");
            assert!(most_checks < u64::MAX || !found.timed_out, "{query:?}");
        }
    }
}

#[test]
fn a_long_exact_phrase_is_the_same_whichever_way_it_is_found() {
    let targets = [target()];
    let ranked = query(&targets, phrase(0));
    let walked = ShardQuery {
        min_score: Some(0.0),
        ..ranked.clone()
    };
    let sorted = ShardQuery {
        sort: vec![by_number()],
        ..ranked.clone()
    };
    let hits = |query: &ShardQuery| {
        let (answer, _) = search_until(u64::MAX, &targets, query, &filters());
        answer.hits
    };
    let by_score = hits(&ranked);
    assert_eq!(by_score.len(), 2);
    assert_eq!(hits(&walked), by_score);
    assert_eq!(hits(&sorted).len(), 2);
}
