//! What placement costs: a table of all shards, another after a leaf has left, and the copy to ask.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gleaner_model::{IndexUuid, NodeId, ShardKey, ShardNumber};
use gleaner_shard_router::{Bound, Candidate, Member, NodeHash, order_copies, place, replace};

fn shards(number: u32) -> Vec<ShardKey> {
    let index = IndexUuid([7; 16]);
    let shard = |n| ShardKey {
        index,
        shard: ShardNumber(n),
    };
    (0..number).map(shard).collect()
}

fn members(number: usize) -> Vec<Member> {
    let member = |n: usize| Member {
        node: NodeId(format!("leaf-{n}").into()),
        weight: 1.0,
        zone: Some(["a", "b", "c"][n % 3].to_owned()),
    };
    (0..number).map(member).collect()
}

fn tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("placement");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2));
    for (num_shards, num_leaves) in [(8, 3), (64, 10), (1_000, 100)] {
        let (shards, members) = (shards(num_shards), members(num_leaves));
        let name = format!("{num_shards}x{num_leaves}");
        let made = || place(&shards, &members, 2, Bound::default()).expect("good members");
        let table = made().copies;
        assert!(table.values().all(|copies| copies.len() == 2));
        group.bench_function(BenchmarkId::new("place", &name), |b| {
            b.iter(made);
        });
        let rest = &members[1..];
        let adapt = || replace(&table, &shards, rest, 2, Bound::default()).expect("good members");
        group.bench_function(BenchmarkId::new("leave", &name), |b| {
            b.iter(adapt);
        });
    }
    group.finish();
}

fn choice(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choice");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(1));
    let shard = shards(1)[0];
    for num_copies in [2, 3, 5] {
        let copy = |member: Member| Candidate {
            node: NodeHash::of(&member.node),
            load: 1.0,
            warmth: 1.0,
            is_ejected: false,
        };
        let copies: Vec<Candidate> = members(num_copies).into_iter().map(copy).collect();
        let mut fingerprint = 0_u128;
        let mut order = || {
            fingerprint += 1;
            order_copies(shard, fingerprint, &copies)
        };
        assert_eq!(order().len(), num_copies, "each copy has its place");
        group.bench_function(BenchmarkId::new("copies", num_copies), |b| {
            b.iter(&mut order);
        });
    }
    group.finish();
}

criterion_group!(benches, tables, choice);
criterion_main!(benches);
