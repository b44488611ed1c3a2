//! Waiting for copies before a write (`wait_for_active_shards`).
//!
//! Does: counts the copies that serve in sync, of all shards at once, and writes to each shard as soon as it has enough.
//! Does not: say that a write reached as many; the copies are counted once before it. Called by: [`super`]. Read first:
//! [`Ingester::write_with_copies`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use futures::stream::{self, StreamExt as _};
use gleaner_model::{ActiveShards, IndexMeta, IndexUuid, NodeId, ShardKey};
use gleaner_proto::read::{ShardPhase, ShardState};
use tokio::time::timeout;

use super::groups::{Group, PlacedResult};
use super::{IngestOptions, IngestResult, Parts};
use crate::RootError;
use crate::deadline::Deadline;
use crate::ingest::Ingester;
use crate::leaves::{Copies, LeafHandle};

/// Until copies are counted for the second time; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause between two counts: each may ask all leaves.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Longest wait for what a leaf tells of its copies.
const STATES_PATIENCE: Duration = Duration::from_secs(1);

/// Groups whose shards lack copies.
struct Waiting {
    groups: Vec<Group>,
    /// Until their copies are counted again.
    pause: Duration,
}

/// What a count of copies has settled.
#[derive(Default)]
struct Settled {
    /// Groups that can be written.
    ready: Vec<Group>,
    /// Groups whose time is up.
    late: Vec<(Group, Lack)>,
}

/// How many copies were wanted, and how many there were.
struct Lack {
    wanted: ActiveShards,
    num_wanted: u32,
    num_active: u32,
}

impl Ingester {
    /// Writes groups, each as soon as its shard has as many copies in sync as is asked for; refuses those whose shards
    /// have not by their deadlines. In a box, as what is rare would make the future of each write large.
    pub(super) fn write_with_copies<'a>(
        &'a self,
        groups: Vec<Group>,
        options: &'a IngestOptions,
        parts: &'a Parts,
    ) -> BoxFuture<'a, Vec<PlacedResult>> {
        // Each count that ends a pause settles a group.
        let most = groups.len();
        let pause = Duration::ZERO;
        let counts = stream::unfold(Waiting { groups, pause }, move |waiting| {
            self.settled(waiting, options)
        });
        let answers = counts.map(move |Settled { mut ready, late }| async move {
            for group in &mut ready {
                // The time that it waited for copies is not the write's.
                group.deadline = Deadline::after(parts.patience());
            }
            let mut results = self.write_groups(ready, options, parts).await;
            for (group, lack) in late {
                parts.note_in_vain(group.shard, group.deadline);
                results.extend(refused(&group, &lack, parts.patience()));
            }
            results
        });
        answers.buffer_unordered(most).concat().boxed()
    }

    /// Counts copies until that settles a group; `None` where none is left.
    async fn settled(
        &self,
        mut waiting: Waiting,
        options: &IngestOptions,
    ) -> Option<(Settled, Waiting)> {
        while !waiting.groups.is_empty() {
            if !waiting.pause.is_zero() {
                tokio::time::sleep(waiting.pause).await;
            }
            let shards = waiting.groups.iter().filter(|group| waits(group, options));
            let active = self
                .active_copies(shards.map(|group| group.shard).collect())
                .await;
            let mut settled = Settled::default();
            for group in std::mem::take(&mut waiting.groups) {
                match Lack::of(&group, options, &active) {
                    None => settled.ready.push(group),
                    Some(lack) if group.deadline.has_passed() => settled.late.push((group, lack)),
                    Some(_) => waiting.groups.push(group),
                }
            }
            let left = waiting
                .groups
                .iter()
                .map(|group| group.deadline.remaining());
            let pause = (waiting.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            waiting.pause = left.min().map_or(pause, |left| left.min(pause));
            if !settled.ready.is_empty() || !settled.late.is_empty() {
                return Some((settled, waiting));
            }
        }
        None
    }

    /// Returns how many copies of each shard serve and hold everything acknowledged.
    async fn active_copies(&self, shards: Vec<ShardKey>) -> BTreeMap<ShardKey, u32> {
        let leaves = &self.cluster.leaves;
        if leaves.copies_agree() {
            let counted = shards.into_iter().map(|shard| {
                let copies = leaves.in_sync(shard);
                let book = self.refresher.health.open();
                let there = copies.iter().filter(|copy| !book.is_out(&copy.node, shard));
                (shard, there.count() as u32)
            });
            return counted.collect();
        }
        let copies: Vec<(ShardKey, Copies)> = shards
            .into_iter()
            .map(|shard| (shard, leaves.copies(shard)))
            .collect();
        let holders: BTreeMap<&NodeId, &LeafHandle> = copies
            .iter()
            .flat_map(|(_, copies)| copies.iter().map(|copy| (&copy.node, copy)))
            .collect();
        let indices: BTreeSet<IndexUuid> = copies.iter().map(|(shard, _)| shard.index).collect();
        let indices: Vec<IndexUuid> = indices.into_iter().collect();
        let asked = holders.into_values().map(|leaf| async {
            let states = timeout(STATES_PATIENCE, leaf.client.shard_states_of(&indices));
            let states = states.await.ok().and_then(Result::ok).unwrap_or_default();
            let serving = states.iter().filter(|state| serves(state));
            let serving: BTreeSet<ShardKey> = serving.map(|state| state.shard).collect();
            (&leaf.node, serving)
        });
        let serving: BTreeMap<&NodeId, BTreeSet<ShardKey>> =
            join_all(asked).await.into_iter().collect();
        let counted = copies.iter().map(|(shard, copies)| {
            let there = copies
                .iter()
                .filter(|copy| serving[&copy.node].contains(shard));
            (*shard, there.count() as u32)
        });
        counted.collect()
    }
}

