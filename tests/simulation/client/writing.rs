//! Writes and refreshes, and what is known of their outcome.

use std::sync::Arc;
use std::time::Duration;

use gleaner_datasets::Random;
use gleaner_model::{ChosenTemplates, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{Condition, WriteAction, WriteFault};
use gleaner_root::RootError;
use gleaner_root::ingest::{IngestItem, IngestOptions, IngestResult, RefreshPolicy};
use gleaner_root::plan::Target;
use gleaner_root::visibility::CopyOutcome;
use tokio::time::sleep;

use super::Client;
use crate::cluster::{NUM_IDS, document_id, now, source};
use crate::history::Write;
use crate::schedule::{INDEX, millis, within};

/// Tries to make everything visible when all is well.
const LAST_REFRESHES: usize = 20;

impl Client {
    /// Writes until `end`.
    pub(super) async fn write_on(self: Arc<Self>, mut random: Random, end: Duration) {
        while self.pause(millis(&mut random, 5..90), end).await {
            let num_items = within(&mut random, 1..5);
            let items = (0..num_items).map(|_| draw(&mut random)).collect();
            let refresh = match random.below(8) {
                0 => RefreshPolicy::Immediate,
                1 => RefreshPolicy::WaitFor,
                _ => RefreshPolicy::None,
            };
            let timeout = [150, 600, 2_000][random.below(3) as usize];
            let timeout = Some(Duration::from_millis(timeout));
            let options = IngestOptions {
                active_shards: None,
                refresh,
                timeout,
                idempotency_key: None,
                new_name: None,
            };
            self.write(items, &options).await;
        }
    }

    async fn write(&self, items: Vec<IngestItem>, options: &IngestOptions) {
        let first = self.note_writes(&items);
        let results = self.root.ingester().ingest(items, options).await;
        let mut history = self.cluster.history.lock();
        let next_search = history.searches.len();
        for (result, at) in results.iter().zip(first..) {
            history.trace(now(), &format!("w{at} {}: {:?}", result.id, result.outcome));
            settle(&mut history.writes[at], result, next_search);
        }
    }

    fn note_writes(&self, items: &[IngestItem]) -> usize {
        let mut history = self.cluster.history.lock();
        let first = history.writes.len();
        for item in items {
            let id = item.id.as_deref().expect("every item has an id");
            let id = gleaner_model::DocumentId::parse(id).expect("a good id");
            let source = match &item.action {
                WriteAction::Index { source, .. } => Some(source.clone()),
                _ => None,
            };
            history.writes.push(Write {
                shard: self.cluster.shard_of(&id),
                id,
                source,
                begun: now(),
                acknowledged: None,
                is_refused: false,
                visible_from: None,
            });
        }
        first
    }

    /// Refreshes everything; returns whether all of it was acknowledged.
    pub(super) async fn refresh(&self) -> bool {
        let due = self.cluster.history.lock().writes.len();
        let acknowledged: Vec<bool> = {
            let history = self.cluster.history.lock();
            let writes = history.writes.iter();
            writes.map(|write| write.acknowledged.is_some()).collect()
        };
        let outcomes = self.root.refresher().refresh(&Target::default()).await;
        let outcomes = outcomes.expect("the index exists");
        let mut history = self.cluster.history.lock();
        let mut shown: Vec<ShardKey> = Vec::new();
        let primaries = first_of_each(&outcomes);
        for outcome in &primaries {
            if outcome.outcome.is_ok() {
                shown.push(outcome.shard);
            }
        }
        let failed: Vec<String> = outcomes
            .iter()
            .filter_map(|outcome| Some(outcome.outcome.as_ref().err()?.to_string()))
            .collect();
        let next_search = history.searches.len();
        history.trace(now(), &format!("refreshed {}, {failed:?}", shown.len()));
        for (write, was_acknowledged) in history.writes[..due].iter_mut().zip(acknowledged) {
            if was_acknowledged && shown.contains(&write.shard) {
                write.visible_from.get_or_insert(next_search);
            }
        }
        primaries.len() == shown.len()
    }

    /// Refreshes until all of it is acknowledged.
    pub(super) async fn make_all_visible(&self) {
        for _ in 0..LAST_REFRESHES {
            if self.refresh().await {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
        self.cluster
            .trace(|| "not everything was made visible".to_owned());
    }
}

/// Returns the outcomes of the primaries: the first of each shard.
fn first_of_each(outcomes: &[CopyOutcome]) -> Vec<&CopyOutcome> {
    let mut first: Vec<&CopyOutcome> = Vec::new();
    for outcome in outcomes {
        if first.last().is_none_or(|last| last.shard != outcome.shard) {
            first.push(outcome);
        }
    }
    first
}

/// Notes what became of a write; `next_search` is the number of the search that begins next.
fn settle(write: &mut Write, result: &IngestResult, next_search: usize) {
    match &result.outcome {
        Ok(outcome) => {
            write.acknowledged = Some(outcome.seq_no);
            let is_shown = result
                .shown
                .first()
                .is_some_and(|first| first.outcome.is_ok());
            if is_shown {
                write.visible_from = Some(next_search);
            }
        }
        Err(RootError::Write(WriteFault::Shard(LeafFault::Indeterminate { .. }))) => {}
        Err(_) => write.is_refused = true,
    }
}

fn draw(random: &mut Random) -> IngestItem {
    let id = document_id(random.below(NUM_IDS)).to_string();
    let action = match random.below(6) {
        0 => WriteAction::Delete,
        1 => WriteAction::Index {
            source: source(random),
            create: true,
        },
        _ => WriteAction::Index {
            source: source(random),
            create: false,
        },
    };
    IngestItem {
        index: INDEX.to_owned(),
        id: Some(id),
        routing: None,
        action,
        condition: Condition::None,
        require_alias: false,
        require_data_stream: false,
        templates: ChosenTemplates::default(),
    }
}
