//! What every coordinator promises, and what is particular to one on etcd.

use anyhow::Result;
use gleaner_coordinator::{Coordinator, CoordinatorError, conformance};
use gleaner_etcd::{EtcdCoordinator, IfAbsent, Keys};
use gleaner_model::{ClusterState, IndexUuid};
use gleaner_proto::etcd::{Client, Operation, Outcome, Range, Transaction};
use gleaner_testkit::skipped;
use serde_json::Value;

use crate::cluster::{change, keys, open, renamed, seen, with_index, within};
use crate::link::{Link, Mode};
use crate::server::{Etcd, NO_ETCD};

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_of_coordinators_passes() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::the_suite_of_coordinators_passes", NO_ETCD);
    };
    let client = etcd.client();
    let mut number = 0;
    let fresh = || {
        number += 1;
        let keys = Keys::of(&format!("cluster-{number}")).expect("a good name");
        let opened = EtcdCoordinator::open(client.clone(), keys, IfAbsent::Begin(Box::default()));
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(within(opened))).expect("it opens")
    };
    conformance::suite(fresh).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_see_each_others_changes() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::two_coordinators_see_each_others_changes", NO_ETCD);
    };
    let (one, other) = (open(etcd.client()).await, open(etcd.client()).await);
    change(&one, |state| with_index(state, 1)).await;
    seen(&other, 1).await;
    let both = change(&other, |state| with_index(state, 2)).await;
    assert_eq!((both.version, both.indices.len()), (2, 2));
    assert_eq!(seen(&one, 2).await, both);
    let lost = one.compare_and_swap(1, renamed(&both, "late")).await;
    assert!(
        matches!(lost, Err(CoordinatorError::Conflict { current: 2, .. })),
        "{lost:?}"
    );
    let fewer = change(&one, |state| {
        let mut next = state.clone();
        next.delete_index(&IndexUuid([1; 16]));
        next
    });
    let fewer = fewer.await;
    assert_eq!(seen(&other, 3).await, fewer);
    assert_eq!(fewer.deleted, [IndexUuid([1; 16])]);
    // One that comes later finds the same, and begins nothing.
    let begun = EtcdCoordinator::open(etcd.client(), keys(), IfAbsent::Refuse);
    assert_eq!(within(begun).await?.state(), fewer);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_data_begins_no_cluster() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::a_node_with_data_begins_no_cluster", NO_ETCD);
    };
    let refused = within(EtcdCoordinator::open(
        etcd.client(),
        keys(),
        IfAbsent::Refuse,
    ))
    .await;
    let refused = refused.err().expect("there is none").to_string();
    assert!(refused.contains("/gleaner/barley/cluster"), "{refused}");
    let left = within(etcd.client().range(Range::prefix("/"))).await?;
    assert_eq!(left.pairs, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_thrown_away_during_a_cut_is_read_at_once() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::what_was_thrown_away_during_a_cut_is_read_at_once",
            NO_ETCD,
        );
    };
    let link = Link::new();
    let (near, far) = (
        open(etcd.client()).await,
        open(etcd.client_over(&link.connect())).await,
    );
    change(&near, |state| with_index(state, 1)).await;
    seen(&far, 1).await;
    within(link.cut()).await;
    change(&near, |state| with_index(state, 2)).await;
    let last = change(&near, |state| {
        let mut next = state.clone();
        next.delete_index(&IndexUuid([1; 16]));
        next
    });
    let last = last.await;
    let newest = within(etcd.client().range(Range::prefix("/"))).await?;
    etcd.compact(newest.revision.0);
    link.set(Mode::Open);
    assert_eq!(seen(&far, 3).await, last, "also that an index is gone");
    // It follows again.
    change(&near, |state| with_index(state, 3)).await;
    assert_eq!(seen(&far, 4).await.indices.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_started_again_is_followed_again() -> Result<()> {
    let Some(mut etcd) = Etcd::start() else {
        return skipped(
            "real::an_etcd_that_is_started_again_is_followed_again",
            NO_ETCD,
        );
    };
    let (one, other) = (open(etcd.client()).await, open(etcd.client()).await);
    change(&one, |state| with_index(state, 1)).await;
    seen(&other, 1).await;
    etcd.kill();
    let away = one.compare_and_swap(1, renamed(&one.state(), "away"));
    let away = within(away).await.expect_err("nobody keeps it");
    assert!(
        matches!(away, CoordinatorError::Unavailable { .. }),
        "{away}"
    );
    assert_eq!(one.state().indices.len(), 1, "the last state stays");
    etcd.restart();
    let kept = within(async {
        loop {
            match one.latest().await {
                Err(CoordinatorError::Unavailable { .. }) => tokio::task::yield_now().await,
                latest => return latest,
            }
        }
    });
    let kept = kept.await?;
    assert_eq!(kept.indices.len(), 1);
    change(&one, |state| with_index(state, 2)).await;
    assert_eq!(seen(&other, kept.version + 1).await.indices.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_has_gone_back_is_not_followed() -> Result<()> {
    let Some(mut etcd) = Etcd::start() else {
        return skipped("real::an_etcd_that_has_gone_back_is_not_followed", NO_ETCD);
    };
    let one = open(etcd.client()).await;
    change(&one, |state| with_index(state, 1)).await;
    let known = change(&one, |state| with_index(state, 2)).await;
    etcd.restart_empty();
    let other = ClusterState {
        cluster_uuid: "of another cluster".to_owned(),
        ..ClusterState::default()
    };
    let begun = IfAbsent::Begin(Box::new(other));
    let other = within(EtcdCoordinator::open(etcd.client(), keys(), begun)).await?;
    let refused = within(one.latest()).await.expect_err("it is another's");
    assert!(
        matches!(
            refused,
            CoordinatorError::Unavailable { .. } | CoordinatorError::Unreadable { .. }
        ),
        "{refused}"
    );
    // As long as the first one, and longer.
    for number in 1..=6 {
        change(&other, |state| with_index(state, number)).await;
    }
    let refused = within(async {
        loop {
            match one.latest().await {
                Err(CoordinatorError::Unavailable { .. }) => tokio::task::yield_now().await,
                latest => return latest,
            }
        }
    });
    let refused = refused.await.expect_err("it is another's").to_string();
    assert!(refused.contains("[of another cluster]"), "{refused}");
    assert_eq!(one.state(), known);
    Ok(())
}

/// Writes keys as a program of another version would, `meta` among them.
async fn written(client: &Client, edit: impl FnOnce(&mut Value), other: Option<(String, &str)>) {
    let key = format!("{}meta", keys().prefix());
    let meta = within(client.range(Range::key(&key))).await;
    let meta = meta.expect("it answers").pairs.remove(0).value;
    let mut meta: Value = serde_json::from_slice(&meta).expect("JSON");
    let version = meta["version"].as_u64().expect("a version");
    meta["version"] = (version + 1).into();
    edit(&mut meta);
    let put = |key: String, value: String| Operation::Put {
        key,
        value: value.into(),
        lease: None,
    };
    let mut operations = vec![put(key, meta.to_string())];
    operations.extend(other.map(|(key, value)| put(key, value.to_owned())));
    let transaction = Transaction {
        compares: Vec::new(),
        operations,
    };
    let outcome = within(client.transaction(transaction)).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_is_refused_by_name_and_left() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::a_newer_format_is_refused_by_name_and_left", NO_ETCD);
    };
    let client = etcd.client();
    let one = open(client.clone()).await;
    let known = change(&one, |state| with_index(state, 1)).await;
    let key = format!("{}index/{}", keys().prefix(), IndexUuid([2; 16]));
    let newer = r#"{"kind": "index", "format": 2, "shape": "round"}"#;
    written(&client, |_| {}, Some((key.clone(), newer))).await;
    let refused = within(one.latest()).await.expect_err("it is newer");
    assert!(matches!(refused, CoordinatorError::Unreadable { .. }));
    let refused = refused.to_string();
    assert!(
        refused.contains(&key) && refused.contains("format 2"),
        "{refused}"
    );
    assert_eq!(one.state(), known, "the last state that was read");
    let swapped = one.compare_and_swap(known.version, renamed(&known, "x"));
    let swapped = within(swapped).await;
    assert!(matches!(swapped, Err(CoordinatorError::Unreadable { .. })));
    let opened = within(EtcdCoordinator::open(
        client.clone(),
        keys(),
        IfAbsent::Wait,
    ))
    .await;
    assert!(matches!(opened, Err(CoordinatorError::Unreadable { .. })));
    let left = within(client.range(Range::key(&key))).await?;
    assert_eq!(left.pairs[0].value, newer);
    // It goes on when the key is one that it can read.
    let removed = Transaction {
        compares: Vec::new(),
        operations: vec![Operation::Delete { key }],
    };
    within(client.transaction(removed)).await?;
    assert_eq!(seen(&one, 2).await.indices, known.indices);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_newer_version_are_kept() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::fields_of_a_newer_version_are_kept", NO_ETCD);
    };
    let client = etcd.client();
    let one = open(client.clone()).await;
    written(&client, |meta| meta["weather"] = "fine".into(), None).await;
    seen(&one, 1).await;
    change(&one, |state| renamed(state, "oats")).await;
    let key = format!("{}meta", keys().prefix());
    let meta = within(client.range(Range::key(&key))).await?;
    let meta: Value = serde_json::from_slice(&meta.pairs[0].value)?;
    assert_eq!(
        (&meta["weather"], &meta["cluster_name"]),
        (&"fine".into(), &"oats".into())
    );
    assert_eq!(
        (&meta["kind"], &meta["format"]),
        (&"meta".into(), &1.into())
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_etcd_does_not_take_is_refused_with_its_limit() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_change_that_etcd_does_not_take_is_refused_with_its_limit",
            NO_ETCD,
        );
    };
    let one = open(etcd.client()).await;
    let many = (1..=128).fold((*one.state()).clone(), |state, number| {
        with_index(&state, number)
    });
    let mut large = (*one.state()).clone();
    let text = Value::from("s".repeat(2 << 20));
    large.persistent_settings.insert("filler".to_owned(), text);
    for (next, limit) in [(many, "128 at once"), (large, "1571840 at once")] {
        let refused = within(one.compare_and_swap(0, next)).await;
        let Err(CoordinatorError::TooLarge { reason }) = refused else {
            panic!("{refused:?}");
        };
        assert!(reason.contains(limit), "{reason}");
    }
    change(&one, |state| renamed(state, "as before")).await;
    Ok(())
}
