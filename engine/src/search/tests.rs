//! Many threads find what one finds.

mod late;

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::{FieldPath, IndexUuid, ShardKey, ShardNumber};
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Clause, Pattern, Scalar, ShardQuery, Statistics, StatisticsRequest};
use gleaner_query::search::{SortKey, SortTarget, TrackTotal};
use serde_json::json;

use super::{SearchEnv, Target, search, search_inline_below, search_timed};
use crate::EngineError;
use crate::aggregate::testing::{Index, Layout, mapping};
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::statistics::statistics;

fn targets() -> Vec<Target> {
    let mapping = mapping(&json!({"text": {"type": "text"}, "n": {"type": "long"}}));
    let words = ["ash", "beech", "cedar", "elm", "fir"];
    let text = |i: usize| {
        let picked = (0..=i % 7).map(|j| words[(i * 3 + j * j) % words.len()]);
        picked.collect::<Vec<_>>().join(" ")
    };
    let document = |i| (format!("d{i}"), json!({"text": text(i), "n": i % 17}));
    let layout = Layout {
        shards: 3,
        segments: 3,
        has_deletes: true,
    };
    let index = Index::new(&mapping, &(0..600).map(document).collect(), layout);
    let shard = |(shard, view)| Target {
        key: ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(shard as u32),
        },
        view,
    };
    index.views().into_iter().enumerate().map(shard).collect()
}

fn either(words: &[&str]) -> Clause {
    let field = FieldPath::new("text");
    let term = |word: &&str| Clause::Term {
        field: field.clone(),
        term: (*word).to_owned(),
    };
    Clause::Bool {
        must: Vec::new(),
        should: words.iter().map(term).collect(),
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 1,
    }
}

fn query(targets: &[Target], clause: Clause) -> ShardQuery {
    let mut request = StatisticsRequest::default();
    request.collect(&clause);
    let mut numbers = Statistics::default();
    for target in targets {
        numbers.merge(&statistics(&target.view, &request, &Control::unlimited()).unwrap());
    }
    ShardQuery::best(clause, Arc::new(numbers), 25)
}

type Answers = Vec<Result<ShardHits, EngineError>>;

fn run<T>(with: impl FnOnce(&SearchEnv<'_>) -> T, pool: Option<&rayon::ThreadPool>) -> T {
    with(&SearchEnv {
        control: &Arc::new(Control::unlimited()),
        filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
        memory: &MemoryAccount::root("test", 1 << 30),
        pool,
    })
}

fn whole(answers: Answers) -> Vec<ShardHits> {
    answers.into_iter().collect::<Result<_, _>>().unwrap()
}

fn by_number() -> SortKey {
    SortKey {
        descending: true,
        ..SortKey::ascending(SortTarget::Field("n".to_owned()))
    }
}

#[test]
fn many_threads_find_what_one_finds() {
    let targets = targets();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .unwrap();
    let pruned = query(&targets, either(&["ash", "elm"]));
    let walked = query(&targets, Clause::Constant(Box::new(either(&["cedar"]))));
    let sorted = ShardQuery {
        sort: vec![by_number()],
        ..walked.clone()
    };
    for query in [pruned, walked, sorted] {
        let expected = whole(run(|env| search(&targets, &query, env), None));
        assert!(
            expected
                .iter()
                .map(|answer| answer.hits.len())
                .sum::<usize>()
                == 25
        );
        for _ in 0..50 {
            let found = run(
                |env| search_inline_below(0, &targets, &query, env).0,
                Some(&pool),
            );
            assert_eq!(whole(found), expected);
        }
    }
}

#[test]
fn each_target_has_the_time_that_was_spent_on_itself() {
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let mapping = mapping(&json!({"text": {"type": "text"}}));
    let empty = Index::new(&mapping, &Vec::new(), layout);
    let mut targets = targets();
    let without_documents = empty.views().into_iter().map(|view| Target {
        key: targets[0].key,
        view,
    });
    let without_documents: Vec<Target> = without_documents.collect();
    targets.extend(without_documents);
    let query = query(&targets, either(&["ash"]));
    let (answers, times) = run(|env| search_timed(&targets, &query, env), None);
    assert_eq!(whole(answers).len(), 4);
    let is_busy: Vec<bool> = times.targets.iter().map(|took| !took.is_zero()).collect();
    assert_eq!(is_busy, [true, true, true, false]);
}

#[test]
fn a_count_tells_whether_there_are_more_than_the_limit() {
    let targets = targets();
    let numbered = Clause::Range {
        field: FieldPath::new("n"),
        lower: Bound::Included(Scalar::I64(3)),
        upper: Bound::Unbounded,
    };
    let filtered = Clause::Bool {
        must: vec![either(&["ash", "elm"])],
        should: Vec::new(),
        filter: vec![numbered.clone()],
        must_not: Vec::new(),
        minimum_should_match: 0,
    };
    for clause in [
        Clause::MatchAll,
        Clause::Constant(Box::new(numbered)),
        either(&["ash", "elm"]),
        filtered,
    ] {
        let counted = |top, track_total| {
            let query = ShardQuery {
                top,
                track_total,
                ..query(&targets, clause.clone())
            };
            let answers = whole(run(|env| search(&targets, &query, env), None));
            answers.iter().map(|answer| answer.total).sum::<u64>()
        };
        let all = counted(0, TrackTotal::Exact);
        assert!(all > 100);
        // Each sum of segments is among the limits: a count may only stop where there are more.
        for (top, step) in [(0, 1), (25, 9)] {
            for limit in (0..=all + 1).step_by(step) {
                let enough = limit + 1;
                let found = counted(top, TrackTotal::UpTo(limit));
                assert_eq!(found.min(enough), all.min(enough), "{top} {clause:?}");
            }
        }
    }
}

#[test]
fn a_phrase_that_repeats_its_words_is_found_whatever_the_slop() {
    let mapping = mapping(&json!({"text": {"type": "text"}}));
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let document = |id: &str, text: &str| (id.to_owned(), json!({"text": text}));
    let documents = vec![
        document("d1", "new york times new york new york"),
        document("d2", "york x new york new york"),
    ];
    let index = Index::new(&mapping, &documents, layout);
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(0),
    };
    let view = index.views().remove(0);
    let targets = [Target { key, view }];
    for slop in 0..4 {
        let words = (0..).zip(["new", "york", "new", "york"]);
        let clause = Clause::Phrase {
            field: FieldPath::new("text"),
            positions: words
                .map(|(at, word)| (at, vec![word.to_owned()]))
                .collect(),
            slop,
        };
        let query = query(&targets, clause);
        let answers = whole(run(|env| search(&targets, &query, env), None));
        assert_eq!(answers[0].hits.len(), 2, "{slop}");
    }
}

