//! Merging what was split is what was whole, whatever comes first.

use gleaner_model::{IndexUuid, SeqNo, ShardNumber};
use gleaner_query::answer::SortValue;
use gleaner_query::resolved::TieBreak;
use gleaner_query::search::Collapse;
use proptest::prelude::*;

use super::*;

fn shard(n: u32) -> ShardKey {
    ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(n),
    }
}

fn hit(score: u8, hash: u64) -> ShardHit {
    ShardHit {
        group: None,
        score: Some(f32::from(score)),
        keys: Vec::new(),
        tie: TieBreak { hash, id: None },
        seq_no: SeqNo(hash),
        place: hash,
    }
}

fn list(mut hits: Vec<ShardHit>, top: usize) -> Vec<ShardHit> {
    let order = |hit: &ShardHit| (std::cmp::Reverse(hit.score.map(f32::to_bits)), hit.tie.hash);
    hits.sort_by_key(order);
    hits.truncate(top);
    hits
}

proptest! {
    #[test]
    fn merging_what_was_split_is_what_was_whole(
        scores in prop::collection::vec(0_u8..6, 0..60),
        homes in prop::collection::vec(0_usize..5, 60),
        turns in Just(vec![0_u32, 1, 2, 3, 4]).prop_shuffle(),
        from in 0_usize..20,
        size in 0_usize..20,
    ) {
        let hits: Vec<ShardHit> =
            scores.iter().zip(0..).map(|(score, hash)| hit(*score, hash * 7 % 61)).collect();
        let sorted = list(hits.clone(), usize::MAX);
        let wanted = sorted.iter().map(|hit| hit.place).skip(from).take(size);
        let mut parts: Vec<Vec<ShardHit>> = vec![Vec::new(); 5];
        for (hit, home) in hits.into_iter().zip(homes) {
            parts[home].push(hit);
        }
        let mut merged = HitMerger::new(&[], from + size);
        for turn in turns {
            merged.take(0, shard(turn), list(parts[turn as usize].clone(), from + size));
            prop_assert!(merged.ranked.len() <= from + size, "no more is kept than is wanted");
        }
        let request = SearchRequest {
            from,
            size: Some(size),
            ..SearchRequest::default()
        };
        let page = page_of(merged.into_ranked(), &request);
        let page: Vec<u64> = page.iter().map(|ranked| ranked.hit.place).collect();
        prop_assert_eq!(page, wanted.collect::<Vec<_>>());
    }
}

#[test]
fn of_hits_with_one_value_the_best_stays_whichever_list_comes_first() {
    let of_group = |score, hash, group: &str| ShardHit {
        group: Some(SortValue::Text(group.to_owned())),
        ..hit(score, hash)
    };
    let request = SearchRequest {
        collapse: Some(Collapse {
            field: "author".to_owned(),
            inner_hits: Vec::new(),
        }),
        size: Some(2),
        ..SearchRequest::default()
    };
    let lists = [
        vec![of_group(5, 1, "a"), of_group(3, 2, "b")],
        vec![of_group(4, 3, "b"), of_group(2, 4, "c")],
    ];
    for turns in [[0, 1], [1, 0]] {
        let mut merged = HitMerger::of(&request);
        for turn in turns {
            merged.take(0, shard(turn as u32), lists[turn].clone());
        }
        let places: Vec<u64> = merged
            .ranked
            .iter()
            .map(|ranked| ranked.hit.place)
            .collect();
        assert_eq!(places, [1, 3]);
    }
}

#[test]
fn documents_of_one_id_come_in_the_order_of_their_indices() {
    let late = ShardKey {
        index: IndexUuid([0; 16]),
        ..shard(0)
    };
    let mut merged = HitMerger::new(&[], 10);
    merged.take(1, late, vec![hit(1, 5)]);
    merged.take(0, shard(0), vec![hit(1, 5)]);
    let page = merged.into_ranked();
    assert_eq!(
        page.iter().map(|ranked| ranked.plan).collect::<Vec<_>>(),
        [0, 1]
    );
}
