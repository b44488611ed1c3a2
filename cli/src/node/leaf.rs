//! The process of a leaf: shard copies, answered for over gRPC.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use gleaner_api::TopzPage;
use gleaner_api::security::MetricsDoor;
use gleaner_coordinator::{Coordinator, entries::EntryTable};
use gleaner_leaf::{Leaf, LeafOptions, NodeIdentity, Peers};
use gleaner_model::{ClusterState, NodeId, Role};
use gleaner_proto::{
    Connect, GrpcLeaf, ReplicationClient, Services,
    node::{LastCall, LocalNode, Readiness},
};
use tokio::{sync::watch, task::block_in_place};

use super::{Addresses, Setup, metadata, registration::register, stopped};
use crate::{
    exit::Exit,
    serve::{edge::Probes, metrics, node as wiring},
    tls::NodeTls,
};

/// Runs a leaf until `stop` says so. Probes are answered from the start; other nodes once it knows the
/// cluster state, and until then they are refused at once.
pub(super) async fn run(
    (setup, Addresses { http, rpc }): (Setup, Addresses),
    stop: watch::Receiver<bool>,
) -> Result<Exit> {
    let metrics = metrics::install()?;
    let folder = setup.folder.path().to_path_buf();
    let upkeep = tokio::spawn(metrics::upkeep(metrics.clone(), folder));
    let (tell, readiness) = watch::channel(Readiness::NotReady {
        reason: "the cluster state is not known yet".to_owned(),
    });
    tracing::info!(
        node = setup.member.name,
        rpc = %rpc.local_addr()?,
        http = %http.local_addr()?,
        "leaf starting"
    );
    let door = MetricsDoor::new(setup.config.security_max_age.0, wiring::now_ms);
    let probes = gleaner_api::probes(
        readiness.clone(),
        metrics,
        TopzPage::new("leaf", &setup.member.name),
        door.clone(),
    );
    let tls = setup.tls.as_ref();
    let _fresh = tls.map(NodeTls::keep_fresh);
    let options = wiring::edge_options(&setup.config, &setup.membership, tls)?;
    let _probes = Probes::start(&setup.config.probe_listen, probes.clone(), &options).await?;
    let probed = gleaner_api::serve(http, probes, &options, stopped(stop.clone()));
    let probed = async { probed.await.context("the server of probes failed") };
    let running = async {
        let coordinator = tokio::select! {
            opened = metadata::open(&setup) => opened?,
            () = stopped(stop.clone()) => return Ok(()),
        };
        door.begin(Arc::clone(&coordinator));
        // Before anything is answered: who follows a shard here is alive.
        let registered = tokio::select! {
            registered = register(&setup) => registered?,
            () = stopped(stop.clone()) => return Ok(()),
        };
        let listener = rpc.listen()?;
        let node = LocalNode::new(
            setup.node_id(),
            Role::Leaf,
            env!("CARGO_PKG_VERSION"),
            readiness,
        );
        let others = Others {
            connect: setup.dialling.leaves.clone(),
            state: coordinator.watch(),
            entries: coordinator.entries().map(|entries| entries.watch()),
            last_call: node.last_call(),
            known: Mutex::default(),
        };
        let leaf = start(&setup, &coordinator, registered.identity, others)?;
        let told = tell_readiness(Arc::clone(&leaf), registered.out_of_reach(), tell);
        let telling = tokio::spawn(told);
        let services = services(node, &leaf);
        let admission = setup.admission();
        let stop = async {
            stopped(stop.clone()).await;
            leaf.hand_over().await;
        };
        let answered = tokio::select! {
            answered = gleaner_proto::serve_admitted(listener, admission, services, stop) => {
                answered.context("the server for other nodes failed")
            }
            reason = registered.replaced() => Err(reason),
        };
        telling.abort();
        leaf.stop().await;
        registered.end().await;
        answered
    };
    let ended = tokio::try_join!(running, probed);
    upkeep.abort();
    setup.telemetry.end().await;
    ended?;
    tracing::info!("stopped; everything is committed");
    Ok(Exit::Success)
}

/// Starts what holds the shard copies.
fn start(
    setup: &Setup,
    coordinator: &Arc<dyn Coordinator>,
    identity: NodeIdentity,
    others: Others,
) -> Result<Arc<Leaf>> {
    let log = block_in_place(|| wiring::open_log(&setup.folder))?;
    let options = LeafOptions {
        node: Some(setup.node_id()),
        identity: Some(identity),
        ..wiring::leaf_options(&setup.folder, &setup.config)
    };
    Leaf::start_with(options, Arc::clone(coordinator), log, Arc::new(others))
        .context("cannot start the leaf's threads")
}

