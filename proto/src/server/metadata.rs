//! The metadata that this node keeps, to all others.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use gleaner_model::{ClusterState, NodeId};
use tonic::{Request, Response, Status};

use super::life::Life;
use super::role::Access;
use crate::metadata::{MetadataClient, MetadataFault, decode_state, encode_state};
use crate::wire::{Wire, v1};

/// Answers for the keeper.
pub(super) struct Service {
    keeper: Arc<dyn MetadataClient>,
    life: Life,
}

impl Service {
    pub(super) fn new(keeper: Arc<dyn MetadataClient>, life: Life) -> Self {
        Self { keeper, life }
    }

    async fn swap(&self, call: v1::CompareAndSwapCall) -> Result<Arc<ClusterState>, MetadataFault> {
        let v1::CompareAndSwapCall { expected, next } = call;
        self.keeper
            .compare_and_swap(expected, decode_state(&next)?)
            .await
    }
}

#[tonic::async_trait]
impl v1::metadata_server::Metadata for Service {
    type WatchStream = BoxStream<'static, Result<v1::StateAnswer, Status>>;

    async fn join(
        &self,
        request: Request<v1::JoinCall>,
    ) -> Result<Response<v1::JoinAnswer>, Status> {
        Access::MetadataChange.check(&request)?;
        let v1::JoinCall { node, cluster_uuid } = request.into_inner();
        let node = NodeId(node.into());
        let joining = self.keeper.join(&node, cluster_uuid.as_deref());
        let joined = self.life.run(joining).await?;
        Ok(Response::new(joined.to_message()))
    }

    async fn state(&self, _: Request<v1::StateCall>) -> Result<Response<v1::StateAnswer>, Status> {
        let state = self.life.run(self.keeper.state()).await?;
        Ok(Response::new(answer(state)))
    }

    async fn watch(
        &self,
        _: Request<v1::WatchCall>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let states = match self.life.run(self.keeper.watch()).await? {
            Ok(states) => states,
            Err(fault) => futures::stream::iter([Err(fault)]).boxed(),
        };
        let life = self.life.clone();
        let draining = Box::pin(async move { life.draining().await });
        let answers = states.map(|state| Ok(answer(state))).take_until(draining);
        Ok(Response::new(answers.boxed()))
    }

    async fn compare_and_swap(
        &self,
        request: Request<v1::CompareAndSwapCall>,
    ) -> Result<Response<v1::StateAnswer>, Status> {
        Access::MetadataChange.check(&request)?;
        let state = self.life.run(self.swap(request.into_inner())).await?;
        Ok(Response::new(answer(state)))
    }
}

fn answer(state: Result<Arc<ClusterState>, MetadataFault>) -> v1::StateAnswer {
    let bytes: Result<Bytes, MetadataFault> = state.and_then(|state| encode_state(&state));
    bytes.to_message()
}
