//! Processes that an etcd knows by their certificates, over TLS: each may change what is its own.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_etcd::{EtcdCoordinator, IfAbsent, Session, ShownVersion, Users};
use gleaner_model::security::KeyHash;
use gleaner_model::{ClusterState, PeerRole, Security};
use gleaner_proto::Connect;
use gleaner_proto::etcd::{Client, Fault, MemberAnswer, Operation, Outcome, Range, Transaction};
use gleaner_testkit::etcd::{Etcd, EtcdCertificates, NO_ETCD, is_installed};
use gleaner_testkit::skipped;
use gleaner_tls::{
    Alpn, Authority, CertificateFiles, CertificateRequest, Certificates, Connector, ExpectedServer,
    Trust,
};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::cluster::{change, keys, open, renamed, with_index, within};
use crate::session::entry;

/// Under a lease that does not run out while a test runs.
const LEASE: Duration = Duration::from_secs(600);

/// An etcd whose users are those of a cluster, and who they are.
struct Guarded {
    etcd: Etcd,
    users: Users,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Guarded {
    /// Starts one that does not ask yet who calls it.
    fn start() -> Result<Self> {
        let (folder, users) = (tempfile::tempdir()?, Users::of("barley"));
        let authority = Authority::generate("test authority")?;
        fs::write(folder.path().join("ca.pem"), authority.certificate_pem())?;
        let own = issue(&authority, &folder, &users.of_members())?;
        let etcd = Etcd::start_over_tls(EtcdCertificates {
            certificate: own.certificate,
            key: own.key,
            ca: folder.path().join("ca.pem"),
        })?;
        Ok(Self {
            etcd,
            users,
            authority,
            folder,
        })
    }

    /// Returns a client with a certificate of this common name.
    fn named(&self, common_name: &str) -> Result<Client> {
        let files = issue(&self.authority, &self.folder, common_name)?;
        let own = Arc::new(Certificates::load(vec![files])?);
        let trust = Trust::Authorities(self.folder.path().join("ca.pem"));
        let connector =
            Connector::expecting(ExpectedServer::NoNode, &trust, Some(own), Alpn::Http2)?;
        let connect = Connect::by(move |address: String| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(&address).await?;
                connector.connect("127.0.0.1", stream).await
            }
        });
        Ok(Client::new(&connect, &[self.etcd.address()])?)
    }

    fn client(&self, role: PeerRole) -> Result<Client> {
        self.named(&self.users.name(role))
    }

    /// Has the etcd ask who calls it, once it serves.
    async fn require(&self) -> Result<()> {
        let admin = self.client(PeerRole::Admin)?;
        let required = async {
            loop {
                match self.users.require(&admin, &keys()).await {
                    Err(CoordinatorError::Unavailable { .. }) => tokio::task::yield_now().await,
                    required => return required,
                }
            }
        };
        Ok(within(required).await?)
    }
}

fn issue(
    authority: &Authority,
    folder: &tempfile::TempDir,
    common_name: &str,
) -> Result<CertificateFiles> {
    let issued = authority.issue(&CertificateRequest {
        common_name: common_name.to_owned(),
        hosts: vec!["127.0.0.1".to_owned()],
        identity: None,
        days: 1,
    })?;
    let file = |ending: &str| folder.path().join(format!("{common_name}.{ending}"));
    let files = CertificateFiles {
        certificate: file("pem"),
        key: file("key"),
    };
    fs::write(&files.certificate, issued.certificate_pem)?;
    fs::write(&files.key, issued.key_pem)?;
    Ok(files)
}

async fn put(client: &Client, key: &str) -> Result<Outcome, Fault> {
    put_value(client, key, "planted".to_owned()).await
}

async fn put_value(client: &Client, key: &str, value: String) -> Result<Outcome, Fault> {
    let put = Operation::Put {
        key: key.to_owned(),
        value: value.into(),
        lease: None,
    };
    let transaction = Transaction {
        compares: Vec::new(),
        operations: vec![put],
    };
    within(client.transaction(transaction)).await
}

