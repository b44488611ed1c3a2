//! Scatter by term against scatter by shard, over real sockets: the same answers, and what each costs.
//!
//! A root and four leaves in one process, each leaf behind its own gRPC server; the real engine; one
//! copy of each shard. Every search of the set is answered both ways and compared to the bit, and each
//! way pays in calls, bytes and time, once with a root that remembers nothing and once with one that has
//! just answered the same. Read [`write_page`] first.

mod asked;
mod cost;
mod crossing;
mod filled;
mod page;
mod same;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::corpus::{Corpus, Size};
use crate::report::tell;
use asked::Asked;
use cost::Measured;
use filled::Filled;
use same::Difference;

/// Leaves of the cluster.
const NUM_LEAVES: usize = 4;

/// Shards of the index on which every search is measured.
const NUM_SHARDS: u32 = 8;

/// Numbers of shards between which the crossing is looked for.
const LAYOUTS: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of shared collections; `None` uses generated documents and queries.
    pub data: Option<PathBuf>,
    /// Documents, at least one.
    pub num_documents: usize,
    /// Times that each search is timed; the median counts. At least one.
    pub rounds: usize,
    /// For the crossing every n-th search of the set is measured at each number of shards.
    pub every_nth: usize,
    /// How the program was started.
    pub command: String,
}

/// What was found at one number of shards.
struct Layout {
    num_shards: u32,
    /// In the order of the searches.
    measured: Vec<Measured>,
}

/// All that the page tells.
struct Found {
    /// Searches whose answers were compared.
    num_compared: usize,
    /// Those whose answers differ, at any number of shards.
    differences: Vec<Difference>,
    /// Every search, at [`NUM_SHARDS`].
    all: Vec<Measured>,
    /// The worked example: `cat` and `dog`, all and any of them.
    worked: Vec<Measured>,
    /// Some searches, at all of [`LAYOUTS`].
    layouts: Vec<Layout>,
}

/// Measures everything, writes the page to `path` and returns how many answers differ.
///
/// # Errors
/// When something cannot be measured or written; nothing is written then.
pub async fn write_page(path: &Path, options: &Options) -> Result<usize> {
    let size = Size {
        articles: options.num_documents,
        notes: 0,
    };
    let corpus = Corpus::load(options.data.as_deref(), size)?;
    let asked = asked::all(options.data.as_deref())?;
    let found = measure(&corpus, &asked, options).await?;
    let page = page::render(&corpus, options, &found);
    std::fs::write(path, page).with_context(|| path.display().to_string())?;
    for difference in &found.differences {
        tell(&format!("{difference}"));
    }
    Ok(found.differences.len())
}

async fn measure(corpus: &Corpus, asked: &[Asked], options: &Options) -> Result<Found> {
    let sample: Vec<Asked> = asked
        .iter()
        .step_by(options.every_nth.max(1))
        .cloned()
        .collect();
    let mut found = Found {
        num_compared: 0,
        differences: Vec::new(),
        all: Vec::new(),
        worked: Vec::new(),
        layouts: Vec::new(),
    };
    for num_shards in LAYOUTS {
        tell(&format!("{num_shards} shards: indexing"));
        let filled = Filled::new(corpus, num_shards).await?;
        if num_shards == NUM_SHARDS {
            tell("comparing every search");
            for asked in asked {
                let difference = same::compare(&filled, asked).await?;
                found.differences.extend(difference);
            }
            found.num_compared = asked.len();
            tell("measuring every search");
            found.all = measured(&filled, asked, options.rounds, &mut found.differences).await?;
            let worked = asked::worked();
            let differences = &mut found.differences;
            found.worked = measured(&filled, &worked, options.rounds, differences).await?;
        }
        tell(&format!("{num_shards} shards: measuring"));
        let measured = measured(&filled, &sample, options.rounds, &mut found.differences).await?;
        found.layouts.push(Layout {
            num_shards,
            measured,
        });
    }
    Ok(found)
}

async fn measured(
    filled: &Filled,
    asked: &[Asked],
    rounds: usize,
    differences: &mut Vec<Difference>,
) -> Result<Vec<Measured>> {
    let mut all = Vec::with_capacity(asked.len());
    for asked in asked {
        let (measured, difference) = cost::measure(filled, asked, rounds).await?;
        all.push(measured);
        differences.extend(difference);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use asked::Way;
    use cost::Warmth;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_search_of_a_small_cluster_is_answered_alike_and_its_cost_is_counted()
    -> Result<()> {
        let size = Size {
            articles: 80,
            notes: 0,
        };
        let corpus = Corpus::load(None, size)?;
        let filled = Filled::new(&corpus, 3).await?;
        let asked = asked::all(None)?;
        let mut differences = Vec::new();
        for asked in &asked[..10] {
            differences.extend(same::compare(&filled, asked).await?);
        }
        let measured = measured(&filled, &asked[..10], 1, &mut differences).await?;
        assert_eq!(differences, []);
        for measured in measured {
            let cost = |way, warmth| measured.cost(way, warmth);
            for way in Way::ALL {
                let (cold, warm) = (cost(way, Warmth::Cold), cost(way, Warmth::Warm));
                let phases = measured.phases[&way].iter();
                let num_planned: usize = phases.map(|(_, calls)| calls).sum();
                assert_eq!(cold.calls, num_planned as u64, "{:?}", measured.asked);
                assert!(warm.calls <= cold.calls, "{:?}", measured.asked);
            }
            let by_shards = |warmth| cost(Way::Shards, warmth).bytes();
            // A warm root does not count statistics again.
            assert!(by_shards(Warmth::Warm) < by_shards(Warmth::Cold));
            // What comes back holds the lists, beside all else.
            let by_terms = cost(Way::Terms, Warmth::Cold);
            assert!(by_terms.bytes_back > measured.list_bytes);
        }
        Ok(())
    }
}
