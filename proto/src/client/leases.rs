//! Another node that grants leases on what shards show.

use std::time::Duration;

use async_trait::async_trait;
use gleaner_leases::{FollowAnswer, FollowCall, FollowFault, Grantor};
use tonic::transport::Channel;

use super::fault::CallFault;
use super::{Peer, ask};
use crate::wire::v1::leases_client::LeasesClient as Stub;
use crate::wire::{Wire, v1};

/// Time for an answer: what comes later is worth no lease.
const PATIENCE: Duration = Duration::from_secs(1);

/// Another node, as [`Grantor`].
#[derive(Clone)]
pub struct GrpcGrantor {
    peer: Peer,
    stub: Stub<Channel>,
}

impl GrpcGrantor {
    /// Returns the grantor that `peer` is.
    pub fn new(peer: Peer) -> Self {
        let stub = Stub::new(peer.channel());
        Self { peer, stub }
    }
}

#[async_trait]
impl Grantor for GrpcGrantor {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.stub.clone().follow(request?).await };
        let answer: v1::FollowAnswer = ask(PATIENCE, sent).await.map_err(fault)?;
        let unreadable = |error: crate::wire::DecodeError| FollowFault::Refused(error.to_string());
        FollowAnswer::from_message(answer).map_err(unreadable)
    }
}

fn fault(fault: CallFault) -> FollowFault {
    match fault {
        CallFault::Unreachable(reason) | CallFault::Broken(reason) => {
            FollowFault::Unreachable(reason)
        }
        CallFault::Late => FollowFault::Unreachable("no answer in time".to_owned()),
        CallFault::TooLarge(reason)
        | CallFault::Unsupported(reason)
        | CallFault::Refused(reason)
        | CallFault::Internal(reason) => FollowFault::Refused(reason),
    }
}
