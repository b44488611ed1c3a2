//! Versions and conflicts, failed appends, bounds.

mod blocked;
mod entering;
mod lost;
mod mapped;
mod settling;

use std::time::Duration;

use bytes::Bytes;
use gleaner_coordinator::Coordinator;
use gleaner_log::{Record, ShardLog};
use gleaner_model::{FieldPath, Operation, PrimaryTerm, SeqNo, Version};
use gleaner_proto::LeafClient;
use gleaner_proto::read::WaitForRefreshCall;
use gleaner_proto::write::{Condition, Update, WriteAction, WriteCall, WriteResult};

use super::*;
use crate::copy::shard::Shard;
use crate::testing::{Fixture, PATIENCE, call, item, key, put, soon};

/// What an item comes to: result and version, or the kind of refusal.
type Told = Result<(WriteResult, u64), &'static str>;

fn told(outcome: &Result<WriteOutcome, WriteFault>) -> Told {
    match outcome {
        Ok(outcome) => Ok((outcome.result, outcome.version.0)),
        Err(WriteFault::VersionConflict { .. }) => Err("conflict"),
        Err(WriteFault::DocumentMissing { .. }) => Err("missing"),
        Err(WriteFault::Document { .. }) => Err("document"),
        Err(_) => Err("other"),
    }
}

fn create(id: &str) -> WriteItem {
    let source = Bytes::from_static(b"{}");
    item(
        id,
        WriteAction::Index {
            source,
            create: true,
        },
    )
}

fn delete(id: &str) -> WriteItem {
    item(id, WriteAction::Delete)
}

fn update(id: &str, doc: &'static str, is_upsert: bool) -> WriteItem {
    let update = Update {
        doc: Some(Bytes::from_static(doc.as_bytes())),
        doc_as_upsert: is_upsert,
        detect_noop: true,
        ..Update::default()
    };
    item(id, WriteAction::Update(update))
}

fn when(item: WriteItem, condition: Condition) -> WriteItem {
    WriteItem { condition, ..item }
}

