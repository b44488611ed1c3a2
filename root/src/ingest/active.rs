//! Waiting for copies before a write (`wait_for_active_shards`).
//!
//! Does: counts the copies of a shard that serve in sync, until there are enough or the time is up. Does not: say that a
//! write reached as many; it is looked once before it. Called by: [`super`]. Read first: [`Ingester::with_copies`].

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{ActiveShards, IndexMeta, ShardKey};
use gleaner_proto::read::{ShardPhase, ShardState};
use tokio::time::timeout;

use super::{IngestOptions, IngestResult, Parts, RoutedWrite};
use crate::RootError;
use crate::deadline::Deadline;
use crate::ingest::Ingester;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Longest wait for what a leaf tells of its copies: it answers from memory.
const STATES_PATIENCE: Duration = Duration::from_secs(1);

/// Writes by shard.
type Groups = BTreeMap<ShardKey, Vec<RoutedWrite>>;

/// How many copies were wanted, and how many there were.
struct Lack {
    wanted: ActiveShards,
    num_wanted: u32,
    num_active: u32,
    waited: Duration,
}

impl Ingester {
    /// Waits until the shards that are written to have as many copies in sync as is asked for; answers the writes
    /// of those that have not by their deadlines, and returns the others.
    pub(super) async fn with_copies(
        &self,
        groups: Groups,
        (options, parts): (&IngestOptions, &Parts),
        results: &mut [Option<IngestResult>],
    ) -> Groups {
        let waiting = groups.iter().filter(|(_, writes)| waits(writes, options));
        let lacking = waiting.map(|(shard, writes)| async move {
            let index = &writes.first()?.index;
            let deadline = parts.deadline(*shard);
            let lack = self.lack_of_copies(index, *shard, wanted(index, options), deadline);
            lack.await.map(|lack| (*shard, lack))
        });
        let lacking = join_all(lacking).await;
        let lacking: BTreeMap<ShardKey, Lack> = lacking.into_iter().flatten().collect();
        let mut kept = groups;
        for (shard, lack) in lacking {
            let writes = kept.remove(&shard).unwrap_or_default();
            let num_writes = writes.len();
            for write in writes {
                let result = refused(shard, &lack, num_writes, &write);
                results[write.at] = Some(result);
            }
        }
        kept
    }

    /// Returns what is missing when the deadline has passed; nothing where there are enough copies.
    async fn lack_of_copies(
        &self,
        index: &IndexMeta,
        shard: ShardKey,
        wanted: ActiveShards,
        deadline: Deadline,
    ) -> Option<Lack> {
        let num_wanted = wanted.number(&index.settings);
        let limit = deadline.remaining();
        loop {
            let num_active = self.num_active(shard).await;
            if num_active >= num_wanted {
                return None;
            }
            if deadline.remaining() <= LOOK_EVERY {
                return Some(Lack {
                    wanted,
                    num_wanted,
                    num_active,
                    waited: limit,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns how many copies of a shard serve and hold everything acknowledged.
    async fn num_active(&self, shard: ShardKey) -> u32 {
        let leaves = &self.cluster.leaves;
        if leaves.copies_agree() {
            let copies = leaves.in_sync(shard);
            let book = self.refresher.health.open();
            let there = copies.iter().filter(|copy| !book.is_out(&copy.node, shard));
            return there.count() as u32;
        }
        let copies = leaves.copies(shard);
        let asked = copies.iter().map(|copy| async {
            let states = timeout(STATES_PATIENCE, copy.client.shard_states());
            let states = states.await.ok().and_then(Result::ok).unwrap_or_default();
            let serves = |state: &ShardState| {
                let is_old = state.reason.is_some();
                state.shard == shard && state.phase == ShardPhase::Started && !is_old
            };
            states.iter().any(serves)
        });
        let serving = join_all(asked).await;
        serving.into_iter().filter(|serves| *serves).count() as u32
    }
}

/// Returns how many copies a write to an index waits for.
fn wanted(index: &IndexMeta, options: &IngestOptions) -> ActiveShards {
    let asked = options.active_shards;
    asked.unwrap_or_else(|| ActiveShards::of_writes(&index.settings))
}

/// Returns whether writes of one shard wait for more than its primary, whose affair a write is in any case.
pub(super) fn waits(writes: &[RoutedWrite], options: &IngestOptions) -> bool {
    writes.first().is_some_and(|write| {
        let index = &write.index;
        wanted(index, options).number(&index.settings) > 1
    })
}

/// Returns the answer to a write whose shard has too few copies, as the dialect words it.
fn refused(shard: ShardKey, lack: &Lack, num_writes: usize, write: &RoutedWrite) -> IngestResult {
    let name = write.index.name.as_str();
    let request = format!(
        "[BulkShardRequest [[{name}][{}]] containing [{num_writes}] requests]",
        shard.shard
    );
    let reason = format!(
        "[{name}][{}] Not enough active copies to meet shard count of [{}] (have {}, needed {}). \
         Timeout: [{}], request: {request}",
        shard.shard,
        lack.wanted,
        lack.num_active,
        lack.num_wanted,
        shown_time(lack.waited),
    );
    IngestResult {
        index: name.to_owned(),
        id: write.item.id.to_string(),
        shard: Some(shard),
        outcome: Err(RootError::TooFewCopies(reason)),
        forced_refresh: false,
        shown: std::sync::Arc::default(),
    }
}

/// Returns a time in the largest unit that shows it whole.
fn shown_time(time: Duration) -> String {
    // A deadline that was set a moment ago has lost a little.
    let millis = (time + Duration::from_micros(999)).as_millis();
    match millis {
        0 => "0s".to_owned(),
        millis if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        millis if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use gleaner_proto::write::WriteOutcome;
    use serde_json::json;

    use super::*;
    use crate::RootOptions;
    use crate::ingest::tests::item;
    use crate::testing::{Cluster, index};

    fn replicated(number_of_replicas: u32) -> IndexMeta {
        let mut index = index(1, &json!({}));
        index.settings.number_of_replicas = number_of_replicas;
        index
    }

    async fn written(
        cluster: &Cluster,
        wanted: &str,
        timeout_ms: u64,
    ) -> Result<WriteOutcome, String> {
        let options = IngestOptions {
            active_shards: wanted.parse().ok(),
            timeout: Some(Duration::from_millis(timeout_ms)),
            ..IngestOptions::default()
        };
        let items = vec![item("index-1", Some("a"))];
        let ingester = cluster.root.ingester();
        let result = ingester.ingest(items, &options).await.remove(0);
        result.outcome.map_err(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_waits_for_copies_until_its_time_is_up() {
        let index = replicated(2);
        let cluster = Cluster::new(2, [index], RootOptions::default());
        cluster.leaves_agree.store(true, Ordering::Relaxed);
        for wanted in ["0", "1", "2"] {
            written(&cluster, wanted, 1_000).await.expect(wanted);
        }
        for (wanted, counted) in [("3", "3"), ("all", "ALL")] {
            let fault = written(&cluster, wanted, 1_000).await.expect_err(wanted);
            let expected = format!(
                "] Not enough active copies to meet shard count of [{counted}] (have 2, needed 3). \
                 Timeout: [1s], request: [BulkShardRequest [[index-1]["
            );
            assert!(fault.contains(&expected), "{fault}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn copies_that_do_not_tell_are_not_counted() {
        let index = replicated(1);
        let cluster = Cluster::new(2, [index], RootOptions::default());
        let fault = written(&cluster, "2", 100).await.expect_err("nobody tells");
        assert!(
            fault.contains("(have 0, needed 2). Timeout: [100ms]"),
            "{fault}"
        );
    }
}
