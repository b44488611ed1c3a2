//! Hits along an order are those of a walk over every match, page after page, whatever is deleted.

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::{FieldPath, ShardNumber};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::{ShardHit, ShardHits};
use gleaner_query::order::compare_keys;
use gleaner_query::resolved::{
    After, Clause, Scalar, ShardQuery, Statistics, StatisticsRequest, TieBreak,
};
use gleaner_query::search::{Missing, SortKey, SortMode, SortTarget, TrackTotal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::aggregate::testing::{Index, Layout, mapping};
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::search::{SearchEnv, Target, search};
use crate::statistics::statistics;

/// Lays documents out with few and many equal values, with several and with none.
fn targets(num_documents: usize, layout: Layout) -> Vec<Target> {
    let mapping = mapping(&json!({
        "text": {"type": "text"}, "kind": {"type": "keyword"}, "tags": {"type": "keyword"},
        "few": {"type": "integer"}, "many": {"type": "long"}, "wide": {"type": "double"},
        "narrow": {"type": "float"}, "several": {"type": "long"}, "flag": {"type": "boolean"},
        "at": {"type": "date"}, "sharp": {"type": "date_nanos"}, "rising": {"type": "date"},
    }));
    let mut rng = StdRng::seed_from_u64(num_documents as u64);
    let has_all = num_documents < 20_000;
    let documents = (0..num_documents).map(|i| {
        let words = ["common", "middling", "rare"];
        let odds = [0.6, 0.2, 0.01];
        let words = words.iter().zip(odds).filter(|(_, odds)| rng.random_bool(*odds));
        let words: Vec<&str> = words.map(|(word, _)| *word).collect();
        let text = words.join(" ");
        let few = rng.random_range(-4..4);
        let many = rng.random_range(0..1_000_000);
        let tags: Vec<String> = (0..rng.random_range(0..3)).map(|_| format!("t{}", rng.random_range(0..40))).collect();
        let several: Vec<i64> = (0..rng.random_range(0..4)).map(|_| rng.random_range(-1_000..1_000)).collect();
        let source = json!({
            "text": text, "kind": format!("k{}", i % 3), "tags": tags,
            "few": rng.random_bool(0.9).then_some(few),
            "many": (has_all || rng.random_bool(0.95)).then_some(many), "wide": rng.random::<f64>() * 1e9,
            "narrow": f64::from(rng.random_range(0..50_u8)) / 7.0, "several": several,
            "flag": rng.random_bool(0.3), "at": 1_577_836_800_000_i64 + rng.random_range(0..90_000_i64) * 1_000,
            "sharp": format!("2024-01-01T00:00:0{}.{:09}Z", i % 10, rng.random_range(0..1_000_000_000)),
            "rising": i / 3,
        });
        (format!("d{i}"), source)
    });
    Index::new(&mapping, &documents.collect(), layout).targets()
}

fn term(field: &str, term: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new(field),
        term: term.to_owned(),
    }
}

fn between(field: &str, lower: i64, upper: i64) -> Clause {
    Clause::Range {
        field: FieldPath::new(field),
        lower: Bound::Included(Scalar::I64(lower)),
        upper: Bound::Excluded(Scalar::I64(upper)),
    }
}

fn all_of(must: Vec<Clause>, filter: Vec<Clause>, must_not: Vec<Clause>) -> Clause {
    Clause::Bool {
        must,
        should: vec![],
        filter,
        must_not,
        minimum_should_match: 0,
    }
}

