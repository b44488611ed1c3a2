//! Which record an item is met by.

use gleaner_model::{MappingVersion, PrimaryTerm};

use super::*;
use crate::testing::{id, item, put};

fn recorded(kinds: impl IntoIterator<Item = OperationKind>) -> VecDeque<WriteOutcome> {
    let mut recorded = BatchRecords::new();
    for (seq_no, kind) in (4..).map(SeqNo).zip(kinds) {
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: MappingVersion(1),
            timestamp_ms: 0,
            kind,
        };
        note(&mut recorded, seq_no, &operation.encode());
    }
    recorded.remove(&id("a")).expect("records of it")
}

fn index(version: u64, source: &'static str) -> OperationKind {
    OperationKind::Index {
        id: id("a"),
        routing: None,
        version: Version(version),
        source: Bytes::from_static(source.as_bytes()),
    }
}

fn delete(version: u64) -> OperationKind {
    OperationKind::Delete {
        id: id("a"),
        routing: None,
        version: Version(version),
    }
}

fn create(source: &'static str) -> WriteItem {
    let source = Bytes::from_static(source.as_bytes());
    let create = true;
    item("a", WriteAction::Index { source, create })
}

fn change(doc: &'static str) -> WriteItem {
    let update = Update {
        doc: Some(Bytes::from_static(doc.as_bytes())),
        detect_noop: true,
        ..Update::default()
    };
    item("a", WriteAction::Update(update))
}

fn deletion() -> WriteItem {
    item("a", WriteAction::Delete)
}

/// Takes what is recorded for the items, each of a document that nothing tells of.
fn taken(
    records: &mut VecDeque<WriteOutcome>,
    items: impl IntoIterator<Item = WriteItem>,
) -> Vec<Option<(WriteResult, u64)>> {
    let one = |item: WriteItem| {
        let before = before_all(records);
        let outcome = take(records, &item, &before)?;
        Some((outcome.result, outcome.seq_no.0))
    };
    items.into_iter().map(one).collect()
}

#[test]
fn items_of_one_document_meet_their_own_records_in_order() {
    use WriteResult::{Created, Deleted, Updated};
    let mut records = recorded([index(1, "{}"), delete(2), index(3, "{}")]);
    let items = [
        put("a", "{}"),
        put("a", "{}"),
        deletion(),
        put("a", "{}"),
        put("a", "{}"),
    ];
    assert_eq!(
        taken(&mut records, items),
        [
            Some((Created, 4)),
            None,
            Some((Deleted, 5)),
            Some((Updated, 6)),
            None
        ]
    );
}

#[test]
fn a_record_of_another_source_is_another_items() {
    use WriteResult::Updated;
    let mut records = recorded([index(3, r#"{"n":2}"#), index(4, r#"{"m":1,"n":3}"#)]);
    let items = [
        create(r#"{"n":1}"#),
        change(r#"{"n":3}"#),
        put("a", r#"{"n":2}"#),
        change(r#"{"n":3}"#),
    ];
    assert_eq!(
        taken(&mut records, items),
        [None, None, Some((Updated, 4)), Some((Updated, 5))]
    );
}

#[test]
fn a_delete_that_made_way_is_no_answer_of_its_own() {
    let mut records = recorded([delete(1), index(1, "{}")]);
    assert_eq!(
        taken(&mut records, [put("a", "{}")]),
        [Some((WriteResult::Updated, 5))]
    );
}

#[test]
fn what_was_deleted_before_is_not_found_and_made_anew() {
    let mut records = recorded([delete(1)]);
    assert_eq!(
        taken(&mut records, [deletion()]),
        [Some((WriteResult::NotFound, 4))]
    );
    let known = KnownDocument {
        seq_no: SeqNo(3),
        term: PrimaryTerm(1),
        version: Version(2),
        is_deleted: true,
    };
    let before = Before::Written(known, None);
    let mut records = recorded([delete(3), index(4, "{}")]);
    let deleted = take(&mut records, &deletion(), &before).expect("it fits");
    assert_eq!(deleted.result, WriteResult::NotFound);
    let made = take(&mut records, &create("{}"), &before).expect("it fits");
    assert_eq!(made.result, WriteResult::Created);
}
