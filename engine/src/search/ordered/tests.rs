//! Hits along an order are those of a walk over every match, page after page, whatever is deleted.

mod draw;

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::{FieldPath, ShardNumber};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::{ShardHit, ShardHits};
use gleaner_query::order::compare_keys;
use gleaner_query::resolved::{After, Clause, Scalar, ShardQuery, TieBreak};
use gleaner_query::search::{SortKey, SortTarget, TrackTotal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use self::draw::{all_of, between, draw_query, near, targets, term};
use crate::aggregate::testing::Layout;
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::search::{SearchEnv, Target, search};

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

fn assert_same_as_walked(num_documents: usize, layout: Layout, num_queries: usize) {
    let run = Run {
        targets: targets(num_documents, layout),
        filters: Arc::new(FilterCache::new(FilterCacheOptions::default())),
    };
    let mut rng = StdRng::seed_from_u64(11);
    for _ in 0..num_queries {
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
        480,
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
        300,
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
fn the_nearest_are_found_along_the_order_of_their_field() {
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: true,
    };
    let run = Run {
        targets: targets(12_000, layout),
        filters: FilterCache::none(),
    };
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..60 {
        let exists = Clause::Exists {
            fields: vec![FieldPath::new("at")],
        };
        let top = [1, 10, 300][rng.random_range(0..3)];
        let query = ShardQuery {
            track_total: TrackTotal::Exact,
            ..ShardQuery::best(near(&mut rng, exists), Arc::default(), top)
        };
        run.check(&query);
    }
    // That of the hash is made on the way.
    let segment = &run.targets[0].view.segments()[0];
    assert_eq!(segment.orders().num_made(), 2);
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
