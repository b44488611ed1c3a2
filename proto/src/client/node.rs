//! Another node, whatever its role.

use async_trait::async_trait;
use tonic::transport::Channel;

use super::{Peer, SHORT_CALL, ask};
use crate::node::{NodeClient, NodeFault, NodeInfo, Readiness};
use crate::wire::v1::node_client::NodeClient as Stub;
use crate::wire::{DecodeError, Wire, v1};

/// Another node, as [`NodeClient`].
#[derive(Clone)]
pub struct GrpcNode {
    peer: Peer,
    stub: Stub<Channel>,
}

impl GrpcNode {
    /// Returns the node that `peer` is.
    pub fn new(peer: Peer) -> Self {
        let stub = Stub::new(peer.channel());
        Self { peer, stub }
    }
}

#[async_trait]
impl NodeClient for GrpcNode {
    async fn hello(&self) -> Result<NodeInfo, NodeFault> {
        let request = self.peer.request(v1::HelloCall {});
        let sent = async { self.stub.clone().hello(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        let answer = answer.map_err(super::CallFault::of_node)?;
        NodeInfo::from_message(answer).map_err(|error| unreadable(&error))
    }

    async fn readiness(&self) -> Result<Readiness, NodeFault> {
        let request = self.peer.request(v1::HealthCall {});
        let sent = async { self.stub.clone().health(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        let answer = answer.map_err(super::CallFault::of_node)?;
        Readiness::from_message(answer).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &DecodeError) -> NodeFault {
    NodeFault::Unreadable {
        reason: error.to_string(),
    }
}
