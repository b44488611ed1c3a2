//! The disk's watermarks: indices refuse writes before the disk is full, and take them again after.

use std::sync::Arc;

use gleaner_coordinator::{Coordinator, CoordinatorError, update};
use gleaner_model::{ClusterState, IndexMeta};

use crate::LeafOptions;

/// Blocks all indices above the flood stage and unblocks them below the high watermark.
pub(crate) async fn check(coordinator: &dyn Coordinator, options: &LeafOptions) {
    let Some(used) = used_share(options) else {
        return;
    };
    let should_block = if used >= options.flood_stage {
        true
    } else if used < options.high_watermark {
        false
    } else {
        return;
    };
    let changed =
        update::<CoordinatorError, _>(coordinator, |state| Ok(with_block(state, should_block)));
    let before = coordinator.state().version;
    match changed.await {
        Ok(state) if state.version == before => {}
        Ok(_) if should_block => tracing::warn!(
            used_percent = used * 100.0,
            "disk passed the flood stage: all indices refuse writes until there is room"
        ),
        Ok(_) => tracing::info!(used_percent = used * 100.0, "indices take writes again"),
        Err(error) => tracing::warn!(%error, "disk block could not be changed"),
    }
}

fn with_block(state: &ClusterState, should_block: bool) -> Option<ClusterState> {
    let differs =
        |index: &Arc<IndexMeta>| index.settings.blocks.read_only_allow_delete != should_block;
    if !state.indices.values().any(differs) {
        return None;
    }
    let mut next = state.clone();
    for index in next.indices.values_mut() {
        Arc::make_mut(index).settings.blocks.read_only_allow_delete = should_block;
    }
    Some(next)
}

/// Returns the share of the disk in use; `None` when it cannot be told.
fn used_share(options: &LeafOptions) -> Option<f64> {
    let stat = rustix::fs::statvfs(&options.folder).ok()?;
    if stat.f_blocks == 0 {
        return None;
    }
    // What is free for others only (root's reserve) counts as used.
    Some(1.0 - stat.f_bavail as f64 / stat.f_blocks as f64)
}
