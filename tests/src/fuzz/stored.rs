//! Bytes that were stored, or come from another node.

use bytes::Bytes;
use gleaner_model::{
    ClusterState, DocumentId, MappingVersion, Operation, OperationKind, PrimaryTerm, Version,
};
use gleaner_proto::MESSAGE_KINDS;
use gleaner_proto::replicate::BatchRecords;

use super::bodies::moment;

/// Returns records of each kind.
pub(super) fn records() -> Vec<Bytes> {
    let kinds = [
        OperationKind::Index {
            id: DocumentId::parse("a").expect("an id"),
            routing: Some("r".to_owned()),
            version: Version(3),
            source: Bytes::from_static(b"{\"a\":1}"),
        },
        OperationKind::Delete {
            id: DocumentId::parse("b").expect("an id"),
            routing: None,
            version: Version(4),
        },
        OperationKind::Refresh,
        OperationKind::NoOp,
    ];
    let operations = kinds.map(|kind| Operation {
        term: PrimaryTerm(1),
        mapping: MappingVersion(2),
        timestamp_ms: 1_767_225_600_000,
        kind,
    });
    operations.iter().map(Operation::encode).collect()
}

/// Returns the bytes of a state.
pub(super) fn states() -> Vec<Bytes> {
    let states = [ClusterState::default(), (*moment().state).clone()];
    let states = states.iter().map(serde_json::to_vec);
    states.map(|bytes| bytes.expect("a state").into()).collect()
}

/// A record of the log: what can be read is written the same and read again.
pub(super) fn record(bytes: &[u8]) {
    if let Ok(operation) = Operation::decode(&Bytes::copy_from_slice(bytes)) {
        let again = Operation::decode(&operation.encode()).expect("it was written a moment ago");
        assert_eq!(format!("{again:?}"), format!("{operation:?}"));
    }
}

/// The state of a cluster, as it is stored.
pub(super) fn state(bytes: &[u8]) {
    if let Ok(state) = serde_json::from_slice::<ClusterState>(bytes) {
        let again = serde_json::to_vec(&state).expect("a state");
        let again: ClusterState =
            serde_json::from_slice(&again).expect("it was written a moment ago");
        assert_eq!(again, state);
    }
}

/// Records on their way to a copy.
pub(super) fn batch(bytes: &[u8]) {
    if let Ok(batch) = BatchRecords::decode(Bytes::copy_from_slice(bytes)) {
        assert_eq!(BatchRecords::decode(batch.encode()), Ok(batch));
    }
}

/// One message of each service, as it is frozen: its name, and its bytes in hexadecimal digits.
const FROZEN: &str = include_str!("../../../proto/src/wire/tests/bytes.txt");

/// Returns messages, each behind the number of its kind.
pub(super) fn messages() -> Vec<Bytes> {
    let frozen = FROZEN.lines().filter_map(|line| {
        let (name, digits) = line.split_once(' ')?;
        let kind = MESSAGE_KINDS.iter().position(|kind| kind.name == name)?;
        let bytes = digits.as_bytes().chunks(2).map(|two| {
            let two = std::str::from_utf8(two).expect("ASCII");
            u8::from_str_radix(two, 16).expect("two digits")
        });
        let kind = u8::try_from(kind).expect("a few");
        Some(std::iter::once(kind).chain(bytes).collect())
    });
    frozen.collect()
}

/// A message of another node, behind the number of its kind: what can be read is written so that it can be read.
pub(super) fn message(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let kind = &MESSAGE_KINDS[usize::from(*kind) % MESSAGE_KINDS.len()];
    if let Some(written) = (kind.again)(Bytes::copy_from_slice(bytes)) {
        let again = (kind.again)(written.clone());
        // Members of maps may come in another order.
        let length = again.map(|again| again.len());
        assert_eq!(length, Some(written.len()), "{}", kind.name);
    }
}
