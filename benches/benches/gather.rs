//! What a root adds to its leaves: resolve, statistics, scatter, merge and fetch over canned answers.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gleaner_benches::canned;
use gleaner_query::limits::Limits;
use gleaner_query::search::parse_search;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;

fn gather(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    let body = br#"{"query": {"match": {"body": "two words"}}}"#;
    let request = parse_search(body, &Limits::default()).expect("a good search");
    let expression = Some(canned::INDEX.to_owned());
    let target = Target {
        expression,
        ..Target::default()
    };
    let mut group = criterion.benchmark_group("gather");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(2));
    for num_shards in [1, 8, 64] {
        let root = canned::root(num_shards);
        let search = || async {
            let options = SearchOptions::default();
            let response = root.search(&target, &request, &options).await;
            response.expect("the canned leaf answers").hits.len()
        };
        assert_eq!(
            runtime.block_on(search()),
            10,
            "the root finds the ten best"
        );
        group.bench_function(BenchmarkId::new("shards", num_shards), |bencher| {
            bencher.iter(|| runtime.block_on(search()));
        });
    }
    group.finish();
}

criterion_group!(benches, gather);
criterion_main!(benches);
