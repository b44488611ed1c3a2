//! Waiting until the shards of a new index serve (`wait_for_active_shards`).

use std::time::{Duration, Instant};

use gleaner_model::IndexMeta;

use crate::error::ApiError;
use crate::request::Request;
use crate::route::Parameter;
use crate::routes::cluster::Health;

/// The parameter that names how many copies to wait for.
pub(super) const WAIT: &[Parameter] = &[Parameter::honoured("wait_for_active_shards")];

/// Longest wait; the index is there all the same.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Between two looks: opening an empty shard takes a few milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How many copies of each shard are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActiveShards {
    All,
    AtLeast(u64),
}

impl ActiveShards {
    /// Reads the parameter; default one copy of each shard.
    pub(super) fn of(request: &Request) -> Result<Self, ApiError> {
        match request.parameters.get("wait_for_active_shards") {
            Some("all") => Ok(Self::All),
            _ => {
                let number = request.parameters.number("wait_for_active_shards")?;
                Ok(Self::AtLeast(number.unwrap_or(1)))
            }
        }
    }

    /// Waits; returns whether the copies are active. Copies that nobody holds are not waited for.
    pub(super) async fn wait(self, request: &Request, index: &IndexMeta) -> bool {
        let copies = 1 + u64::from(index.settings.number_of_replicas);
        let wanted = match self {
            Self::All => copies,
            Self::AtLeast(number) => number.min(copies),
        };
        let started = Instant::now();
        loop {
            let states = request.root().shard_states().await.copies;
            let health = Health::of_index(index, &states);
            let shards = u64::from(index.settings.number_of_shards);
            if health.active >= wanted * shards {
                return true;
            }
            // Replicas without a node will not come: waiting for the primaries is all that helps.
            let is_hopeless = health.active_primaries == shards && health.initializing == 0;
            if is_hopeless || started.elapsed() > TIMEOUT {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
