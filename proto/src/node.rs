//! What every node says about itself.

use async_trait::async_trait;
use gleaner_model::{NodeId, Role};
use tokio::sync::watch;

use crate::version::Versions;

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub id: NodeId,
    /// What it does.
    pub role: Role,
    /// Version of the program, for people.
    pub build_version: String,
    /// Wire versions it speaks.
    pub wire: Versions,
}

/// Whether a node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet, or not any more.
    NotReady {
        /// Why, for people.
        reason: String,
    },
}

/// Why a node did not answer for itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeFault {
    /// It could not be reached, or did not answer in time.
    #[error("the node cannot be reached: {reason}")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// It answered something that this version does not understand.
    #[error("the node's answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

/// What every node answers, whatever its role and wire version.
#[async_trait]
pub trait NodeClient: Send + Sync {
    /// Returns who the node is.
    async fn hello(&self) -> Result<NodeInfo, NodeFault>;

    /// Returns whether it serves.
    async fn readiness(&self) -> Result<Readiness, NodeFault>;
}

/// This process as its peers see it.
#[derive(Debug, Clone)]
pub struct LocalNode {
    info: NodeInfo,
    readiness: watch::Receiver<Readiness>,
}

impl LocalNode {
    /// Returns a node that speaks [`Versions::OURS`] and is as ready as `readiness` says.
    pub fn new(
        id: NodeId,
        role: Role,
        build_version: impl Into<String>,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        let info = NodeInfo {
            id,
            role,
            build_version: build_version.into(),
            wire: Versions::OURS,
        };
        Self { info, readiness }
    }
}

#[async_trait]
impl NodeClient for LocalNode {
    async fn hello(&self) -> Result<NodeInfo, NodeFault> {
        Ok(self.info.clone())
    }

    async fn readiness(&self) -> Result<Readiness, NodeFault> {
        Ok(self.readiness.borrow().clone())
    }
}
