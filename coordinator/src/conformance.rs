//! What every [`Coordinator`] must do, as one suite of checks.

use std::sync::Arc;

use gleaner_model::ClusterState;

use crate::{Coordinator, CoordinatorError, update};

/// Runs all checks, each on a fresh coordinator whose state is at version 0.
///
/// # Panics
/// When an implementation breaks a promise; for tests.
pub async fn suite<C: Coordinator + 'static>(mut fresh: impl FnMut() -> C) {
    swap_is_visible_and_counts(&fresh()).await;
    swap_of_an_old_version_is_a_conflict(&fresh()).await;
    latest_is_what_was_swapped_last(&fresh()).await;
    nothing_to_change_is_no_change(&fresh()).await;
    watchers_see_the_newest_state(&fresh()).await;
    concurrent_updates_are_all_kept(Arc::new(fresh())).await;
}

fn named(name: &str) -> ClusterState {
    ClusterState {
        cluster_name: name.to_owned(),
        ..ClusterState::default()
    }
}

async fn swap_is_visible_and_counts(coordinator: &dyn Coordinator) {
    let swapped = coordinator.compare_and_swap(0, named("a")).await;
    assert_eq!(swapped.expect("swaps").version, 1);
    assert_eq!(coordinator.state().cluster_name, "a");
    assert_eq!(coordinator.state().version, 1);
}

async fn swap_of_an_old_version_is_a_conflict(coordinator: &dyn Coordinator) {
    coordinator
        .compare_and_swap(0, named("a"))
        .await
        .expect("swaps");
    let late = coordinator.compare_and_swap(0, named("b")).await;
    assert!(matches!(
        late,
        Err(CoordinatorError::Conflict {
            expected: 0,
            current: 1
        })
    ));
    assert_eq!(coordinator.state().cluster_name, "a");
}

async fn latest_is_what_was_swapped_last(coordinator: &dyn Coordinator) {
    let swapped = coordinator.compare_and_swap(0, named("a")).await;
    let latest = coordinator.latest().await.expect("it is there");
    assert_eq!(latest, swapped.expect("swaps"));
    assert_eq!(coordinator.state().version, 1);
}

async fn nothing_to_change_is_no_change(coordinator: &dyn Coordinator) {
    let unchanged = update::<CoordinatorError, _>(coordinator, |_| Ok(None)).await;
    assert_eq!(unchanged.expect("nothing").version, 0);
    let refused = update(coordinator, |_| {
        Err(CoordinatorError::Contention { attempts: 0 })
    });
    assert!(matches!(
        refused.await,
        Err(CoordinatorError::Contention { attempts: 0 })
    ));
    assert_eq!(coordinator.state().version, 0);
}

async fn watchers_see_the_newest_state(coordinator: &dyn Coordinator) {
    let mut watch = coordinator.watch();
    coordinator
        .compare_and_swap(0, named("a"))
        .await
        .expect("swaps");
    let seen = watch.wait_for(|state| state.version == 1).await;
    assert_eq!(seen.expect("is told").cluster_name, "a");
}

async fn concurrent_updates_are_all_kept<C: Coordinator + 'static>(coordinator: Arc<C>) {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let coordinator = Arc::clone(&coordinator);
            tokio::spawn(async move {
                update::<CoordinatorError, _>(&*coordinator, |state| {
                    let mut next = state.clone();
                    next.cluster_name.push('x');
                    Ok(Some(next))
                })
                .await
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("runs").expect("updates");
    }
    assert_eq!(coordinator.state().cluster_name, "xxxxxxxx");
}