fn services(node: LocalNode, leaf: &Arc<Leaf>) -> Services {
    Services {
        node: Arc::new(node),
        leaf: Some(Arc::clone(leaf) as _),
        replication: Some(Arc::clone(leaf) as _),
        leases: Some(Arc::clone(leaf) as _),
    }
}

/// How long ago a root may have called, and counts as one that calls: less than a follower that has lost its stream is waited
/// for, so that a leaf that nobody reaches any more does not take itself for one that is called.
const CALLED_WITHIN: Duration = Duration::from_millis(400);

/// The other leaves, by the addresses under which they have registered, else by those in the cluster state, with one
/// connection each.
struct Others {
    connect: Connect,
    state: watch::Receiver<Arc<ClusterState>>,
    entries: Option<watch::Receiver<Arc<EntryTable>>>,
    last_call: LastCall,
    known: Mutex<BTreeMap<String, Arc<dyn ReplicationClient>>>,
}

impl Others {
    fn address_of(&self, node: &NodeId) -> Option<String> {
        let table = self.entries.as_ref().map(watch::Receiver::borrow);
        let registered = table.and_then(|table| table.address_of(node).map(ToString::to_string));
        registered.or_else(|| Some(self.state.borrow().nodes.get(node)?.address.clone()))
    }
}

impl Peers for Others {
    fn is_called(&self) -> bool {
        self.last_call.is_within(CALLED_WITHIN)
    }

    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        let address = self.address_of(node)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(&address) {
            return Some(Arc::clone(client));
        }
        match self.connect.peer(&address) {
            Ok(peer) => {
                let client: Arc<dyn ReplicationClient> = Arc::new(GrpcLeaf::new(peer));
                known.insert(address, Arc::clone(&client));
                Some(client)
            }
            Err(error) => {
                tracing::error!(%node, %error, "a member of the cluster cannot be called");
                None
            }
        }
    }
}

/// How often the copies are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a leaf says of itself that roots do not reach.
const OUT_OF_REACH: &str = "most roots cannot reach this leaf at the address of its entry, so others may take its shards over: \
     look at that address, and at what lies between";

/// Says whether all copies serve and roots reach the leaf, whenever that changes.
async fn tell_readiness(
    leaf: Arc<Leaf>,
    is_out_of_reach: impl Fn() -> bool,
    tell: watch::Sender<Readiness>,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let now = match is_out_of_reach() {
            true => Readiness::NotReady {
                reason: OUT_OF_REACH.to_owned(),
            },
            false => told(&leaf.readiness()),
        };
        tell.send_if_modified(|known| {
            let has_changed = *known != now;
            *known = now;
            has_changed
        });
    }
}

/// What a leaf says of copies on their way, after their number.
const OPENING: &str = "are being opened";

/// Returns whether what a leaf says of its readiness is that copies have failed, and that no other is on its
/// way.
pub(crate) fn has_only_failed(reason: &str) -> bool {
    reason.contains(&format!(" 0 {OPENING}"))
}

fn told(copies: &gleaner_leaf::Readiness) -> Readiness {
    if copies.is_ready() {
        return Readiness::Ready;
    }
    let (opening, failed) = (&copies.opening, &copies.failed);
    let cut_off = &copies.cut_off;
    let first = failed.first().or(opening.first()).or(cut_off.first());
    let first = first.map(|(shard, why)| format!("; shard {shard}: {why}"));
    Readiness::NotReady {
        reason: format!(
            "{} copies serve, {} serve without their primary, {} {OPENING}, {} have \
             failed{}",
            copies.open,
            cut_off.len(),
            opening.len(),
            failed.len(),
            first.unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::node::membership::Membership;

    #[test]
    fn a_leaf_that_waits_for_nothing_says_that_copies_have_failed() {
        let shard = gleaner_model::ShardKey {
            index: gleaner_model::IndexUuid([1; 16]),
            shard: gleaner_model::ShardNumber(0),
        };
        let mut copies = gleaner_leaf::Readiness {
            failed: vec![(shard, "its log is missing".to_owned())],
            ..gleaner_leaf::Readiness::default()
        };
        let reason = |copies: &gleaner_leaf::Readiness| match told(copies) {
            Readiness::NotReady { reason } => reason,
            Readiness::Ready => String::new(),
        };
        assert!(has_only_failed(&reason(&copies)));
        copies.opening = vec![(shard, "its log is replayed".to_owned())];
        assert!(!has_only_failed(&reason(&copies)));
    }

    #[test]
    fn a_leaf_answers_as_many_probes_at_once_as_it_is_told() {
        let config = Config {
            max_connections: 1,
            ..Config::default()
        };
        let options =
            wiring::edge_options(&config, &Membership::default(), None).expect("valid settings");
        assert_eq!(options.server.max_connections, 1);
    }
}
