//! Waiting until the shards of indices that were made or opened serve (`wait_for_active_shards`).

use std::time::Duration;

use gleaner_model::{ActiveShards, IndexMeta, IndexUuid, NodeId};
use gleaner_root::read::ShardStates;
use tokio::time::{Instant, timeout};

use crate::error::ApiError;
use crate::parameters::groups::AT_ONCE;
use crate::request::Request;
use crate::route::Parameter;
use crate::routes::cluster::{CopiesByShard, Health};

/// The parameters that say how many copies to wait for, and how long.
pub(in crate::routes) const WAIT: &[Parameter] = &[
    Parameter::honoured("wait_for_active_shards"),
    Parameter::honoured("timeout"),
    Parameter::no_effect("master_timeout", AT_ONCE),
    Parameter::no_effect("cluster_manager_timeout", AT_ONCE),
];

/// Longest wait where the request does not say; the index is there, or open, all the same.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a leaf that does not answer is waited for: it may be starting.
const SILENCE: Duration = Duration::from_secs(1);

/// Between two looks: opening an empty shard takes a few milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a look at the copies of a shard comes to; the later ones count where shards, or indices, differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// As many as are wanted serve.
    Active,
    /// Nobody is to hold as many.
    Hopeless,
    /// What is missing is of leaves that do not answer.
    Silent,
    /// They are coming.
    Coming,
}

/// Reads the parameter; default one copy of each shard.
pub(in crate::routes) fn wanted(request: &Request) -> Result<ActiveShards, ApiError> {
    let wanted = request.parameters.active_shards()?;
    Ok(wanted.unwrap_or(ActiveShards::ONE))
}

