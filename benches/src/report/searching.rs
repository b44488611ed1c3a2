//! Queries inside one process: top-10 and count, one shard and eight, by class.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rayon::ThreadPool;
use tempfile::TempDir;

use super::{Options, Section, Table, tell};
use crate::bare::{Bare, BareSearch, Tokens};
use crate::corpus::Corpus;
use crate::ours::{Ours, Wanted};
use crate::queries::{self, Class, Query};
use crate::race::{self, Figures, Results, Runner, geometric_mean};

/// Threads of the pool in the measures of eight shards.
const POOL_THREADS: usize = 2;

/// The indexes of both sides, over the same postings.
struct Sides {
    bare: BareSearch,
    one: Ours,
    eight: Ours,
    pool: ThreadPool,
    _folder: TempDir,
}

/// Builds the indexes, checks that both sides match the same documents, and times them.
///
/// # Errors
/// When an index cannot be built, or the sides disagree on a count.
pub fn measure(corpus: &Corpus, options: &Options) -> Result<Section> {
    tell("building indexes of 1 and 8 shards, and the baseline");
    let sides = build(corpus)?;
    let queries = queries::sample(options.data.as_deref(), options.per_class)?;
    check_counts(&sides, &queries)?;
    tell("timing queries");
    let results = time(&sides, &queries, options.rounds)?;
    let method = format!(
        "One thread unless a pool is named; queries are ready-made trees on both sides; each round \
         runs every side over every query, {} rounds. Times are the mean over the queries of each \
         one's best round (µs), CPU is that of the process in the best round (µs per query). Both \
         sides index the same tokens; all {} queries match the same number of documents on all \
         sides.",
        options.rounds,
        queries.len()
    );
    Ok(Section {
        title: "Queries in one process",
        method,
        tables: tables(&results),
        remarks: vec![
            "*statistics* counts what BM25 needs on every query, as a root does that has not kept \
             them; the other columns have them given. The baseline reads its own inside the query."
                .to_owned(),
            "*filtered*: our filter cache holds the filters from their second use on; the baseline \
             has none."
                .to_owned(),
            "Top-10 with a total: ours counts exactly up to 10,000 (the dialect's default), the \
             baseline counts all."
                .to_owned(),
        ],
    })
}

fn build(corpus: &Corpus) -> Result<Sides> {
    let folder = TempDir::new()?;
    let bare_folder = folder.path().join("bare");
    std::fs::create_dir(&bare_folder)?;
    Ok(Sides {
        bare: Bare::create(&bare_folder, Tokens::Ours)?.fill(&corpus.sources, 1)?,
        one: Ours::fill(&folder.path().join("one"), corpus, 1)?,
        eight: Ours::fill(&folder.path().join("eight"), corpus, 8)?,
        pool: rayon::ThreadPoolBuilder::new()
            .num_threads(POOL_THREADS)
            .build()?,
        _folder: folder,
    })
}

/// Both sides must do the same work before their times are compared.
fn check_counts(sides: &Sides, queries: &[Query]) -> Result<()> {
    let Sides {
        bare, one, eight, ..
    } = sides;
    let (segments, ours) = (
        bare.num_segments(),
        (one.num_segments(), eight.num_segments()),
    );
    ensure!(
        segments == 1 && ours == (1, 8),
        "segments: {segments} and {ours:?}"
    );
    for query in queries {
        let expected = bare.count(bare.query(query).as_ref());
        for ours in [one, eight] {
            let found = ours.search(&ours.ask(query, Wanted::Count)?, None);
            ensure!(
                found == expected,
                "{query:?}: {found} matches, the baseline has {expected}"
            );
        }
    }
    Ok(())
}