fn draw_clause(rng: &mut StdRng) -> Clause {
    let kind = term("kind", &format!("k{}", rng.random_range(0..4)));
    let tag = term("tags", &format!("t{}", rng.random_range(0..40)));
    let words = ["common", "middling", "rare", "none"];
    let word = term("text", words[rng.random_range(0..4)]);
    let lower = rng.random_range(0..1_000_000);
    let range = between(
        "many",
        lower,
        lower + [10, 9_000, 400_000][rng.random_range(0..3)],
    );
    // Every document has a date, whatever the layout.
    let from = rng.random_range(0..90_000_i64);
    let instant = |second: i64| Scalar::Date(1_577_836_800_000 + second * 1_000);
    let days = Clause::Range {
        field: FieldPath::new("at"),
        lower: Bound::Excluded(instant(from)),
        upper: match rng.random_range(0..3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(instant(from + 40_000)),
            _ => Bound::Excluded(instant(from + 3_000)),
        },
    };
    let exists = Clause::Exists {
        fields: vec![FieldPath::new(
            ["few", "many", "several", "tags"][rng.random_range(0..4)],
        )],
    };
    match rng.random_range(0..16) {
        0 | 1 => Clause::MatchAll,
        2 => kind,
        3 => Clause::Constant(Box::new(word)),
        4 => range,
        12 => days,
        13 => all_of(vec![word], vec![days], vec![]),
        5 => exists,
        6 => all_of(vec![], vec![kind, range], vec![]),
        7 => all_of(vec![], vec![exists], vec![tag]),
        8 => Clause::Boost {
            clause: Box::new(kind),
            factor: 2.5,
        },
        9 => Clause::Slice {
            id: rng.random_range(0..3),
            max: 3,
        },
        10 => tag,
        11 => Clause::Bool {
            must: vec![],
            should: words[..3].iter().map(|word| term("text", word)).collect(),
            filter: vec![],
            must_not: vec![],
            minimum_should_match: 1,
        },
        _ => word,
    }
}

fn draw_key(rng: &mut StdRng) -> SortKey {
    let fields = [
        "kind", "tags", "few", "few", "many", "many", "wide", "narrow", "several", "several",
        "flag", "at", "at", "sharp", "rising", "rising", "absent",
    ];
    let field = fields[rng.random_range(0..fields.len())];
    let target = match rng.random_range(0..10) {
        0 => SortTarget::Doc,
        1 => SortTarget::ShardDoc,
        _ => SortTarget::Field(field.to_owned()),
    };
    let is_text = ["kind", "tags"].contains(&field);
    let modes = [
        SortMode::Min,
        SortMode::Max,
        SortMode::Sum,
        SortMode::Avg,
        SortMode::Median,
    ];
    SortKey {
        target,
        descending: rng.random_bool(0.5),
        missing: match rng.random_range(0..6) {
            0 => Missing::First,
            1 if field == "few" => Missing::Value(json!(2)),
            _ => Missing::Last,
        },
        mode: (!is_text && rng.random_bool(0.2)).then(|| modes[rng.random_range(0..5)]),
        unmapped_type: Some("long".to_owned()),
        format: None,
        numeric_type: (field == "at" && rng.random_bool(0.3)).then(|| "date_nanos".to_owned()),
    }
}

fn draw_query(targets: &[Target], rng: &mut StdRng) -> ShardQuery {
    let query = draw_clause(rng);
    let mut request = StatisticsRequest::default();
    request.collect(&query);
    let mut numbers = Statistics::default();
    for target in targets {
        numbers.merge(&statistics(&target.view, &request, &Control::unlimited()).unwrap());
    }
    let num_keys = [0, 1, 1, 1, 2][rng.random_range(0..5)];
    let mut sort: Vec<SortKey> = (0..num_keys).map(|_| draw_key(rng)).collect();
    if rng.random_bool(0.2) {
        sort.insert(0, SortKey::by_score());
    }
    let has_range = format!("{query:?}").contains("Range");
    if let Some(first) = sort
        .iter_mut()
        .find(|key| has_range && key.target != SortTarget::Score)
    {
        // The order of a range's field begins and ends with the range.
        first.target = SortTarget::Field("many".to_owned());
        (first.missing, first.numeric_type) = (Missing::Last, None);
    }
    ShardQuery {
        sort,
        collapse: (num_keys > 0 && rng.random_bool(0.2)).then(|| {
            let fields = ["kind", "few", "many"];
            FieldPath::new(fields[rng.random_range(0..3)])
        }),
        post_filter: rng.random_bool(0.1).then(|| term("kind", "k2")),
        track_total: [TrackTotal::No, TrackTotal::UpTo(300), TrackTotal::Exact]
            [rng.random_range(0..3)],
        ..ShardQuery::best(
            query,
            Arc::new(numbers),
            [1, 3, 10, 40][rng.random_range(0..4)],
        )
    }
}

struct Run {
    targets: Vec<Target>,
    filters: Arc<FilterCache>,
}

