//! Which faults there are, and a walk of them by a seed.

use std::time::Duration;

use anyhow::Result;
use gleaner_datasets::Random;
use tokio::time::sleep;

use super::clients::Clients;
use super::cluster::{Cluster, LEAVES};

/// The longest that a leaf stands still, milliseconds: longer than its lease.
const MAX_STILL_MS: u64 = 8_000;

/// Of so many faults one comes before the leaf of the last one is back in sync.
const OVERLAPS: u64 = 3;

/// What is done to a leaf.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It ends as `kill -9` does.
    Killed,
    /// It is stopped in its tracks for a while.
    Still(Duration),
    /// It stops in order.
    Stopped,
}

impl Fault {
    fn drawn(random: &mut Random) -> Self {
        match random.below(3) {
            0 => Self::Killed,
            1 => Self::Still(Duration::from_millis(200 + random.below(MAX_STILL_MS))),
            _ => Self::Stopped,
        }
    }

    async fn strike(self, cluster: &mut Cluster, leaf: &str) -> Result<()> {
        match self {
            Self::Killed => cluster.kill(leaf),
            Self::Still(_) => cluster.signal(leaf, "-STOP"),
            Self::Stopped => cluster.stop(leaf).await,
        }
    }

    async fn mend(self, cluster: &mut Cluster, leaf: &str) -> Result<()> {
        match self {
            Self::Killed | Self::Stopped => cluster.start_again(leaf),
            Self::Still(lasts) => {
                // How long it stands still is the fault.
                sleep(lasts).await;
                cluster.signal(leaf, "-CONT")
            }
        }
    }
}

/// Strikes leaves so many times, each while the clients write; at the end all copies are in sync.
pub(crate) async fn walk(
    cluster: &mut Cluster,
    clients: &Clients,
    random: &mut Random,
    num_faults: usize,
) -> Result<()> {
    let mut num_struck = 0;
    while num_struck < num_faults {
        let first = random.below(LEAVES.len() as u64) as usize;
        let fault = Fault::drawn(random);
        fault.strike(cluster, LEAVES[first]).await?;
        num_struck += 1;
        // Another copy of each shard is in sync: it takes over.
        if !matches!(fault, Fault::Still(_)) {
            clients.until_all_acknowledge().await?;
        }
        if num_struck < num_faults && random.below(OVERLAPS) == 0 {
            let second = LEAVES[(first + 1) % LEAVES.len()];
            let other = Fault::drawn(random);
            other.strike(cluster, second).await?;
            num_struck += 1;
            other.mend(cluster, second).await?;
        }
        fault.mend(cluster, LEAVES[first]).await?;
        cluster.until_green().await?;
        clients.until_all_acknowledge().await?;
    }
    Ok(())
}
