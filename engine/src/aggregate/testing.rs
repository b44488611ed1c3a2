//! Shards over given documents, and their aggregations put together as a root does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_log::files::SimulatedFiles;
use gleaner_model::{
    DocumentId, IndexName, IndexUuid, Mapping, Operation, OperationKind, PrimaryTerm, SeqNo,
    ShardKey, ShardNumber, Version,
};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_partial::{Aggregations, FinalizeContext, merge_encoded, with_live_keys};
use gleaner_query::Limits;
use gleaner_query::aggregation::Aggregation;
use gleaner_query::answer::AggregationResult;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::{Clause, Scalar, ShardQuery, Statistics};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::{AggregationEnv, FilterDocuments, Plan};
use crate::directory::Reading;
use crate::error::EngineError;
use crate::search::Target;
use crate::view::{SegmentView, View, place};
use crate::writer::MergeOptions;
use crate::{ShardIndex, ShardMeta, ShardOptions};

/// The name of the index.
const NAME: &str = "library";

/// Documents by id, in order of arrival.
pub(crate) type Documents = Vec<(String, Value)>;

/// How documents lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) shards: usize,
    pub(crate) segments: usize,
    /// Whether every third document was something else before, and others have come and gone.
    pub(crate) has_deletes: bool,
}

/// One index, laid out.
pub(crate) struct Index {
    shards: Vec<ShardIndex>,
}

/// Reads aggregations as the dialect writes them.
pub(crate) fn parse(request: &Value) -> Vec<Aggregation> {
    gleaner_query::aggregation::parse_aggregations(request, &Limits::default())
        .expect("the request is good")
}

/// Reads a mapping of `properties`.
pub(crate) fn mapping(properties: &Value) -> Arc<Mapping> {
    let declared = serde_json::json!({ "properties": properties });
    Arc::new(parse_mapping(&declared, None, &MappingRules::default()).expect("a good mapping"))
}

impl Index {
    /// Lays `documents` out.
    pub(crate) fn new(mapping: &Arc<Mapping>, documents: &Documents, layout: Layout) -> Self {
        let shards = (0..layout.shards).map(|shard| {
            let own = documents
                .iter()
                .enumerate()
                .filter(|(i, _)| i % layout.shards == shard);
            let own: Vec<&(String, Value)> = own.map(|(_, document)| document).collect();
            fill(open(mapping, shard), mapping, &own, layout)
        });
        Self {
            shards: shards.collect(),
        }
    }

    /// Returns the view of each shard.
    pub(crate) fn views(&self) -> Vec<Arc<View>> {
        self.shards.iter().map(ShardIndex::view).collect()
    }

    /// Returns the shards as what a search is of.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let target = |shard: &ShardIndex| Target {
            key: shard.key(),
            view: shard.view(),
        };
        self.shards.iter().map(target).collect()
    }

    /// Aggregates all documents; scores are made up from the id.
    pub(crate) fn aggregate(
        &self,
        request: &Value,
        filters: &[Clause],
    ) -> Result<Vec<AggregationResult>, EngineError> {
        let aggregations = parse(request);
        let mut asked = with_live_keys(&aggregations);
        let mut merged = self.scatter(&asked, filters)?;
        while let Some(again) = merged.refine(&asked)? {
            asked = with_live_keys(&again[..aggregations.len()]);
            merged = merged.refined_by(self.scatter(&asked, filters)?, &asked);
        }
        let names = BTreeMap::from([(IndexUuid([1; 16]), NAME.to_owned())]);
        let context = FinalizeContext {
            live_keys: merged.split_live_keys(&aggregations),
            ..FinalizeContext::new(&names)
        };
        Ok(merged.finalize(&aggregations, &context)?)
    }

    /// Returns what each shard answers.
    pub(crate) fn partials(
        &self,
        aggregations: &[Aggregation],
        filters: &[Clause],
    ) -> Result<Vec<Aggregations>, EngineError> {
        let query = query(aggregations.to_vec(), filters.to_vec());
        let shards = self.shards.iter();
        shards.map(|shard| one_shard(shard, &query)).collect()
    }

    fn scatter(
        &self,
        aggregations: &[Aggregation],
        filters: &[Clause],
    ) -> Result<Aggregations, EngineError> {
        let partials = self.partials(aggregations, filters)?;
        let encoded = partials.iter().map(Aggregations::encode);
        Ok(merge_encoded(&encoded.collect::<Result<Vec<Bytes>, _>>()?)?)
    }
}

