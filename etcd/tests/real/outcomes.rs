//! Changes that etcd was sent and did not answer.

use std::sync::Arc;

use anyhow::Result;
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_etcd::EtcdCoordinator;
use gleaner_testkit::skipped;
use tokio::task::JoinHandle;

use crate::cluster::{change, open, renamed, seen, within};
use crate::link::{Link, Mode};
use crate::server::{Etcd, NO_ETCD};

type Swapped = Result<Arc<gleaner_model::ClusterState>, CoordinatorError>;

/// Begins to change the state over a link that holds something back.
fn begun(far: &Arc<EtcdCoordinator>, name: &'static str) -> JoinHandle<Swapped> {
    let far = Arc::clone(far);
    tokio::spawn(async move {
        let state = far.state();
        far.compare_and_swap(state.version, renamed(&state, name))
            .await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_found_also_behind_those_of_others() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_change_whose_answer_is_lost_is_found_also_behind_those_of_others",
            NO_ETCD,
        );
    };
    let link = Link::new();
    let near = open(etcd.client()).await;
    let far = Arc::new(open(etcd.client_over(&link.connect())).await);
    link.set(Mode::HoldAnswers);
    let swapping = begun(&far, "oats");
    assert_eq!(seen(&near, 1).await.cluster_name, "oats");
    change(&near, |state| renamed(state, "rye")).await;
    within(link.break_off()).await;
    let swapped = within(swapping).await??;
    assert_eq!((swapped.version, &*swapped.cluster_name), (1, "oats"));
    assert_eq!(seen(&far, 2).await.cluster_name, "rye");
    assert_eq!(
        within(near.latest()).await?.version,
        2,
        "nothing was touched"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_lost_on_its_way_is_a_conflict_and_never_made() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_change_that_was_lost_on_its_way_is_a_conflict_and_never_made",
            NO_ETCD,
        );
    };
    let link = Link::new();
    let near = open(etcd.client()).await;
    let far = Arc::new(open(etcd.client_over(&link.connect())).await);
    link.set(Mode::HoldCalls);
    let swapping = begun(&far, "oats");
    link.holds(b"\"cluster_name\":\"oats\"").await;
    within(link.break_off()).await;
    let lost = within(swapping).await?;
    assert!(
        matches!(
            lost,
            Err(CoordinatorError::Conflict {
                expected: 0,
                current: 1
            })
        ),
        "{lost:?}"
    );
    // The version moved, so what travels finds another revision; nothing else did.
    let touched = seen(&near, 1).await;
    assert_eq!(*touched, renamed(&touched, ""));
    let swapped = within(begun(&far, "rye")).await??;
    assert_eq!((swapped.version, &*swapped.cluster_name), (2, "rye"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_waits_for_is_settled_before_the_state_is_read() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_change_that_nobody_waits_for_is_settled_before_the_state_is_read",
            NO_ETCD,
        );
    };
    let link = Link::new();
    let far = Arc::new(open(etcd.client_over(&link.connect())).await);
    link.set(Mode::HoldCalls);
    let swapping = begun(&far, "oats");
    link.holds(b"\"cluster_name\":\"oats\"").await;
    swapping.abort();
    assert!(within(swapping).await.is_err_and(|end| end.is_cancelled()));
    link.set(Mode::Open);
    let settled = within(far.latest()).await?;
    assert_eq!(
        settled.version, 1,
        "made, or touched so that it never will be"
    );
    assert_eq!(within(far.latest()).await?, settled);
    Ok(())
}
