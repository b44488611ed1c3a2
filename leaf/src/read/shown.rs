//! What primaries show now: what those who keep answers ask before each hit.
//!
//! Does: answer from memory, at once. Does not: wait for a copy that is being opened, make a refresh.
//! Called by: [`crate::client`]. Read first: [`shown_by`].

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_proto::read::ShownGeneration;

use crate::copy::registry::{CopyRegistry, OpenCopy};

/// Returns what the primary of `shard` shows, if that is open here. The shard counts as read.
///
/// # Errors
/// [`LeafFault::NotHere`] where no primary is open, [`LeafFault::Stopped`] where it applies nothing any more.
pub(crate) fn shown_by(
    copies: &CopyRegistry,
    shard: ShardKey,
) -> Result<ShownGeneration, LeafFault> {
    let Some(OpenCopy::Primary(primary)) = copies.open_now(shard) else {
        return Err(LeafFault::NotHere { shard });
    };
    let copy = &primary.shard;
    if let Some(reason) = copy.applier.failure() {
        let reason = reason.to_string();
        return Err(LeafFault::Stopped { shard, reason });
    }
    let is_resting = copy.refreshes.read();
    Ok(ShownGeneration {
        // The view itself, not the channel that tells of it: a refresh that has nothing left to show is
        // acknowledged as soon as another has changed the view.
        generation: copy.engine().view().generation(),
        is_resting,
    })
}
