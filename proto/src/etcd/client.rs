//! Calls to an etcd of one member or several.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use prost::Message as _;
use tonic::transport::Channel;

use super::members::{Members, Repeat};
use super::wire::etcdserverpb::kv_client::KvClient;
use super::wire::etcdserverpb::lease_client::LeaseClient;
use super::wire::etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};
use super::wire::{self, request};
use super::{
    Fault, Lease, LeaseId, Listing, MAX_OPERATIONS, MAX_TRANSACTION_BYTES, Outcome, Range,
    Revision, Transaction, Watch,
};
use crate::client::BadAddress;
use crate::connect::Connect;
use crate::wire::MAX_MESSAGE_BYTES;

/// How long a member may take to answer; an election of a leader fits in.
const PATIENCE: Duration = Duration::from_secs(5);

/// An etcd to call: one connection to each of its members that is called. Clones share them.
///
/// A call goes to the member that answered last. Where it cannot be reached, the call goes to the next one; one that is safe
/// to repeat does so too where the member is slow, and takes the first answer. Each is asked once. Reads are linearizable.
#[derive(Clone)]
pub struct Client {
    pub(super) members: Arc<Members>,
    pub(super) patience: Duration,
}

impl Client {
    /// Returns the etcd whose members are at `addresses` (`host:port`), one or more; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadAddress`] for any other text, and where there is none.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(connect: &Connect, addresses: &[String]) -> Result<Self, BadAddress> {
        if addresses.is_empty() {
            let address = String::new();
            return Err(BadAddress { address });
        }
        let peers = addresses
            .iter()
            .map(|address| connect.quiet_peer(address))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            members: Arc::new(Members::new(peers)),
            patience: PATIENCE,
        })
    }

    /// Returns the same etcd, for calls that wait no longer than `patience` for each member.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            members: Arc::clone(&self.members),
            patience,
        }
    }

    fn keys(channel: Channel) -> KvClient<Channel> {
        KvClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Reads keys, as they are when the call is made or later.
    ///
    /// # Errors
    /// [`Fault::Compacted`] for a revision of the past that is not kept; else that nobody answers.
    pub async fn range(&self, range: Range) -> Result<Listing, Fault> {
        let call = |channel| {
            let message = request(wire::range(&range));
            async move { Self::keys(channel).range(message).await }
        };
        let answer = self.members.ask(Repeat::Safe, self.patience, call).await?;
        Ok(wire::listing(answer.into_inner(), range.at))
    }

    /// Makes changes together, where all comparisons hold.
    ///
    /// # Errors
    /// [`Fault::Unknown`]: they may have been made, or will be yet. Any other: surely not.
    ///
    /// # Cancel safety
    /// A dropped future may still be carried out.
    pub async fn transaction(&self, transaction: Transaction) -> Result<Outcome, Fault> {
        let num_operations = transaction.operations.len().max(transaction.compares.len());
        if num_operations > MAX_OPERATIONS {
            let reason = format!(
                "the change has {num_operations} operations, etcd takes {MAX_OPERATIONS} at once"
            );
            return Err(Fault::TooLarge { reason });
        }
        let message = wire::transaction(transaction);
        let num_bytes = message.encoded_len();
        if num_bytes > MAX_TRANSACTION_BYTES {
            let reason = format!(
                "the change has {num_bytes} bytes, etcd takes {MAX_TRANSACTION_BYTES} at once"
            );
            return Err(Fault::TooLarge { reason });
        }
        let call = |channel| {
            let message = request(message.clone());
            async move { Self::keys(channel).txn(message).await }
        };
        let answer = self.members.ask(Repeat::Unsafe, self.patience, call);
        let answer = answer.await?.into_inner();
        let revision = Revision(answer.header.map_or(0, |header| header.revision));
        Ok(match answer.succeeded {
            true => Outcome::Committed(revision),
            false => Outcome::Conflict,
        })
    }

    /// Asks for a lease of `lasts`, in whole seconds. One whose grant is not heard of ends by itself.
    ///
    /// # Errors
    /// That nobody answers, or etcd refuses.
    pub async fn grant(&self, lasts: Duration) -> Result<Lease, Fault> {
        let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let call = |channel| {
            let message = request(LeaseGrantRequest {
                ttl: seconds,
                id: 0,
            });
            async move { LeaseClient::new(channel).lease_grant(message).await }
        };
        let answer = self.members.ask(Repeat::Safe, self.patience, call).await?;
        let answer = answer.into_inner();
        let lasts = seconds_left(answer.ttl).filter(|_| answer.error.is_empty());
        let lasts = lasts.ok_or(Fault::Refused {
            reason: answer.error,
        })?;
        Ok(Lease {
            id: LeaseId(answer.id),
            lasts,
        })
    }

    /// Renews a lease; returns for how long, counted from any moment since the call was made.
    ///
    /// # Errors
    /// [`Fault::LeaseOver`]: its keys are gone. Any other: it may have been renewed.
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<Duration, Fault> {
        let call = |channel| {
            let one = LeaseKeepAliveRequest { id: lease.0 };
            let message = request(stream::iter([one]));
            async move {
                let answers = LeaseClient::new(channel).lease_keep_alive(message).await?;
                answers.into_inner().message().await
            }
        };
        match self.members.ask(Repeat::Safe, self.patience, call).await? {
            Some(answer) => seconds_left(answer.ttl).ok_or(Fault::LeaseOver),
            None => Err(Fault::Unknown {
                reason: "the member ended the stream of renewals".to_owned(),
            }),
        }
    }

    /// Ends a lease; its keys are gone then. One that is over already is no error.
    ///
    /// # Errors
    /// That nobody answers.
    pub async fn revoke(&self, lease: LeaseId) -> Result<(), Fault> {
        let call = |channel| {
            let message = request(LeaseRevokeRequest { id: lease.0 });
            async move { LeaseClient::new(channel).lease_revoke(message).await }
        };
        match self.members.ask(Repeat::Safe, self.patience, call).await {
            Ok(_) | Err(Fault::LeaseOver) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Follows the changes of all keys that begin with `prefix`, from the revision `from` on, on the member in use. Where
    /// the watch ends, the next one is in use; where another one is in use, the watch ends.
    ///
    /// # Errors
    /// As [`Watch::next`]; a revision that is not kept any more is found out there too.
    pub async fn watch(&self, prefix: &str, from: Revision) -> Result<Watch, Fault> {
        Watch::begin(&self.members, prefix, from, self.patience).await
    }
}

fn seconds_left(seconds: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
