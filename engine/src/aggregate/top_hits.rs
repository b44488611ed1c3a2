//! `top_hits`: the best documents of each bucket.
//!
//! A segment keeps places and sort values; ids and content are read for the shard's winners.

use std::cmp::Ordering;

use bytes::Bytes;
use gleaner_model::{Mapping, ShardKey};
use gleaner_partial::control::{Control, Ledger, Meter};
use gleaner_partial::top_hits::{ShownValues, TopHit, TopHitContent, TopHits};
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_query::aggregation::{Aggregation, AggregationKind, TopHitsAggregation};
use gleaner_query::answer::{SortValue, num_bytes_of_texts};
use gleaner_query::mapping::stored_fields;
use gleaner_query::resolved::{Clause, ShardQuery, TieBreak};
use gleaner_query::search::{FieldFormat, SortTarget};
use gleaner_query::source::{ShownSource, SourceFault, kept_source};

use super::AggregationEnv;
use super::metrics::grow;
use super::node::{Block, Node, SegmentContext};
use crate::error::EngineError;
use crate::fetch::{self, FetchSpec, HighlightSpec};
use crate::search::{KeyReader, Raw};
use crate::view::{SegmentView, place};

/// What a hit takes before its content is read, roughly, in bytes.
const HIT_BYTES: usize = 192;

/// Builds the collector of `request`, whose last `num_metrics` sort keys are those that `top_metrics` shows.
pub(super) fn build<'a>(
    request: &'a TopHitsAggregation,
    num_metrics: usize,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let by_score = request.sort.is_empty()
        || request
            .sort
            .iter()
            .any(|key| key.target == SortTarget::Score);
    let num_sorted = request.sort.len().saturating_sub(num_metrics);
    let mut readers = Vec::with_capacity(request.sort.len());
    for (at, key) in request.sort.iter().enumerate() {
        let memory = context.ledger.account();
        let reader = KeyReader::open(key, context.view, context.shard, context.segment, memory)?;
        readers.push(match at < num_sorted {
            true => reader,
            false => reader.keeping_gaps(),
        });
    }
    Ok(Box::new(TopHitsNode {
        request,
        segment: context.segment,
        shard: context.shard,
        keeps_score: by_score || request.track_scores,
        readers,
        owners: Vec::new(),
        meter: context.ledger.meter(),
        control: context.control,
    }))
}

struct TopHitsNode<'a> {
    request: &'a TopHitsAggregation,
    segment: &'a SegmentView,
    shard: ShardKey,
    keeps_score: bool,
    readers: Vec<KeyReader>,
    owners: Vec<Best>,
    meter: Meter<'a>,
    control: &'a Control,
}

/// The best documents of an owner.
#[derive(Default)]
struct Best {
    total: u64,
    max_score: Option<f32>,
    /// In order.
    hits: Vec<Candidate>,
}

/// A document that may be among the best.
struct Candidate {
    score: Option<f32>,
    keys: Vec<Raw>,
    hash: u64,
    doc: u32,
}

impl Candidate {
    /// The order of hits, but for ids of one hash: inside a shard they stand as they were written.
    fn compare(&self, other: &Self, readers: &[KeyReader]) -> Ordering {
        let by_score = || {
            let of = |hit: &Self| hit.score.unwrap_or(0.0);
            of(other).total_cmp(&of(self))
        };
        let mut keys = readers.iter().zip(self.keys.iter().zip(&other.keys));
        let order = if readers.is_empty() {
            by_score()
        } else {
            keys.find_map(|(reader, (a, b))| Some(reader.compare(a, b)).filter(|o| o.is_ne()))
                .unwrap_or(Ordering::Equal)
        };
        order
            .then_with(|| self.hash.cmp(&other.hash))
            .then_with(|| self.doc.cmp(&other.doc))
    }
}

impl TopHitsNode<'_> {
    fn offer(&mut self, owner: u32, candidate: Candidate) -> Result<(), EngineError> {
        let limit = self.request.from.saturating_add(self.request.size);
        let best = &mut self.owners[owner as usize];
        best.total += 1;
        if let Some(score) = candidate.score {
            best.max_score = Some(best.max_score.map_or(score, |max| max.max(score)));
        }
        let readers = &self.readers;
        let at = best
            .hits
            .partition_point(|hit| hit.compare(&candidate, readers) == Ordering::Less);
        if at >= limit {
            return Ok(());
        }
        best.hits.insert(at, candidate);
        if best.hits.len() > limit {
            best.hits.truncate(limit);
            return Ok(());
        }
        Ok(self.meter.charge(HIT_BYTES)?)
    }

    fn partial(&mut self, best: Best) -> Result<Partial, EngineError> {
        let mut top = TopHits::new(self.request);
        top.total = best.total;
        top.max_score = best.max_score;
        for hit in best.hits {
            let keys = self.readers.iter().zip(hit.keys);
            let keys = keys.map(|(reader, key)| reader.resolve(key));
            let keys: Vec<SortValue> = keys.collect::<Result<_, _>>()?;
            let num_bytes = keys.iter().map(SortValue::num_text_bytes).sum();
            self.meter.charge(num_bytes)?;
            top.insert(TopHit {
                score: hit.score,
                keys,
                tie: TieBreak {
                    hash: hit.hash,
                    id: None,
                },
                shard: self.shard,
                place: place(self.segment.ord(), hit.doc),
                content: None,
            });
        }
        Ok(Partial::TopHits(top))
    }
}