impl Run {
    fn search(&self, query: &ShardQuery) -> Vec<ShardHits> {
        self.search_until(query, Control::unlimited())
    }

    fn search_until(&self, query: &ShardQuery, control: Control) -> Vec<ShardHits> {
        let control = Arc::new(control);
        let env = SearchEnv {
            control: &control,
            filters: &self.filters,
            memory: &MemoryAccount::root("test", 1 << 30),
            pool: None,
        };
        let answers = search(&self.targets, query, &env).into_iter();
        answers.collect::<Result<_, _>>().unwrap()
    }

    /// Compares a page with that of a walk; returns the point behind it.
    fn check(&self, query: &ShardQuery) -> Option<After> {
        // It has to look at every match to know when to stop.
        let walked = ShardQuery {
            terminate_after: Some(u64::MAX),
            ..query.clone()
        };
        let (expected, found) = (self.search(&walked), self.search(query));
        let total = |answers: &[ShardHits]| {
            let total: u64 = answers.iter().map(|answer| answer.total).sum();
            match query.track_total {
                TrackTotal::No => 0,
                TrackTotal::UpTo(limit) => total.min(limit + 1),
                TrackTotal::Exact => total,
            }
        };
        assert_eq!(total(&found), total(&expected), "{query:?}");
        // Of a shard none of whose hits is among the best it need not be known.
        let max_score = |answers: &[ShardHits]| {
            let scores = answers.iter().filter_map(|answer| answer.max_score);
            scores.reduce(f32::max)
        };
        assert_eq!(max_score(&found), max_score(&expected), "{query:?}");
        let mut hits = Vec::new();
        for ((shard, found), expected) in (0..).zip(&found).zip(&expected) {
            assert_eq!(found.hits, expected.hits, "{query:?}");
            hits.extend(found.hits.iter().map(|hit| (hit, ShardNumber(shard))));
        }
        hits.sort_by(|(a, _), (b, _)| {
            let by_score = b
                .score
                .partial_cmp(&a.score)
                .expect("both or none have scores");
            compare_keys(&query.sort, &a.keys, &b.keys)
                .then(by_score)
                .then(a.tie.cmp(&b.tie))
        });
        let (last, shard) = hits.pop()?;
        Some(point_behind(last, shard))
    }
}

fn point_behind(last: &ShardHit, shard: ShardNumber) -> After {
    let score = last
        .score
        .map(|score| gleaner_query::answer::SortValue::F64(f64::from(score)));
    After {
        keys: if last.keys.is_empty() {
            score.into_iter().collect()
        } else {
            last.keys.clone()
        },
        tie: Some(TieBreak {
            hash: last.tie.hash,
            id: None,
        }),
        shard: Some(shard),
    }
}

fn assert_same_as_walked(num_documents: usize, layout: Layout) {
    let run = Run {
        targets: targets(num_documents, layout),
        filters: Arc::new(FilterCache::new(FilterCacheOptions::default())),
    };
    let mut rng = StdRng::seed_from_u64(11);
    for _ in 0..300 {
        let mut query = draw_query(&run.targets, &mut rng);
        run.check(&query);
        for _ in 0..4 {
            let Some(after) = run.check(&query) else {
                break;
            };
            query.after = Some(after);
        }
        // As a client gives it back, without a tie-break: hits with equal keys are left out.
        if let Some(after) = &mut query.after {
            after.tie = None;
            run.check(&query);
        }
    }
    let segments = run.targets.iter().flat_map(|target| target.view.segments());
    let num_made: Vec<usize> = segments
        .map(|segment| segment.orders().num_made())
        .collect();
    assert!(
        num_made.iter().all(|&made| made > 20),
        "orders are there: {num_made:?}"
    );
}

#[test]
fn hits_along_an_order_are_those_of_a_walk() {
    assert_same_as_walked(
        12_000,
        Layout {
            shards: 1,
            segments: 1,
            has_deletes: false,
        },
    );
}

#[test]
fn shards_segments_and_deletes_change_nothing() {
    assert_same_as_walked(
        30_000,
        Layout {
            shards: 2,
            segments: 2,
            has_deletes: true,
        },
    );
}