/// Waits; returns whether the copies of all `indices` that stay are active. Copies that nobody holds are not
/// waited for, and those of a leaf that does not answer are not waited for long.
pub(in crate::routes) async fn wait(
    request: &Request,
    wanted: ActiveShards,
    indices: &[&IndexMeta],
    limit: Option<Duration>,
) -> bool {
    if wanted == ActiveShards::AtLeast(0) || indices.is_empty() {
        return true;
    }
    let limit = limit.unwrap_or(TIMEOUT);
    let started = Instant::now();
    let mut silent_since = None;
    let asked: Vec<IndexUuid> = indices.iter().map(|index| index.uuid).collect();
    loop {
        let looked = Instant::now();
        let left = limit.saturating_sub(started.elapsed());
        // A leaf that is silent must not keep the request beyond its own limit.
        let reader = request.root().reader();
        let Ok(states) = timeout(left, reader.shard_states_of(Some(&asked))).await else {
            return false;
        };
        // One that is deleted or closed meanwhile has no shards to wait for.
        let state = request.root().cluster().state();
        let is_open = |index: &&&IndexMeta| {
            let now = state.indices.get(&index.uuid);
            now.is_some_and(|now| !now.is_closed)
        };
        let open = indices.iter().filter(is_open);
        let verdicts = open.map(|index| verdict(wanted, index, &states));
        silent_since = match verdicts.max().unwrap_or(Verdict::Active) {
            Verdict::Active => return true,
            Verdict::Hopeless => return false,
            Verdict::Coming => None,
            Verdict::Silent => silent_since.or(Some(looked)),
        };
        let is_silent = silent_since.is_some_and(|since| since.elapsed() >= SILENCE);
        if is_silent || started.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn verdict(wanted: ActiveShards, index: &IndexMeta, states: &ShardStates) -> Verdict {
    let copies = 1 + u64::from(index.settings.number_of_replicas);
    let wanted = u64::from(wanted.number(&index.settings)).min(copies);
    let by_shard = CopiesByShard::of(&states.copies);
    let shards = 0..index.settings.number_of_shards;
    let verdicts = shards.map(|number| {
        let health = Health::of_shard(index, number, &by_shard);
        // One process that holds everything has no table, and one copy of each shard.
        let row = index.copies.get(number as usize).map(Vec::as_slice);
        of_shard(&health, row.unwrap_or_default(), wanted, &states.silent)
    });
    verdicts.max().unwrap_or(Verdict::Active)
}

/// Judges a shard of this health whose copies are to be on the nodes of `row`.
fn of_shard(health: &Health, row: &[NodeId], wanted: u64, silent: &[NodeId]) -> Verdict {
    let has_primary = health.active_primaries > 0;
    if wanted == 0 || (has_primary && health.active >= wanted) {
        return Verdict::Active;
    }
    let is_silent = |node: &NodeId| silent.contains(node);
    if !has_primary {
        return match row.first().is_some_and(is_silent) {
            true => Verdict::Silent,
            false => Verdict::Coming,
        };
    }
    let num_there = row.iter().filter(|node| !is_silent(node)).count();
    match (row.len() as u64, num_there as u64) {
        (held, _) if held < wanted => Verdict::Hopeless,
        (_, there) if there < wanted => Verdict::Silent,
        _ => Verdict::Coming,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::{IndexName, IndexSettings, IndexUuid, ShardKey, ShardNumber};
    use gleaner_proto::read::{ShardPhase, ShardState};
    use gleaner_root::read::LocatedShard;

    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId(name.into())
    }

    /// Two shards with a replica each: the primaries on `a` and `b`, each other's replicas.
    fn index() -> IndexMeta {
        let settings = IndexSettings {
            number_of_shards: 2,
            number_of_replicas: 1,
            ..IndexSettings::default()
        };
        IndexMeta {
            settings,
            copies: vec![vec![node("a"), node("b")], vec![node("b"), node("a")]],
            ..IndexMeta::new(
                IndexUuid([1; 16]),
                IndexName::parse("books").expect("a good name"),
            )
        }
    }

    fn serving(index: &IndexMeta, number: u32, on: &str, is_primary: bool) -> LocatedShard {
        let shard = ShardKey {
            index: index.uuid,
            shard: ShardNumber(number),
        };
        LocatedShard {
            index: Arc::new(index.clone()),
            node: node(on),
            state: ShardState::empty(shard, is_primary, ShardPhase::Started),
        }
    }

    fn states(copies: Vec<LocatedShard>, silent: &[&str]) -> ShardStates {
        ShardStates {
            copies,
            num_leaves: 2,
            silent: silent.iter().map(|name| node(name)).collect(),
            num_untold: 0,
        }
    }

    #[test]
    fn two_copies_of_one_shard_do_not_stand_for_another_shard() {
        let index = index();
        let mut copies = vec![
            serving(&index, 0, "a", true),
            serving(&index, 0, "b", false),
        ];
        let half = states(copies.clone(), &[]);
        assert_eq!(verdict(ActiveShards::ONE, &index, &half), Verdict::Coming);
        copies.push(serving(&index, 1, "b", true));
        let whole = states(copies, &[]);
        assert_eq!(verdict(ActiveShards::ONE, &index, &whole), Verdict::Active);
        assert_eq!(verdict(ActiveShards::All, &index, &whole), Verdict::Coming);
    }

    #[test]
    fn what_a_leaf_that_does_not_answer_is_to_hold_is_told_apart() {
        let index = index();
        let first = states(vec![serving(&index, 0, "a", true)], &["b"]);
        assert_eq!(verdict(ActiveShards::ONE, &index, &first), Verdict::Silent);
        let nothing = states(Vec::new(), &["b"]);
        let told = verdict(ActiveShards::ONE, &index, &nothing);
        assert_eq!(told, Verdict::Coming, "the first shard is");
        assert_eq!(
            verdict(ActiveShards::AtLeast(0), &index, &nothing),
            Verdict::Active
        );
    }

    #[test]
    fn copies_that_nobody_is_to_hold_are_not_waited_for() {
        let mut index = index();
        let primaries = |index: &IndexMeta| {
            let copies = vec![serving(index, 0, "a", true), serving(index, 1, "b", true)];
            states(copies, &[])
        };
        for copies in [vec![vec![node("a")], vec![node("b")]], Vec::new()] {
            index.copies = copies;
            let states = primaries(&index);
            assert_eq!(
                verdict(ActiveShards::All, &index, &states),
                Verdict::Hopeless
            );
            assert_eq!(verdict(ActiveShards::ONE, &index, &states), Verdict::Active);
        }
    }
}
