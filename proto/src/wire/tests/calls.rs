//! Strategies for calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{
    ChosenTemplates, IndexUuid, NodeId, PrimaryTerm, SeqNo, ShardKey, ShardNumber, Version,
};
use gleaner_query::answer::ViewId;
use gleaner_query::resolved::NamedClause;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::answers::write_fault;
use super::clauses::{clause, expansion_request, id, statistics_request, text};
use super::queries::{field_format, highlight, shard_query, source_filter};
use crate::read::{GenerationsCall, GetCall};
use crate::replicate::{FileCall, SnapshotCall};
use crate::search::{
    ExpandCall, ExplainCall, FetchCall, FetchFrom, FetchHits, FetchWhat, HighlightWhat,
    OpenViewsCall, PinnedView, SearchCall, ShardView, StatisticsCall,
};
use crate::write::{
    Condition, Idempotency, RefusedItem, Update, WriteAction, WriteCall, WriteItem,
};
use gleaner_leases::{FollowCall, Mark};

pub(super) fn shard() -> impl Strategy<Value = ShardKey> {
    (any::<[u8; 16]>(), any::<u32>()).prop_map(|(index, shard)| ShardKey {
        index: IndexUuid(index),
        shard: ShardNumber(shard),
    })
}

pub(super) fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

/// Whole milliseconds, as they travel.
fn time() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_millis)
}

fn node() -> impl Strategy<Value = NodeId> {
    text().prop_map(|text| NodeId(text.into()))
}

pub(super) fn shard_view() -> impl Strategy<Value = ShardView> {
    (shard(), of(any::<u64>()), of(any::<u64>())).prop_map(|(shard, view, at_least)| ShardView {
        shard,
        view: view.map(ViewId),
        at_least: at_least.map(SeqNo),
    })
}

fn shard_views() -> impl Strategy<Value = Vec<ShardView>> {
    vec(shard_view(), 0..3)
}

pub(super) fn statistics_call() -> impl Strategy<Value = StatisticsCall> {
    (shard_views(), statistics_request(), time()).prop_map(|(shards, request, remaining)| {
        StatisticsCall {
            shards,
            request: Arc::new(request),
            remaining,
        }
    })
}

pub(super) fn expand_call() -> impl Strategy<Value = ExpandCall> {
    (shard_views(), vec(expansion_request(), 0..3), time()).prop_map(
        |(shards, requests, remaining)| ExpandCall {
            shards,
            requests: Arc::new(requests),
            remaining,
        },
    )
}

pub(super) fn search_call() -> impl Strategy<Value = SearchCall> {
    (shard_views(), shard_query(), time()).prop_map(|(shards, query, remaining)| SearchCall {
        shards,
        query: Arc::new(query),
        remaining,
    })
}

fn fetch_what() -> impl Strategy<Value = FetchWhat> {
    let highlight = (highlight(), clause(), vec(of(clause()), 0..3)).prop_map(
        |(highlight, query, field_queries)| HighlightWhat {
            highlight,
            query,
            field_queries,
        },
    );
    let formats = || vec(field_format(), 0..3);
    let named = (text(), clause()).prop_map(|(name, clause)| NamedClause { name, clause });
    // Boxed: what strategies hold lies on the stack of the test.
    let named = (vec(named, 0..2), of(shard_query().boxed()), any::<bool>());
    (
        formats(),
        formats(),
        of(highlight),
        of(shard_query()),
        named,
    )
        .prop_map(
            |(docvalue_fields, fields, highlight, explain, named)| FetchWhat {
                docvalue_fields,
                fields,
                highlight,
                explain: explain.map(Arc::new),
                named: named.0,
                named_by: named.1.map(Arc::new),
                is_without_source: named.2,
            },
        )
}

pub(super) fn fetch_call() -> impl Strategy<Value = FetchCall> {
    let hits = prop_oneof![
        vec(any::<u64>(), 1..4).prop_map(FetchHits::Places),
        vec(any::<u64>(), 0..4).prop_map(FetchHits::Numbers),
    ];
    let from = (shard_view(), hits).prop_map(|(shard, hits)| FetchFrom { shard, hits });
    (vec(from, 0..3), fetch_what(), time()).prop_map(|(shards, what, remaining)| FetchCall {
        shards,
        what: Arc::new(what),
        remaining,
    })
}

pub(super) fn explain_call() -> impl Strategy<Value = ExplainCall> {
    (shard_view(), id(), shard_query(), time()).prop_map(|(shard, id, query, remaining)| {
        ExplainCall {
            shard,
            id,
            query: Arc::new(query),
            remaining,
        }
    })
}

pub(super) fn open_views_call() -> impl Strategy<Value = OpenViewsCall> {
    (vec(shard(), 0..3), time(), any::<u64>()).prop_map(|(shards, keep_alive, holder)| {
        OpenViewsCall {
            shards,
            keep_alive,
            holder,
        }
    })
}

