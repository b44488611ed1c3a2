//! Lifecycles: indices that are replaced and deleted when the policy that they name, or their data stream, says so.
//!
//! Every root looks, now and then. Each step is one change of the cluster state that is made from the newest one, so
//! two roots that look at the same time take it once. A policy acts on what its last author may manage. Does not: move,
//! shrink or merge indices; such actions of a policy are kept and change nothing. Called by: `cli`, which has a root
//! look, and `api`, which explains. Read first: [`standing`].

mod due;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gleaner_model::{ClusterState, IndexMeta, IndexUuid, LifecyclePolicy};
use gleaner_query::lifecycle::{Phase, Progress, Step, StepKey, read_policy};
use gleaner_query::settings::cluster;

use crate::{Root, RootError};

pub(crate) use due::{expired, is_rollover_due, rollovers};

/// The indices that were due to be deleted when this root looked last, so that a clock that jumps once deletes nothing.
pub(crate) type SeenDue = parking_lot::Mutex<BTreeSet<IndexUuid>>;

/// Names the policy of an index.
const NAME: &str = "index.lifecycle.name";
/// The alias that goes on with the next index.
const ROLLOVER_ALIAS: &str = "index.lifecycle.rollover_alias";
/// Says that nothing is written to an index any more, so that it ages without being replaced.
const INDEXING_COMPLETE: &str = "index.lifecycle.indexing_complete";
/// Milliseconds since the epoch from which the age of an index counts, instead of when it was made.
const ORIGINATION_DATE: &str = "index.lifecycle.origination_date";
/// Says whether the policy of an index goes before the lifecycle of its data stream.
const PREFER_ILM: &str = "index.lifecycle.prefer_ilm";
/// Says that nothing is done to an index.
const SKIP: &str = "index.lifecycle.skip";

/// Where an index stands under its policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Name of the policy.
    pub policy: String,
    /// The policy, where there is one of that name.
    pub kept: Option<LifecyclePolicy>,
    /// The phase that it is in; `None`: it is too young for the first.
    pub phase: Option<&'static str>,
    /// What it waits for.
    pub wait: Wait,
    /// Whether nothing is done to it, by `index.lifecycle.skip`.
    pub is_skipped: bool,
    /// From when its age counts, milliseconds since the epoch.
    pub since_ms: i64,
    /// Actions of the phase that are kept and change nothing.
    pub without_effect: Vec<String>,
    /// Why the policy cannot be carried out.
    pub error: Option<String>,
}

/// What an index waits for under its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// To be replaced.
    Rollover,
    /// To be deleted.
    Delete,
    /// To grow older.
    Age,
}

impl Standing {
    /// Returns the action that the index waits for, and its step.
    pub fn step(&self) -> (&'static str, &'static str) {
        match self.wait {
            Wait::Rollover => ("rollover", "check-rollover-ready"),
            Wait::Delete => ("delete", "delete"),
            Wait::Age => ("complete", "complete"),
        }
    }

    /// Returns where the index stands as requests name it; at a step that cannot be taken its name is `ERROR`.
    pub fn step_key(&self) -> StepKey {
        let (action, step) = self.step();
        let name = if self.error.is_some() { "ERROR" } else { step };
        StepKey {
            phase: self.phase.unwrap_or("new").to_owned(),
            action: Some(action.to_owned()),
            name: Some(name.to_owned()),
        }
    }
}

/// Returns the name of the policy of an index.
pub fn policy_name(index: &IndexMeta) -> Option<&str> {
    setting(index, NAME).filter(|name| !name.is_empty())
}

/// Returns whether the policy of an index goes before the lifecycle of its data stream.
pub fn prefers_policy(index: &IndexMeta) -> bool {
    setting(index, PREFER_ILM) != Some("false")
}

/// Returns the name of the policy that is carried out on an index: none where the lifecycle of its data stream goes
/// before that.
fn followed_policy<'a>(state: &ClusterState, index: &'a IndexMeta) -> Option<&'a str> {
    let name = policy_name(index)?;
    if prefers_policy(index) {
        return Some(name);
    }
    let stream = state.data_stream_of(&index.uuid);
    let lifecycle = stream.and_then(|(_, stream)| stream.lifecycle.as_ref());
    match lifecycle {
        Some(lifecycle) if lifecycle.is_enabled => None,
        _ => Some(name),
    }
}

/// Returns where an index stands under its policy; `None` where it follows none.
pub fn standing(state: &ClusterState, index: &IndexMeta, now_ms: i64) -> Option<Standing> {
    let name = followed_policy(state, index)?;
    let mut standing = Standing {
        policy: name.to_owned(),
        kept: state.lifecycles.policies.get(name).cloned(),
        phase: None,
        wait: Wait::Age,
        is_skipped: is_skipped(index),
        since_ms: since_ms(state, index),
        without_effect: Vec::new(),
        error: None,
    };
    let Some(kept) = &standing.kept else {
        standing.error = Some(format!("policy [{name}] does not exist"));
        return Some(standing);
    };
    let policy = match read_policy(&kept.declared) {
        Ok(policy) => policy,
        Err(error) => {
            standing.error = Some(error.reason);
            return Some(standing);
        }
    };
    let Some((phase, step)) = policy.stand(&progress(state, index, now_ms)) else {
        return Some(standing);
    };
    standing.phase = Some(phase.name);
    standing.without_effect = Phase::actions_without_effect(phase).to_vec();
    if standing.is_skipped {
        return Some(standing);
    }
    let (wait, refused) = match step {
        Step::Rollover(_) => {
            let target = due::rollover_target(kept, state, index);
            (Wait::Rollover, target.err())
        }
        Step::Delete => {
            let checked = due::check_deletion_by(kept, state, index);
            (Wait::Delete, checked.err())
        }
        Step::Complete => (Wait::Age, None),
    };
    (standing.wait, standing.error) = (wait, refused);
    Some(standing)
}

