//! The keeper of the cluster's metadata, on another node.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use gleaner_model::{ClusterState, NodeId};
use tonic::transport::Channel;

use super::fault::CallFault;
use super::{Peer, SHORT_CALL, ask};
use crate::metadata::{MetadataClient, MetadataFault, StateStream, decode_state, encode_state};
use crate::wire::v1::metadata_client::MetadataClient as Stub;
use crate::wire::{MAX_MESSAGE_BYTES, Wire, v1};

/// The keeper of the cluster's metadata on another node, as [`MetadataClient`].
#[derive(Clone)]
pub struct GrpcMetadata {
    peer: Peer,
    stub: Stub<Channel>,
}

impl GrpcMetadata {
    /// Returns the keeper that `peer` is.
    pub fn new(peer: Peer) -> Self {
        let stub = Stub::new(peer.channel())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { peer, stub }
    }
}

#[async_trait]
impl MetadataClient for GrpcMetadata {
    async fn join(&self, node: &NodeId, held: Option<&str>) -> Result<(), MetadataFault> {
        let request = self.peer.request(v1::JoinCall {
            node: node.to_string(),
            cluster_uuid: held.map(str::to_owned),
        });
        let sent = async { self.stub.clone().join(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        let answer = answer.map_err(CallFault::of_metadata)?;
        let outcome = Result::<(), MetadataFault>::from_message(answer);
        outcome.map_err(|error| MetadataFault::Unsupported {
            what: error.to_string(),
        })?
    }

    async fn state(&self) -> Result<Arc<ClusterState>, MetadataFault> {
        let request = self.peer.request(v1::StateCall {});
        let sent = async { self.stub.clone().state(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        state(answer)
    }

    async fn watch(&self) -> Result<StateStream, MetadataFault> {
        let request = self.peer.request(v1::WatchCall {});
        let sent = async { self.stub.clone().watch(request?).await };
        let answers = ask(SHORT_CALL, sent).await;
        let answers = answers.map_err(CallFault::of_metadata)?;
        let states = answers.map(|answer| state(answer.map_err(|status| CallFault::of(&status))));
        Ok(states.boxed())
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, MetadataFault> {
        let request = self.peer.request(v1::CompareAndSwapCall {
            expected,
            next: encode_state(&next)?,
        });
        let sent = async { self.stub.clone().compare_and_swap(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        state(answer)
    }
}

fn state(answer: Result<v1::StateAnswer, CallFault>) -> Result<Arc<ClusterState>, MetadataFault> {
    let answer = answer.map_err(CallFault::of_metadata)?;
    let outcome = Result::<Bytes, MetadataFault>::from_message(answer);
    let bytes = outcome.map_err(|error| MetadataFault::Unsupported {
        what: error.to_string(),
    })??;
    decode_state(&bytes).map(Arc::new)
}
