//! Lifecycles: indices that are replaced and deleted when the policy that they name, or their data stream, says so.
//!
//! Every root looks, now and then. Each step is one change of the cluster state that is made from the newest one, so
//! two roots that look at the same time take it once. Does not: move, shrink or merge indices; such actions of a policy
//! are kept and change nothing. Called by: `cli`, which has a root look, and `api`, which explains. Read first:
//! [`standing`].

mod due;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::{ClusterState, IndexMeta, LifecyclePolicy};
use gleaner_query::lifecycle::{Phase, Step, read_policy};
use gleaner_query::settings::cluster;

use crate::{Root, RootError};

pub(crate) use due::{expired, rollovers};

/// Names the policy of an index.
const NAME: &str = "index.lifecycle.name";
/// The alias that goes on with the next index.
pub(crate) const ROLLOVER_ALIAS: &str = "index.lifecycle.rollover_alias";
/// Says that nothing is written to an index any more, so that it ages without being replaced.
const INDEXING_COMPLETE: &str = "index.lifecycle.indexing_complete";
/// Milliseconds since the epoch from which the age of an index counts, instead of when it was made.
const ORIGINATION_DATE: &str = "index.lifecycle.origination_date";

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

/// Returns the name of the policy of an index.
pub fn policy_name(index: &IndexMeta) -> Option<&str> {
    setting(index, NAME).filter(|name| !name.is_empty())
}

/// Returns where an index stands under its policy; `None` where it names none.
pub fn standing(state: &ClusterState, index: &IndexMeta, now_ms: i64) -> Option<Standing> {
    let name = policy_name(index)?;
    let mut standing = Standing {
        policy: name.to_owned(),
        kept: state.lifecycles.policies.get(name).cloned(),
        phase: None,
        wait: Wait::Age,
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
    let age = age(state, index, now_ms);
    let Some((phase, step)) = policy.stand(age, is_replaced(state, index)) else {
        return Some(standing);
    };
    standing.phase = Some(phase.name);
    standing.without_effect = Phase::actions_without_effect(phase).to_vec();
    let (wait, refused) = match step {
        Step::Rollover(_) => (Wait::Rollover, due::rollover_target(state, index).err()),
        Step::Delete => (Wait::Delete, due::check_deletion(state, index).err()),
        Step::Complete => (Wait::Age, None),
    };
    (standing.wait, standing.error) = (wait, refused);
    Some(standing)
}

fn setting<'a>(index: &'a IndexMeta, key: &str) -> Option<&'a str> {
    index.settings.declared.get(key)?.as_str()
}

fn since_ms(state: &ClusterState, index: &IndexMeta) -> i64 {
    let declared = || setting(index, ORIGINATION_DATE)?.parse().ok();
    let begun = replaced_ms(state, index).or_else(declared);
    begun.unwrap_or(index.created_ms)
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

    /// Replaces and deletes the indices whose time has come.
    ///
    /// # Errors
    /// [`RootError::Coordinator`]; an alias that cannot go on does not keep others from it.
    pub async fn look_at_lifecycles(&self) -> Result<(), RootError> {
        let state = self.cluster.state();
        let now_ms = self.cluster.now_ms();
        for (target, request) in rollovers(&state, now_ms) {
            match self.rollover(&target, None, &request, false).await {
                Ok(report) if report.rolled_over => {
                    let (old, new) = (report.old_index, report.new_index);
                    tracing::info!(target, old, new, "an index was replaced by its lifecycle");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(target, %error, "an index could not be replaced by its lifecycle");
                }
            }
        }
        // Nothing is asked of the coordinator where nothing is due.
        if expired(&state, now_ms).is_empty() {
            return Ok(());
        }
        for index in self.admin.delete_expired().await? {
            let index: Arc<IndexMeta> = index;
            tracing::info!(index = %index.name, "an index was deleted by its lifecycle");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
