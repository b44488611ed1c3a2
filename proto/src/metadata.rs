//! Calls to the node that keeps the cluster's metadata.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use gleaner_coordinator::size;
use gleaner_model::{ClusterState, FaultKind, NodeId};

use crate::wire::{MAX_FRAME_BYTES, MAX_MESSAGE_BYTES};

/// Why metadata could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// The state has moved on since it was read; read it again and decide anew.
    #[error("cluster state is at version {current} now")]
    Conflict {
        /// Version in force.
        current: u64,
    },
    /// The keeper could not be reached. A change may or may not have been made.
    #[error("the keeper of the cluster state cannot be reached: {reason}")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The keeper could not keep the change durably; nothing has changed.
    #[error("the cluster state could not be kept: {reason}")]
    Store {
        /// Why.
        reason: String,
    },
    /// One side does not understand the other.
    #[error("the cluster state cannot be exchanged: {what}")]
    Unsupported {
        /// What is not understood.
        what: String,
    },
    /// The state would be too large to be sent to other nodes; nothing has changed.
    #[error("{reason}")]
    TooLarge {
        /// How large, what is allowed, and what to delete.
        reason: String,
    },
}

impl MetadataFault {
    /// Returns whose fault it is and whether to try again.
    pub fn fault_kind(&self) -> FaultKind {
        match self {
            Self::TooLarge { .. } => FaultKind::CLIENT,
            _ => FaultKind::COORDINATOR,
        }
    }
}

/// States as they come into force; some in between may be left out.
///
/// It ends with a fault when the connection breaks; it does not begin again by itself.
pub type StateStream = BoxStream<'static, Result<Arc<ClusterState>, MetadataFault>>;

/// What the keeper of the cluster's metadata answers.
#[async_trait]
pub trait MetadataClient: Send + Sync {
    /// Says, before the state is followed, that `node` holds data of the cluster `held`, or of none.
    ///
    /// # Errors
    /// [`MetadataFault::Store`] when it is another cluster. [`MetadataFault::Unsupported`] from a keeper of
    /// an older version, which lets everyone in.
    async fn join(&self, node: &NodeId, held: Option<&str>) -> Result<(), MetadataFault> {
        // One that awaits nobody.
        let _ = (node, held);
        Ok(())
    }

    /// Returns the newest state.
    async fn state(&self) -> Result<Arc<ClusterState>, MetadataFault>;

    /// Returns the newest state and then each newer one.
    async fn watch(&self) -> Result<StateStream, MetadataFault>;

    /// Replaces the state when it is still at version `expected`; on `Ok` the change is durable. The
    /// new state's version is `expected + 1`, whatever `next.version` says.
    ///
    /// # Errors
    /// [`MetadataFault::Conflict`]: read again. [`MetadataFault::Unreachable`]: the outcome is
    /// unknown; the version of the state read next tells.
    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, MetadataFault>;
}

/// First bytes of an encoded state.
const MAGIC: &[u8; 4] = b"GLCS";
/// Newest format that is read and written.
const FORMAT: u8 = 1;

const _: () = assert!(
    size::MAX_STATE_BYTES + size::OWN_BYTES + MAX_FRAME_BYTES < MAX_MESSAGE_BYTES,
    "a state that is agreed fits into a message"
);

/// Returns the bytes of `state` as they travel.
///
/// ```text
/// "GLCS"   magic
/// u8       format, 1
/// …        the state as JSON
/// ```
///
/// # Errors
/// [`MetadataFault::Unsupported`] when the state has no JSON form.
pub fn encode_state(state: &ClusterState) -> Result<Bytes, MetadataFault> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(FORMAT);
    serde_json::to_writer(&mut bytes, state).map_err(|error| unsupported(&error))?;
    Ok(bytes.into())
}

/// Reads a state back.
///
/// # Errors
/// [`MetadataFault::Unsupported`] for bytes that are no state, or one of a newer format.
pub fn decode_state(bytes: &[u8]) -> Result<ClusterState, MetadataFault> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| unsupported(&"the bytes are no cluster state"))?;
    match rest.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|error| unsupported(&error)),
        Some((format, _)) => Err(unsupported(&format!(
            "it has format {format}, this version reads up to {FORMAT}"
        ))),
        None => Err(unsupported(&"the bytes end after their magic")),
    }
}

fn unsupported(what: &dyn std::fmt::Display) -> MetadataFault {
    MetadataFault::Unsupported {
        what: what.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_and_other_bytes_are_refused() {
        let state = ClusterState {
            version: 7,
            cluster_name: "wheat".to_owned(),
            ..ClusterState::default()
        };
        let bytes = encode_state(&state).expect("it has a form");
        assert_eq!(decode_state(&bytes), Ok(state));
        let mut newer = bytes.to_vec();
        newer[4] = 2;
        let refused = decode_state(&newer)
            .expect_err("a newer format")
            .to_string();
        assert!(refused.contains("format 2"), "{refused}");
        for bad in [&b""[..], b"GLCS", b"{}", &bytes[..bytes.len() - 1]] {
            assert!(decode_state(bad).is_err(), "{bad:?}");
        }
    }
}
