//! The cluster state as processes of a cluster follow it: from an etcd.
//!
//! Does: make a coordinator of what the file of members says. Called by leaves, roots, fronts and `gleaner cluster up`.
//! Read first: [`StateSource`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_etcd::{Client, EtcdCoordinator, IfAbsent, Keys, ShownVersion, Users};
use gleaner_model::{ClusterState, PeerRole, Role};
use gleaner_proto::Connect;

use super::membership::{ClusterFile, EtcdAddresses};
use crate::tls::Dialling;

/// How long after an etcd did not answer it is asked for its users again.
const USERS_AGAIN: Duration = Duration::from_millis(100);

/// Where the cluster state lies: in an etcd.
#[derive(Clone)]
pub(crate) struct StateSource {
    pub(super) client: Client,
    pub(super) keys: Keys,
    /// Name of the cluster.
    name: String,
    /// Bytes that the database of a member may have that does not tell.
    quota: u64,
}

/// Who follows the state.
pub(crate) enum Participant<'a> {
    /// A process that holds nothing.
    Reader,
    /// A node, whose folder holds data of the cluster `held` or of none. Roots begin a cluster where there is none; leaves,
    /// which may not write there what it is, wait for that.
    Member { role: Role, held: Option<&'a str> },
}

/// How members of a cluster are called; by default over TCP.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    pub(crate) dialling: Dialling,
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
        let EtcdAddresses {
            addresses,
            is_encrypted,
        } = membership
            .etcd_addresses()
            .context("the file of members names no etcd")?;
        ensure!(
            calls.is_encrypted || !is_encrypted,
            "the etcd of the cluster is called over TLS (`https`), and this process has no certificates for that: set \
             `tls_certificate`, `tls_key` and `tls_ca`, or `--cert`, `--key` and `--ca` of a front"
        );
        let connect = match is_encrypted {
            true => calls.dialling.etcd.clone(),
            false => Connect::default(),
        };
        Ok(Self {
            client: Client::new(&connect, &addresses)?,
            keys: Keys::of(cluster_name)?,
            name: cluster_name.clone(),
            quota: membership.etcd_quota(),
        })
    }

    /// Waits until the state is known, and follows it from then on. A node begins the cluster in an etcd where there
    /// is none, unless it holds data of one.
    ///
    /// # Errors
    /// A state that cannot be read, or is lost.
    pub(crate) async fn open(&self, who: Participant<'_>) -> Result<Arc<dyn Coordinator>> {
        let Self {
            client,
            keys,
            name,
            quota,
        } = self;
        let absent = match who {
            Participant::Reader => IfAbsent::Wait,
            Participant::Member { held: Some(_), .. } => IfAbsent::Refuse,
            Participant::Member {
                role: Role::Leaf, ..
            } => IfAbsent::Wait,
            Participant::Member {
                role: Role::Root, ..
            } => IfAbsent::Begin(new_cluster(name).into()),
        };
        let (client, keys) = (client.clone(), keys.clone());
        let opened = EtcdCoordinator::open_with_quota(client, keys, absent, *quota);
        Ok(Arc::new(
            opened
                .await
                .context("cannot follow the cluster state in etcd")?,
        ))
    }
}

impl StateSource {
    /// Has etcd know its users and refuse what they have no right to, once it answers.
    ///
    /// # Errors
    /// That etcd refuses.
    pub(crate) async fn require_users(&self, users: &Users) -> Result<()> {
        loop {
            match users.require(&self.client, &self.keys).await {
                Err(CoordinatorError::Unavailable { reason }) => {
                    tracing::debug!(reason, "etcd does not serve yet");
                }
                required => return required.context("cannot make the users of etcd"),
            }
            tokio::time::sleep(USERS_AGAIN).await;
        }
    }

    /// Has changes of the state wait for this process before they are acknowledged, under a lease of `lease`. Waits
    /// until etcd knows of it.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub(crate) async fn tell_shown(
        &self,
        coordinator: &dyn Coordinator,
        who: PeerRole,
        lease: Duration,
    ) -> Result<ShownVersion> {
        let (client, keys) = (self.client.clone(), self.keys.clone());
        let shown = ShownVersion::start(client, keys, coordinator, who, lease).await;
        shown.context("cannot tell which cluster state this process shows")
    }
}

/// Returns the state with which a cluster begins.
fn new_cluster(name: &str) -> ClusterState {
    ClusterState {
        cluster_uuid: format!("{:032x}", rand::random::<u128>()),
        cluster_name: name.to_owned(),
        ..ClusterState::default()
    }
}
