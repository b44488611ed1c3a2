//! One value of each kind, no field at its default where that can be.

mod copies;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_leases::{FollowAnswer, FollowCall, Mark};
use gleaner_model::{
    ChosenTemplates, DocumentId, FieldPath, Generation, IndexUuid, MappingVersion, NodeId,
    PrimaryTerm, SeqNo, ShardKey, ShardNumber, Version,
};
use gleaner_query::aggregation::{Aggregation, AggregationKind, Metric, ValueSource};
use gleaner_query::answer::{
    Explanation, FetchedHit, LeafTimes, ShardHit, ShardHits, SortValue, ViewId,
};
use gleaner_query::dsl::Query;
use gleaner_query::postings::{PostingList, Weights};
use gleaner_query::resolved::{
    Clause, Extent, FieldStatistics, Scalar, ShardQuery, Similarities, Span, Statistics, TieBreak,
    Unmatched,
};
use gleaner_query::search::{FieldFormat, Missing, SortKey, SortTarget, SourceFilter, TrackTotal};
use serde_json::json;

pub(crate) use nodes::node_stats;

use crate::postings::{LocateAnswer, LocatedDocument, PostingsAnswer};
use crate::read::{
    Document, Documents, ShardCounters, ShardGauges, ShardPhase, ShardState, ShownGeneration,
};
use crate::search::{
    ExplainAnswer, ExplainedDocument, FetchWhat, PinnedView, SearchCall, ShardView,
};
use crate::write::{
    Condition, Idempotency, Update, WriteAction, WriteAnswer, WriteCall, WriteFault, WriteItem,
    WriteOutcome, WriteResult,
};

pub(crate) use copies::{follower_messages, primary_messages, snapshot};

pub(crate) const REMAINING: Duration = Duration::from_millis(20_000);

pub(crate) fn shard(number: u32) -> ShardKey {
    ShardKey {
        index: IndexUuid([7; 16]),
        shard: ShardNumber(number),
    }
}

pub(crate) fn view(number: u32) -> ShardView {
    ShardView {
        shard: shard(number),
        view: Some(ViewId(9)),
        at_least: Some(SeqNo(3)),
    }
}

pub(crate) fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).expect("an id")
}

pub(crate) fn generation() -> Generation {
    Generation {
        mapping: MappingVersion(2),
        visible: SeqNo(40),
        history: gleaner_model::HistoryId::FIRST,
    }
}

fn term(term: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new("body"),
        term: term.to_owned(),
    }
}

pub(crate) fn statistics() -> Statistics {
    let mut statistics = Statistics::default();
    let field = FieldPath::new("body");
    let numbers = statistics.fields.entry(field.clone()).or_default();
    (numbers.documents, numbers.total_length) = (5, 60);
    let terms = statistics.terms.entry(field).or_default();
    terms.insert("cat".to_owned(), 2);
    terms.insert("dog".to_owned(), 1);
    statistics
}

pub(crate) fn postings() -> PostingsAnswer {
    let mut weights = Weights::default();
    weights.push(3, 40);
    weights.push(300, 12);
    PostingsAnswer {
        view: ViewId(9),
        generation: generation(),
        num_documents: 5,
        field: FieldStatistics {
            documents: 5,
            total_length: 60,
        },
        list: PostingList {
            documents: [7, 1 << 33].into_iter().collect(),
            weights: Some(weights),
        },
        is_last: true,
        times: Some(LeafTimes {
            queue: Duration::from_micros(15),
            evaluate: Duration::from_micros(250),
            cpu: Duration::from_micros(260),
        }),
        may_be_stale: true,
    }
}

pub(crate) fn places() -> LocateAnswer {
    LocateAnswer {
        view: ViewId(9),
        generation: generation(),
        num_documents: 5,
        sets: vec![vec![LocatedDocument {
            seq_no: SeqNo(7),
            place: 1 << 33,
            tie: TieBreak {
                hash: u64::MAX,
                id: Some(id("a")),
            },
        }]],
        times: None,
        may_be_stale: true,
    }
}

