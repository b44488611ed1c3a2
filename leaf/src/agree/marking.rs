//! What this node's copies in sync hold, noted outside of its folder from time to time.
//!
//! A mark is a lower bound: all of a copy's history below it is agreed, and durable here. Where the store is away marks age
//! and nothing else stops. Nothing is written while nothing is agreed. Called by the leaf. Read first:
//! [`Agreeing::keep_marks`]; [`super::remembering`] compares.

use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::CoordinatorError;
use gleaner_coordinator::marks::{CopyMark, NodeMarks};
use gleaner_model::{PrimaryTerm, ShardKey};
use tokio::time::MissedTickBehavior;

use super::driver::CopyDriver;
use super::hub::Agreeing;
use crate::node::Node;

/// How often copies are looked at: what was agreed later is not missed where a folder is lost.
const EVERY: Duration = Duration::from_secs(2);

/// How long a leaf that stops waits until its last marks are noted.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The marks of this node as the store has them; `None` until they were read.
#[derive(Debug, Default)]
pub(super) struct NotedMarks(tokio::sync::Mutex<Option<NodeMarks>>);

impl Agreeing {
    /// Notes what copies hold until the leaf stops.
    pub(crate) async fn keep_marks(self: Arc<Self>, node: Arc<Node>) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = node.stopped() => return,
            }
            let noted = self.note_marks(&self.drivers(), node.now_ms()).await;
            match (&noted, is_failing) {
                (Err(error), false) => tracing::warn!(
                    %error,
                    "what copies hold is not noted outside of the data folder: losses of this folder would not be noticed"
                ),
                (Ok(()), true) => tracing::info!("what copies hold is noted again"),
                _ => {}
            }
            is_failing = noted.is_err();
        }
    }

    /// Notes what the copies of a leaf that stops hold at its end.
    pub(crate) async fn note_last_marks(&self, drivers: &[Arc<CopyDriver>], now_ms: i64) {
        let noted = tokio::time::timeout(LAST_PATIENCE, self.note_marks(drivers, now_ms)).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::warn!("what copies hold at the end was not noted outside of the data folder");
        }
    }

    pub(super) async fn note_marks(
        &self,
        drivers: &[Arc<CopyDriver>],
        now_ms: i64,
    ) -> Result<(), CoordinatorError> {
        let mut noted = self.noted.0.lock().await;
        let known = match &*noted {
            Some(known) => known,
            None => noted.insert(self.marks.of_node(self.identity.node).await?),
        };
        let table = self.table();
        let gone = known
            .keys()
            .filter(|shard| !table.shards.contains_key(shard));
        let gone: Vec<ShardKey> = gone.copied().collect();
        let marks = drivers
            .iter()
            .filter_map(|driver| Some((driver.shard, driver.mark(now_ms)?)));
        let marks: NodeMarks = marks
            .filter(|(shard, mark)| is_news(known.get(shard), mark))
            .collect();
        if gone.is_empty() && marks.is_empty() {
            return Ok(());
        }
        let changed = gone.iter().chain(marks.keys()).copied().collect();
        let mut next = known.clone();
        next.retain(|shard, _| table.shards.contains_key(shard));
        next.extend(marks);
        let written = self.marks.write(self.identity.node, &next, &changed).await;
        if written.is_ok() {
            *noted = Some(next);
        }
        written
    }
}

impl CopyDriver {
    /// Returns what a copy in sync holds, as of now.
    fn mark(&self, noted_ms: i64) -> Option<CopyMark> {
        let (entry, position, term) = self.agreed_by_entry()?;
        // The machine may have heard of another history, and is closed then.
        let is_named = entry.in_sync.contains(&self.copy) && entry.history == self.history;
        is_named.then(|| CopyMark {
            copy: self.copy,
            history: self.history,
            position,
            term: term.unwrap_or(PrimaryTerm(0)),
            noted_ms,
        })
    }
}

/// Returns whether a mark replaces the one before: it is of another copy or history, or its position is higher. A copy that was
/// just opened may report a lower position, although it holds all that it held.
fn is_news(old: Option<&CopyMark>, new: &CopyMark) -> bool {
    old.is_none_or(|old| {
        let is_of_same = old.copy == new.copy && old.history == new.history;
        !is_of_same || new.position > old.position
    })
}

#[cfg(test)]
mod tests {
    use gleaner_model::{CopyId, HistoryId, SeqNo};

    use super::*;

    #[test]
    fn a_mark_never_falls_but_for_another_copy_or_history() {
        let mark = |copy: u8, history: u8, position: u64| CopyMark {
            copy: CopyId([copy; 16]),
            history: HistoryId([history; 16]),
            position: SeqNo(position),
            term: PrimaryTerm(1),
            noted_ms: position as i64,
        };
        let old = mark(1, 1, 10);
        assert!(is_news(None, &old));
        assert!(is_news(Some(&old), &mark(1, 1, 11)));
        for position in [9, 10] {
            assert!(!is_news(Some(&old), &mark(1, 1, position)));
        }
        assert!(is_news(Some(&old), &mark(2, 1, 3)));
        assert!(is_news(Some(&old), &mark(1, 2, 3)));
    }
}
