//! The cluster state as processes of a cluster follow it: from the node that keeps it, or from an etcd.
//!
//! Does: make a coordinator of what the file of members says. Does not: keep the state in this process (`metadata`
//! does). Called by leaves, roots, fronts and `gleaner cluster up`. Read first: [`StateSource`].

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use gleaner_coordinator::Coordinator;
use gleaner_etcd::{Client, EtcdCoordinator, IfAbsent, Keys};
use gleaner_keeper::Follower;
use gleaner_model::{ClusterState, NodeId};
use gleaner_proto::{Connect, GrpcMetadata, MetadataClient};

use super::membership::{ClusterFile, EtcdAddresses, Membership};

/// Where the cluster state lies.
#[derive(Clone)]
pub(crate) enum StateSource {
    /// With a node.
    Keeper(Arc<dyn MetadataClient>),
    /// In an etcd.
    Etcd {
        client: Client,
        keys: Keys,
        /// Name of the cluster.
        name: String,
    },
}

/// Who follows the state.
pub(crate) enum Participant<'a> {
    /// A process that holds nothing.
    Reader,
    /// A node, whose folder holds data of the cluster `held` or of none.
    Member { node: NodeId, held: Option<&'a str> },
}

/// How members of a cluster are called; by default over TCP.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    pub(crate) connect: Connect,
    /// Whether that is over TLS, with a certificate of the cluster.
    pub(crate) is_encrypted: bool,
}

impl StateSource {
    /// Reads from a file of members where the state lies; nothing is sent yet.
    ///
    /// # Errors
    /// An address that is none, an etcd that is called over TLS by a process without certificates, and a name that no
    /// cluster can have there.
    pub(crate) fn of(file: &ClusterFile, calls: &Calls) -> Result<Self> {
        let ClusterFile {
            cluster_name,
            membership,
        } = file;
        let Some(etcd) = membership.etcd_addresses() else {
            return Self::keeper(membership, calls);
        };
        let EtcdAddresses {
            addresses,
            is_encrypted,
        } = etcd;
        ensure!(
            calls.is_encrypted || !is_encrypted,
            "the etcd of the cluster is called over TLS (`https`), and this process has no certificates for that: set \
             `tls_certificate`, `tls_key` and `tls_ca`, or `--cert`, `--key` and `--ca` of a front"
        );
        let connect = match is_encrypted {
            true => calls.connect.clone(),
            false => Connect::default(),
        };
        Ok(Self::Etcd {
            client: Client::new(&connect, &addresses)?,
            keys: Keys::of(cluster_name)?,
            name: cluster_name.clone(),
        })
    }

    fn keeper(membership: &Membership, calls: &Calls) -> Result<Self> {
        let address = membership.keeper_address();
        let address = address.context("nothing keeps the cluster state")?;
        let keeper = GrpcMetadata::new(calls.connect.peer(address)?);
        Ok(Self::Keeper(Arc::new(keeper)))
    }

    /// Waits until the state is known, and follows it from then on. A node begins the cluster in an etcd where there
    /// is none, unless it holds data of one.
    ///
    /// # Errors
    /// A state that cannot be read, or is lost.
    pub(crate) async fn open(&self, who: Participant<'_>) -> Result<Arc<dyn Coordinator>> {
        match self {
            Self::Keeper(keeper) => {
                let keeper = Arc::clone(keeper);
                Ok(Arc::new(match who {
                    Participant::Reader => Follower::start(keeper).await,
                    Participant::Member { node, held } => Follower::join(keeper, node, held).await,
                }))
            }
            Self::Etcd { client, keys, name } => {
                let absent = match who {
                    Participant::Reader => IfAbsent::Wait,
                    Participant::Member { held: Some(_), .. } => IfAbsent::Refuse,
                    Participant::Member { held: None, .. } => {
                        IfAbsent::Begin(new_cluster(name).into())
                    }
                };
                let opened = EtcdCoordinator::open(client.clone(), keys.clone(), absent).await;
                Ok(Arc::new(
                    opened.context("cannot follow the cluster state in etcd")?,
                ))
            }
        }
    }
}

/// Returns the state with which a cluster begins.
pub(crate) fn new_cluster(name: &str) -> ClusterState {
    ClusterState {
        cluster_uuid: format!("{:032x}", rand::random::<u128>()),
        cluster_name: name.to_owned(),
        ..ClusterState::default()
    }
}
