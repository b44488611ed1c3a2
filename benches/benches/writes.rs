//! Writes: documents into the index, records into the log; each beside its bare counterpart.

use std::time::Duration;

use anyhow::Result;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gleaner_benches::corpus::{Corpus, Size};
use gleaner_benches::writes::{self, WriteRate};
use gleaner_datasets::catalog;

/// Single documents each of the writers appends in an iteration.
const APPENDS: usize = 50;

/// Indexes all documents and tells what it took.
type Index = fn(&Corpus) -> Result<WriteRate>;

fn indexing(criterion: &mut Criterion) {
    let given = std::env::var_os("GLEANER_DATA").map(std::path::PathBuf::from);
    let data = catalog::locate(given.as_deref());
    let size = Size {
        articles: 4_000,
        notes: 2_000,
    };
    let corpus = Corpus::load(data.as_deref(), size).expect("the data can be read");
    let mut group = criterion.benchmark_group("indexing");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(size.total() as u64));
    let sides: [(&str, Index); 3] = [
        ("bare", |corpus| {
            writes::index_bare(corpus, writes::Settled::Committed)
        }),
        ("1 shard", |corpus| {
            writes::index_ours(corpus, 1, writes::Settled::Committed)
        }),
        ("8 shards", |corpus| {
            writes::index_ours(corpus, 8, writes::Settled::Committed)
        }),
    ];
    for (name, index) in sides {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| index(&corpus).expect("the documents can be indexed"));
        });
    }
    group.finish();
}

fn log_append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log append");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    for num_writers in [1, 64] {
        group.throughput(Throughput::Elements((num_writers * APPENDS) as u64));
        group.bench_function(
            BenchmarkId::new("bare group commit", num_writers),
            |bencher| {
                bencher
                    .iter(|| writes::append_bare(num_writers, APPENDS).expect("the disk takes it"));
            },
        );
        group.bench_function(BenchmarkId::new("log", num_writers), |bencher| {
            bencher.iter(|| writes::append_ours(num_writers, APPENDS).expect("the disk takes it"));
        });
    }
    group.finish();
}

criterion_group!(benches, indexing, log_append);
criterion_main!(benches);
