//! The disk's watermarks: indices refuse writes before the disk is full, and take them again after.

use std::sync::Arc;

use gleaner_coordinator::{Coordinator, CoordinatorError, update_known};
use gleaner_model::{ClusterState, IndexMeta, NodeId};

use crate::LeafOptions;

/// Setting of the block.
const BLOCK: &str = "index.blocks.read_only_allow_delete";

/// Tells the cluster state whether this node's disk is flooded: indices refuse writes while that of a
/// node which holds copies of them is, and take them again when none is any more.
pub(crate) async fn check(coordinator: &dyn Coordinator, options: &LeafOptions) {
    let Some(disk) = Disk::of(options) else {
        return;
    };
    let is_flooded = if disk.is_flooded(options) {
        true
    } else if disk.has_room(options) {
        false
    } else {
        return;
    };
    // A process alone has no name among nodes.
    let node = options.node.clone().unwrap_or(NodeId("".into()));
    let used_percent = disk.used_share() * 100.0;
    let before = coordinator.state();
    let changed = update_known::<CoordinatorError, _>(coordinator, |state| {
        Ok(after_look(state, &node, is_flooded))
    });
    match changed.await {
        Ok(state) if state.version == before.version => {}
        Ok(_) if is_flooded => tracing::warn!(
            used_percent,
            "disk passed the flood stage: indices with copies here refuse writes until there is room"
        ),
        Ok(state) if state.flooded.is_empty() => {
            tracing::info!(used_percent, "indices take writes again");
        }
        Ok(_) => tracing::info!(
            used_percent,
            "disk has room again; indices refuse writes for another node's"
        ),
        Err(error) => tracing::warn!(%error, "disk block could not be changed"),
    }
}

/// Returns the state after a look at the disk of `node`; `None` when it stays.
fn after_look(state: &ClusterState, node: &NodeId, is_flooded: bool) -> Option<ClusterState> {
    let mut flooded = state.flooded.clone();
    // A node that is no member any more has no disk to wait for.
    flooded.retain(|other| state.nodes.contains_key(other));
    match is_flooded {
        true => flooded.insert(node.clone()),
        false => flooded.remove(node),
    };
    let should_block = |index: &IndexMeta| match index.copies.is_empty() {
        true => !flooded.is_empty(),
        false => index
            .copies
            .iter()
            .flatten()
            .any(|node| flooded.contains(node)),
    };
    let differs = |index: &Arc<IndexMeta>| {
        index.settings.blocks.read_only_allow_delete != should_block(index)
    };
    if flooded == state.flooded && !state.indices.values().any(differs) {
        return None;
    }
    let mut next = state.clone();
    for index in next.indices.values_mut().filter(|index| differs(index)) {
        let should_block = should_block(index);
        let settings = &mut Arc::make_mut(index).settings;
        settings.blocks.read_only_allow_delete = should_block;
        // What is declared is shown, and is what a later change of settings begins with.
        if should_block {
            let shown = true.to_string().into();
            settings.declared.insert(BLOCK.to_owned(), shown);
        } else {
            settings.declared.shift_remove(BLOCK);
        }
    }
    next.flooded = flooded;
    Some(next)
}

/// How full the disk of the shards is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    /// Bytes in use.
    used: u64,
    /// Bytes that this process may still use.
    free: u64,
}

impl Disk {
    /// Asks the system; `None` when it does not tell. Some microseconds on a local disk.
    pub(crate) fn of(options: &LeafOptions) -> Option<Self> {
        let stat = rustix::fs::statvfs(&options.folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        (stat.f_blocks > 0).then(|| Self {
            used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
            free: bytes(stat.f_bavail),
        })
    }

    /// Returns the share in use of what this process could use, as `df` shows it.
    fn used_share(self) -> f64 {
        self.used as f64 / (self.used + self.free).max(1) as f64
    }

    /// Returns whether writes must stop.
    pub(crate) fn is_flooded(self, options: &LeafOptions) -> bool {
        self.used_share() >= options.flood_stage && self.free < options.headroom_bytes / 2
    }

    /// Returns whether writes may go on after a flood.
    pub(crate) fn has_room(self, options: &LeafOptions) -> bool {
        self.used_share() < options.high_watermark || self.free >= options.headroom_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use gleaner_model::{IndexUuid, NodeMeta, Role};

    use super::*;

    fn options() -> LeafOptions {
        LeafOptions::new(PathBuf::new(), || 0)
    }

    #[test]
    fn a_small_disk_floods_by_share_and_a_large_one_by_what_is_left() {
        let gib = 1_u64 << 30;
        for (used, free, is_flooded, has_room) in [
            (50 * gib, 50 * gib, false, true),
            (92 * gib, 8 * gib, false, true),
            (29 * gib, 2 * gib, false, false),
            (96 * gib, gib, true, false),
            (990 * gib, 10 * gib, false, true),
        ] {
            let disk = Disk { used, free };
            assert_eq!(disk.is_flooded(&options()), is_flooded, "{disk:?}");
            assert_eq!(disk.has_room(&options()), has_room, "{disk:?}");
        }
    }

    #[test]
    fn the_block_covers_every_index_and_is_set_once() {
        let index = |n: u8| {
            let mut state = ClusterState::default();
            let uuid = IndexUuid([n; 16]);
            state
                .indices
                .insert(uuid, Arc::new(crate::testing::index(n)));
            state
        };
        let mut state = index(1);
        state.indices.extend(index(2).indices);
        let node = NodeId("a".into());
        let blocked = after_look(&state, &node, true).expect("a change");
        let is_blocked = |index: &Arc<IndexMeta>| index.settings.blocks.read_only_allow_delete;
        assert!(blocked.indices.values().all(is_blocked));
        let is_shown = |index: &Arc<IndexMeta>| {
            index
                .settings
                .declared
                .get(BLOCK)
                .is_some_and(|on| on == "true")
        };
        assert!(blocked.indices.values().all(is_shown));
        assert_eq!(after_look(&blocked, &node, true), None);
        assert_eq!(after_look(&blocked, &node, false), Some(state));
    }

    #[test]
    fn the_block_stays_while_any_member_is_flooded() {
        let meta = NodeMeta {
            role: Role::Leaf,
            address: String::new(),
            http_address: None,
            weight: 1.0,
            zone: None,
        };
        let [a, b] = ["a", "b"].map(|name| NodeId(name.into()));
        let mut state = ClusterState::default();
        state.nodes.insert(a.clone(), meta.clone());
        state.nodes.insert(b.clone(), meta);
        let index = crate::testing::index(1);
        state.indices.insert(index.uuid, Arc::new(index));
        let is_blocked = |state: &ClusterState| {
            let mut indices = state.indices.values();
            indices.any(|index| index.settings.blocks.read_only_allow_delete)
        };
        let flooded = after_look(&state, &a, true).expect("a change");
        assert!(is_blocked(&flooded));
        assert_eq!(
            after_look(&flooded, &b, false),
            None,
            "b has room, a has none"
        );
        let both = after_look(&flooded, &b, true).expect("a change");
        let one = after_look(&both, &a, false).expect("a change");
        assert!(is_blocked(&one));
        assert_eq!(after_look(&one, &b, false), Some(state.clone()));
        let mut without_b = one;
        without_b.nodes.remove(&b);
        let freed = after_look(&without_b, &a, false).expect("a change");
        assert!(!is_blocked(&freed));
    }
}
