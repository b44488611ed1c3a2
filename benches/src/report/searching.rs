//! Queries inside one process: top-10 and count, one shard and eight, by class.

mod tables;

use anyhow::{Result, ensure};
use rayon::ThreadPool;
use tempfile::TempDir;

use super::{Options, Section, tell};
use crate::bare::{self, Bare, BareSearch, BareShards, Tokens};
use crate::corpus::Corpus;
use crate::ours::{Ours, Wanted};
use crate::queries::{Query, Set};
use crate::race::{self, Results, Runner};

/// Threads of the pool in the measures of eight shards.
const POOL_THREADS: usize = 2;

/// The indexes of both sides, over the same postings.
struct Sides {
    bare: BareSearch,
    bare_eight: BareShards,
    one: Ours,
    eight: Ours,
    pool: ThreadPool,
    _folder: TempDir,
}

/// Builds the indexes, checks that both sides match the same documents, and times them.
///
/// # Errors
/// When an index cannot be built, or the sides disagree on a count.
pub fn measure(corpus: &Corpus, options: &Options) -> Result<Vec<Section>> {
    tell("building indexes of 1 and 8 shards, and the baseline's");
    let sides = build(corpus)?;
    let sets = Set::ALL.into_iter().chain([Set::Combined]);
    sets.map(|set| measure_set(set, &sides, corpus, options))
        .collect()
}

fn measure_set(set: Set, sides: &Sides, corpus: &Corpus, options: &Options) -> Result<Section> {
    let queries = set.queries(options.data.as_deref(), corpus, options.per_class)?;
    check_counts(sides, &queries)?;
    tell(&format!("timing {}", set.name()));
    let results = time(sides, &queries, options.rounds)?;
    let method = format!(
        "On {}. One thread unless a pool is named; queries are ready-made trees on both sides; each round \
         runs every side over every query, {} rounds. Times are the mean over the queries of each \
         one's best answer (µs), CPU is that of the process in the best round (µs per query). A \
         query is answered five times in a row; the first answer, whose data is not in the \
         processor's caches because twelve other runners have been at work, is told apart. Both \
         sides index the same tokens; all {} queries match the same number of documents on all \
         sides.",
        set.name(),
        options.rounds,
        queries.len()
    );
    Ok(Section {
        title: match set {
            Set::Game => "Queries in one process",
            Set::Own => "Queries in one process, of the documents' own words",
            Set::Combined => "Queries in one process, of clauses inside each other",
        },
        method,
        tables: tables::all(&results),
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
            "*naive* is the baseline on eight indexes of the same documents, one after the other: \
             nothing is shared between shards, and each ranks by its own statistics."
                .to_owned(),
            "*all queries* is the mean over all of them, so that slow queries weigh what they cost."
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
        bare_eight: bare::fill_shards(&folder.path().join("bare-eight"), corpus, 8)?,
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
        bare_eight,
        one,
        eight,
        pool,
        ..
    } = sides;
    let built: Vec<_> = queries.iter().map(|query| bare.query(query)).collect();
    let built_eight: Vec<_> = queries
        .iter()
        .map(|query| bare_eight.query(query))
        .collect();
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
        runner("bare 8 top", |at| {
            bare_eight.top(&built_eight[at]).len() as u64
        }),
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