pub(crate) fn query() -> ShardQuery {
    let clause = Clause::Bool {
        must: vec![term("cat")],
        should: Vec::new(),
        filter: Vec::new(),
        must_not: vec![term("dog")],
        minimum_should_match: 0,
    };
    let price = ValueSource {
        field: "price".to_owned(),
        value_type: None,
        missing: Some(json!(0)),
        format: None,
    };
    let mean = Aggregation {
        name: "mean".to_owned(),
        kind: AggregationKind::Metric(Metric::Avg, price),
        sub: Vec::new(),
        pipelines: Vec::new(),
        meta: None,
    };
    let filter = Aggregation {
        name: "cheap".to_owned(),
        kind: AggregationKind::Filter(Query::MatchNone),
        sub: vec![mean],
        pipelines: Vec::new(),
        meta: Some(json!({"shown": [true, null, -1, 1.5]})),
    };
    ShardQuery {
        query: clause,
        post_filter: Some(term("fish")),
        statistics: Arc::new(statistics()),
        similarities: Similarities::default(),
        top: 10,
        collapse: None,
        sort: vec![SortKey {
            target: SortTarget::Field("price".to_owned()),
            descending: true,
            missing: Missing::Last,
            mode: None,
            unmapped_type: Some("long".to_owned()),
            format: None,
            numeric_type: None,
        }],
        after: None,
        search_after: Some(vec![json!("x")]),
        track_scores: true,
        track_total: TrackTotal::UpTo(10_000),
        min_score: Some(0.5),
        aggregations: Arc::new(vec![filter]),
        aggregation_filters: Arc::new(vec![term("cheap")]),
        named: Arc::default(),
        terminate_after: Some(1_000),
        now_ms: 1_700_000_000_000,
    }
}

pub(crate) fn search_call() -> SearchCall {
    SearchCall {
        shards: vec![view(0), view(1)],
        query: Arc::new(query()),
        remaining: REMAINING,
    }
}

pub(crate) fn hits() -> ShardHits {
    let hit = ShardHit {
        group: None,
        score: Some(1.25),
        keys: vec![SortValue::I64(-4), SortValue::Text("k".to_owned())],
        tie: TieBreak {
            hash: u64::MAX - 1,
            id: Some(id("a")),
        },
        seq_no: SeqNo(11),
        place: 1 << 33,
    };
    ShardHits {
        generation: generation(),
        view: ViewId(9),
        num_documents: 100,
        total: 42,
        hits: vec![hit],
        max_score: Some(2.5),
        aggregations: Some(Bytes::from_static(b"partial")),
        timed_out: true,
        terminated_early: true,
        times: Some(LeafTimes {
            queue: Duration::from_micros(12),
            evaluate: Duration::from_micros(345),
            cpu: Duration::from_micros(350),
        }),
        unmatched: Some(Box::new(unmatched())),
        may_be_stale: true,
    }
}

fn unmatched() -> Unmatched {
    let mut extent = Extent::of(true);
    extent.note_absent(&FieldPath::new("body"), Scalar::Text("cat".to_owned()));
    let span = Span::Within(Scalar::Date(-1), Scalar::Date(1));
    extent.note_span(FieldPath::new("day"), span);
    extent.note_span(FieldPath::new("gone"), Span::Nowhere);
    Unmatched {
        extent,
        lease: Duration::from_micros(500_001),
    }
}

pub(crate) fn what() -> FetchWhat {
    FetchWhat {
        docvalue_fields: vec![FieldFormat {
            field: "date".to_owned(),
            format: Some("epoch_millis".to_owned()),
            include_unmapped: true,
        }],
        ..FetchWhat::default()
    }
}

pub(crate) fn documents() -> Documents {
    Documents {
        found: vec![Some(document()), None],
        may_be_stale: true,
    }
}

pub(crate) fn document() -> Document {
    Document {
        id: id("a"),
        routing: Some("r".to_owned()),
        seq_no: SeqNo(11),
        term: PrimaryTerm(2),
        version: Version(3),
        source: Bytes::from_static(b"{\"body\":\"cat\"}"),
    }
}

pub(crate) fn explanation() -> Explanation {
    let detail = Explanation {
        value: 0.5,
        description: "idf".to_owned(),
        details: Vec::new(),
    };
    Explanation {
        value: 1.25,
        description: "score".to_owned(),
        details: vec![detail.clone(), detail],
    }
}

