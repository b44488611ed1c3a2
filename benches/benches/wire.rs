//! What a call to another node costs: each as a call of gRPC by itself, and all on one stream.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use gleaner_benches::canned;
use gleaner_model::{IndexUuid, ShardKey, ShardNumber};
use gleaner_proto::search::{FetchCall, FetchFrom, FetchHits, FetchWhat, ShardView};
use gleaner_proto::{GrpcLeaf, LeafClient, Peer};
use gleaner_query::answer::ViewId;

/// Asks for two documents of each of two shards, as a search over eight shards on four leaves does.
fn call() -> FetchCall {
    let from = |number| FetchFrom {
        shard: ShardView {
            shard: ShardKey {
                index: IndexUuid([7; 16]),
                shard: ShardNumber(number),
            },
            view: Some(ViewId(0)),
            at_least: None,
        },
        hits: FetchHits::Places(vec![1, 2]),
    };
    FetchCall {
        shards: vec![from(0), from(1)],
        what: Arc::new(FetchWhat::default()),
        remaining: Duration::from_secs(10),
    }
}

fn wire(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    let address = runtime.block_on(canned::served());
    let _inside = runtime.enter();
    let leaf = GrpcLeaf::new(Peer::new(&address).expect("an address"));
    let sides = [
        ("a call each", leaf.clone().without_line()),
        ("one stream", leaf),
    ];
    let mut group = criterion.benchmark_group("wire");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    for num_callers in [1, 4, 32] {
        group.throughput(Throughput::Elements(num_callers));
        for (name, leaf) in &sides {
            let calls = || async {
                let calls = (0..num_callers).map(|_| leaf.fetch(call()));
                join_all(calls).await
            };
            let answers = runtime.block_on(calls());
            assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
            let id = BenchmarkId::new(*name, num_callers);
            group.bench_function(id, |bencher| bencher.iter(|| runtime.block_on(calls())));
        }
    }
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
