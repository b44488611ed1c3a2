//! The process of a root: the dialect for clients, gRPC to leaves.

use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_api::{ApiOptions, Dialect};
use gleaner_coordinator::Coordinator;
use gleaner_machine::Probe;
use gleaner_model::{NodeId, PeerRole, Role};
use gleaner_proto::{
    Connect, GrpcGrantor, GrpcLeaf, LeafClient, Peer, Services,
    node::{LocalNode, Readiness},
};
use gleaner_root::{Root, RootOptions, leaves::Members};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{
    Addresses, Setup, metadata,
    reach::{self, Addressed},
    stopped,
};
use crate::{
    exit::Exit,
    security,
    serve::{edge::Probes, metrics, node as wiring},
    tls::NodeTls,
};

/// An address at which nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// Runs a root until `stop` says so. Clients are answered from the start, though only that it waits
/// while it does not know the cluster state.
pub(super) async fn run(
    (setup, Addresses { http, rpc }): (Setup, Addresses),
    stop: watch::Receiver<bool>,
) -> Result<Exit> {
    let metrics = metrics::install()?;
    let folder = setup.folder.path().to_path_buf();
    let probe = Arc::new(Probe::new(Some(folder.clone())));
    let upkeep = tokio::spawn(metrics::upkeep(metrics.clone(), folder));
    tracing::info!(
        node = setup.member.name,
        rpc = %rpc.local_addr()?,
        http = %http.local_addr()?,
        "root starting"
    );
    let mut options = ApiOptions {
        probe,
        ..wiring::api_options(&http, &setup.config, &setup.membership, setup.tls.as_ref())?
    };
    options.server.access_log = Some(setup.telemetry.access_log());
    let _fresh = setup.tls.as_ref().map(NodeTls::keep_fresh);
    let late = Dialect::late("the cluster state is not known yet", metrics.clone());
    let _probes = Probes::start(&setup.config.probe_listen, late.clone(), &options).await?;
    let answering = gleaner_api::serve(http, late.clone(), &options, stopped(stop.clone()));
    let answering = async { answering.await.context("the server failed") };
    let running = async {
        let coordinator = tokio::select! {
            opened = metadata::open(&setup) => opened?,
            () = stopped(stop.clone()) => return Ok(()),
        };
        let source = setup.state_source()?;
        let lease = setup.membership.lease();
        let shown = tokio::select! {
            told = source.tell_shown(&*coordinator, PeerRole::Root, lease) => told?,
            () = stopped(stop.clone()) => return Ok(()),
        };
        let root = Arc::new(root(&setup, &coordinator)?);
        let opening = async {
            if setup.config.requires_keys() {
                security::require_keys(&*coordinator, setup.folder.path()).await?;
            }
            late.begin(&gleaner_api::dialect(
                Arc::clone(&root),
                options.clone(),
                Some(metrics),
            ));
            Ok(())
        };
        let _following = follow_leaves(&setup, &root, &coordinator);
        let _watching = reach::watch(&setup, &coordinator, &shown.complaints());
        let mut lifecycles = JoinSet::new();
        let carrying = Arc::clone(&root);
        lifecycles.spawn(async move { carrying.carry_out_lifecycles().await });
        let services = services(&setup, &root);
        let admission = setup.admission();
        let listener = rpc.listen()?;
        let stop = stopped(stop.clone());
        let served = gleaner_proto::serve_admitted(listener, admission, services, stop);
        let served = async { served.await.context("the server for other nodes failed") };
        let ended = futures::future::try_join(served, opening).await;
        root.tasks().stop().await;
        if let Err(error) = shown.end().await {
            tracing::warn!(%error, "changes may wait for this root until its lease runs out");
        }
        ended.map(|_| ())
    };
    let ended = tokio::try_join!(answering, running);
    upkeep.abort();
    setup.telemetry.end().await;
    ended?;
    tracing::info!("stopped");
    Ok(Exit::Success)
}

fn root(setup: &Setup, coordinator: &Arc<dyn Coordinator>) -> Result<Root> {
    // The addresses are checked here, so that no client fails to be made later.
    for member in &setup.membership.nodes {
        setup.dialling.leaves.peer(&member.address)?;
    }
    let connect = setup.dialling.leaves.clone();
    let client = move |node: &NodeId, address: &str| client_of(&connect, node, address);
    let leaves = Arc::new(Members::new(&**coordinator, client));
    // Only here: a server in one process has no second copy to ask.
    let options = RootOptions {
        hedge_share: setup.config.hedge_share,
        is_choosing_copies: setup.config.choose_copies,
        ..wiring::root_options(&setup.config)
    };
    Ok(Root::new(
        Arc::clone(coordinator),
        leaves,
        options,
        wiring::now_ms,
    ))
}

/// Follows what leaves show, so that the root knows without a call whether an answer that is kept is current.
fn follow_leaves(setup: &Setup, root: &Root, coordinator: &Arc<dyn Coordinator>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let members = setup.membership.nodes.iter();
    for member in members.filter(|member| member.role == Role::Leaf) {
        let node = NodeId(member.name.as_str().into());
        let following = root.following(node.clone());
        let addresses = Addressed::new(&**coordinator, node, &member.address);
        let connect = setup.dialling.leaves.clone();
        tasks.spawn(addresses.each(move |address| {
            let (following, peer) = (
                following.clone(),
                peer_of(&connect, &following.name, address),
            );
            async move { gleaner_leases::follow(&following, &GrpcGrantor::new(peer)).await }
        }));
    }
    tasks
}

fn services(setup: &Setup, root: &Arc<Root>) -> Services {
    let (_, readiness) = watch::channel(Readiness::Ready);
    let node = LocalNode::new(
        setup.node_id(),
        Role::Root,
        env!("CARGO_PKG_VERSION"),
        readiness,
    );
    Services {
        node: Arc::new(node),
        leaf: None,
        replication: None,
        leases: Some(Arc::clone(root) as _),
    }
}

/// Returns the client of a leaf.
fn client_of(connect: &Connect, node: &NodeId, address: &str) -> Arc<dyn LeafClient> {
    Arc::new(GrpcLeaf::new(peer_of(connect, node, address)))
}

/// Returns the node at an address. The members of the file whose addresses are none are refused before; one that has
/// registered such an address is away.
pub(super) fn peer_of(connect: &Connect, node: &NodeId, address: &str) -> Peer {
    let peer = connect.peer(address).or_else(|error| {
        tracing::error!(%node, %error, "a member of the cluster cannot be called");
        // Calls fail as they do for a leaf that is away.
        Peer::new(NOWHERE)
    });
    peer.expect("the address is one")
}
