//! Crashes, stops, damage, deletion: what a leaf finds again and what it says.

use gleaner_coordinator::Coordinator;
use gleaner_log::ShardLog;
use gleaner_model::Version;
use gleaner_proto::read::ShardPhase;
use gleaner_proto::write::{Condition, WriteAction, WriteCall, WriteItem};
use gleaner_proto::{LeafClient, LeafFault};

use gleaner_model::PrimaryTerm;

use super::*;
use crate::testing::{Fixture, PATIENCE, call, item, key, put, soon};

async fn fault(fixture: &Fixture, n: u8) -> String {
    let opened = fixture.leaf.shard(key(n), PATIENCE).await;
    opened.err().expect("it cannot be opened").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_and_tombstones_survive_a_crash() {
    let fixture = Fixture::start();
    fixture
        .write(vec![put("a", "{}"), put("b", "{}")])
        .await
        .expect("written");
    fixture.leaf.flush(key(1)).await.expect("commits");
    let external = |item: WriteItem, version| WriteItem {
        condition: Condition::ExternalGreater(Version(version)),
        ..item
    };
    let delete = external(item("b", WriteAction::Delete), 9);
    fixture
        .write(vec![delete, put("c", "{}")])
        .await
        .expect("written");
    let fixture = fixture.crash().await;
    let shard = fixture.shard().await;
    assert_eq!(
        fixture.primary().await.order.lock().await.term,
        PrimaryTerm(2)
    );
    assert_eq!(shard.engine().view().num_documents(), 2);
    let late = fixture
        .write(vec![external(put("b", "{}"), 8)])
        .await
        .expect("answered");
    assert!(late.items[0].is_err(), "the tombstone is newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_survive_a_failed_append() {
    let fixture = Fixture::start();
    let external = |item: WriteItem, version| WriteItem {
        condition: Condition::ExternalGreater(Version(version)),
        ..item
    };
    fixture
        .write(vec![external(put("b", "{}"), 9)])
        .await
        .expect("written");
    let delete = external(item("b", WriteAction::Delete), 20);
    fixture.write(vec![delete]).await.expect("written");
    fixture.leaf.refresh(key(1)).await.expect("shown");
    fixture.log.refuse_next();
    let refused = fixture.write(vec![put("c", "{}")]).await;
    assert_eq!(refused, Err(LeafFault::DiskFull { shard: key(1) }));
    let late = fixture.write(vec![external(put("b", "{}"), 15)]).await;
    let late = late.expect("the log was read again");
    assert!(late.items[0].is_err(), "the tombstone is newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_trimmed_too_far_is_a_clear_failure() {
    let fixture = Fixture::start();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    fixture.log.trim(key(1), SeqNo(1)).await.expect("trims");
    let fixture = fixture.crash().await;
    let reason = fault(&fixture, 1).await;
    assert!(
        reason.contains("before operation 0, its log begins at 1"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_the_index_is_a_clear_failure() {
    let fixture = Fixture::start();
    fixture
        .write(vec![put("a", "{}"), put("b", "{}")])
        .await
        .expect("written");
    fixture.leaf.stop().await;
    fixture.log.remove(key(1)).await.expect("removes");
    let fixture = fixture.start_again();
    let reason = fault(&fixture, 1).await;
    assert!(reason.contains("the log has lost records"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_shard_does_not_hurt_the_others() {
    let fixture = Fixture::start();
    fixture.log.damage(key(2));
    fixture.create(2).await;
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    assert!(fault(&fixture, 2).await.contains("is damaged"));
    let refused = fixture.leaf.write(WriteCall {
        shard: key(2),
        ..call(vec![put("a", "{}")])
    });
    assert!(matches!(refused.await, Err(LeafFault::Stopped { .. })));
    let states = fixture.leaf.shard_states().await.expect("its own");
    let phases: Vec<ShardPhase> = states.iter().map(|state| state.phase).collect();
    assert_eq!(phases, [ShardPhase::Started, ShardPhase::Failed]);
    let readiness = fixture.leaf.readiness();
    assert!(!readiness.is_ready() && readiness.open == 1);
    let failed = &readiness.failed[0];
    assert!(
        failed.0 == key(2) && failed.1.contains("damaged"),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_commit_trims_the_log_and_a_restart_replays_nothing() {
    let fixture = Fixture::start();
    fixture
        .write(vec![put("a", "{}"), put("b", "{}")])
        .await
        .expect("written");
    fixture.leaf.flush(key(1)).await.expect("commits");
    let page = fixture
        .log
        .read(key(1), SeqNo(0), 1 << 20)
        .await
        .expect("reads");
    assert_eq!(page.first_available, SeqNo(2));
    let fixture = fixture.crash().await;
    assert_eq!(fixture.shard().await.engine().view().num_documents(), 2);
    assert!(fixture.get("a").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_refuses_writes_and_leaves_nothing_to_replay() {
    let fixture = Fixture::start();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let shard = fixture.shard().await;
    fixture.leaf.stop().await;
    assert_eq!(shard.flushes.committed(), SeqNo(1));
    assert!(
        fixture
            .leaf
            .write(call(vec![put("b", "{}")]))
            .await
            .is_err()
    );
    drop(shard);
    let fixture = fixture.start_again();
    assert_eq!(fixture.shard().await.engine().view().num_documents(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_stops_replays_no_further() {
    let fixture = Fixture::start();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    fixture.leaf.abandon().await;
    let state = fixture.coordinator.state();
    let index = Arc::clone(&state.indices[&key(1).index]);
    let opening = PrimaryOpening::new(&fixture.leaf, key(1), index, Arc::default());
    let opened = opening.expect("built in analyzers").open().await;
    assert_eq!(opened.err().as_deref(), Some("the node stops"));
    let fixture = fixture.start_again();
    assert_eq!(fixture.shard().await.engine().view().num_documents(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_failed_is_opened_again_with_all_that_was_acknowledged() {
    let fixture = Fixture::start();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let mut changes = fixture.leaf.copies.changes();
    let shard = fixture.shard().await;
    shard.applier.stop("as a test asks");
    let refused = fixture.write(vec![put("b", "{}")]).await;
    assert!(
        matches!(refused, Err(LeafFault::Stopped { .. })),
        "{refused:?}"
    );
    drop(shard);
    let reopened = async {
        while fixture.write(vec![put("c", "{}")]).await.is_err() {
            changes.changed().await.expect("the leaf lives");
        }
    };
    tokio::time::timeout(PATIENCE, reopened)
        .await
        .expect("within seconds");
    assert_eq!(
        fixture.primary().await.order.lock().await.term,
        PrimaryTerm(2)
    );
    assert!(fixture.get("a").await.is_some() && fixture.get("b").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_index_leaves_neither_files_nor_log_although_it_is_written_to() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    fixture.leaf.flush(key(1)).await.expect("commits");
    let fate = fixture.log.hold_next();
    let leaf = Arc::clone(&fixture.leaf);
    let write = tokio::spawn(async move { leaf.write(call(vec![put("b", "{}")])).await });
    let begun = shard.pipeline.wait_for(|state| state.num_in_flight == 1);
    soon(begun).await;
    drop(shard);
    fixture.change(|state| state.indices.clear()).await;
    let mut changes = fixture.leaf.copies.changes();
    while fixture.leaf.copies.open_now(key(1)).is_some() {
        changes.changed().await.expect("the leaf lives");
    }
    fate.send(true).expect("held");
    assert!(write.await.expect("ends").is_ok(), "it was ordered before");
    assert_eq!(
        fixture.leaf.write(call(vec![put("c", "{}")])).await,
        Err(LeafFault::NotHere { shard: key(1) })
    );
    fixture.leaf.stop().await;
    assert_eq!(fixture.log.tail(key(1)).await.expect("memory"), None);
    let left = std::fs::read_dir(fixture.folder.path()).expect("a folder");
    let left: Vec<_> = left
        .map(|of| of.expect("it can be listed").file_name())
        .collect();
    assert_eq!(left, ["applying"], "what the node itself keeps");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_older_than_what_documents_were_written_under_is_refused_by_name() {
    for is_committed in [true, false] {
        let fixture = Fixture::start();
        let empty = fixture.write(vec![put("a", "{}")]).await;
        empty.expect("written");
        let old = Arc::clone(&fixture.coordinator.state().indices[&key(1).index].mapping);
        let written = fixture.write(vec![put("a", r#"{"n":1}"#)]).await;
        written.expect("written");
        match is_committed {
            true => fixture.leaf.stop().await,
            false => fixture.leaf.abandon().await,
        }
        fixture
            .change(|state| {
                let index = state.indices.get_mut(&key(1).index).expect("it is there");
                Arc::make_mut(index).mapping = Arc::clone(&old);
            })
            .await;
        let fixture = fixture.start_again();
        let reason = fault(&fixture, 1).await;
        assert!(
            reason.contains("the cluster state is an older one"),
            "{reason}"
        );
    }
}
