//! How soon an evaluation ends that nobody waits for any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gleaner_datasets::Random;
use gleaner_engine::EngineError;
use gleaner_partial::EvaluationError;
use gleaner_partial::control::Control;
use gleaner_query::resolved::ShardQuery;
use gleaner_query::search::TrackTotal;
use rayon::ThreadPool;
use tempfile::TempDir;

use super::Bench;
use super::latency::{Latencies, ms};
use super::nodes::NUM_SHARDS;
use crate::corpus::SEED;
use crate::ours::{Ours, Wanted};
use crate::queries::{Class, Query, Set};
use crate::report::{Section, Table, tell};

/// Terms of an expensive query: the most frequent of those drawn.
const NUM_TERMS: usize = 24;
/// Threads that share an evaluation, as on a leaf of two cores.
const THREADS: usize = 2;
/// Evaluations given up on at most per one that is cancelled in time.
const TRIES: usize = 4;

/// An expensive query, and what it takes when nobody cancels it.
struct Costly {
    name: &'static str,
    asked: ShardQuery,
    whole: Duration,
}

/// Cancels evaluations at random moments.
///
/// # Errors
/// When the index cannot be built or an evaluation fails.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    tell(&format!("building {NUM_SHARDS} shards in this process"));
    let folder = TempDir::new()?;
    let ours = Ours::fill(folder.path(), &bench.corpus, NUM_SHARDS)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build()?;
    let costly = costly(bench, &ours, &pool)?;
    let wanted = bench.options.sized(200, 1_000);
    let mut table = Table::new([
        "query",
        "whole, ms",
        "cancelled",
        "p50 until it stops, ms",
        "p99",
        "max",
    ]);
    let mut all = Latencies::default();
    for query in &costly {
        tell(&format!("cancelling: {}", query.name));
        let stops = cancel(&ours, &pool, query, wanted / costly.len() + 1)?;
        all.merge(&stops);
        row(
            &mut table,
            query.name,
            &ms(query.whole.as_secs_f64() * 1e3),
            &stops,
        );
    }
    row(&mut table, "**all**", "", &all);
    Ok(Section {
        title: "Evaluations that are cancelled",
        method: format!(
            "The engine in this process, {NUM_SHARDS} shards of {}, a pool of {THREADS} threads, \
             expensive queries with an exact total. Each is called off at a random moment of its first \
             three quarters, as a leaf does when the call is dropped: a flag is set. What is told is \
             the time from then until the evaluation has returned on all threads; ones that had ended \
             by themselves do not count.",
            bench.corpus.origin,
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}

fn row(table: &mut Table, name: &str, whole: &str, stops: &Latencies) {
    table.row([
        name.to_owned(),
        whole.to_owned(),
        stops.number().to_string(),
        ms(stops.at(0.5)),
        ms(stops.at(0.99)),
        ms(stops.max()),
    ]);
}

fn costly(bench: &Bench, ours: &Ours, pool: &ThreadPool) -> Result<Vec<Costly>> {
    let drawn = Set::Own.queries(bench.options.data.as_deref(), &bench.corpus, 100)?;
    // Single terms come from rare to frequent.
    let terms = drawn.into_iter().filter(|query| query.class == Class::Term);
    let mut terms: Vec<String> = terms.flat_map(|query| query.terms).collect();
    let frequent = terms.split_off(terms.len().saturating_sub(NUM_TERMS));
    ensure!(frequent.len() > 3, "too few terms were drawn");
    let few = frequent[frequent.len() - 3..].to_vec();
    let queries = [
        ("OR of the most frequent terms", Class::Or, frequent),
        ("AND of three frequent terms", Class::And, few.clone()),
        ("phrase of three frequent terms", Class::Phrase, few),
    ];
    let queries = queries.into_iter().map(|(name, class, terms)| {
        let query = Query {
            class,
            terms,
            filter: None,
        };
        let asked = ShardQuery {
            track_total: TrackTotal::Exact,
            ..ours.ask(&query, Wanted::TopAndTotal)?
        };
        let whole = (0..3).map(|_| {
            let start = Instant::now();
            ours.answers_under(&Arc::new(Control::unlimited()), &asked, pool)?;
            Ok(start.elapsed())
        });
        let whole: Vec<Duration> = whole.collect::<Result<_>>()?;
        let whole = whole.into_iter().min().context("it ran")?;
        Ok(Costly { name, asked, whole })
    });
    queries.collect()
}

/// Cancels `wanted` evaluations of a query; returns how long after it each one ended.
fn cancel(ours: &Ours, pool: &ThreadPool, query: &Costly, wanted: usize) -> Result<Latencies> {
    let mut random = Random::stream(SEED, 5);
    let mut stops = Latencies::default();
    for _ in 0..wanted * TRIES {
        if stops.number() as usize == wanted {
            break;
        }
        let span = query.whole.mul_f64(0.75).as_nanos() as u64;
        let after = Duration::from_nanos(random.below(span.max(1)));
        if let Some(stop) = cancelled_after(ours, pool, &query.asked, after)? {
            stops.add(stop);
        }
    }
    Ok(stops)
}

/// Cancels an evaluation `after` it has begun; `None` when it ended by itself before.
fn cancelled_after(
    ours: &Ours,
    pool: &ThreadPool,
    asked: &ShardQuery,
    after: Duration,
) -> Result<Option<Duration>> {
    let control = Arc::new(Control::unlimited());
    let (begun, has_begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let evaluation = scope.spawn(|| {
            let told = begun.send(Instant::now());
            told.expect("the other end is there until this thread is joined");
            let outcome = ours.answers_under(&control, asked, pool);
            (outcome, Instant::now())
        });
        let due = has_begun.recv()? + after;
        // Awake all the while: a timer's lateness is longer than what is measured.
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let cancelled = Instant::now();
        control.cancel();
        let ended = evaluation.join();
        match ended.ok().context("an evaluation panicked")? {
            (Ok(_), _) => Ok(None),
            (Err(EngineError::Evaluation(EvaluationError::Cancelled)), ended) => {
                Ok(Some(ended - cancelled))
            }
            (Err(error), _) => Err(error.into()),
        }
    })
}
