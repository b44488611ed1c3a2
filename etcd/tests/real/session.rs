//! Nodes that are registered, lose their lease, and meet others of their name.

use std::time::Duration;

use anyhow::Result;
use gleaner_etcd::{NodeEntry, RegistrationError, Session, SessionState};
use gleaner_model::{NodeId, NodeMeta, NodeUuid, Role};
use gleaner_proto::Versions;
use gleaner_proto::etcd::{Client, Event, LeaseId, Range, Revision};
use gleaner_testkit::skipped;
use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::{keys, within};
use crate::server::{Etcd, NO_ETCD};

/// The shortest lease that etcd grants.
const LEASE: Duration = Duration::from_secs(2);

pub(crate) fn entry(uuid: u128, name: &str) -> NodeEntry {
    NodeEntry {
        uuid: NodeUuid(uuid.to_be_bytes()),
        name: NodeId(name.into()),
        meta: NodeMeta {
            role: Role::Leaf,
            address: "10.0.0.2:9300".to_owned(),
            http_address: None,
            weight: 2.0,
            zone: Some("a".to_owned()),
        },
        build: "1.2.3".to_owned(),
        wire: Versions::OURS,
        features: Vec::new(),
    }
}

async fn started(client: &Client, uuid: u128, name: &str) -> Result<Session, RegistrationError> {
    within(Session::start(client, keys(), &entry(uuid, name), LEASE)).await
}

fn lease(state: &SessionState) -> LeaseId {
    let SessionState::Alive { lease, until } = state else {
        panic!("{state:?}");
    };
    assert!(*until > Instant::now(), "it was renewed in time");
    *lease
}

fn key(kind: &str, rest: &str) -> String {
    format!("{}{kind}/{rest}", keys().prefix())
}

fn alive(uuid: u128) -> String {
    key("alive", &NodeUuid(uuid.to_be_bytes()).to_string())
}

/// Returns the changes of a key from `from` on, up to the first that `is_wanted`.
async fn until(client: &Client, key: &str, from: Revision, is_wanted: fn(&Event) -> bool) {
    let watched = async {
        let mut watch = client.watch(key, from).await.expect("it is watched");
        loop {
            let events = watch.next().await.expect("it goes on");
            if events.iter().any(is_wanted) {
                return;
            }
        }
    };
    within(watched).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_registered_until_its_session_ends() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::a_node_is_registered_until_its_session_ends", NO_ETCD);
    };
    let client = etcd.client();
    let session = started(&client, 1, "leaf-1").await?;
    let mut state = session.state();
    let first = state.borrow_and_update().clone();
    let lease = lease(&first);
    let all = within(client.range(Range::prefix(keys().prefix()))).await?;
    let named: Vec<(&str, bool)> = all
        .pairs
        .iter()
        .map(|pair| {
            let key = std::str::from_utf8(&pair.key).expect("text");
            (key, pair.lease == Some(lease))
        })
        .collect();
    let (node, name) = (
        key("node", &NodeUuid(1_u128.to_be_bytes()).to_string()),
        key("name", "leaf-1"),
    );
    let wanted = [(&*alive(1), true), (&*name, false), (&*node, false)];
    assert_eq!(named, wanted);
    let node: Value = serde_json::from_slice(&all.pairs[2].value)?;
    let told = (&node["kind"], &node["name"], &node["role"], &node["weight"]);
    assert_eq!(
        told,
        (
            &"node".into(),
            &"leaf-1".into(),
            &"leaf".into(),
            &2.0.into()
        )
    );
    within(state.changed()).await?;
    assert_eq!(
        self::lease(&state.borrow()),
        lease,
        "renewed, not made anew"
    );
    within(session.end()).await?;
    let left = within(client.range(Range::key(&alive(1)))).await?;
    assert_eq!(left.pairs, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_renew_is_not_alive_when_its_lease_has_run_out() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_node_that_does_not_renew_is_not_alive_when_its_lease_has_run_out",
            NO_ETCD,
        );
    };
    let client = etcd.client();
    let session = started(&client, 1, "leaf-1").await?;
    let registered = within(client.range(Range::key(&alive(1)))).await?;
    drop(session);
    let gone = |event: &Event| event.value.is_none();
    until(&client, &alive(1), registered.revision, gone).await;
    // Its name is free for another node then.
    started(&client, 2, "leaf-1").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_is_followed_by_another() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::a_lease_that_is_lost_is_followed_by_another", NO_ETCD);
    };
    let client = etcd.client();
    let session = started(&client, 1, "leaf-1").await?;
    let mut state = session.state();
    let first = lease(&state.borrow_and_update());
    within(client.revoke(first)).await?;
    let renewed = |state: &SessionState| matches!(state, SessionState::Alive { lease, .. } if *lease != first);
    let mut seen_lost = session.state();
    let lost = within(state.wait_for(|state| *state == SessionState::Lost || renewed(state)));
    lost.await?;
    let second = lease(&*within(seen_lost.wait_for(renewed)).await?);
    let held = within(client.range(Range::key(&alive(1)))).await?;
    assert_eq!(held.pairs[0].lease, Some(second));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_one_node_that_is_alive() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::a_name_belongs_to_one_node_that_is_alive", NO_ETCD);
    };
    let client = etcd.client();
    let session = started(&client, 1, "leaf-1").await?;
    let refused = started(&client, 2, "leaf-1").await;
    assert!(matches!(refused, Err(RegistrationError::NameTaken { .. })));
    within(session.end()).await?;
    started(&client, 2, "leaf-1").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_process_of_a_node_ends_the_session_of_the_older_one() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_newer_process_of_a_node_ends_the_session_of_the_older_one",
            NO_ETCD,
        );
    };
    let client = etcd.client();
    let older = started(&client, 1, "leaf-1").await?;
    let newer = started(&client, 1, "leaf-1").await?;
    let mut state = older.state();
    let ended = |state: &SessionState| matches!(state, SessionState::Ended { .. });
    within(state.wait_for(ended)).await?;
    lease(&newer.state().borrow());
    Ok(())
}
