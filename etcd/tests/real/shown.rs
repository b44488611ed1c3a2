//! A change is acknowledged once all roots and fronts show it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gleaner_coordinator::{Coordinator, CoordinatorError, update};
use gleaner_etcd::{EtcdCoordinator, ShownVersion};
use gleaner_model::PeerRole;
use gleaner_proto::etcd::{Client, Range};
use gleaner_testkit::skipped;

use crate::cluster::{keys, open, renamed, within};
use crate::link::{Link, Mode};
use crate::server::{Etcd, NO_ETCD};

/// Under a lease that does not run out while a test runs.
const LEASE: Duration = Duration::from_secs(600);

/// A root: it follows the state, and tells what it shows of it.
struct Follower {
    coordinator: EtcdCoordinator,
    shown: ShownVersion,
}

impl Follower {
    async fn start(client: Client) -> Result<Self> {
        let coordinator = open(client.clone()).await;
        let shown = within(ShownVersion::start(
            client,
            keys(),
            &coordinator,
            PeerRole::Root,
            LEASE,
        ))
        .await?;
        Ok(Self { coordinator, shown })
    }
}

/// Names the cluster; returns the version that has the name.
async fn name(coordinator: &EtcdCoordinator, name: &str) -> Result<u64> {
    let named = update::<CoordinatorError, _>(coordinator, |state| {
        Ok((state.cluster_name != name).then(|| renamed(state, name)))
    });
    Ok(within(named).await?.version)
}

/// Names the cluster through `one`; fails where `other` does not show it then, unless it was silent for too long.
async fn name_for_both(
    one: &EtcdCoordinator,
    other: &EtcdCoordinator,
    new_name: &str,
) -> Result<()> {
    let begun = Instant::now();
    let version = name(one, new_name).await?;
    let is_shown = other.state().version >= version;
    ensure!(
        is_shown || begun.elapsed() >= Duration::from_secs(1),
        "{new_name}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_through_one_root_is_shown_by_the_others() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::what_was_acknowledged_through_one_root_is_shown_by_the_others",
            NO_ETCD,
        );
    };
    let one = Follower::start(etcd.client()).await?;
    let other = Follower::start(etcd.client()).await?;
    for round in 0..100 {
        let (first, second) = match round % 2 {
            0 => (&one.coordinator, &other.coordinator),
            _ => (&other.coordinator, &one.coordinator),
        };
        name_for_both(first, second, &format!("barley-{round}")).await?;
    }
    // What one that begins did not see before is not new to it.
    let late = Follower::start(etcd.client()).await?;
    assert_eq!(late.coordinator.state(), one.coordinator.state());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_cut_off_holds_up_one_change_and_one_that_ends_none() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_root_that_is_cut_off_holds_up_one_change_and_one_that_ends_none",
            NO_ETCD,
        );
    };
    let link = Link::new();
    let near = Follower::start(etcd.client()).await?;
    let far = Follower::start(etcd.client_over(&link.connect())).await?;
    within(link.cut()).await;
    let first = name(&near.coordinator, "oats").await?;
    assert!(far.coordinator.state().version < first);
    name(&near.coordinator, "rye").await?;
    // It is waited for again once it follows.
    link.set(Mode::Open);
    let mut states = far.coordinator.watch();
    let is_rye = |state: &std::sync::Arc<gleaner_model::ClusterState>| state.cluster_name == "rye";
    drop(within(states.wait_for(is_rye)).await?);
    let told = async {
        let prefix = format!("{}shown/", keys().prefix());
        loop {
            let listing = etcd.client().range(Range::prefix(&prefix)).await?;
            let version = far.coordinator.state().version;
            let word = format!("\"version\":{version}");
            let tells = |value: &[u8]| String::from_utf8_lossy(value).contains(&word);
            if listing.pairs.iter().all(|pair| tells(&pair.value)) {
                return Ok::<_, anyhow::Error>(listing.pairs.len());
            }
        }
    };
    assert_eq!(within(told).await?, 2);
    for round in 0..20 {
        let name = format!("barley-{round}");
        name_for_both(&near.coordinator, &far.coordinator, &name).await?;
    }
    // One that has ended tells nothing any more.
    within(far.shown.end()).await?;
    let prefix = format!("{}shown/", keys().prefix());
    let left = within(etcd.client().range(Range::prefix(&prefix))).await?;
    assert_eq!(left.pairs.len(), 1);
    Ok(())
}