/// Of a data stream: each segment is newer than the one before.
#[test]
fn segments_behind_the_best_are_counted_and_not_searched() {
    let layout = Layout {
        shards: 1,
        segments: 8,
        has_deletes: false,
    };
    let run = Run {
        targets: targets(4_000, layout),
        filters: FilterCache::none(),
    };
    let segments = run.targets[0].view.segments();
    let num_made = || -> Vec<usize> {
        let orders = segments.iter().map(|segment| segment.orders().num_made());
        orders.collect()
    };
    // Wherever the segments stand: the order of one is made, and no other's.
    let is_one = |made: &[usize]| made.iter().filter(|made| **made > 0).count() == 1;
    let by = |field: &str, descending: bool| {
        let mut key = SortKey::ascending(SortTarget::Field(field.to_owned()));
        key.descending = descending;
        key
    };
    let newest = ShardQuery {
        sort: vec![by("rising", true), by("many", false)],
        track_total: TrackTotal::Exact,
        ..ShardQuery::best(term("kind", "k1"), Arc::default(), 10)
    };
    for _ in 0..3 {
        run.check(&newest);
    }
    let of_newest = num_made();
    assert!(is_one(&of_newest), "{of_newest:?}");
    let oldest = ShardQuery {
        sort: vec![by("rising", false)],
        ..newest.clone()
    };
    for _ in 0..3 {
        run.check(&oldest);
    }
    let of_oldest = num_made()
        .into_iter()
        .zip(of_newest)
        .map(|(now, before)| now - before);
    let of_oldest: Vec<usize> = of_oldest.collect();
    assert!(is_one(&of_oldest), "{of_oldest:?}");
    // Pages through all of them.
    let mut page = ShardQuery { top: 150, ..newest };
    let mut num_pages = 0;
    while let Some(after) = run.check(&page) {
        page.after = Some(after);
        num_pages += 1;
    }
    assert_eq!(num_pages, 1_333_usize.div_ceil(150));
}

#[test]
fn an_estimate_that_was_wrong_costs_no_hit() {
    let run = Run {
        targets: targets(
            40_000,
            Layout {
                shards: 1,
                segments: 1,
                has_deletes: false,
            },
        ),
        filters: Arc::new(FilterCache::new(FilterCacheOptions::default())),
    };
    // A range is taken to match a tenth; these match few documents, which stand far from where the order begins.
    let query = |clause: Clause, sort: Value| ShardQuery {
        sort: vec![SortKey::ascending(SortTarget::Field(
            sort.as_str().expect("a field").to_owned(),
        ))],
        ..ShardQuery::best(clause, Arc::default(), 10)
    };
    for _ in 0..3 {
        run.check(&query(between("many", 999_000, 1_000_000), json!("many")));
        run.check(&query(between("many", 500_000, 500_100), json!("wide")));
        run.check(&query(between("many", -5, -1), json!("at")));
    }
}

#[test]
fn a_range_that_is_cut_short_is_told_and_excludes_no_less_in_silence() {
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let run = Run {
        targets: targets(12_000, layout),
        filters: FilterCache::none(),
    };
    let days = Clause::Range {
        field: FieldPath::new("at"),
        lower: Bound::Included(Scalar::Date(1_577_836_800_000)),
        upper: Bound::Excluded(Scalar::Date(1_577_836_800_000 + 3_000_000)),
    };
    let kind = term("kind", "k1");
    let led = all_of(vec![], vec![days.clone(), kind.clone()], vec![]);
    let excluded = all_of(vec![], vec![kind], vec![days]);
    for clause in [led, excluded] {
        let query = ShardQuery {
            track_total: TrackTotal::Exact,
            sort: vec![SortKey::ascending(SortTarget::Field("wide".to_owned()))],
            ..ShardQuery::best(clause, Arc::default(), 10)
        };
        // The second search for the same has the order made.
        run.search(&query);
        run.search(&query);
        let all = run.search(&query);
        assert!(all[0].total > 0);
        let mut num_late = 0;
        for most_checks in 0..60 {
            let control = Control::until_check(most_checks);
            let found = &run.search_until(&query, control)[0];
            num_late += usize::from(found.timed_out);
            assert!(found.total <= all[0].total, "{most_checks}");
            assert!(
                found.timed_out || found.total == all[0].total,
                "{most_checks}: {} of {}",
                found.total,
                all[0].total
            );
        }
        assert!(num_late > 0);
    }
}
