//! This node itself, to callers of any wire version.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::life::Life;
use crate::node::{NodeClient, NodeFault};
use crate::wire::{Wire, v1};

/// Answers for the node.
pub(super) struct Service {
    node: Arc<dyn NodeClient>,
    life: Life,
}

impl Service {
    pub(super) fn new(node: Arc<dyn NodeClient>, life: Life) -> Self {
        Self { node, life }
    }
}

#[tonic::async_trait]
impl v1::node_server::Node for Service {
    async fn hello(&self, _: Request<v1::HelloCall>) -> Result<Response<v1::HelloAnswer>, Status> {
        let info = self.life.run(self.node.hello()).await?;
        let info = info.map_err(|fault| failed(&fault))?;
        Ok(Response::new(info.to_message()))
    }

    async fn health(
        &self,
        _: Request<v1::HealthCall>,
    ) -> Result<Response<v1::HealthAnswer>, Status> {
        let readiness = self.life.run(self.node.readiness()).await?;
        let readiness = readiness.map_err(|fault| failed(&fault))?;
        Ok(Response::new(readiness.to_message()))
    }
}

fn failed(fault: &NodeFault) -> Status {
    match fault {
        NodeFault::Unreachable { .. } => Status::unavailable(fault.to_string()),
        NodeFault::Unreadable { .. } => Status::internal(fault.to_string()),
    }
}