fn table() -> Vec<(WriteItem, Told)> {
    use WriteResult::{Created, Deleted, Noop, NotFound, Updated};
    let above = |version| Condition::ExternalGreater(Version(version));
    let at_least = |version| Condition::ExternalGreaterOrEqual(Version(version));
    let is = |seq_no| Condition::Is {
        seq_no: SeqNo(seq_no),
        term: PrimaryTerm(1),
    };
    vec![
        (put("a", "{}"), Ok((Created, 1))),
        (put("a", "{}"), Ok((Updated, 2))),
        (create("a"), Err("conflict")),
        (delete("a"), Ok((Deleted, 3))),
        (delete("a"), Ok((NotFound, 4))),
        (create("a"), Ok((Created, 5))),
        (when(put("a", "{}"), is(900)), Err("conflict")),
        (when(put("never", " {}"), is(0)), Err("conflict")),
        (when(put("a", "{}"), above(10)), Ok((Updated, 10))),
        (when(put("a", "{}"), above(10)), Err("conflict")),
        (when(put("a", "{}"), at_least(10)), Ok((Updated, 10))),
        (
            when(put("a", "{}"), Condition::InternalVersion(Version(9))),
            Err("conflict"),
        ),
        (when(put("b", "{}"), above(5)), Ok((Created, 5))),
        (when(delete("b"), above(4)), Err("conflict")),
        (when(delete("b"), above(6)), Ok((Deleted, 6))),
        (when(put("b", "{}"), above(6)), Err("conflict")),
        (when(put("b", "{}"), above(7)), Ok((Created, 7))),
        (update("c", r#"{"n":1}"#, false), Err("missing")),
        (
            when(update("c", r#"{"n":1}"#, false), is(0)),
            Err("missing"),
        ),
        (update("c", r#"{"n":1}"#, true), Ok((Created, 1))),
        (update("c", r#"{"n":1}"#, false), Ok((Noop, 1))),
        (update("c", r#"{"n":2}"#, false), Ok((Updated, 2))),
        (
            when(update("c", r#"{"n":3}"#, false), is(900)),
            Err("conflict"),
        ),
        (put("d", "[]"), Err("document")),
        (put("d", r#"{"n":"many"}"#), Err("document")),
        (put("e", "{}"), Ok((Created, 1))),
        (when(put("e", "{}"), at_least(1)), Ok((Updated, 1))),
        (delete("e"), Ok((Deleted, 2))),
        (
            when(update("e", r#"{"n":1}"#, false), is(0)),
            Err("missing"),
        ),
    ]
}

async fn live(fixture: &Fixture) -> u64 {
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    fixture.shard().await.engine().view().num_documents()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_conflicts_are_the_same_one_by_one_and_in_one_batch() {
    for is_refreshed in [false, true] {
        let fixture = Fixture::start();
        for (at, (item, expected)) in table().into_iter().enumerate() {
            let answer = fixture.write(vec![item]).await.expect("written");
            assert_eq!(told(&answer.items[0]), expected, "item {at}");
            if is_refreshed {
                fixture.leaf.refresh(key(1)).await.expect("refreshes");
            }
        }
        assert_eq!(live(&fixture).await, 3);
    }
    let fixture = Fixture::start();
    let (items, expected): (Vec<_>, Vec<_>) = table().into_iter().unzip();
    let answer = fixture.write(items).await.expect("written");
    assert_eq!(answer.items.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(live(&fixture).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seq_no_that_was_answered_is_a_condition_that_holds() {
    let fixture = Fixture::start();
    let first = fixture.write(vec![put("a", "{}")]).await.expect("written");
    let first = first.items[0].clone().expect("taken");
    let condition = Condition::Is {
        seq_no: first.seq_no,
        term: first.term,
    };
    let batch = vec![
        when(put("a", "{}"), condition),
        when(put("a", "{}"), condition),
    ];
    let answer = fixture.write(batch).await.expect("written");
    let expected = [Ok((WriteResult::Updated, 2)), Err("conflict")];
    assert_eq!(answer.items.iter().map(told).collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_term_than_ours_is_fenced() {
    let fixture = Fixture::start();
    fixture.shard().await;
    let term = PrimaryTerm(2);
    let fenced = fixture
        .leaf
        .write(WriteCall {
            term,
            ..call(vec![put("a", "{}")])
        })
        .await;
    let current = PrimaryTerm(1);
    assert_eq!(
        fenced,
        Err(LeafFault::Fenced {
            shard: key(1),
            current,
            asked: term
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_nothing_of_it_stays() {
    let fixture = Fixture::start();
    fixture
        .write(vec![put("a", r#"{"n":1}"#)])
        .await
        .expect("written");
    fixture.log.refuse_next();
    let refused = fixture
        .write(vec![put("a", r#"{"n":2}"#), put("b", "{}")])
        .await;
    assert_eq!(refused, Err(LeafFault::DiskFull { shard: key(1) }));
    assert_eq!(fixture.get("b").await, None);
    assert_eq!(fixture.get("a").await.expect("kept").version, Version(1));
    let again = soon(fixture.write(vec![put("a", r#"{"n":3}"#)]))
        .await
        .expect("room again");
    assert_eq!(told(&again.items[0]), Ok((WriteResult::Updated, 2)));
    assert_eq!(live(&fixture).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_failure_while_the_log_is_read_again_blocks_nobody() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let fates = [fixture.log.hold_next(), fixture.log.hold_next()];
    let write = |id| {
        let leaf = Arc::clone(&fixture.leaf);
        tokio::spawn(async move { leaf.write(call(vec![put(id, "{}")])).await })
    };
    let first = write("a");
    soon(shard.pipeline.wait_for(|state| state.num_in_flight == 1)).await;
    let second = write("b");
    soon(shard.pipeline.wait_for(|state| state.num_in_flight == 2)).await;
    let [first_fate, second_fate] = fates;
    first_fate.send(false).expect("held");
    assert!(soon(first).await.expect("ends").is_err());
    // It holds the order and waits for the second to end.
    let third = write("c");
    let primary = fixture.primary().await;
    while primary.order.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    second_fate.send(false).expect("held");
    assert!(soon(second).await.expect("ends").is_err());
    let third = soon(third).await.expect("ends").expect("written");
    assert_eq!(told(&third.items[0]), Ok((WriteResult::Created, 1)));
    assert_eq!(live(&fixture).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_queued_behind_a_refused_batch_is_refused_too() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let fate = fixture.log.hold_next();
    let leaf = Arc::clone(&fixture.leaf);
    let first = tokio::spawn(async move { leaf.write(call(vec![put("a", "{}")])).await });
    soon(shard.pipeline.wait_for(|state| state.num_in_flight == 1)).await;
    let behind = fixture.write(vec![put("b", "{}")]).await;
    assert!(
        matches!(behind, Err(LeafFault::Indeterminate { .. })),
        "{behind:?}"
    );
    fate.send(false).expect("held");
    assert!(first.await.expect("ends").is_err());
    soon(fixture.write(vec![put("c", "{}")]))
        .await
        .expect("written");
    assert_eq!(live(&fixture).await, 1);
}

/// Writes `a`, and goes away once that is on its way to the log, which holds it.
async fn give_up(fixture: &Fixture, shard: &Shard) {
    let mut write = Box::pin(fixture.leaf.write(call(vec![put("a", "{}")])));
    tokio::select! {
        _ = &mut write => panic!("it is held"),
        () = shard.pipeline.wait_for(|state| state.num_in_flight == 1) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_no_gap() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let fate = fixture.log.hold_next();
    give_up(&fixture, &shard).await;
    fate.send(true).expect("held");
    soon(fixture.write(vec![put("b", "{}")])).await.ok();
    soon(fixture.write(vec![put("c", "{}")]))
        .await
        .expect("written");
    assert!(fixture.get("a").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_nobody_sees_yet_are_bounded() {
    let fixture = Fixture::with(|options| options.unseen_bytes = 8 << 10);
    for round in 0..40 {
        let ids = (0..20)
            .map(|n| put(&format!("{round}-{n}"), r#"{"n":1}"#))
            .collect();
        fixture.write(ids).await.expect("written");
        let held = fixture.primary().await.order.lock().await.versions.bytes();
        assert!(held < 48 << 10, "round {round} holds {held} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_refresh_sees_the_write() {
    let fixture = Fixture::start();
    for interval in [None, Some(20)] {
        fixture.shard().await;
        fixture
            .change(|state| {
                let index = state.indices.get_mut(&key(1).index).expect("made");
                Arc::make_mut(index).settings.refresh_interval_ms = interval;
            })
            .await;
        let answer = fixture.write(vec![put("a", "{}")]).await.expect("written");
        let seq_no = answer.items[0].as_ref().expect("taken").seq_no;
        let waiting = fixture
            .leaf
            .wait_for_refresh(WaitForRefreshCall::by_primary(key(1), seq_no, PATIENCE));
        let generation = soon(waiting).await.expect("refreshes");
        assert!(generation.visible > seq_no);
        assert_eq!(
            fixture.shard().await.engine().view().generation(),
            generation
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_what_is_shown_refreshes_nothing() {
    let fixture = Fixture::start();
    let answer = fixture.write(vec![put("a", "{}")]).await.expect("written");
    let seq_no = answer.items[0].as_ref().expect("taken").seq_no;
    let shown = fixture.leaf.refresh(key(1)).await.expect("refreshes");
    fixture.write(vec![put("b", "{}")]).await.expect("written");
    let waiting = fixture
        .leaf
        .wait_for_refresh(WaitForRefreshCall::by_primary(key(1), seq_no, PATIENCE));
    assert_eq!(soon(waiting).await, Ok(shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_write_says_that_the_queue_is_full() {
    let fixture = Fixture::with(|options| {
        options.write_queue_bytes = 128;
        options.write_patience = Duration::ZERO;
    });
    fixture.shard().await;
    let fate = fixture.log.hold_next();
    let leaf = Arc::clone(&fixture.leaf);
    let first =
        tokio::spawn(async move { leaf.write(call(vec![put("a", "{}"), put("b", "{}")])).await });
    let shard = fixture.shard().await;
    soon(shard.pipeline.wait_for(|state| state.num_in_flight == 1)).await;
    let rejected = fixture.write(vec![put("c", "{}"), put("d", "{}")]).await;
    assert_eq!(
        rejected,
        Err(LeafFault::Rejected {
            queue: "write".into(),
            capacity: 128
        })
    );
    fate.send(true).expect("held");
    assert!(soon(first).await.expect("ends").is_ok());
    soon(shard.pipeline.wait_idle()).await;
    assert!(
        soon(async { fixture.write(vec![put("c", "{}")]).await })
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_answered_once_what_it_saw_is_durable() {
    for is_durable in [true, false] {
        for again in [update("a", r#"{"n":1}"#, true), create("a")] {
            let fixture = Fixture::start();
            let shard = fixture.shard().await;
            let fate = fixture.log.hold_next();
            let write = |item| {
                let leaf = Arc::clone(&fixture.leaf);
                tokio::spawn(async move { leaf.write(call(vec![item])).await })
            };
            let first = write(update("a", r#"{"n":1}"#, true));
            soon(shard.pipeline.wait_for(|state| state.num_in_flight == 1)).await;
            let is_creation = matches!(again.action, WriteAction::Index { .. });
            let mut asked = Box::pin(fixture.leaf.write(call(vec![again])));
            // Planned at once, as nothing else is asked of the shard.
            assert!(futures::poll!(&mut asked).is_pending());
            fate.send(is_durable).expect("held");
            assert_eq!(first.await.expect("ends").is_ok(), is_durable);
            let answer = soon(asked).await.expect("answered");
            let expected = match (is_durable, is_creation) {
                (true, true) => Err("conflict"),
                (true, false) => Ok((WriteResult::Noop, 1)),
                (false, _) => Ok((WriteResult::Created, 1)),
            };
            assert_eq!(told(&answer.items[0]), expected);
            assert_eq!(live(&fixture).await, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_held_for_a_write_whose_client_has_gone() {
    let fixture = Fixture::with(|options| {
        options.write_queue_bytes = 256;
        options.write_patience = Duration::ZERO;
    });
    let shard = fixture.shard().await;
    let fate = fixture.log.hold_next();
    give_up(&fixture, &shard).await;
    let large = vec![put("b", "{}"), put("c", "{}")];
    let refused = fixture.write(large.clone()).await;
    assert!(
        matches!(refused, Err(LeafFault::Rejected { .. })),
        "{refused:?}"
    );
    fate.send(true).expect("held");
    soon(shard.pipeline.wait_idle()).await;
    soon(async {
        while fixture.write(large.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_refused_leave_no_field_behind() {
    let fixture = Fixture::start();
    let batch = vec![
        put("a", r#"{"code":[7,"A12"]}"#),
        put("b", r#"{"code":"B7"}"#),
        put("c", r#"{"code":"C9"}"#),
        put("d", r#"{"twice":1,"twice":2}"#),
        put("e", r#"{"one":1,"two":[1,"x"]}"#),
        update("b", r#"{"three":[1,"x"]}"#, false),
    ];
    let answer = fixture.write(batch).await.expect("written");
    let created = Ok((WriteResult::Created, 1));
    let refused = Err("document");
    assert_eq!(
        answer.items.iter().map(told).collect::<Vec<_>>(),
        [refused, created, created, refused, refused, refused]
    );
    let state = fixture.coordinator.state();
    let fields = &state.indices[&key(1).index].mapping.fields;
    let paths: Vec<_> = fields.keys().map(FieldPath::as_str).collect();
    assert_eq!(paths, ["code", "code.keyword"]);
    assert_eq!(fields["code"].kind.type_name(), "text");
    assert_eq!(live(&fixture).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_makes_a_document_too_large_for_a_message_is_refused() {
    let fixture = Fixture::start();
    // Spaces are written as they came, and read at once.
    let half = |name: &str| -> &'static str {
        let spaces = " ".repeat(33 << 20);
        format!("{{\"{name}\":[{spaces}1]}}").leak()
    };
    let change = |name: &str| update("a", half(name), false);
    fixture
        .write(vec![put("a", half("x"))])
        .await
        .expect("written");
    let before = fixture.shard().await.applier.next();
    let answer = fixture.write(vec![change("y")]).await.expect("answered");
    let Err(WriteFault::Document { kind, reason, .. }) = &answer.items[0] else {
        panic!("{:?}", answer.items[0]);
    };
    assert_eq!(kind, "illegal_argument_exception");
    assert!(reason.contains("bytes is too large"), "{reason}");
    let logged = fixture
        .shard()
        .await
        .log()
        .read(key(1), before, 1 << 20)
        .await;
    let logged = logged.expect("reads").records;
    let is_refresh = |record: &Record| {
        Operation::decode(&record.payload).is_ok_and(|o| o.kind == OperationKind::Refresh)
    };
    assert!(logged.iter().all(is_refresh), "it was logged");
    let document = fixture.get("a").await.expect("it stays");
    assert_eq!(document.version, Version(1));
}
