//! Queries by class: top-10 and count; bare tantivy, one shard, eight shards.
//!
//! One iteration answers all sampled queries of the class. `report` tells ratios; these tell changes.

use std::time::Duration;

use anyhow::Result;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gleaner_benches::bare::{Bare, Tokens};
use gleaner_benches::corpus::{Corpus, Size};
use gleaner_benches::ours::{Ours, Wanted};
use gleaner_benches::queries::{self, Class, Query};
use gleaner_datasets::catalog;

/// Queries of each class.
const PER_CLASS: usize = 20;

fn all_classes(criterion: &mut Criterion) {
    bench(criterion).expect("the indexes can be built");
}

fn bench(criterion: &mut Criterion) -> Result<()> {
    let given = std::env::var_os("GLEANER_DATA").map(std::path::PathBuf::from);
    let data = catalog::locate(given.as_deref());
    let corpus = Corpus::load(data.as_deref(), Size::QUICK)?;
    let classes = [&Class::ALL[..], &Class::COMBINED].concat();
    let sampled = queries::sample(data.as_deref(), &classes, PER_CLASS)?;
    let folder = tempfile::tempdir()?;
    let bare_folder = folder.path().join("bare");
    std::fs::create_dir(&bare_folder)?;
    let bare = Bare::create(&bare_folder, Tokens::Ours)?.fill(&corpus.sources, 1)?;
    let one = Ours::fill(&folder.path().join("one"), &corpus, 1)?;
    let eight = Ours::fill(&folder.path().join("eight"), &corpus, 8)?;
    for class in classes {
        let of_class: Vec<&Query> = sampled
            .iter()
            .filter(|query| query.class == class)
            .collect();
        let built: Vec<_> = of_class.iter().map(|query| bare.query(query)).collect();
        for wanted in [Wanted::Top, Wanted::Count] {
            let what = if wanted == Wanted::Top {
                "top-10"
            } else {
                "count"
            };
            let mut group = criterion.benchmark_group(format!("{}/{what}", class.name()));
            group
                .sample_size(10)
                .measurement_time(Duration::from_secs(2));
            group.warm_up_time(Duration::from_millis(300));
            group.bench_function(BenchmarkId::from_parameter("bare"), |bencher| {
                bencher.iter(|| {
                    built.iter().fold(0, |sum, query| match wanted {
                        Wanted::Count => sum + bare.count(query.as_ref()),
                        _ => sum + bare.top(query.as_ref()).len() as u64,
                    })
                });
            });
            for (name, ours) in [("1 shard", &one), ("8 shards", &eight)] {
                let asked = of_class.iter().map(|query| ours.ask(query, wanted));
                let asked = asked.collect::<Result<Vec<_>>>()?;
                group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                    bencher.iter(|| {
                        asked
                            .iter()
                            .map(|asked| ours.search(asked, None))
                            .sum::<u64>()
                    });
                });
            }
            group.finish();
        }
    }
    Ok(())
}

criterion_group!(benches, all_classes);
criterion_main!(benches);