fn time(sides: &Sides, queries: &[Query], rounds: usize) -> Result<Results> {
    let Sides {
        bare,
        one,
        eight,
        pool,
        ..
    } = sides;
    let built: Vec<_> = queries.iter().map(|query| bare.query(query)).collect();
    let asks = |ours: &Ours, wanted| -> Result<Vec<_>> {
        queries
            .iter()
            .map(|query| ours.ask(query, wanted))
            .collect()
    };
    let (one_top, eight_top) = (asks(one, Wanted::Top)?, asks(eight, Wanted::Top)?);
    let (one_total, eight_total) = (
        asks(one, Wanted::TopAndTotal)?,
        asks(eight, Wanted::TopAndTotal)?,
    );
    let (one_count, eight_count) = (asks(one, Wanted::Count)?, asks(eight, Wanted::Count)?);
    let built = built.as_slice();
    fn runner<'a>(name: &'static str, answer: impl FnMut(usize) -> u64 + 'a) -> Runner<'a> {
        Runner {
            name,
            answer: Box::new(answer),
        }
    }
    let mut runners = [
        runner("bare top", |at| bare.top(built[at].as_ref()).len() as u64),
        runner("1 top", |at| one.search(&one_top[at], None)),
        runner("1 top statistics", |at| {
            one.search_with_statistics(&one_top[at], None)
        }),
        runner("8 top", |at| eight.search(&eight_top[at], None)),
        runner("8 top pool", |at| eight.search(&eight_top[at], Some(pool))),
        runner("8 top statistics", |at| {
            eight.search_with_statistics(&eight_top[at], None)
        }),
        runner("bare total", |at| bare.top_and_count(built[at].as_ref())),
        runner("1 total", |at| one.search(&one_total[at], None)),
        runner("8 total", |at| eight.search(&eight_total[at], None)),
        runner("bare count", |at| bare.count(built[at].as_ref())),
        runner("1 count", |at| one.search(&one_count[at], None)),
        runner("8 count", |at| eight.search(&eight_count[at], None)),
    ];
    Ok(race::run(queries, rounds, &mut runners))
}

fn tables(results: &Results) -> Vec<Table> {
    vec![speeds(results), shards(results), times(results)]
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
fn shards(results: &Results) -> Table {
    let columns = [
        ("top-10", "1 top", "8 top"),
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
    let mut table =
        Table::new(std::iter::once("CPU, 8 shards / 1 shard (below 1: cheaper)").chain(headings));
    let ratio = |one: &Figures, eight: &Figures| eight.cpu_us / one.cpu_us;
    fill(
        &mut table,
        &columns.map(|(_, one, eight)| ratios(results, one, eight, ratio)),
    );
    table
}

fn ratios(
    results: &Results,
    base: &str,
    other: &str,
    ratio: impl Fn(&Figures, &Figures) -> f64,
) -> BTreeMap<Class, f64> {
    let pair = |class| ratio(&results[base][&class], &results[other][&class]);
    Class::ALL
        .into_iter()
        .map(|class| (class, pair(class)))
        .collect()
}

fn fill(table: &mut Table, columns: &[BTreeMap<Class, f64>]) {
    for class in Class::ALL {
        let cells = columns
            .iter()
            .map(|column| format!("{:.2}", column[&class]));
        table.row(std::iter::once(class.name().to_owned()).chain(cells));
    }
    let mean = |column: &BTreeMap<Class, f64>| {
        geometric_mean(&column.values().copied().collect::<Vec<_>>())
    };
    let means = columns
        .iter()
        .map(|column| format!("**{:.2}**", mean(column)));
    table.row(std::iter::once("**geometric mean**".to_owned()).chain(means));
}

/// The figures behind the ratios.
fn times(results: &Results) -> Table {
    let names = Class::ALL.map(Class::name);
    let mut table = Table::new(std::iter::once("mean µs (CPU µs)").chain(names));
    for (name, by_class) in results {
        let cell = |class| {
            let Figures {
                wall_us, cpu_us, ..
            } = by_class[&class];
            format!("{wall_us:.1} ({cpu_us:.1})")
        };
        table.row(std::iter::once((*name).to_owned()).chain(Class::ALL.map(cell)));
    }
    table
}