/// Returns the alias that goes on with the next index when this one is replaced.
pub(crate) fn rollover_alias(index: &IndexMeta) -> Option<&str> {
    setting(index, ROLLOVER_ALIAS).filter(|alias| !alias.is_empty())
}

fn setting<'a>(index: &'a IndexMeta, key: &str) -> Option<&'a str> {
    index.settings.declared.get(key)?.as_str()
}

fn is_skipped(index: &IndexMeta) -> bool {
    setting(index, SKIP) == Some("true")
}

/// Returns from when on the age of an index counts, milliseconds since the epoch: as it says itself, or when another index took its
/// place, or when it was made.
pub fn since_ms(state: &ClusterState, index: &IndexMeta) -> i64 {
    let declared = setting(index, ORIGINATION_DATE).and_then(|date| date.parse().ok());
    declared.unwrap_or_else(|| {
        // The clocks of two roots may differ.
        let replaced = replaced_ms(state, index).unwrap_or(index.created_ms);
        replaced.max(index.created_ms)
    })
}

/// Returns when another index took the place of this one. Versions that did not note it made the next index of a data
/// stream then.
fn replaced_ms(state: &ClusterState, index: &IndexMeta) -> Option<i64> {
    index.rolled_over_ms.or_else(|| {
        let (_, stream) = state.data_stream_of(&index.uuid)?;
        let mut later = stream
            .indices
            .iter()
            .skip_while(|uuid| **uuid != index.uuid);
        let next = later.nth(1)?;
        Some(state.indices.get(next)?.created_ms)
    })
}

fn age(state: &ClusterState, index: &IndexMeta, now_ms: i64) -> Duration {
    let ms = now_ms.saturating_sub(since_ms(state, index));
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Returns how far an index has come under its policy.
fn progress<'a>(state: &'a ClusterState, index: &IndexMeta, now_ms: i64) -> Progress<'a> {
    let moved = state.lifecycles.moved.get(&index.uuid);
    // Another policy may have phases of the same names, and is followed from its first one.
    let moved = moved.filter(|moved| policy_name(index) == Some(&moved.policy));
    Progress {
        age: age(state, index, now_ms),
        is_replaced: is_replaced(state, index),
        moved_to: moved.map(|moved| moved.phase.as_str()),
    }
}

fn is_replaced(state: &ClusterState, index: &IndexMeta) -> bool {
    replaced_ms(state, index).is_some() || setting(index, INDEXING_COMPLETE) == Some("true")
}

impl Root {
    /// Carries out lifecycles, again and again, for as long as it is polled.
    pub async fn carry_out_lifecycles(&self) {
        let mut changes = self.cluster.coordinator().watch();
        loop {
            let looked = Instant::now();
            // Another interval may be set meanwhile.
            while let Some(left) = self.poll_interval().checked_sub(looked.elapsed()) {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    changed = changes.changed() => if changed.is_err() {
                        return;
                    },
                }
            }
            if let Err(error) = self.look_at_lifecycles().await {
                tracing::warn!(%error, "lifecycles could not be carried out");
            }
        }
    }

    fn poll_interval(&self) -> Duration {
        let state = self.cluster.state();
        cluster::time(state.settings(), cluster::LIFECYCLE_POLL_INTERVAL)
            .unwrap_or(cluster::DEFAULT_LIFECYCLE_POLL_INTERVAL)
    }

    /// Deletes and replaces the indices whose time has come; deletes only what was due when it looked last, too.
    ///
    /// # Errors
    /// [`RootError::Coordinator`]; an alias that cannot go on does not keep others from it.
    pub async fn look_at_lifecycles(&self) -> Result<(), RootError> {
        let deleted = self.delete_expired().await;
        self.roll_over_due().await;
        deleted
    }

    async fn delete_expired(&self) -> Result<(), RootError> {
        let due = expired(&self.cluster.state(), self.cluster.now_ms());
        let due: BTreeSet<IndexUuid> = due.iter().map(|index| index.uuid).collect();
        let seen = std::mem::replace(&mut *self.seen_due.lock(), due.clone());
        let confirmed: BTreeSet<IndexUuid> = due.intersection(&seen).copied().collect();
        // Nothing is asked of the coordinator where nothing is due.
        if confirmed.is_empty() {
            return Ok(());
        }
        self.admin.delete_expired(&confirmed).await
    }

    /// Takes the steps that are due at once, but deletes nothing.
    pub async fn retry_lifecycles(&self) {
        self.roll_over_due().await;
    }

    async fn roll_over_due(&self) {
        let due = rollovers(&self.cluster.state(), self.cluster.now_ms());
        if due.is_empty() {
            return;
        }
        let states = self.reader.shard_states().await;
        for (target, request) in due {
            match self.roll_over_if_due(&target, &request, &states).await {
                Ok(Some(report)) if report.rolled_over => {
                    let (old, new) = (report.old_index, report.new_index);
                    tracing::info!(target, old, new, "an index was replaced by its lifecycle");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(target, %error, "an index could not be replaced by its lifecycle");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
