//! What every [`Coordinator`] must do, as one suite of checks; [`entries`] has those of one that keeps entries.

pub mod entries;

use std::sync::Arc;

use gleaner_model::template::LegacyTemplate;
use gleaner_model::{ClusterState, DataStream, IndexMeta, IndexName, IndexUuid, Mapping};
use serde_json::Value;

use crate::size::MAX_INDEX_BYTES;
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
    templates_and_data_streams_are_kept_and_go(&fresh()).await;
    what_is_too_large_is_refused_and_changes_nothing(&fresh()).await;
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

async fn templates_and_data_streams_are_kept_and_go(coordinator: &dyn Coordinator) {
    let with = |name: &str| {
        let mut state = named("a");
        let template = LegacyTemplate {
            index_patterns: vec!["a*".to_owned()],
            version: Some(3),
            ..LegacyTemplate::default()
        };
        let templates = Arc::make_mut(&mut state.templates);
        templates.legacy.insert(name.to_owned(), template);
        let stream = IndexName::parse(name).expect("a good name");
        let of = DataStream {
            lifecycle: None,
            indices: vec![IndexUuid([1; 16])],
            generation: 1,
            hidden: false,
            allow_custom_routing: false,
        };
        state.data_streams.insert(stream, of);
        state
    };
    for (version, next) in (0..).zip([with("one"), with("two"), named("a")]) {
        let swapped = coordinator.compare_and_swap(version, next.clone()).await;
        swapped.expect("swaps");
        let latest = coordinator.latest().await.expect("it is there");
        assert_eq!(latest.templates, next.templates);
        assert_eq!(latest.data_streams, next.data_streams);
    }
}

fn index(mapping: Mapping) -> IndexMeta {
    IndexMeta {
        mapping: Arc::new(mapping),
        ..IndexMeta::new(
            IndexUuid([1; 16]),
            IndexName::parse("large").expect("a good name"),
        )
    }
}

async fn what_is_too_large_is_refused_and_changes_nothing(coordinator: &dyn Coordinator) {
    let mut large = named("large");
    let mut mapping = Mapping::default();
    let text = Value::from("m".repeat(MAX_INDEX_BYTES));
    mapping.declared.insert("_meta".to_owned(), text);
    let index = index(mapping);
    large.indices.insert(index.uuid, Arc::new(index));
    let refused = coordinator.compare_and_swap(0, large).await;
    let Err(CoordinatorError::TooLarge { reason }) = refused else {
        panic!("it cannot be sent to other nodes");
    };
    assert!(reason.contains(&MAX_INDEX_BYTES.to_string()), "{reason}");
    let swapped = coordinator.compare_and_swap(0, named("a")).await;
    assert_eq!(swapped.expect("nothing has changed").version, 1);
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
