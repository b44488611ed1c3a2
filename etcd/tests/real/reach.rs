//! Nodes that roots cannot reach lose their lease once most roots say so, and register again once they do not.

use std::time::Duration;

use anyhow::Result;
use gleaner_coordinator::Coordinator;
use gleaner_etcd::{EtcdCoordinator, Session, SessionState, ShownVersion};
use gleaner_model::{NodeId, PeerRole};
use gleaner_proto::etcd::{Client, Range};
use gleaner_testkit::skipped;

use crate::cluster::{keys, open, within};
use crate::server::{Etcd, NO_ETCD};
use crate::session::entry;

/// A lease that does not run out while a test runs.
const LEASE: Duration = Duration::from_secs(600);

async fn root(client: Client, coordinator: &EtcdCoordinator) -> Result<ShownVersion> {
    let shown = ShownVersion::start(client, keys(), coordinator, PeerRole::Root, LEASE);
    Ok(within(shown).await?)
}

async fn num_alive(client: &Client) -> Result<usize> {
    let prefix = format!("{}alive/", keys().prefix());
    Ok(within(client.range(Range::prefix(&prefix)))
        .await?
        .pairs
        .len())
}

async fn until(session: &Session, is_wanted: fn(&SessionState) -> bool) -> Result<()> {
    let mut state = session.state();
    within(state.wait_for(is_wanted)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_loses_its_lease_when_more_than_half_of_the_roots_do_not_reach_it() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        let test = "real::a_node_loses_its_lease_when_more_than_half_of_the_roots_do_not_reach_it";
        return skipped(test, NO_ETCD);
    };
    let client = etcd.client();
    let coordinator = open(client.clone()).await;
    let (one, other) = (
        root(etcd.client(), &coordinator).await?,
        root(etcd.client(), &coordinator).await?,
    );
    // A short one: its renewals hear that it is over.
    let node = entry(1, "leaf-1");
    let session = within(Session::start(
        &client,
        keys(),
        &node,
        Duration::from_secs(2),
    ))
    .await?;
    let (uuid, process) = (node.uuid, session.incarnation());

    for _ in 0..2 {
        let is_ended = within(one.complaints().file(uuid, process)).await?;
        assert!(!is_ended, "one of two is not most");
    }
    assert_eq!(num_alive(&client).await?, 1);
    let another = gleaner_model::Incarnation([7; 16]);
    assert!(
        !within(other.complaints().file(uuid, another)).await?,
        "of another process"
    );
    assert!(within(other.complaints().file(uuid, process)).await?);
    assert_eq!(num_alive(&client).await?, 0);
    until(&session, |state| *state == SessionState::OutOfReach).await?;
    assert_eq!(
        num_alive(&client).await?,
        0,
        "it does not come back by itself"
    );

    within(one.complaints().withdraw(uuid)).await?;
    until(&session, |state| {
        matches!(state, SessionState::Alive { .. })
    })
    .await?;
    assert_eq!(num_alive(&client).await?, 1);

    // Who has ended does not count: what the last one says is the word of all.
    within(one.end()).await?;
    assert!(within(other.complaints().file(uuid, process)).await?);
    // And with the last root its word goes.
    within(other.end()).await?;
    until(&session, |state| {
        matches!(state, SessionState::Alive { .. })
    })
    .await?;
    // The next process of the node has nothing to do with what was said of the one before.
    drop(session);
    let _next = within(Session::start(&client, keys(), &node, LEASE)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn others_call_a_node_where_it_has_registered() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::others_call_a_node_where_it_has_registered", NO_ETCD);
    };
    let client = etcd.client();
    let coordinator = open(client.clone()).await;
    let mut node = entry(1, "leaf-1");
    let mut table = coordinator.entries().expect("on etcd").watch();
    for address in ["10.0.0.2:9300", "10.0.0.2:9301"] {
        node.meta.address = address.to_owned();
        let _session = within(Session::start(&client, keys(), &node, LEASE)).await?;
        let is_known = |table: &std::sync::Arc<gleaner_coordinator::entries::EntryTable>| {
            let known = table.address_of(&NodeId("leaf-1".into()));
            known.is_some_and(|known| **known == *address)
        };
        within(table.wait_for(is_known)).await?;
    }
    Ok(())
}
