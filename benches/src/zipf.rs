//! The page on the caches of several fronts: how many of a day's questions they answer, beside one cache of their size.
//!
//! Questions are drawn by Zipf's law, each sent to a front by chance, which keeps what it was answered; what it does not
//! have it asks of the root that all fronts ask for that question, which keeps answers too. Everything is in this
//! process: hit rates depend on no clock, and the same seed gives the same page. Read [`write_page`] first.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use gleaner_cache::{Answer, Cache, CacheOptions, Current, Generations, Keep, Served};
use gleaner_model::{AnswerKey, Edition};
use gleaner_query::canonical::edition::Targets;
use http::{HeaderMap, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::report::{Section, Table, machine};

/// Questions that are asked.
const NUM_ASKED: usize = 100_000;

/// Different questions that there are.
const NUM_QUESTIONS: usize = 100_000;

/// Bytes of an answer.
const ANSWER_BYTES: usize = 4_096;

const NUM_FRONTS: usize = 3;
const NUM_ROOTS: usize = 2;

/// Answers that have room in the cache of one front.
const ROOM: [usize; 3] = [500, 2_000, 8_000];

/// Nothing ever changes.
struct Still;

#[async_trait]
impl Generations for Still {
    fn current(&self, _: &Targets) -> Current {
        Current::Edition(Edition([1; 16]))
    }
}

fn cache(num_answers: usize) -> Arc<Cache> {
    let options = CacheOptions {
        // What an answer takes beside its body.
        memory_bytes: (num_answers * (ANSWER_BYTES + 300)) as u64,
        entry_bytes: u64::MAX,
        ..CacheOptions::new(|| 0)
    };
    Cache::new(options, Arc::new(Still))
}

fn keep(question: usize) -> Keep {
    Keep {
        key: AnswerKey(*blake3::hash(&question.to_le_bytes()).as_bytes()),
        targets: Arc::default(),
        until_ms: None,
        patience: std::time::Duration::from_secs(1),
        renews: false,
        stale: Default::default(),
    }
}

fn answer() -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from(vec![b'x'; ANSWER_BYTES]),
        edition: Some(Edition([1; 16])),
    }
}

/// Asks one cache; returns whether it had the answer.
async fn has(cache: &Arc<Cache>, question: usize) -> Result<bool> {
    let served = cache.answer(&keep(question), || async { answer() }).await?;
    Ok(matches!(served, Served::Kept(_)))
}

/// Draws questions by Zipf's law with s = 1.
struct Zipf {
    /// Sum of 1/rank up to each rank.
    sums: Vec<f64>,
    random: StdRng,
}

impl Zipf {
    fn new(seed: u64) -> Self {
        let sums = (1..=NUM_QUESTIONS).scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    fn draw(&mut self) -> usize {
        let all = self.sums[NUM_QUESTIONS - 1];
        let drawn = self.random.random_range(0.0..all);
        self.sums.partition_point(|sum| *sum < drawn)
    }
}

/// What was found with caches of one size.
#[derive(Default)]
struct Tally {
    one: usize,
    at_front: usize,
    at_root: usize,
    /// Of the questions that had an answer before a front was killed, those that have none after.
    lost: f64,
}

async fn run(room: usize) -> Result<Tally> {
    let one = cache(NUM_FRONTS * room);
    let fronts: Vec<_> = (0..NUM_FRONTS).map(|_| cache(room)).collect();
    let roots: Vec<_> = (0..NUM_ROOTS).map(|_| cache(room)).collect();
    let (mut zipf, mut random) = (Zipf::new(1), StdRng::seed_from_u64(2));
    let mut tally = Tally::default();
    for _ in 0..NUM_ASKED {
        let question = zipf.draw();
        tally.one += usize::from(has(&one, question).await?);
        let front = &fronts[random.random_range(0..NUM_FRONTS)];
        if has(front, question).await? {
            tally.at_front += 1;
        } else if has(&roots[question % NUM_ROOTS], question).await? {
            tally.at_root += 1;
        }
    }
    tally.lost = lost(&fronts, &roots).await?;
    Ok(tally)
}

/// Returns the share of the questions that somebody could answer which nobody can when the first front is gone.
async fn lost(fronts: &[Arc<Cache>], roots: &[Arc<Cache>]) -> Result<f64> {
    let (mut num_had, mut num_lost) = (0_u32, 0_u32);
    for question in 0..NUM_QUESTIONS {
        let mut by = Vec::with_capacity(NUM_FRONTS);
        for front in fronts {
            by.push(is_kept(front, question).await?);
        }
        let of_root = is_kept(&roots[question % NUM_ROOTS], question).await?;
        let had = of_root || by.contains(&true);
        num_had += u32::from(had);
        num_lost += u32::from(had && !of_root && !by[1..].contains(&true));
    }
    Ok(f64::from(num_lost) / f64::from(num_had.max(1)))
}

/// Looks whether an answer is kept, without having it kept.
async fn is_kept(cache: &Arc<Cache>, question: usize) -> Result<bool> {
    let own = || async {
        Answer {
            edition: None,
            ..answer()
        }
    };
    let served = cache.answer(&keep(question), own).await?;
    Ok(matches!(served, Served::Kept(_)))
}

/// Measures everything and writes the page to `path`.
///
/// # Errors
/// When it cannot be written.
pub fn write_page(path: &Path, command: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let mut table = Table::new([
        "answers in a front",
        "one cache of three times that",
        "three fronts",
        "and two roots of the same size",
        "lost with one front",
    ]);
    for room in ROOM {
        let tally = runtime.block_on(run(room))?;
        let share = |count: usize| format!("{:.1} %", 100.0 * count as f64 / NUM_ASKED as f64);
        table.row([
            room.to_string(),
            share(tally.one),
            share(tally.at_front),
            share(tally.at_front + tally.at_root),
            format!("{:.1} %", 100.0 * tally.lost),
        ]);
    }
    let section = Section {
        title: "Hit rates",
        method: format!(
            "{NUM_ASKED} questions by Zipf's law (s = 1) of {NUM_QUESTIONS}, answers of {ANSWER_BYTES} bytes, each sent to one of \
             {NUM_FRONTS} fronts by chance; all begin empty. A hit is a question that is not evaluated."
        ),
        tables: vec![table],
        remarks: vec![
            "Fronts keep each for itself, so what is asked often is in all of them; a question that a front does not have \
             it asks of one root, the same for all fronts."
                .to_owned(),
        ],
    };
    let page = format!(
        "# Caches of several fronts\n\nWritten by `{command}`.\n\n{}{section}",
        machine::facts()
    );
    std::fs::write(path, page).with_context(|| path.display().to_string())
}