/// Returns whether a copy serves, and holds everything acknowledged.
fn serves(state: &ShardState) -> bool {
    let is_old = state.reason.is_some();
    state.phase == ShardPhase::Started && !is_old
}

impl Lack {
    /// Returns what the shard of a group lacks, by the copies that were counted; `None` where it has enough.
    fn of(
        group: &Group,
        options: &IngestOptions,
        active: &BTreeMap<ShardKey, u32>,
    ) -> Option<Self> {
        if !waits(group, options) {
            return None;
        }
        let wanted = wanted(&group.index, options);
        let num_wanted = wanted.number(&group.index.settings);
        let num_active = active.get(&group.shard).copied().unwrap_or_default();
        (num_active < num_wanted).then_some(Self {
            wanted,
            num_wanted,
            num_active,
        })
    }
}

/// Returns how many copies a write to an index waits for.
fn wanted(index: &IndexMeta, options: &IngestOptions) -> ActiveShards {
    let asked = options.active_shards;
    asked.unwrap_or_else(|| ActiveShards::of_writes(&index.settings))
}

/// Returns whether writes of one shard wait for more than its primary, whose affair a write is in any case.
pub(super) fn waits(group: &Group, options: &IngestOptions) -> bool {
    let index = &group.index;
    wanted(index, options).number(&index.settings) > 1
}

/// Returns the answers to writes whose shard has too few copies, as the dialect words them.
fn refused<'a>(
    group: &'a Group,
    lack: &Lack,
    waited: Duration,
) -> impl Iterator<Item = PlacedResult> + 'a {
    let Group {
        shard,
        index,
        positions,
        ..
    } = group;
    let (name, number) = (index.name.as_str(), shard.shard);
    let reason = format!(
        "[{name}][{number}] Not enough active copies to meet shard count of [{}] (have {}, needed {}). \
         Timeout: [{}], request: [BulkShardRequest [[{name}][{number}]] containing [{}] requests]",
        lack.wanted,
        lack.num_active,
        lack.num_wanted,
        shown_time(waited),
        positions.len(),
    );
    positions.iter().map(move |(at, id)| {
        let result = IngestResult {
            index: name.to_owned(),
            id: id.to_string(),
            shard: Some(*shard),
            outcome: Err(RootError::TooFewCopies(reason.clone())),
            forced_refresh: false,
            shown: Arc::default(),
        };
        (*at, result)
    })
}

/// Returns a time in the largest unit that shows it whole.
fn shown_time(time: Duration) -> String {
    match time.as_millis() {
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
    use crate::ingest::IngestItem;
    use crate::ingest::tests::item;
    use crate::testing::{Cluster, index, shard};

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

    fn started(shard: ShardKey) -> ShardState {
        ShardState::empty(shard, false, ShardPhase::Started)
    }

    /// Two shards with a copy on each of two leaves; the second leaf serves the first shard alone.
    fn half_served() -> Cluster {
        let cluster = Cluster::new(2, [replicated(1)], RootOptions::default());
        let (first, second) = (started(shard(1, 0)), started(shard(1, 1)));
        *cluster.leaves[0].states.lock() = vec![first.clone(), second];
        *cluster.leaves[1].states.lock() = vec![first];
        cluster
    }

    fn for_all(timeout: Duration) -> IngestOptions {
        IngestOptions {
            active_shards: Some(ActiveShards::All),
            timeout: Some(timeout),
            ..IngestOptions::default()
        }
    }

    fn items() -> Vec<IngestItem> {
        let ids = (0..20).map(|n| format!("id-{n}"));
        ids.map(|id| item("index-1", Some(&id))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_with_its_copies_does_not_wait_for_one_that_lacks_them() {
        let cluster = half_served();
        let root = Arc::clone(&cluster.root);
        let options = for_all(Duration::from_secs(60));
        let written = tokio::spawn(async move { root.ingester().ingest(items(), &options).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shards = |cluster: &Cluster| {
            let written = cluster.leaves[0].written.lock();
            written.iter().map(|call| call.shard).collect::<Vec<_>>()
        };
        assert_eq!(shards(&cluster), [shard(1, 0)], "it is not waited for");
        assert!(!written.is_finished());
        // The copy comes.
        let second = started(shard(1, 1));
        cluster.leaves[1].states.lock().push(second);
        let results = written.await.expect("answered");
        assert!(results.iter().all(|result| result.outcome.is_ok()));
        assert_eq!(shards(&cluster), [shard(1, 0), shard(1, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_waited_for_once_in_all_parts() {
        let cluster = half_served();
        let (ingester, options) = (cluster.root.ingester(), for_all(Duration::from_secs(10)));
        let parts = ingester.begin_parts(&options);
        let begun = tokio::time::Instant::now();
        for _ in 0..5 {
            let results = ingester.ingest_part(items(), &options, &parts).await;
            for IngestResult { shard, outcome, .. } in results {
                let lacks_copies = shard.is_some_and(|shard| shard.shard.0 == 1);
                assert_eq!(outcome.is_err(), lacks_copies, "{shard:?}");
                if let Err(error) = outcome {
                    assert!(error.to_string().contains("Timeout: [10s]"), "{error}");
                }
            }
        }
        assert_eq!(begun.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_asks_each_leaf_once_for_all_shards() {
        let cluster = half_served();
        let options = for_all(Duration::ZERO);
        cluster.root.ingester().ingest(items(), &options).await;
        cluster.each(|leaf| assert_eq!(leaf.num_states.load(Ordering::Relaxed), 1));
    }
}
