//! Messages of newer versions and of nobody we know: refused by name or read without what is new.

use bytes::Bytes;
use gleaner_model::FieldPath;
use gleaner_query::answer::Explanation;
use gleaner_query::resolved::{Bm25, Clause, ShardQuery};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::super::clause::MAX_DEPTH;
use super::super::v1::clause_node::{Bool, Kind};
use super::{Wire, comes_back, through_bytes};
use crate::search::{FetchCall, SearchCall};
use crate::tests::samples;
use crate::wire::{DecodeError, v1};
use crate::write::{WriteAction, WriteCall, WriteFault};
use crate::{LeafFault, MAX_MESSAGE_BYTES};

/// A clause of so many levels.
fn nested(levels: usize) -> Clause {
    (1..levels).fold(Clause::MatchAll, |clause, _| Clause::Boost {
        clause: Box::new(clause),
        factor: 2.0,
    })
}

#[test]
fn clauses_as_deep_as_any_query_pass_and_deeper_ones_are_refused() {
    comes_back(&nested(MAX_DEPTH));
    assert_eq!(
        through_bytes(&nested(MAX_DEPTH + 1)),
        Err(DecodeError::TooDeep {
            what: "Clause",
            limit: MAX_DEPTH
        })
    );
}

#[test]
fn a_tree_of_a_million_levels_costs_no_stack() {
    let boost = v1::ClauseNode {
        kind: Some(Kind::Boost(2.0)),
    };
    let mut nodes = vec![boost; 1_000_000];
    nodes[0].kind = Some(Kind::MatchAll(v1::Unit {}));
    let bytes = v1::Clause { nodes }.encode_to_vec();
    assert!(bytes.len() < MAX_MESSAGE_BYTES);
    let message = v1::Clause::decode(&bytes[..]).expect("it is a message");
    assert!(matches!(
        Clause::from_message(message),
        Err(DecodeError::TooDeep { .. })
    ));
    let array = v1::ValueNode {
        kind: Some(v1::value_node::Kind::Array(1)),
    };
    let mut nodes = vec![array; 1_000_000];
    nodes[0].kind = Some(v1::value_node::Kind::Null(v1::Unit {}));
    assert!(matches!(
        Value::from_message(v1::Value { nodes }),
        Err(DecodeError::TooDeep { .. })
    ));
}

#[test]
fn trees_that_do_not_fit_together_are_refused() {
    let all = || Kind::MatchAll(v1::Unit {});
    let bool = |num_must| {
        Kind::Bool(Bool {
            num_must,
            num_filter: u32::MAX,
            ..Bool::default()
        })
    };
    for kinds in [
        vec![],
        vec![all(), all()],
        vec![Kind::Boost(1.0)],
        vec![all(), Kind::Demote(1.0)],
        vec![all(), bool(1)],
        vec![all(), bool(u32::MAX)],
    ] {
        let nodes = kinds.into_iter();
        let nodes = nodes.map(|kind| v1::ClauseNode { kind: Some(kind) });
        let message = v1::Clause {
            nodes: nodes.collect(),
        };
        assert!(
            Clause::from_message(message.clone()).is_err(),
            "{message:?}"
        );
    }
}

#[test]
fn numbers_that_have_no_json_are_refused() {
    for number in [f64::NAN, f64::INFINITY] {
        let node = v1::ValueNode {
            kind: Some(v1::value_node::Kind::Fraction(number)),
        };
        let value = Value::from_message(v1::Value { nodes: vec![node] });
        assert!(value.is_err(), "{number}");
    }
}

/// Field 1,000 with a number, field 1,001 with text.
const NEWER_FIELDS: &[u8] = &[0xc0, 0x3e, 7, 0xca, 0x3e, 3, b'n', b'e', b'w'];

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    let call = samples::search_call();
    let query = samples::query().to_message();
    let mut newer_query = query.encode_to_vec();
    newer_query.extend_from_slice(NEWER_FIELDS);
    // The call without its query, then the query as field 2, then what is newer.
    let mut message = call.to_message();
    message.query = None;
    let mut bytes = message.encode_to_vec();
    prost::encoding::bytes::encode(2, &newer_query, &mut bytes);
    bytes.extend_from_slice(NEWER_FIELDS);
    let message = v1::SearchCall::decode(Bytes::from(bytes)).expect("a message");
    let read = SearchCall::from_message(message).expect("a call");
    assert_eq!(format!("{read:?}"), format!("{call:?}"));
}

#[test]
fn kinds_of_a_newer_version_are_refused_by_name() {
    let node = v1::ClauseNode::decode(NEWER_FIELDS).expect("a message");
    let newer = v1::Clause { nodes: vec![node] };
    let refused = Clause::from_message(newer).expect_err("it must not be left out");
    assert_eq!(
        refused.to_string(),
        "`Clause` of a kind that this version does not know"
    );
    let mut query = samples::query().to_message();
    query.sort[0].mode = 99;
    let refused = ShardQuery::from_message(query).expect_err("it must not be left out");
    assert_eq!(refused, DecodeError::Unknown { what: "SortMode" });
}