pub(super) fn pinned_view() -> impl Strategy<Value = PinnedView> {
    let flagged = any::<bool>();
    (shard(), any::<u64>(), any::<u64>(), flagged).prop_map(
        |(shard, view, holder, may_be_stale)| PinnedView {
            shard,
            view: ViewId(view),
            holder,
            may_be_stale,
        },
    )
}

pub(super) fn get_call() -> impl Strategy<Value = GetCall> {
    (shard(), vec(id(), 0..3), any::<bool>(), time()).prop_map(
        |(shard, ids, realtime, remaining)| GetCall {
            shard,
            ids,
            realtime,
            remaining,
        },
    )
}

fn index() -> impl Strategy<Value = IndexUuid> {
    any::<[u8; 16]>().prop_map(IndexUuid)
}

pub(super) fn mark() -> impl Strategy<Value = Mark> {
    any::<(u64, u64)>().prop_map(|(process, change)| Mark { process, change })
}

pub(super) fn follow_call() -> impl Strategy<Value = FollowCall> {
    let indices = (vec(index(), 0..3), vec(index(), 0..3));
    let call = (any::<(u64, u64)>(), of(mark()), indices, any::<bool>());
    call.prop_map(
        |((holder, number), heard, (interest, read), is_last)| FollowCall {
            holder,
            number,
            heard,
            interest,
            read,
            is_last,
        },
    )
}

pub(super) fn generations_call() -> impl Strategy<Value = GenerationsCall> {
    let call = (vec(shard(), 0..3), time());
    call.prop_map(|(shards, remaining)| GenerationsCall { shards, remaining })
}

fn condition() -> impl Strategy<Value = Condition> {
    let version = || any::<u64>().prop_map(Version);
    prop_oneof![
        Just(Condition::None),
        (any::<u64>(), any::<u64>()).prop_map(|(seq_no, term)| Condition::Is {
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(term),
        }),
        version().prop_map(Condition::ExternalGreater),
        version().prop_map(Condition::ExternalGreaterOrEqual),
        version().prop_map(Condition::InternalVersion),
    ]
}

fn action() -> impl Strategy<Value = WriteAction> {
    let flags = (any::<bool>(), any::<bool>(), any::<u32>());
    let update = (of(bytes()), of(bytes()), flags, of(source_filter())).prop_map(
        |(doc, upsert, flags, returned_source)| Update {
            doc,
            upsert,
            doc_as_upsert: flags.0,
            detect_noop: flags.1,
            retry_on_conflict: flags.2,
            returned_source,
        },
    );
    prop_oneof![
        (bytes(), any::<bool>()).prop_map(|(source, create)| WriteAction::Index { source, create }),
        update.prop_map(WriteAction::Update),
        Just(WriteAction::Delete),
    ]
}

fn templates() -> impl Strategy<Value = ChosenTemplates> {
    vec((text(), text()), 0..3).prop_map(ChosenTemplates::from_iter)
}

pub(super) fn write_call() -> impl Strategy<Value = WriteCall> {
    let item = (id(), of(text()), action(), condition(), templates()).prop_map(
        |(id, routing, action, condition, templates)| WriteItem {
            id,
            routing,
            action,
            condition,
            templates,
        },
    );
    let refused = (any::<u32>(), write_fault()).prop_map(|(at, fault)| RefusedItem { at, fault });
    let idempotency = (any::<u128>(), any::<u64>())
        .prop_map(|(producer, sequence)| Idempotency { producer, sequence });
    (
        shard(),
        any::<u64>(),
        vec(item, 0..4),
        of(idempotency),
        time(),
        any::<bool>(),
        vec(refused, 0..3),
    )
        .prop_map(
            |(shard, term, items, idempotency, remaining, asks_fields, refused)| WriteCall {
                shard,
                term: PrimaryTerm(term),
                items,
                idempotency,
                remaining,
                asks_fields,
                refused,
            },
        )
}

pub(super) fn snapshot_call() -> impl Strategy<Value = SnapshotCall> {
    let parts = (shard(), node(), time(), any::<bool>(), any::<[u8; 16]>());
    parts.prop_map(
        |(shard, follower, keep_alive, any_copy, history)| SnapshotCall {
            shard,
            follower,
            keep_alive,
            any_copy,
            history: gleaner_model::HistoryId(history),
        },
    )
}

pub(super) fn file_call() -> impl Strategy<Value = FileCall> {
    (shard(), any::<u64>(), text(), any::<u64>(), any::<usize>()).prop_map(
        |(shard, snapshot, name, offset, max_bytes)| FileCall {
            shard,
            snapshot,
            name,
            offset,
            max_bytes,
        },
    )
}
