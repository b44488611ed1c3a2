//! How late answers to a deadline are when a leaf is stalled, beside a timer of the same length.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use gleaner_testkit::slow::Pace;

use super::connections::Connections;
use super::latency::{Latencies, ms};
use super::load::{Answer, Outcome, Rate, open_loop, timers};
use super::nodes::{Leaves, Means, Nodes, Start};
use super::{Bench, low_rate, targets};
use crate::report::{Section, Table, tell};

/// Documents: few, so that what is measured is the deadline.
const DOCUMENTS: usize = 20_000;
/// The deadline.
const DEADLINE: Duration = Duration::from_millis(50);
/// Most searches per second.
const RATE: f64 = 100.0;
/// Kinds of answers that the page names, the most frequent ones.
const SHOWN: usize = 6;
/// Seconds at the rate that do not count.
const WARM_UP: Duration = Duration::from_secs(2);

/// Measures answers and timers at the same rate and the same time.
///
/// # Errors
/// When a process fails.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    tell("loading 4 leaves with one copy of 8 shards");
    let mut nodes = Nodes::start(&Start {
        binary: &bench.options.server,
        roots: &[Means::ALL],
        leaves: Leaves::Paced,
        leaf_settings: "",
    })?;
    nodes.load(&bench.corpus.first(DOCUMENTS), 1)?;
    let root = nodes.roots[0].http.clone();
    let capacity = bench.capacity(&root, &bench.requests("")?)?;
    let per_second = low_rate(&capacity).min(RATE);
    // The leaf that is stalled holds something.
    let holdings = nodes.holdings()?;
    let stalled = (0..holdings.len()).max_by_key(|leaf| holdings[*leaf].len());
    let stalled = stalled.unwrap_or_default();
    let lost: Vec<u32> = holdings[stalled].iter().copied().collect();
    nodes.set_paces(|leaf| match leaf == stalled {
        true => Pace::Never,
        false => Pace::Normal,
    })?;
    let requests = bench.requests(&format!("?timeout={}ms", DEADLINE.as_millis()))?;
    let connections = Connections::to(&root);
    let rate = Rate {
        per_second,
        number: bench.options.sized(1_000, 10_000),
    };
    tell(&format!("{} searches at {per_second}/s", rate.number));
    let (outcomes, rung) = bench.runtime.block_on(async {
        let warm_up = Rate::lasting(per_second, WARM_UP);
        open_loop(&connections, &requests, warm_up).await?;
        tokio::try_join!(
            open_loop(&connections, &requests, rate),
            timers(DEADLINE, rate)
        )
    })?;
    let answers: Latencies = outcomes.iter().map(|outcome| outcome.latency).collect();
    let mut table = Table::new([
        "deadline of 50 ms",
        "number",
        "p50, ms",
        "p99",
        "p99.9",
        "max",
        "within 60 ms",
        "within 75 ms",
    ]);
    row(&mut table, "answers, seen by the client", &answers, true);
    row(&mut table, "timer of tokio, 50 ms", &rung, false);
    let count = |wanted: &dyn Fn(&Answer) -> bool| {
        outcomes
            .iter()
            .filter(|outcome| wanted(&outcome.answer))
            .count()
    };
    let num_exact = count(&|answer| *answer == Answer::Partial(lost.clone()));
    let num_failed = count(&|answer| matches!(answer, Answer::Failed(_)));
    let exact = targets::ALL.cell(num_exact as f64 / outcomes.len() as f64);
    Ok(Section {
        title: "Deadlines",
        method: format!(
            "Four leaves, 8 shards with one copy each, {} documents; leaf-{} takes calls and never \
             answers. Open loop at {per_second}/s over HTTP, `timeout=50ms`; at the same rate and the \
             same time the program starts a timer of its own runtime for 50 ms. Both are counted from \
             when they were due.",
            bench.corpus.first(DOCUMENTS).sources.len(),
            stalled + 1,
        ),
        tables: vec![table],
        remarks: vec![
            format!(
                "Share of the answers that are partial and name exactly shards {lost:?}: {exact}."
            ),
            format!("Of all answers: {}.", lacks(&outcomes)),
            format!("Failed: {}.", targets::NONE.cell(num_failed as f64)),
        ],
    })
}

/// Returns how many answers lacked what, in words.
fn lacks(outcomes: &[Outcome]) -> String {
    let mut lacks: BTreeMap<String, usize> = BTreeMap::new();
    for outcome in outcomes {
        let lack = match &outcome.answer {
            Answer::Whole => "lack nothing".to_owned(),
            Answer::Partial(missing) if missing.is_empty() => "were cut short".to_owned(),
            Answer::Partial(missing) => format!("lack shards {missing:?}"),
            Answer::Failed(why) => {
                tell(&format!("a search failed: {why}"));
                "are errors".to_owned()
            }
        };
        *lacks.entry(lack).or_default() += 1;
    }
    let mut lacks: Vec<(usize, String)> = lacks.into_iter().map(|(lack, n)| (n, lack)).collect();
    lacks.sort_unstable_by(|one, other| other.cmp(one));
    let told = lacks
        .iter()
        .take(SHOWN)
        .map(|(n, lack)| format!("{n} {lack}"));
    told.collect::<Vec<_>>().join(", ")
}

fn row(table: &mut Table, name: &str, latencies: &Latencies, has_target: bool) {
    let within = |limit_ms: f64, target: targets::Target| {
        let share = latencies.share_within(limit_ms);
        match has_target {
            true => target.cell(share),
            false => format!("{share:.5}"),
        }
    };
    table.row([
        name.to_owned(),
        latencies.number().to_string(),
        ms(latencies.at(0.5)),
        ms(latencies.at(0.99)),
        ms(latencies.at(0.999)),
        ms(latencies.max()),
        within(60.0, targets::WITHIN_60_MS),
        within(75.0, targets::WITHIN_75_MS),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_answers_lack_is_told_by_number() {
        let answers = [
            Answer::Partial(vec![3]),
            Answer::Whole,
            Answer::Partial(vec![3]),
            Answer::Partial(vec![]),
            Answer::Partial(vec![3]),
            Answer::Partial(vec![]),
        ];
        let outcomes = answers.map(|answer| Outcome {
            due: Instant::now(),
            latency: Duration::ZERO,
            answer,
        });
        assert_eq!(
            lacks(&outcomes),
            "3 lack shards [3], 2 were cut short, 1 lack nothing"
        );
    }
}