pub(crate) fn fetched() -> FetchedHit {
    let Document {
        id,
        routing,
        seq_no,
        term,
        version,
        source,
    } = document();
    FetchedHit {
        ignored: vec!["n".to_owned()],
        ignored_values: [("n".to_owned(), vec![json!("seven")])]
            .into_iter()
            .collect(),
        matched_queries: Vec::new(),
        id,
        routing,
        seq_no,
        term,
        version,
        source,
        fields: [("date".to_owned(), vec![json!("1")])]
            .into_iter()
            .collect(),
        highlight: [("body".to_owned(), vec!["<em>cat</em>".to_owned()])]
            .into_iter()
            .collect(),
        explanation: Some(explanation()),
    }
}

pub(crate) fn explained() -> ExplainAnswer {
    ExplainAnswer {
        found: Some(ExplainedDocument {
            matched: true,
            explanation: explanation(),
            document: document(),
        }),
        may_be_stale: true,
    }
}

pub(crate) fn pinned(number: u32, holder: u64) -> PinnedView {
    PinnedView {
        shard: shard(number),
        view: ViewId(9),
        holder,
        may_be_stale: true,
    }
}

pub(crate) fn write_call() -> WriteCall {
    let item = |action, condition| WriteItem {
        id: id("a"),
        routing: Some("r".to_owned()),
        action,
        condition,
        templates: ChosenTemplates::default(),
    };
    let index = WriteAction::Index {
        source: Bytes::from_static(b"{}"),
        create: true,
    };
    let update = WriteAction::Update(Update {
        doc: Some(Bytes::from_static(b"{\"a\":1}")),
        upsert: Some(Bytes::from_static(b"{\"b\":1}")),
        doc_as_upsert: true,
        detect_noop: true,
        retry_on_conflict: 3,
        returned_source: Some(SourceFilter::default()),
    });
    let latest = Condition::Is {
        seq_no: SeqNo(4),
        term: PrimaryTerm(1),
    };
    WriteCall {
        shard: shard(1),
        term: PrimaryTerm(2),
        items: vec![
            item(index, Condition::ExternalGreater(Version(9))),
            item(update, latest),
            item(WriteAction::Delete, Condition::None),
        ],
        idempotency: Some(Idempotency {
            producer: 1 << 100,
            sequence: 5,
        }),
        remaining: REMAINING,
        asks_fields: false,
        refused: Vec::new(),
    }
}

pub(crate) fn written() -> WriteAnswer {
    let outcome = WriteOutcome {
        result: WriteResult::Updated,
        version: Version(4),
        seq_no: SeqNo(12),
        term: PrimaryTerm(2),
        source: Some(Bytes::from_static(b"{}")),
    };
    let conflict = WriteFault::VersionConflict {
        id: id("a"),
        reason: "required".to_owned(),
    };
    WriteAnswer {
        items: vec![Ok(outcome), Err(conflict)],
        duplicate: true,
    }
}

pub(crate) fn shown() -> ShownGeneration {
    ShownGeneration {
        generation: generation(),
        is_resting: true,
    }
}

pub(crate) fn state() -> ShardState {
    ShardState {
        shard: shard(1),
        is_primary: true,
        phase: ShardPhase::Failed,
        reason: Some("torn".to_owned()),
        generation: generation(),
        max_seq_no: Some(SeqNo(50)),
        committed: SeqNo(30),
        num_documents: 1,
        num_deleted: 2,
        num_segments: 3,
        store_bytes: 4,
        log_bytes: 5,
        counters: ShardCounters {
            index_total: 6,
            flush_total: 7,
            ..ShardCounters::default()
        },
        gauges: ShardGauges {
            writes: 8,
            copying: 9,
            ..ShardGauges::default()
        },
        segments: vec![copies::segment()],
        recovery: Some(copies::recovery()),
        put_aside: Some("0.damaged-1".to_owned()),
    }
}

pub(crate) fn follower() -> NodeId {
    NodeId("leaf-2".into())
}

pub(crate) fn mark() -> Mark {
    Mark {
        process: u64::MAX - 5,
        change: 8,
    }
}

pub(crate) fn follow_call() -> FollowCall {
    FollowCall {
        holder: 11,
        number: 3,
        heard: Some(mark()),
        interest: vec![IndexUuid([7; 16])],
        read: vec![IndexUuid([8; 16])],
        is_last: false,
    }
}

pub(crate) fn follow_answer() -> FollowAnswer {
    FollowAnswer {
        mark: mark(),
        shown: vec![(shard(1), generation())],
        lease: Duration::from_millis(480),
        state_version: 12,
    }
}