fn one_shard(shard: &ShardIndex, query: &ShardQuery) -> Result<Aggregations, EngineError> {
    let view = shard.view();
    let memory = MemoryAccount::root("test", 1 << 30);
    let control = Control::unlimited();
    let env = AggregationEnv {
        view: &view,
        shard: shard.key(),
        documents: &BySource,
        memory: &memory,
        control: &control,
    };
    let plan = Plan::new(query, env)?;
    let mut segments = Vec::new();
    for segment in view.segments() {
        let mut aggregator = plan.segment(segment.ord())?;
        let docs: Vec<u32> = segment.reader().doc_ids_alive().collect();
        let hashes = docs.iter().map(|doc| segment.id_hashes().get_val(*doc));
        let scores: Vec<f32> = hashes.map(|hash| (hash % 97) as f32 / 8.0).collect();
        for (docs, scores) in docs.chunks(33).zip(scores.chunks(33)) {
            aggregator.collect_block(docs, plan.needs_scores().then_some(scores))?;
        }
        segments.push(aggregator.finish()?);
    }
    plan.finish(segments)
}

/// Returns a query for everything with aggregations.
pub(crate) fn query(aggregations: Vec<Aggregation>, filters: Vec<Clause>) -> ShardQuery {
    ShardQuery {
        aggregations: Arc::new(aggregations),
        aggregation_filters: Arc::new(filters),
        now_ms: 1_600_000_000_000,
        ..ShardQuery::best(Clause::MatchAll, Arc::new(Statistics::default()), 0)
    }
}

/// Evaluates terms and lower bounds on `_source`.
struct BySource;

impl FilterDocuments for BySource {
    fn documents(
        &self,
        view: &View,
        segment: &SegmentView,
        clause: &Clause,
    ) -> Result<Arc<RoaringBitmap>, EngineError> {
        let mut found = RoaringBitmap::new();
        for doc in segment.reader().doc_ids_alive() {
            let source = view.document(place(segment.ord(), doc))?.source;
            let source: Value = serde_json::from_slice(&source).expect("it is JSON");
            if holds(clause, &source) {
                found.insert(doc);
            }
        }
        Ok(Arc::new(found))
    }
}

/// Returns whether a document matches.
pub(crate) fn holds(clause: &Clause, source: &Value) -> bool {
    use std::ops::Bound::Included;
    match clause {
        Clause::Term { field, term } => {
            let values = gleaner_query::source::values_at(source, field.as_str());
            values.iter().any(|value| value.as_str() == Some(term))
        }
        Clause::Range {
            field,
            lower: Included(Scalar::I64(lower)),
            ..
        } => {
            let values = gleaner_query::source::values_at(source, field.as_str());
            values
                .iter()
                .any(|value| value.as_i64().is_some_and(|n| n >= *lower))
        }
        other => panic!("not evaluated here: {other:?}"),
    }
}

fn open(mapping: &Arc<Mapping>, shard: usize) -> ShardIndex {
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(shard as u32),
    };
    let analyzers = Arc::new(AnalyzerRegistry::builtin());
    let meta = ShardMeta {
        key,
        name: IndexName::parse(NAME).expect("a good name"),
        mapping: Arc::clone(mapping),
        analyzers,
    };
    let options = ShardOptions {
        merges: MergeOptions {
            is_enabled: false,
            ..MergeOptions::default()
        },
        files: Arc::new(SimulatedFiles::new()),
        reading: Reading::Copied,
        ..ShardOptions::default()
    };
    ShardIndex::open(Path::new("/shard"), meta, options)
        .expect("an empty folder opens")
        .0
}

fn fill(
    index: ShardIndex,
    mapping: &Arc<Mapping>,
    documents: &[&(String, Value)],
    layout: Layout,
) -> ShardIndex {
    let mut next = 0;
    let mut apply = |kind: OperationKind| {
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: mapping.version,
            timestamp_ms: 0,
            kind,
        };
        index
            .apply(SeqNo(next), &operation)
            .expect("it is in order");
        next += 1;
        SeqNo(next)
    };
    let put = |id: &str, version: u64, source: &Value| OperationKind::Index {
        id: DocumentId::parse(id).expect("a good id"),
        routing: None,
        version: Version(version),
        source: Bytes::from(source.to_string()),
    };
    if layout.has_deletes {
        for (i, (id, _)) in documents.iter().enumerate() {
            let (_, other) = documents[(i + 1) % documents.len()];
            if i.is_multiple_of(3) {
                apply(put(id, 1, other));
            }
            apply(put(&format!("gone-{id}"), 1, other));
        }
    }
    let per_segment = documents.len().div_ceil(layout.segments).max(1);
    for chunk in documents.chunks(per_segment) {
        let mut visible = SeqNo(0);
        for (id, source) in chunk {
            // Version 1 says that there was nothing before.
            visible = apply(put(id, 1 + u64::from(layout.has_deletes), source));
            if layout.has_deletes {
                let id = DocumentId::parse(&format!("gone-{id}")).expect("a good id");
                visible = apply(OperationKind::Delete {
                    id,
                    routing: None,
                    version: Version(2),
                });
            }
        }
        index.refresh(visible).expect("all was applied");
    }
    index
}
