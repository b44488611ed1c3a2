//! Requests sent again: at once, after a restart, after their records are gone.

use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo, Version};
use gleaner_proto::LeafClient;
use gleaner_proto::write::{
    Condition, Idempotency, Update, WriteAction, WriteCall, WriteFault, WriteResult,
};

use super::*;
use crate::testing::{Fixture, call, item, key, large_source, put};

fn create(id: &str, source: &'static str) -> WriteItem {
    let source = Bytes::from_static(source.as_bytes());
    let create = true;
    item(id, WriteAction::Index { source, create })
}

fn delete(id: &str) -> WriteItem {
    item(id, WriteAction::Delete)
}

fn update(id: &str, doc: &'static str) -> WriteItem {
    let update = Update {
        doc: Some(Bytes::from_static(doc.as_bytes())),
        detect_noop: true,
        ..Update::default()
    };
    item(id, WriteAction::Update(update))
}

/// Returns an update that wants to see all of the document it leaves.
fn returning(id: &str, doc: &'static str) -> WriteItem {
    let update = Update {
        doc: Some(Bytes::from_static(doc.as_bytes())),
        detect_noop: true,
        returned_source: Some(Default::default()),
        ..Update::default()
    };
    item(id, WriteAction::Update(update))
}

/// Returns the call of a request that may be sent again.
fn request(items: &[WriteItem]) -> WriteCall {
    WriteCall {
        idempotency: Some(Idempotency {
            producer: 7,
            sequence: 0,
        }),
        ..call(items.to_vec())
    }
}

async fn sent(fixture: &Fixture, items: &[WriteItem]) -> WriteAnswer {
    fixture.shard().await;
    let answer = fixture.leaf.write(request(items)).await;
    answer.expect("answered")
}

