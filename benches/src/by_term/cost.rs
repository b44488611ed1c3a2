//! What a search costs each way: calls and bytes through counting proxies, time without them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_root::Root;
use gleaner_root::waterfall::Waterfall;
use gleaner_testkit::cluster::Way as Reached;

use super::asked::{Asked, Extra, Way};
use super::filled::{Counted, Filled, search, timed};
use super::same::{Difference, Shown};

/// What a root remembers of a search when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Warmth {
    /// Nothing: neither posting lists nor the numbers for scores.
    Cold,
    /// The same search, answered just before.
    Warm,
}

impl Warmth {
    pub(super) const ALL: [Self; 2] = [Self::Cold, Self::Warm];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// What one search cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    /// Calls to leaves.
    pub(super) calls: u64,
    /// Leaves called.
    pub(super) leaves: usize,
    /// Bytes from the root and to it, as HTTP/2 frames them.
    pub(super) bytes_there: u64,
    pub(super) bytes_back: u64,
    /// Median of the rounds.
    pub(super) time: Duration,
}

impl Cost {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_there + self.bytes_back
    }
}

/// What one search cost each way.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) asked: Asked,
    /// Length of the posting lists of all its terms together, in documents.
    pub(super) list_length: u64,
    /// Bytes of these lists as they travel.
    pub(super) list_bytes: u64,
    /// Calls by phase, in the order of the phases; of a cold root.
    pub(super) phases: BTreeMap<Way, Vec<(&'static str, usize)>>,
    costs: BTreeMap<(Way, Warmth), Cost>,
}

impl Measured {
    pub(super) fn cost(&self, way: Way, warmth: Warmth) -> Cost {
        self.costs.get(&(way, warmth)).copied().unwrap_or_default()
    }
}

/// Answers `asked` both ways and counts what that costs; tells whether the answers differ.
pub(super) async fn measure(
    filled: &Filled,
    asked: &Asked,
    rounds: usize,
) -> Result<(Measured, Option<Difference>)> {
    let mut measured = Measured {
        asked: asked.clone(),
        list_length: 0,
        list_bytes: 0,
        phases: BTreeMap::new(),
        costs: BTreeMap::new(),
    };
    let mut shown = BTreeMap::new();
    for way in Way::ALL {
        shown.insert(way, profiled(filled, way, &mut measured).await?);
        count(filled, way, &mut measured).await?;
    }
    time(filled, rounds, &mut measured).await?;
    let both = shown.remove(&Way::Shards).zip(shown.remove(&Way::Terms));
    let difference =
        both.and_then(|(by_shards, by_terms)| Difference::between(asked, by_shards, by_terms));
    Ok((measured, difference))
}

/// Asks a cold root for the waterfall, which has the phases and what the lists came to.
async fn profiled(filled: &Filled, way: Way, measured: &mut Measured) -> Result<Shown> {
    let root = filled.new_root(Reached::Direct, way).await?;
    let request = measured.asked.request(way, Extra::Profile)?;
    let response = search(&root, &request).await?;
    let waterfall = response
        .profile
        .as_ref()
        .context("a profile was asked for")?;
    measured.phases.insert(way, phases(waterfall));
    if let Some(terms) = waterfall.terms {
        measured.list_length = terms.postings;
        measured.list_bytes = terms.list_bytes;
    }
    Ok(Shown::of(&response))
}

fn phases(waterfall: &Waterfall) -> Vec<(&'static str, usize)> {
    let mut phases: Vec<(&'static str, usize)> = Vec::new();
    for attempt in &waterfall.attempts {
        match phases.iter_mut().find(|(phase, _)| *phase == attempt.phase) {
            Some((_, calls)) => *calls += 1,
            None => phases.push((attempt.phase, 1)),
        }
    }
    phases
}

async fn count(filled: &Filled, way: Way, measured: &mut Measured) -> Result<()> {
    let root = filled.new_root(Reached::Proxied, way).await?;
    let request = measured.asked.request(way, Extra::Nothing)?;
    for warmth in Warmth::ALL {
        let before = filled.now().await;
        search(&root, &request).await?;
        let Counted {
            calls,
            leaves,
            bytes,
        } = before.until(&filled.now().await);
        let cost = Cost {
            calls,
            leaves,
            bytes_there: bytes.there,
            bytes_back: bytes.back,
            time: Duration::ZERO,
        };
        measured.costs.insert((way, warmth), cost);
    }
    Ok(())
}

/// Takes the times, both ways in turn, so that other work on the machine meets both.
async fn time(filled: &Filled, rounds: usize, measured: &mut Measured) -> Result<()> {
    let mut times: BTreeMap<(Way, Warmth), Vec<Duration>> = BTreeMap::new();
    for _ in 0..rounds.max(1) {
        for way in Way::ALL {
            let root: Root = filled.new_root(Reached::Direct, way).await?;
            let request = measured.asked.request(way, Extra::Nothing)?;
            for warmth in Warmth::ALL {
                let (_, took) = timed(&root, &request).await?;
                times.entry((way, warmth)).or_default().push(took);
            }
        }
    }
    for (at, mut times) in times {
        times.sort_unstable();
        if let Some(cost) = measured.costs.get_mut(&at) {
            cost.time = times[times.len() / 2];
        }
    }
    Ok(())
}
