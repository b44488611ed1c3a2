//! Bytes that were stored, or come from another node.

use bytes::Bytes;
use gleaner_model::{
    ClusterState, DocumentId, MappingVersion, Operation, OperationKind, PrimaryTerm, Version,
};
use gleaner_proto::metadata::{decode_state, encode_state};
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
    let states = states.iter().map(encode_state);
    states.map(|bytes| bytes.expect("a state")).collect()
}

/// A record of the log: what can be read is written the same and read again.
pub(super) fn record(bytes: &[u8]) {
    if let Ok(operation) = Operation::decode(&Bytes::copy_from_slice(bytes)) {
        let again = Operation::decode(&operation.encode()).expect("it was written a moment ago");
        assert_eq!(format!("{again:?}"), format!("{operation:?}"));
    }
}

/// The state of a cluster.
pub(super) fn state(bytes: &[u8]) {
    if let Ok(state) = decode_state(bytes) {
        let again = encode_state(&state).expect("a state");
        let again = decode_state(&again).expect("it was written a moment ago");
        assert_eq!(again, state);
    }
}

/// Records on their way to a copy.
pub(super) fn batch(bytes: &[u8]) {
    if let Ok(batch) = BatchRecords::decode(Bytes::copy_from_slice(bytes)) {
        assert_eq!(BatchRecords::decode(batch.encode()), Ok(batch));
    }
}