async fn delete_all(client: &Client) -> Result<Outcome, Fault> {
    let delete = Operation::DeletePrefix {
        prefix: keys().prefix().to_owned(),
    };
    let transaction = Transaction {
        compares: Vec::new(),
        operations: vec![delete],
    };
    within(client.transaction(transaction)).await
}

fn own(rest: &str) -> String {
    format!("{}{rest}", keys().prefix())
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(done: Result<T, Fault>, what: &str) {
    match done {
        Err(Fault::Refused { reason }) if reason == "permission denied" => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_changes_what_is_its_own_and_nobody_else_anything() -> Result<()> {
    if !is_installed() {
        let test = "real::a_process_changes_what_is_its_own_and_nobody_else_anything";
        return skipped(test, NO_ETCD);
    }
    let guarded = Guarded::start()?;
    guarded.require().await?;
    let root = open(guarded.client(PeerRole::Root)?).await;
    let shown = ShownVersion::start(
        guarded.client(PeerRole::Root)?,
        keys(),
        &root,
        PeerRole::Root,
        LEASE,
    );
    let shown = within(shown).await?;
    change(&root, |state| with_index(state, 1)).await;

    let leaf = guarded.client(PeerRole::Leaf)?;
    // No right is needed to be told how a member is.
    for who in [&leaf, &guarded.named("somebody")?] {
        let statuses = within(who.statuses(LEASE)).await;
        assert!(
            matches!(&*statuses, [MemberAnswer { status: Ok(_), .. }]),
            "{statuses:?}"
        );
    }
    let session = within(Session::start(&leaf, keys(), &entry(1, "leaf-1"), LEASE)).await?;
    let by_leaf = EtcdCoordinator::open(leaf.clone(), keys(), IfAbsent::Wait);
    let by_leaf = within(by_leaf).await?;
    change(&by_leaf, |state| renamed(state, "grown")).await;
    let of_roots = ["cluster", "security", "templates", "shown/root-1"];
    for key in of_roots
        .into_iter()
        .chain(["unreachable/1/root-1", "other"])
    {
        assert_refused(put(&leaf, &own(key)).await, key);
    }
    put(&leaf, &own("shard/1/0")).await?;

    let front = guarded.client(PeerRole::Front)?;
    let by_front = EtcdCoordinator::open(front.clone(), keys(), IfAbsent::Wait);
    let by_front = within(by_front).await?;
    assert_eq!(by_front.state().cluster_name, "grown");
    let front_shown = ShownVersion::start(front.clone(), keys(), &by_front, PeerRole::Front, LEASE);
    let front_shown = within(front_shown).await?;
    let kinds = [
        "meta",
        "security",
        "cluster",
        "templates",
        "index/1",
        "shard/1/0",
        "node/1",
        "name/leaf-1",
        "alive/1",
        "shown/root-1",
        "unreachable/1/root-1",
    ];
    for key in kinds {
        assert_refused(put(&front, &own(key)).await, key);
    }
    assert_refused(put(&front, "/gleaner/oats/meta").await, "another cluster");
    let other = Range::prefix("/gleaner/oats/");
    assert_refused(within(front.range(other)).await, "another cluster is read");
    assert_refused(delete_all(&front).await, "all is deleted");
    let state = by_front.state();
    let swapped = by_front.compare_and_swap(state.version, renamed(&state, "planted"));
    within(swapped).await.expect_err("a front changes nothing");
    within(front_shown.end()).await?;
    // The only root there is ends the lease of a leaf that it does not reach.
    let (node, process) = (entry(1, "leaf-1").uuid, session.incarnation());
    let is_ended = within(shown.complaints().file(node, process)).await?;
    assert!(is_ended, "most roots do not reach it");
    within(session.end()).await?;
    within(shown.end()).await?;
    assert_eq!(root.latest().await?.cluster_name, "grown");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_makes_users_and_others_of_the_authority_are_nobody() -> Result<()> {
    if !is_installed() {
        let test = "real::only_the_operator_makes_users_and_others_of_the_authority_are_nobody";
        return skipped(test, NO_ETCD);
    }
    let guarded = Guarded::start()?;
    guarded.require().await?;
    // Again, as with each start of a cluster.
    guarded.require().await?;
    let admin = guarded.client(PeerRole::Admin)?;
    put(&admin, &own("x")).await?;
    for role in [PeerRole::Root, PeerRole::Leaf, PeerRole::Front] {
        let client = guarded.client(role)?;
        let required = within(guarded.users.require(&client, &keys())).await;
        let refused = format!("{:?}", required.expect_err("no operator"));
        assert!(refused.contains("permission denied"), "{role}: {refused}");
    }
    let member = guarded.users.of_members();
    for name in [&*member, "leaf-1", "oats-root"] {
        let client = guarded.named(name)?;
        let read = within(client.range(Range::key(&own("x")))).await;
        assert_refused(read, name);
    }
    let found = within(admin.range(Range::key(&own("x")))).await?;
    let found = found.pairs.first().context("it is there")?;
    assert_eq!(&found.value[..], b"planted");
    Ok(())
}

/// Returns the state with API keys that `seal` tells from others.
fn with_keys(state: &ClusterState, seal: u8) -> ClusterState {
    ClusterState {
        security: Some(security(seal)),
        ..state.clone()
    }
}

fn security(seal: u8) -> Arc<Security> {
    Arc::new(Security {
        seal: KeyHash([seal; 32]),
        ..Security::default()
    })
}

/// Writes the metadata with other API keys in it, as a version before this one has them.
async fn plant(client: &Client, seal: u8) -> Result<()> {
    let listing = within(client.range(Range::key(&own("meta")))).await?;
    let pair = listing.pairs.into_iter().next().context("there is some")?;
    let mut meta: Value = serde_json::from_slice(&pair.value)?;
    meta["security"] = serde_json::to_value(&*security(seal))?;
    meta["version"] = (meta["version"].as_u64().context("a version")? + 1).into();
    meta["format"] = 1.into();
    meta.as_object_mut()
        .context("an object")?
        .remove("keys_apart");
    put_value(client, &own("meta"), meta.to_string()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_plants_no_key_of_clients() -> Result<()> {
    if !is_installed() {
        return skipped("real::a_leaf_plants_no_key_of_clients", NO_ETCD);
    }
    let guarded = Guarded::start()?;
    guarded.require().await?;
    let root = open(guarded.client(PeerRole::Root)?).await;
    let secured = change(&root, |state| with_keys(state, 1)).await;
    let leaf = guarded.client(PeerRole::Leaf)?;
    plant(&leaf, 66).await?;
    let state = within(root.latest()).await?;
    assert_eq!(
        state.security,
        Some(security(1)),
        "what roots wrote decides"
    );
    assert!(
        state.version > secured.version,
        "the rest is a leaf's to change"
    );
    let late = open(guarded.client(PeerRole::Root)?).await;
    assert_eq!(late.state().security, Some(security(1)));
    change(&root, |state| with_keys(state, 2)).await;
    assert_eq!(within(late.latest()).await?.security, Some(security(2)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_an_older_cluster_are_taken_where_leaves_cannot_write() -> Result<()> {
    if !is_installed() {
        let test = "real::the_keys_of_an_older_cluster_are_taken_where_leaves_cannot_write";
        return skipped(test, NO_ETCD);
    }
    let guarded = Guarded::start()?;
    let root = open(guarded.client(PeerRole::Root)?).await;
    plant(&guarded.client(PeerRole::Root)?, 3).await?;
    assert_eq!(within(root.latest()).await?.security, Some(security(3)));
    // While older nodes may follow, keys stay where these find them.
    change(&root, |state| with_keys(state, 4)).await;
    let admin = guarded.client(PeerRole::Admin)?;
    let apart = within(admin.range(Range::key(&own("security")))).await?;
    assert!(apart.pairs.is_empty(), "{apart:?}");
    guarded.require().await?;
    guarded.require().await?;
    assert_eq!(within(root.latest()).await?.security, Some(security(4)));
    plant(&guarded.client(PeerRole::Leaf)?, 66).await?;
    guarded.require().await?;
    assert_eq!(within(root.latest()).await?.security, Some(security(4)));
    Ok(())
}
