//! The tables of a race of queries.

use std::collections::BTreeMap;

use super::super::Table;
use crate::queries::Class;
use crate::race::{Figures, Results, geometric_mean};

/// Returns all tables of one race.
pub(super) fn all(results: &Results) -> Vec<Table> {
    vec![
        speeds(results),
        shards(
            results,
            "CPU, 8 shards / 1 shard (below 1: cheaper)",
            |figures| figures.cpu_us,
        ),
        shards(results, "the same of first answers", |figures| {
            figures.first_cpu_us
        }),
        times(results),
    ]
}

/// Queries per second of ours over the baseline's: above 1 is faster.
fn speeds(results: &Results) -> Table {
    let columns = [
        ("top-10", "bare top", "1 top"),
        ("top-10 with statistics", "bare top", "1 top statistics"),
        ("top-10 and total", "bare total", "1 total"),
        ("count", "bare count", "1 count"),
    ];
    let headings = columns.iter().map(|(name, ..)| *name);
    let mut table =
        Table::new(std::iter::once("queries/s, 1 shard / bare (above 1: faster)").chain(headings));
    let ratio = |bare: &Figures, ours: &Figures| bare.wall_us / ours.wall_us;
    fill(
        &mut table,
        &columns.map(|(_, bare, ours)| ratios(results, bare, ours, ratio)),
    );
    table
}

/// CPU of eight shards over that of one.
fn shards(results: &Results, title: &str, cpu: fn(&Figures) -> f64) -> Table {
    let columns = [
        ("top-10", "1 top", "8 top"),
        ("naive top-10", "bare top", "bare 8 top"),
        ("top-10 on a pool", "1 top", "8 top pool"),
        (
            "top-10 with statistics",
            "1 top statistics",
            "8 top statistics",
        ),
        ("top-10 and total", "1 total", "8 total"),
        ("count", "1 count", "8 count"),
    ];
    let headings = columns.iter().map(|(name, ..)| *name);
    let mut table = Table::new(std::iter::once(title).chain(headings));
    let ratio = |one: &Figures, eight: &Figures| cpu(eight) / cpu(one);
    fill(
        &mut table,
        &columns.map(|(_, one, eight)| ratios(results, one, eight, ratio)),
    );
    table
}

/// A column of ratios.
struct Ratios {
    by_class: BTreeMap<Class, f64>,
    /// Of the means over all queries.
    all: f64,
}

fn ratios(
    results: &Results,
    base: &str,
    other: &str,
    ratio: impl Fn(&Figures, &Figures) -> f64,
) -> Ratios {
    let classes = results[base].iter();
    let pair = |(class, base): (&Class, &Figures)| (*class, ratio(base, &results[other][class]));
    Ratios {
        by_class: classes.map(pair).collect(),
        all: ratio(&mean_of(&results[base]), &mean_of(&results[other])),
    }
}

/// Returns the mean over all queries; each class has as many.
fn mean_of(by_class: &BTreeMap<Class, Figures>) -> Figures {
    let count = by_class.len().max(1) as f64;
    let mean = |of: fn(&Figures) -> f64| by_class.values().map(of).sum::<f64>() / count;
    Figures {
        wall_us: mean(|figures| figures.wall_us),
        cpu_us: mean(|figures| figures.cpu_us),
        first_cpu_us: mean(|figures| figures.first_cpu_us),
        p50_us: mean(|figures| figures.p50_us),
    }
}

fn fill(table: &mut Table, columns: &[Ratios]) {
    let classes = columns.first().into_iter();
    for class in classes.flat_map(|column| column.by_class.keys()) {
        let cells = columns
            .iter()
            .map(|column| format!("{:.2}", column.by_class[class]));
        table.row(std::iter::once(class.name().to_owned()).chain(cells));
    }
    let mean =
        |column: &Ratios| geometric_mean(&column.by_class.values().copied().collect::<Vec<_>>());
    let means = columns
        .iter()
        .map(|column| format!("**{:.2}**", mean(column)));
    table.row(std::iter::once("**geometric mean**".to_owned()).chain(means));
    let all = columns.iter().map(|column| format!("{:.2}", column.all));
    table.row(std::iter::once("all queries".to_owned()).chain(all));
}

/// The figures behind the ratios.
fn times(results: &Results) -> Table {
    let classes = results.values().next().into_iter();
    let names = classes.flat_map(|by_class| by_class.keys().map(|class| class.name()));
    let mut table = Table::new(std::iter::once("mean µs (CPU µs; of first answers)").chain(names));
    for (name, by_class) in results {
        let cell = |figures: &Figures| {
            let Figures {
                wall_us,
                cpu_us,
                first_cpu_us,
                ..
            } = figures;
            format!("{wall_us:.1} ({cpu_us:.1}; {first_cpu_us:.1})")
        };
        table.row(std::iter::once((*name).to_owned()).chain(by_class.values().map(cell)));
    }
    table
}
