//! Bytes that were stored, or come from another node.

use bytes::Bytes;
use gleaner_ambassador::{Endpoints, Target};
use gleaner_cache::overflow::body_of;
use gleaner_front::Rules;
use gleaner_model::{
    AnswerKey, ClusterState, DocumentId, MappingVersion, Operation, OperationKind, PrimaryTerm,
    Version,
};
use gleaner_proto::MESSAGE_KINDS;
use gleaner_proto::replicate::BatchRecords;
use gleaner_tls::SealingKey;

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

/// The rules of a front, as their file holds them: what can be read is written so that it reads the same.
pub(super) fn rules(bytes: &[u8]) {
    if let Ok(rules) = serde_json::from_slice::<Rules>(bytes) {
        let again = serde_json::to_vec(&rules).expect("rules");
        let again: Rules = serde_json::from_slice(&again).expect("it was written a moment ago");
        assert_eq!(again, rules);
    }
}

/// What answers beyond memory are sealed with.
const SECRET: [u8; 32] = [3; 32];

/// What an answer is the answer to.
const KEY: AnswerKey = AnswerKey([1; 32]);

/// An answer as it lies under the seal: `{"took":1}`, with the type of its body.
const WHOLE: &[u8] = include_bytes!("../../../fuzz/corpus/entry/whole");

/// An answer from beyond memory: what was not sealed by us, or for another request, is none; nor is what is wrong under
/// the seal.
pub(super) fn entry(bytes: &[u8]) {
    const MAGIC: &[u8] = b"GLA\x01";
    let sealed = |content: &[u8]| {
        let sealing = SealingKey::new(&SECRET).expect("the cryptography can be used");
        let sealed = sealing.seal(&[MAGIC, &KEY.0].concat(), content);
        [MAGIC, &sealed.expect("it is not too long")].concat()
    };
    assert_eq!(body_of(&SECRET, KEY, bytes), None, "sealed by nobody");
    let value = sealed(bytes);
    drop(body_of(&SECRET, KEY, &value));
    assert_eq!(body_of(&SECRET, AnswerKey([2; 32]), &value), None);
    assert_eq!(body_of(&[4; 32], KEY, &value), None);
    // The form of the cache is the one that is tried here.
    let body = body_of(&SECRET, KEY, &sealed(WHOLE));
    assert_eq!(body.as_deref(), Some(&b"{\"took\":1}"[..]));
}

/// Where a service is, as a file, a variable or a key of etcd says: each address that is read is one by itself.
pub(super) fn broker_target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // As a flag has it.
    drop(text.parse::<Target>());
    let addresses = Endpoints::parse(text).map(|endpoints| endpoints.in_turn());
    for address in addresses.unwrap_or_default() {
        let again = Endpoints::parse(&address);
        let itself = Endpoints::alike([address.clone()]);
        assert_eq!(again, Ok(itself), "{address:?}");
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
