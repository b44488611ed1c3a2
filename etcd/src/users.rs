//! Who may read and write which keys of a cluster: each role of its processes is a user of etcd.
//!
//! ```text
//! <cluster>-root    reads all keys of the cluster    writes cluster, meta, security, templates, index/, shard/, shown/,
//!                                                    unreachable/, and alive/: it may end the lease of a leaf
//! <cluster>-leaf    reads all keys of the cluster    writes meta, index/, shard/, node/, name/, alive/, marks of copies
//! <cluster>-front   reads all keys of the cluster    writes shown/front-
//! <cluster>-admin   may do everything, of other clusters and their users too
//! ```
//!
//! A user has no password: etcd knows him by the common name of a certificate that an authority has signed which it
//! trusts. So `<cluster>` is what certificates say, and the keys are those of the cluster's name.
//! Does: say who may do what, and have etcd keep to it. Does not: make certificates. Read first: [`Users`].

use gleaner_coordinator::CoordinatorError;
use gleaner_model::PeerRole;
use gleaner_proto::etcd::{Client, Fault, Grant, Outcome, Range, Right};

use crate::change;
use crate::entries::StateEntry;
use crate::error_of;
use crate::keys::Keys;
use crate::value::META;

/// The user who may do everything, whom etcd wants before it asks anyone who he is; and the name of that role.
const SUPERUSER: &str = "root";

/// The users of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// What their names begin with: the cluster, as certificates say it.
    cluster: String,
}

impl Users {
    /// Returns those of the cluster that certificates call `cluster`.
    pub fn of(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
        }
    }

    /// Returns the user that processes of a role are: the common name of their certificates.
    pub fn name(&self, role: PeerRole) -> String {
        format!("{}-{role}", self.cluster)
    }

    /// Returns the common name of the certificates of etcd's own members, who are no users.
    pub fn of_members(&self) -> String {
        format!("{}-etcd", self.cluster)
    }

    /// Makes the users with their rights on `keys`, and has etcd refuse everything else from then on. What is so already
    /// is left; whoever calls must be the operator's user, or etcd not ask for any yet.
    ///
    /// # Errors
    /// [`CoordinatorError::Unavailable`]: etcd does not answer yet, and trying again may help.
    /// [`CoordinatorError::Store`]: etcd refuses.
    pub async fn require(&self, client: &Client, keys: &Keys) -> Result<(), CoordinatorError> {
        self.try_require(client, keys).await.map_err(error_of)?;
        Self::take_keys_apart(client, keys).await
    }

    async fn try_require(&self, client: &Client, keys: &Keys) -> Result<(), Fault> {
        for user in [SUPERUSER, &self.name(PeerRole::Admin)] {
            client.set_user(user, SUPERUSER).await?;
        }
        for role in [PeerRole::Root, PeerRole::Leaf, PeerRole::Front] {
            let name = self.name(role);
            client.set_role(&name, &grants(keys, role)).await?;
            client.set_user(&name, &name).await?;
        }
        client.require_users().await
    }

    /// Takes the API keys of a cluster, where there is one, out of what leaves may write. Versions before this one do not
    /// follow such a state.
    async fn take_keys_apart(client: &Client, keys: &Keys) -> Result<(), CoordinatorError> {
        let apart = client.range(Range::key(&keys.security())).await;
        if !apart.map_err(error_of)?.pairs.is_empty() {
            return Ok(());
        }
        let listing = client.range(Range::key(&keys.meta())).await;
        let Some(pair) = listing.map_err(error_of)?.pairs.into_iter().next() else {
            return Ok(());
        };
        let stored = StateEntry::new(META, pair.value, pair.revision);
        let Some(apart) = change::keys_apart(keys, &stored)? else {
            return Ok(());
        };
        match client.transaction(apart).await.map_err(error_of)? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Conflict => Err(CoordinatorError::Unavailable {
                reason: "the state was changed meanwhile".to_owned(),
            }),
        }
    }
}

/// Returns what a role may do.
fn grants(keys: &Keys, role: PeerRole) -> Vec<Grant> {
    let written: &[&str] = match role {
        PeerRole::Root => &[
            "cluster",
            "meta",
            "security",
            "templates",
            "index/",
            "shard/",
            "shown/",
            "unreachable/",
            "alive/",
        ],
        PeerRole::Leaf => &["meta", "index/", "shard/", "node/", "name/", "alive/"],
        PeerRole::Front => &["shown/front-"],
        // He has etcd's own role.
        PeerRole::Admin => &[],
    };
    let grant = |right, prefix: String| Grant { right, prefix };
    let read = grant(Right::Read, keys.prefix().to_owned());
    let written = written.iter();
    let written = written.map(|kind| grant(Right::Write, format!("{}{kind}", keys.prefix())));
    let marks = match role {
        PeerRole::Root => vec![Right::Read],
        PeerRole::Leaf => vec![Right::Both],
        PeerRole::Front | PeerRole::Admin => Vec::new(),
    };
    let marks = marks.into_iter();
    let marks = marks.map(|right| grant(right, keys.marks_prefix().to_owned()));
    [read].into_iter().chain(written).chain(marks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_is_the_superuser_of_etcd_and_fronts_write_nothing_but_what_they_show() {
        let keys = Keys::of("barley").expect("a good name");
        for cluster in ["", "barley"] {
            let users = Users::of(cluster);
            for role in PeerRole::ALL {
                assert_ne!(users.name(role), SUPERUSER);
                assert_ne!(users.name(role), users.of_members());
            }
        }
        let writes = |role, key: &str| {
            let mut grants = grants(&keys, role).into_iter();
            grants.any(|grant| grant.right != Right::Read && key.starts_with(&grant.prefix))
        };
        for key in [
            keys.meta(),
            keys.cluster(),
            keys.shown("root-1"),
            "/other".to_owned(),
        ] {
            assert!(!writes(PeerRole::Front, &key), "{key}");
        }
        assert!(writes(PeerRole::Front, &keys.shown("front-1")));
        for key in [keys.cluster(), keys.templates(), keys.shown("root-1")] {
            assert!(
                writes(PeerRole::Root, &key) && !writes(PeerRole::Leaf, &key),
                "{key}"
            );
        }
    }
}
