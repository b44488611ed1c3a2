//! Merging what was split is what was whole.

use gleaner_model::{Generation, IndexUuid, SeqNo, ShardNumber};
use gleaner_query::answer::ViewId;
use gleaner_query::resolved::TieBreak;
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
        score: Some(f32::from(score)),
        keys: Vec::new(),
        tie: TieBreak { hash, id: None },
        seq_no: SeqNo(hash),
        place: hash,
    }
}

fn answer(mut hits: Vec<ShardHit>, top: usize) -> ShardHits {
    let order = |hit: &ShardHit| (std::cmp::Reverse(hit.score.map(f32::to_bits)), hit.tie.hash);
    hits.sort_by_key(order);
    hits.truncate(top);
    ShardHits {
        generation: Generation::default(),
        view: ViewId(1),
        num_documents: 0,
        total: 0,
        hits,
        max_score: None,
        aggregations: None,
        timed_out: false,
        terminated_early: false,
        times: None,
    }
}

fn places(ranked: &[Ranked]) -> Vec<u64> {
    ranked.iter().map(|ranked| ranked.hit.place).collect()
}

proptest! {
    #[test]
    fn merging_what_was_split_is_what_was_whole(
        scores in prop::collection::vec(0_u8..6, 0..60),
        homes in prop::collection::vec(0_usize..5, 60),
        from in 0_usize..20,
        size in 0_usize..20,
    ) {
        let hits: Vec<ShardHit> =
            scores.iter().zip(0..).map(|(score, hash)| hit(*score, hash * 7 % 61)).collect();
        let top_n = from + size;
        let whole = top(vec![(0, shard(0), answer(hits.clone(), top_n))], &[], from, size);
        let mut parts: Vec<Vec<ShardHit>> = vec![Vec::new(); 5];
        for (hit, home) in hits.into_iter().zip(homes) {
            parts[home].push(hit);
        }
        let lists = parts.into_iter().zip(0..).map(|(part, n)| (0, shard(n), answer(part, top_n)));
        let merged = top(lists.collect(), &[], from, size);
        prop_assert_eq!(places(&merged), places(&whole));
    }
}

#[test]
fn documents_of_one_id_come_in_the_order_of_their_indices() {
    let late = ShardKey {
        index: IndexUuid([0; 16]),
        ..shard(0)
    };
    let lists = vec![
        (1, late, answer(vec![hit(1, 5)], 10)),
        (0, shard(0), answer(vec![hit(1, 5)], 10)),
    ];
    let ranked = top(lists, &[], 0, 10);
    assert_eq!(
        ranked.iter().map(|ranked| ranked.plan).collect::<Vec<_>>(),
        [0, 1]
    );
}