#[test]
fn a_similarity_is_nothing_that_an_older_version_passes_over() {
    let similarity = Bm25::new(2.0, 0.5).expect("in range");
    let fields = [(FieldPath::new("body"), similarity)];
    let query = ShardQuery {
        similarities: fields.into_iter().collect(),
        ..samples::query()
    };
    let back = ShardQuery::from_message(query.to_message()).expect("a query");
    assert_eq!(back.similarities, query.similarities);
    let mut message = query.to_message();
    assert!(message.query.is_none() && message.scored_query.is_some());
    let scored = message.scored_query.as_mut().expect("it is there");
    scored.similarities[0].b = 1.5;
    let refused = ShardQuery::from_message(message).expect_err("b is too large");
    assert!(refused.to_string().contains("b of 1.5"), "{refused}");
    // As an older version reads it.
    let mut message = query.to_message();
    message.scored_query = None;
    let refused = ShardQuery::from_message(message).expect_err("it lacks its query");
    assert_eq!(refused, DecodeError::Missing("ShardQuery.query"));
}

#[test]
fn answers_of_an_older_version_are_of_copies_with_their_primaries() {
    fn of_older<D: Wire<Message: Message + Default>>(answer: &D, flag: u8) -> D {
        let mut bytes = answer.to_message().encode_to_vec();
        // The flag is the last field: what an older version sends is all before it.
        assert_eq!(bytes.split_off(bytes.len() - 2), [flag << 3, 1]);
        D::from_message(D::Message::decode(Bytes::from(bytes)).expect("a message")).expect("read")
    }
    assert!(!of_older(&samples::hits(), 12).may_be_stale);
    assert!(!of_older(&samples::postings(), 9).may_be_stale);
    assert!(!of_older(&samples::places(), 6).may_be_stale);
    assert!(!of_older(&samples::documents(), 2).may_be_stale);
    assert!(!of_older(&samples::explained(), 2).may_be_stale);
    assert!(!of_older(&samples::pinned(0, 7), 4).may_be_stale);
}

#[test]
fn a_made_id_of_an_older_root_asks_for_a_creation() {
    let mut call = samples::write_call().to_message();
    for item in &mut call.items {
        item.is_fresh_id = true;
        if let Some(v1::write_item::Action::Index(index)) = &mut item.action {
            index.create = false;
        }
    }
    let read = WriteCall::from_message(call).expect("a call");
    let mut creates = read.items.iter().filter_map(|item| match item.action {
        WriteAction::Index { create, .. } => Some(create),
        WriteAction::Update(_) | WriteAction::Delete => None,
    });
    assert_eq!(creates.next(), Some(true));
}

#[test]
fn a_fault_of_a_newer_version_is_a_fault() {
    let fault = v1::LeafFault::decode(NEWER_FIELDS).expect("a message");
    let fault = LeafFault::from_message(fault);
    assert!(
        matches!(fault, Ok(LeafFault::Unsupported { .. })),
        "{fault:?}"
    );
    let fault = v1::WriteFault::decode(NEWER_FIELDS).expect("a message");
    let fault = WriteFault::from_message(fault);
    assert!(
        matches!(fault, Ok(WriteFault::Shard(LeafFault::Unsupported { .. }))),
        "{fault:?}"
    );
}

/// Reads `bytes` as anything; only a panic fails.
fn read_as_anything(bytes: &Bytes) {
    fn read<D: Wire<Message: Message + Default>>(bytes: &Bytes) {
        if let Ok(message) = D::Message::decode(bytes.clone()) {
            drop(D::from_message(message));
        }
    }
    read::<SearchCall>(bytes);
    read::<FetchCall>(bytes);
    read::<WriteCall>(bytes);
    read::<Explanation>(bytes);
    read::<Result<gleaner_query::answer::ShardHits, LeafFault>>(bytes);
    read::<Result<crate::write::WriteAnswer, LeafFault>>(bytes);
    read::<Result<crate::replicate::Snapshot, LeafFault>>(bytes);
}

proptest! {
    #[test]
    fn no_bytes_make_a_panic(bytes: Vec<u8>) {
        read_as_anything(&bytes.into());
    }

    #[test]
    fn no_damage_makes_a_panic(at: prop::sample::Index, byte: u8, call: bool) {
        let mut bytes = if call {
            samples::search_call().to_message().encode_to_vec()
        } else {
            Ok::<_, LeafFault>(samples::hits()).to_message().encode_to_vec()
        };
        *at.get_mut(&mut bytes) = byte;
        read_as_anything(&bytes.into());
    }
}

#[test]
fn a_value_keeps_its_shape() {
    comes_back(&json!({"z": [], "a": {}, "n": [[1, -1, 1.5, null], {"k": "v"}]}));
}