/// Items of every outcome, on top of a document `old`.
fn mixed() -> Vec<WriteItem> {
    let elsewhere = Condition::Is {
        seq_no: SeqNo(900),
        term: PrimaryTerm(1),
    };
    vec![
        create("old", r#"{"n":2}"#),
        update("old", r#"{"n":1}"#),
        update("nobody", r#"{"n":2}"#),
        delete("nobody"),
        put("bad", "[]"),
        WriteItem {
            condition: elsewhere,
            ..put("old", r#"{"n":2}"#)
        },
        put("new", r#"{"n":3}"#),
        delete("new"),
        delete("new"),
        create("new", r#"{"n":4}"#),
    ]
}

async fn with_old() -> Fixture {
    let fixture = Fixture::start();
    let written = fixture.write(vec![put("old", r#"{"n":1}"#)]).await;
    assert!(written.expect("written").items[0].is_ok());
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_again_is_answered_as_the_first_time() {
    use WriteResult::{Created, Deleted, Noop, NotFound};
    let fixture = with_old().await;
    let first = sent(&fixture, &mixed()).await;
    assert!(!first.duplicate);
    let results: Vec<_> = first
        .items
        .iter()
        .map(|item| item.as_ref().ok().map(|outcome| outcome.result))
        .collect();
    let taken = [None, Some(Noop), None, Some(NotFound), None, None];
    assert_eq!(results[..6], taken);
    let taken = [Created, Deleted, NotFound, Created].map(Some);
    assert_eq!(results[6..], taken);
    // What it met then is not there any more.
    let changed = vec![put("old", r#"{"n":9}"#), put("nobody", "{}")];
    fixture.write(changed).await.expect("written");
    let again = sent(&fixture, &mixed()).await;
    assert!(again.duplicate);
    assert_eq!(again.items, first.items);
    let old = fixture.get("old").await.expect("it is there");
    assert_eq!(old.version, Version(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_again_after_a_restart_is_answered_from_what_it_left() {
    let fixture = with_old().await;
    let first = sent(&fixture, &mixed()).await;
    let fixture = fixture.crash().await;
    let again = sent(&fixture, &mixed()).await;
    assert!(again.duplicate);
    assert_eq!(again.items, first.items);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_changed_nothing_changes_nothing_when_it_is_sent_again() {
    let fixture = with_old().await;
    let items = [update("old", r#"{"n":1}"#)];
    let first = sent(&fixture, &items).await;
    let outcome = first.items[0].as_ref().expect("taken");
    assert_eq!(outcome.result, WriteResult::Noop);
    let changed = fixture.write(vec![put("old", r#"{"n":2}"#)]).await;
    assert!(changed.expect("written").items[0].is_ok());
    let again = sent(&fixture, &items).await;
    assert!(again.duplicate);
    assert_eq!(again.items, first.items);
    let fixture = fixture.crash().await;
    let later = sent(&fixture, &items).await;
    assert!(later.duplicate);
    assert!(matches!(
        later.items[0],
        Err(WriteFault::VersionConflict { .. })
    ));
    let old = fixture.get("old").await.expect("it is there");
    assert_eq!((&*old.source, old.version.0), (&br#"{"n":2}"#[..], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_records_are_trimmed_is_answered_by_its_documents() {
    let fixture = Fixture::start();
    let items = [
        put("a", "{}"),
        put("bad", "[]"),
        put("b", "{}"),
        delete("b"),
    ];
    let first = sent(&fixture, &items).await;
    fixture.leaf.flush(key(1)).await.expect("commits");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    fixture.leaf.flush(key(1)).await.expect("commits and trims");
    let again = sent(&fixture, &items).await;
    assert_eq!(again.items, first.items);
    let fixture = fixture.crash().await;
    let trimmed = sent(&fixture, &items).await;
    assert!(trimmed.duplicate);
    assert_eq!(trimmed.items[..2], first.items[..2]);
    for item in &trimmed.items[2..] {
        let is_conflict = matches!(item, Err(WriteFault::VersionConflict { .. }));
        assert!(is_conflict, "it is not there any more: {item:?}");
    }
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    let num_documents = fixture.shard().await.engine().view().num_documents();
    assert_eq!(num_documents, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_make_too_much_for_one_batch_are_refused_whole() {
    let fixture = Fixture::start();
    // Spaces are written as they came, and read at once.
    let spaces = " ".repeat(33 << 20);
    let source: &'static str = format!("{{\"n\":0,\"x\":[{spaces}1]}}").leak();
    fixture
        .write(vec![put("a", source)])
        .await
        .expect("written");
    let docs = [
        r#"{"n":1}"#,
        r#"{"n":2}"#,
        r#"{"n":3}"#,
        r#"{"n":4}"#,
        r#"{"n":5}"#,
    ];
    let items = docs.map(|doc| update("a", doc));
    let refused = fixture.leaf.write(request(&items)).await;
    let Err(LeafFault::TooLarge { reason }) = &refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("none of them was written"), "{reason}");
    let document = fixture.get("a").await.expect("it stays");
    assert_eq!(document.version, Version(1));
    let two = sent(&fixture, &items[..2]).await;
    assert!(two.items.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_returned_again_is_bounded_as_the_first_time() {
    let fixture = Fixture::start();
    let large = put("a", large_source());
    fixture.write(vec![large]).await.expect("written");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    let items = [r#"{"n":1}"#, r#"{"n":1}"#, r#"{"n":2}"#].map(|doc| returning("a", doc));
    let first = sent(&fixture, &items).await;
    assert!(first.items[0].is_ok());
    for item in &first.items[1..] {
        let is_full =
            matches!(item, Err(WriteFault::Rejected { code, .. }) if code == "answer_full");
        assert!(is_full, "there is no room for it");
    }
    // It was too large to be kept.
    let again = sent(&fixture, &items).await;
    assert!(again.duplicate);
    assert!(again.items == first.items, "another answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_returned_again_is_what_is_asked_for_then() {
    let fixture = with_old().await;
    let doc = r#"{"n":2}"#;
    let source = |answer: &WriteAnswer| {
        let outcome = answer.items[0].as_ref().expect("taken");
        assert_eq!(outcome.version, Version(2));
        outcome.source.clone()
    };
    let first = sent(&fixture, &[update("old", doc)]).await;
    assert_eq!(source(&first), None);
    let again = sent(&fixture, &[returning("old", doc)]).await;
    assert!(again.duplicate);
    assert_eq!(source(&again).as_deref(), Some(doc.as_bytes()));
    let again = sent(&fixture, &[update("old", doc)]).await;
    assert!(again.duplicate);
    assert_eq!(source(&again), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_documents_were_before_is_told_by_the_records_before() {
    use WriteResult::{Created, Noop, NotFound, Updated};
    let fixture = with_old().await;
    let gone = fixture.write(vec![put("gone", "{}"), delete("gone")]).await;
    assert!(gone.expect("written").items.iter().all(Result::is_ok));
    let elsewhere = Condition::Is {
        seq_no: SeqNo(900),
        term: PrimaryTerm(1),
    };
    let items = [
        WriteItem {
            condition: elsewhere,
            ..update("old", r#"{"n":2}"#)
        },
        update("old", r#"{"n":1}"#),
        update("old", r#"{"n":2}"#),
        delete("gone"),
        WriteItem {
            condition: Condition::ExternalGreater(Version(7)),
            ..put("new", "{}")
        },
    ];
    let first = sent(&fixture, &items).await;
    let fixture = fixture.crash().await;
    let again = sent(&fixture, &items).await;
    assert!(again.duplicate);
    assert_eq!(again.items, first.items);
    let results = again
        .items
        .iter()
        .map(|item| Some(item.as_ref().ok()?.result));
    let expected = [Noop, Updated, NotFound, Created].map(Some);
    assert_eq!(results.skip(1).collect::<Vec<_>>(), expected);
}
