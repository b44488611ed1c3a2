//! Damage on disk is told and never served: after each damage every answer is right, or says what is missing.
//!
//! A folder is made once; each case copies it, damages one file of one shard while nobody runs, starts again and
//! asks 40 searches, gets and aggregations. A shard that is damaged is mended (then all answers are as before),
//! or it fails by name (then what answers is right, and says that a shard is missing).

mod harm;
mod questions;
mod site;

use std::collections::BTreeMap;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::run;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use harm::Harm;
use questions::{Answer, ask};
use site::{Site, Standing};

/// Damages in all: some of each kind, or the number that the figure asks for.
const CASES: (usize, usize) = (24, 1_200);

/// What became of the damages of one standing.
#[derive(Debug, Default)]
struct Tally {
    damages: usize,
    answers: usize,
    mended: usize,
    refused: usize,
}

/// Counts panics of all threads.
fn count_panics() -> Arc<AtomicUsize> {
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
    panics
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damage_of_a_file_is_served() -> Result<()> {
    let panics = count_panics();
    let mut dice = StdRng::seed_from_u64(run::seed());
    let num_cases = run::sized(CASES.0, CASES.1);
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut by_harm: BTreeMap<String, usize> = BTreeMap::new();
    let alone = site::template(Standing::Alone).await?;
    let paired = site::template(Standing::Replica).await?;
    for case in 0..num_cases {
        // Most need no replica: that takes a few times as long.
        let standing = match case % 8 {
            6 => Standing::Replica,
            7 => Standing::Primary,
            _ => Standing::Alone,
        };
        let template = match standing {
            Standing::Alone => &alone,
            Standing::Replica | Standing::Primary => &paired,
        };
        let folder = template.copy()?;
        let harm = Harm::draw(
            &site::shard_folders(folder.path(), standing)?,
            case,
            &mut dice,
        )?;
        harm.apply()?;
        let site = Site::start(folder, standing).await?;
        let hint = format!("case {case}, seed {}, {standing:?}: {harm}", run::seed());
        let is_mended = judge(&site, &harm, &template.answers).await.context(hint)?;
        site.stop().await;
        let tally = tallies.entry(standing.name()).or_default();
        tally.damages += 1;
        tally.answers += template.answers.len();
        *by_harm.entry(harm.kind()).or_default() += 1;
        match is_mended {
            true => tally.mended += 1,
            false => tally.refused += 1,
        }
    }
    let panics = panics.load(Ordering::Relaxed);
    let shown = |tally: &Tally| {
        json!({"damages": tally.damages, "answers": tally.answers, "mended": tally.mended,
               "refused": tally.refused})
    };
    let tallies: BTreeMap<_, _> = tallies
        .iter()
        .map(|(name, tally)| (*name, shown(tally)))
        .collect();
    let figures = json!({"damages": num_cases, "panics": panics, "wrong": 0, "unnamed": 0,
                         "standing": tallies, "kinds": by_harm});
    run::report("damage", &figures)?;
    ensure!(panics == 0, "{panics} panics");
    Ok(())
}

/// Compares all answers; returns whether the damage was mended.
async fn judge(site: &Site, harm: &Harm, expected: &[Answer]) -> Result<bool> {
    let failed = site.settle().await?;
    let named = site.damages();
    ensure!(
        named.iter().any(|told| told.contains(harm.file_name())),
        "the damage is not named: {named:?}"
    );
    ensure!(
        failed.is_empty() || site.standing == Standing::Alone,
        "another copy would mend it: {failed:?}"
    );
    ensure!(
        failed.iter().all(|told| told.contains(harm.file_name())),
        "the failure does not name the file: {failed:?}"
    );
    for (number, (found, expected)) in ask(&site.root).await.iter().zip(expected).enumerate() {
        match found {
            Answer::Whole(_) => ensure!(
                found == expected,
                "question {number} is answered wrongly:\n{found:?}\n{expected:?}"
            ),
            Answer::Partial(reasons) => ensure!(
                !failed.is_empty() && reasons.contains(harm.file_name()),
                "question {number}: {reasons}"
            ),
        }
    }
    Ok(failed.is_empty())
}