#[test]
fn hits_are_sorted_by_a_key_below_an_alias() {
    let mapping = mapping(&json!({
        "labels": {"type": "flattened"},
        "tags": {"type": "alias", "path": "labels"},
    }));
    let document = |i: usize| {
        (
            format!("d{i}"),
            json!({"labels": {"n": (i * 7 % 10).to_string()}}),
        )
    };
    let layout = Layout {
        shards: 1,
        segments: 2,
        has_deletes: false,
    };
    let index = Index::new(&mapping, &(0..10).map(document).collect(), layout);
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(0),
    };
    let targets = index.views().into_iter().map(|view| Target { key, view });
    let targets: Vec<Target> = targets.collect();
    let sorted_by = |path: &str| {
        let query = ShardQuery {
            sort: vec![SortKey {
                target: SortTarget::Field(path.to_owned()),
                ..by_number()
            }],
            ..query(&targets, Clause::MatchAll)
        };
        let mut answers = whole(run(|env| search(&targets, &query, env), None));
        let hits = answers.remove(0).hits;
        hits.into_iter().map(|hit| hit.keys).collect::<Vec<_>>()
    };
    let sorted = sorted_by("tags.n");
    assert_eq!(sorted.len(), 10);
    assert_ne!(sorted.first(), sorted.last());
    assert_eq!(sorted, sorted_by("labels.n"));
}

#[test]
fn a_shard_that_fails_takes_no_place_from_the_others() {
    let mut targets = targets();
    let other = mapping(&json!({"text": {"type": "text", "index": false}}));
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let unsearchable = Index::new(
        &other,
        &vec![("x".to_owned(), json!({"text": "ash"}))],
        layout,
    );
    let query = query(&targets, either(&["ash"]));
    let alone = whole(run(|env| search(&targets, &query, env), None));
    let view = unsearchable.views().remove(0);
    targets.push(Target {
        view,
        ..targets[0].clone()
    });
    let mut together = run(|env| search(&targets, &query, env), None);
    assert!(together.pop().unwrap().is_err());
    assert_eq!(whole(together), alone);
}

#[test]
fn a_filter_that_cannot_be_evaluated_is_told_whatever_matches() {
    let mapping = mapping(&json!({
        "text": {"type": "text"},
        "kind": {"type": "keyword"},
        "hidden": {"type": "keyword", "index": false},
    }));
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let document = |i| {
        (
            format!("d{i}"),
            json!({"text": "ash", "kind": "a", "hidden": "a"}),
        )
    };
    let with_documents = Index::new(&mapping, &(0..100).map(document).collect(), layout);
    let without = Index::new(&mapping, &Vec::new(), layout);
    let is = |field: &str, term: &str| Clause::Term {
        field: FieldPath::new(field),
        term: term.to_owned(),
    };
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(0),
    };
    for index in [with_documents, without] {
        let view = index.views().remove(0);
        let targets = [Target { key, view }];
        for word in ["ash", "oak"] {
            // The first filter lets nothing through; the second one is still looked at.
            for filter in [
                vec![is("hidden", "a")],
                vec![is("kind", "b"), is("hidden", "a")],
            ] {
                let clause = Clause::Bool {
                    must: vec![is("text", word)],
                    should: Vec::new(),
                    filter,
                    must_not: Vec::new(),
                    minimum_should_match: 0,
                };
                let query = query(&targets, clause);
                let answers = run(|env| search(&targets, &query, env), None);
                let [Err(EngineError::Evaluation(EvaluationError::Clause(reason)))] =
                    answers.as_slice()
                else {
                    panic!("{word}: {answers:?}");
                };
                assert!(reason.contains("[hidden]"), "{reason}");
            }
        }
    }
}

#[test]
fn a_pattern_that_no_time_is_left_for_is_late_and_not_built() {
    let targets = targets();
    let query = query(
        &targets,
        Clause::Pattern {
            field: FieldPath::new("text"),
            pattern: Pattern::Regexp {
                expression: "(ash|elm).{0,30}".to_owned(),
                ignore_case: false,
            },
        },
    );
    let late = Arc::new(Control::until(std::time::Instant::now()));
    let answers = run(
        |env| {
            let env = SearchEnv {
                control: &late,
                ..*env
            };
            search(&targets, &query, &env)
        },
        None,
    );
    assert!(whole(answers).iter().all(|answer| answer.timed_out));
}
