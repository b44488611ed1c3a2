//! Walks and tallies look at the clock often enough, and a late one is an error.

use super::*;

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

/// Queries of words that nearly all documents of [`best_first`] hold.
fn frequent() -> Vec<Clause> {
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
    vec![
        term("a"),
        combined(both(), vec![]),
        combined(vec![], both()),
        Clause::DisMax {
            clauses: both(),
            tie_breaker: 0.5,
        },
        combined(both(), vec![phrase.clone()]),
        phrase,
        combined(both(), vec![term("l")]),
    ]
}

/// Those of them that all documents match and that a tally counts: of a single term the total is known.
fn tallied() -> Vec<Clause> {
    let mut clauses = frequent();
    clauses.truncate(6);
    clauses.split_off(1)
}

/// Returns a query whose total is counted by its lists, and its answer under `control`.
fn count(
    targets: &[Target],
    clause: Clause,
    top: usize,
    control: &Arc<Control>,
) -> (ShardQuery, ShardHits) {
    let query = ShardQuery {
        statistics: numbers(targets, &clause),
        query: clause,
        top,
        track_total: TrackTotal::Exact,
        ..testing::query(vec![], vec![])
    };
    let filters = Arc::new(FilterCache::new(FilterCacheOptions::default()));
    let answer = run(targets, &query, control, &filters).remove(0);
    (query, answer)
}

#[test]
fn the_clock_is_looked_at_every_4096_postings_although_all_are_skipped() {
    let targets = best_first();
    for clause in frequent() {
        let query = ShardQuery {
            statistics: numbers(&targets, &clause),
            query: clause,
            top: 10,
            track_total: TrackTotal::No,
            ..testing::query(vec![], vec![])
        };
        let control = Arc::new(Control::until_check(u64::MAX));
        let filters = Arc::new(FilterCache::new(FilterCacheOptions::default()));
        let answers = run(&targets, &query, &control, &filters);
        assert_eq!(answers[0].hits.len(), 10);
        let least = 30_000 / 4_096;
        assert!(
            control.num_checks() >= least,
            "{} {query:?}",
            control.num_checks()
        );
    }
}

#[test]
fn a_tally_looks_at_the_clock_every_4096_postings() {
    let targets = best_first();
    for clause in tallied() {
        let control = Arc::new(Control::until_check(u64::MAX));
        let (query, answer) = count(&targets, clause, 0, &control);
        assert_eq!(answer.total, 30_000, "{query:?}");
        let num_checks = control.num_checks();
        assert!(num_checks >= 30_000 / 4_096, "{num_checks} {query:?}");
    }
}

#[test]
fn a_tally_that_is_late_has_counted_what_it_saw_and_never_less_than_the_hits() {
    let targets = best_first();
    for clause in tallied() {
        for most_checks in 0..40 {
            let control = Arc::new(Control::until_check(most_checks));
            let (query, answer) = count(&targets, clause.clone(), 0, &control);
            assert!(answer.timed_out || answer.total == 30_000, "{query:?}");
            let control = Arc::new(Control::until_check(most_checks));
            let (query, answer) = count(&targets, clause.clone(), 10, &control);
            assert!(answer.total >= answer.hits.len() as u64, "{query:?}");
            assert!(answer.timed_out || answer.total == 30_000, "{query:?}");
        }
    }
}