impl Node for TopHitsNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, &mut self.meter, Best::default)?;
        for (i, doc) in block.docs.iter().enumerate() {
            let score = block.score(i);
            let keys = self.readers.iter();
            let candidate = Candidate {
                keys: keys
                    .map(|reader| reader.read(*doc, score, self.control))
                    .collect::<Result<_, _>>()?,
                score: score.filter(|_| self.keeps_score),
                hash: self.segment.id_hashes().get_val(*doc),
                doc: *doc,
            };
            self.offer(block.owners[i], candidate)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut owners = std::mem::take(&mut self.owners);
        owners.resize_with(num_owners, Best::default);
        owners.into_iter().map(|best| self.partial(best)).collect()
    }
}

/// What reading the content of hits needs.
pub(super) struct ContentReader<'c> {
    /// By which hits were found, and scored.
    pub(super) query: &'c ShardQuery,
    /// What of it is highlighted.
    pub(super) asked: &'c Clause,
    pub(super) env: &'c AggregationEnv<'c>,
    pub(super) meter: Meter<'c>,
}

/// Reads the content of all hits that are still there after the segments were merged.
pub(super) fn complete(
    partials: &mut Aggregations,
    aggregations: &[Aggregation],
    reading: &mut ContentReader<'_>,
) -> Result<(), EngineError> {
    for (partial, aggregation) in partials.0.iter_mut().zip(aggregations) {
        if let (Partial::TopHits(hits), AggregationKind::TopHits(request)) =
            (&mut *partial, &aggregation.kind)
        {
            read_content(hits, request, reading)?;
        } else if are_in(&aggregation.sub) {
            let mut below =
                |bucket: &mut Bucket| complete(&mut bucket.sub, &aggregation.sub, reading);
            partial
                .holder(&aggregation.kind)
                .try_for_each_bucket(&mut below)?;
        }
    }
    Ok(())
}

/// Returns whether there are `top_hits` at any depth.
pub(super) fn are_in(aggregations: &[Aggregation]) -> bool {
    aggregations.iter().any(|aggregation| {
        matches!(aggregation.kind, AggregationKind::TopHits(_)) || are_in(&aggregation.sub)
    })
}

fn called_off(fault: SourceFault, control: &Control) -> EngineError {
    match (fault, control.check()) {
        (SourceFault::CalledOff, Err(stop)) => stop.into(),
        (fault, _) => EngineError::Corrupt(fault.to_string()),
    }
}

/// Returns the fields to show: those asked for, and those that the index stores. Both stand in `_source`.
fn shown_fields(mapping: &Mapping, request: &TopHitsAggregation) -> Vec<FieldFormat> {
    let stored = stored_fields(mapping, &request.stored_fields).map(|path| FieldFormat {
        field: path.as_str().to_owned(),
        format: None,
        include_unmapped: false,
    });
    stored.chain(request.fields.iter().cloned()).collect()
}

fn read_content(
    hits: &mut TopHits,
    request: &TopHitsAggregation,
    reading: &mut ContentReader<'_>,
) -> Result<(), EngineError> {
    let env = reading.env;
    let places: Vec<u64> = hits.hits.iter().map(|hit| hit.place).collect();
    let highlight = request.highlight.as_ref().map(|highlight| HighlightSpec {
        highlight,
        query: reading.asked,
        field_queries: &[],
    });
    let ledger = Ledger::open(env.memory)?;
    let spec = FetchSpec {
        docvalue_fields: &request.docvalue_fields,
        fields: &shown_fields(env.view.mapping(), request),
        explain: request.explain.then_some(reading.query),
        highlight,
        named: &reading.query.named.clauses,
        named_by: reading.query.named.are_scored.then_some(reading.query),
        ledger: Some(&ledger),
        ..FetchSpec::default()
    };
    let fetched = fetch::fetch(env.view, &places, &spec, env.control)?;
    let shown = ShownSource::new(&request.source, &kept_source(env.view.mapping()));
    let keep_on = || env.control.check().is_ok();
    for (hit, content) in hits.hits.iter_mut().zip(fetched) {
        let source = shown.of(&content.source, &keep_on);
        let source = source.map_err(|fault| called_off(fault, env.control))?;
        let values = ShownValues {
            fields: content.fields,
            explanation: content.explanation,
            matched_queries: content.matched_queries,
        };
        let fields = values.to_text()?;
        // All hits of a shard are held at once, until they are sent.
        let fragments = content.highlight.values();
        let fragments = fragments.map(|fragments| num_bytes_of_texts(fragments));
        let num_bytes = source.as_ref().map_or(0, Bytes::len) + fields.len();
        let num_bytes = num_bytes + fragments.sum::<usize>();
        reading.meter.charge(num_bytes)?;
        hit.tie.id = Some(content.id.clone());
        hit.content = Some(TopHitContent {
            id: content.id,
            routing: content.routing,
            seq_no: content.seq_no,
            term: content.term,
            version: content.version,
            source,
            fields,
            highlight: content.highlight.into_iter().collect(),
        });
    }
    Ok(())
}
