//! The process of a root: the dialect for clients, gRPC to leaves.

use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_model::{NodeId, NodeMeta, Role};
use gleaner_proto::{
    GrpcLeaf, LeafClient, Peer, Services,
    node::{LocalNode, Readiness},
};
use gleaner_root::{Root, RootOptions, leaves::Members};
use tokio::sync::watch;

use super::{Setup, metadata, stopped};
use crate::{exit::Exit, serve::node as wiring};

/// An address at which nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// Runs a root until `stop` says so.
pub(super) async fn run(setup: Setup, stop: watch::Receiver<bool>) -> Result<Exit> {
    let metrics = wiring::metrics()?;
    let upkeep = tokio::spawn(wiring::upkeep(metrics.clone()));
    let Setup { http, rpc, .. } = &setup;
    tracing::info!(
        node = setup.member.name,
        rpc = %rpc.local_addr()?,
        http = %http.local_addr()?,
        "root starting"
    );
    let metadata = tokio::select! {
        opened = metadata::open(&setup) => opened?,
        () = stopped(stop.clone()) => return Ok(Exit::Success),
    };
    // The addresses are checked here, so that no client fails to be made later.
    for member in &setup.membership.nodes {
        Peer::new(&member.address)?;
    }
    let leaves = Arc::new(Members::new(&*metadata.coordinator, client_of));
    // Only here: a server in one process has no second copy to ask.
    let options = RootOptions {
        hedge_share: setup.config.hedge_share,
        is_choosing_copies: setup.config.choose_copies,
        ..wiring::root_options(&setup.config)
    };
    let root = Root::new(
        Arc::clone(&metadata.coordinator),
        leaves,
        options,
        wiring::now_ms,
    );
    let (_tell, readiness) = watch::channel(Readiness::Ready);
    let node = LocalNode::new(
        setup.node_id(),
        Role::Root,
        env!("CARGO_PKG_VERSION"),
        readiness,
    );
    let services = Services {
        node: Arc::new(node),
        leaf: None,
        replication: None,
        metadata: metadata.keeper,
    };
    let options = wiring::api_options(&setup.http, &setup.config)?;
    let dialect = gleaner_api::dialect(Arc::new(root), options.clone(), Some(metrics));
    let (answered, served) = tokio::join!(
        gleaner_proto::serve(setup.rpc, services, stopped(stop.clone())),
        gleaner_api::serve(setup.http, dialect, &options, stopped(stop)),
    );
    upkeep.abort();
    answered.context("the server for other nodes failed")?;
    served.context("the server failed")?;
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// Returns the client of a leaf. Members whose addresses are none are refused before.
fn client_of(node: &NodeId, meta: &NodeMeta) -> Arc<dyn LeafClient> {
    let peer = Peer::new(&meta.address).or_else(|error| {
        tracing::error!(%node, %error, "a member of the cluster cannot be called");
        // Calls fail as they do for a leaf that is away.
        Peer::new(NOWHERE)
    });
    Arc::new(GrpcLeaf::new(peer.expect("the address is one")))
}
