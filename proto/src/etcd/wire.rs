//! Messages of etcd, and the only conversions between them and [`super`]'s values.

use tonic::Request;

use super::{
    Compare, Event, KeyValue, LeaseId, Listing, Operation, Range, Revision, Transaction, end_of,
};
use etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcdserverpb::request_op::Request as Step;
use etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest,
};
use mvccpb::event::EventType;

/// The generated messages of the package `mvccpb`.
#[expect(
    unreachable_pub,
    reason = "generated code is not written for our lints"
)]
pub(super) mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// The generated messages of the package `authpb`.
#[expect(
    unreachable_pub,
    reason = "generated code is not written for our lints"
)]
pub(super) mod authpb {
    tonic::include_proto!("authpb");
}

/// The generated messages and clients of the package `etcdserverpb`.
#[expect(
    unreachable_pub,
    clippy::enum_variant_names,
    reason = "generated code is not written for our lints"
)]
pub(super) mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// A member that knows no leader refuses a call with this header at once, and ends a stream when it has lost it.
const REQUIRE_LEADER: &str = "hasleader";

/// Returns a request that only a member with a leader answers.
pub(super) fn request<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    let value = tonic::metadata::AsciiMetadataValue::from_static("true");
    request.metadata_mut().insert(REQUIRE_LEADER, value);
    request
}

pub(super) fn range(range: &Range) -> RangeRequest {
    let Range {
        first,
        end,
        at,
        limit,
    } = range;
    RangeRequest {
        key: first.clone(),
        range_end: end.clone(),
        limit: i64::from(*limit),
        revision: at.unwrap_or_default().0,
    }
}

/// Reads an answer to a call that asked for the keys as they were `at` a revision, or are now.
pub(super) fn listing(answer: RangeResponse, at: Option<Revision>) -> Listing {
    let newest = answer.header.map_or(0, |header| header.revision);
    Listing {
        revision: at.unwrap_or(Revision(newest)),
        pairs: answer.kvs.into_iter().map(key_value).collect(),
        has_more: answer.more,
    }
}

fn key_value(pair: mvccpb::KeyValue) -> KeyValue {
    KeyValue {
        key: pair.key,
        value: pair.value,
        revision: Revision(pair.mod_revision),
        lease: lease(pair.lease),
    }
}

/// Returns the lease of that number; `None` for 0, which stands for none.
fn lease(number: i64) -> Option<LeaseId> {
    (number != 0).then_some(LeaseId(number))
}

pub(super) fn transaction(transaction: Transaction) -> TxnRequest {
    let Transaction {
        compares,
        operations,
    } = transaction;
    TxnRequest {
        compare: compares.into_iter().map(compare).collect(),
        success: operations.into_iter().map(operation).collect(),
        failure: Vec::new(),
    }
}

fn compare(compare: Compare) -> etcdserverpb::Compare {
    let Compare { key, revision } = compare;
    etcdserverpb::Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key: key.into(),
        // A key that is not there has 0.
        target_union: Some(TargetUnion::ModRevision(revision.unwrap_or_default().0)),
        range_end: bytes::Bytes::new(),
    }
}

fn operation(operation: Operation) -> RequestOp {
    let step = match operation {
        Operation::Put { key, value, lease } => Step::RequestPut(PutRequest {
            key: key.into(),
            value,
            lease: lease.map_or(0, |lease| lease.0),
        }),
        Operation::Delete { key } => Step::RequestDeleteRange(DeleteRangeRequest {
            key: key.into(),
            range_end: bytes::Bytes::new(),
        }),
        Operation::DeletePrefix { prefix } => Step::RequestDeleteRange(DeleteRangeRequest {
            range_end: end_of(&prefix),
            key: prefix.into(),
        }),
    };
    RequestOp {
        request: Some(step),
    }
}

/// Reads a change; `None` for one without a key, which etcd does not send.
pub(super) fn event(event: mvccpb::Event) -> Option<Event> {
    let kind = event.r#type();
    let pair = event.kv?;
    Some(Event {
        key: pair.key,
        revision: Revision(pair.mod_revision),
        value: (kind == EventType::Put).then_some(pair.value),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message as _;

    use super::*;

    /// Bytes as etcd's own messages have them: numbers of fields are what a member reads.
    #[test]
    fn messages_have_the_numbers_of_etcd() {
        let call = range(&Range::prefix("a").at(Revision(7)).limit(2));
        assert_eq!(call.encode_to_vec(), b"\x0a\x01a\x12\x01b\x18\x02\x20\x07");
        let call = transaction(Transaction {
            compares: vec![Compare {
                key: "k".to_owned(),
                revision: Some(Revision(3)),
            }],
            operations: vec![
                Operation::Put {
                    key: "k".to_owned(),
                    value: Bytes::from_static(b"v"),
                    lease: Some(LeaseId(5)),
                },
                Operation::Delete {
                    key: "d".to_owned(),
                },
                Operation::DeletePrefix {
                    prefix: "p".to_owned(),
                },
            ],
        });
        let wanted = b"\x0a\x07\x10\x02\x1a\x01k\x30\x03\
            \x12\x0a\x12\x08\x0a\x01k\x12\x01v\x18\x05\
            \x12\x05\x1a\x03\x0a\x01d\
            \x12\x08\x1a\x06\x0a\x01p\x12\x01q";
        assert_eq!(call.encode_to_vec(), wanted);
        let read = mvccpb::Event::decode(&b"\x08\x01\x12\x05\x0a\x01k\x18\x09"[..]);
        let read = event(read.expect("an event"));
        let wanted = Event {
            key: Bytes::from_static(b"k"),
            revision: Revision(9),
            value: None,
        };
        assert_eq!(read, Some(wanted));
    }
}
