//! The key of an answer: a digest of what was asked, of which indices, in which form.
//!
//! Does: write a whole search as bytes that differ where its answer may ([`CanonicalRequest`]), and make the key
//! of them ([`answer_key`]). Does not: resolve names, analyse text, know parameters of the URI.
//! Called by: `api`, for requests whose answers may be kept. Read first: [`CanonicalRequest::of`].
//!
//! ```text
//! key = BLAKE3 over, each part with its length (u64, little-endian) before it:
//!   version | UUID of the cluster | digest of its settings
//!   per index, by UUID: UUID | filters of aliases | boost | shards
//!   request as JSON | time that `now` is rounded to | form
//! ```

use std::borrow::Cow;

use gleaner_model::AnswerKey;
use serde::Serialize;
use serde_json::Value;

use super::edition::{SettingsDigest, TargetIndex, Targets};
use super::json;
use super::now::TimeBucket;
use super::order::ordered;
use crate::aggregation::{Aggregation, AggregationKind, Pipeline};
use crate::dsl::Query;
use crate::search::{
    FieldFormat, Highlight, Rescore, Scatter, SearchRequest, SortKey, SourceFilter, TrackTotal,
};

/// Version of the layout above; a change of it makes all keys others.
const VERSION: &[u8] = b"gleaner answer 5";

/// A search as bytes that are equal where its answers are, however it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalRequest {
    bytes: Vec<u8>,
    time: Option<TimeBucket>,
}

/// The parts of a search that its answer depends on, each with its default filled in.
#[derive(Serialize)]
struct AnswerParts<'a> {
    query: Query,
    from: usize,
    size: usize,
    sort: &'a [SortKey],
    track_scores: bool,
    search_after: Option<&'a [Value]>,
    track_total_hits: TrackTotal,
    min_score: Option<f32>,
    post_filter: Option<Query>,
    aggregations: &'a [Aggregation],
    #[serde(skip_serializing_if = "<[Pipeline]>::is_empty")]
    pipelines: &'a [Pipeline],
    #[serde(skip_serializing_if = "<[Rescore]>::is_empty")]
    rescores: &'a [Rescore],
    source: &'a SourceFilter,
    is_source_asked: bool,
    docvalue_fields: &'a [FieldFormat],
    fields: &'a [FieldFormat],
    stored_fields: Option<&'a [String]>,
    highlight: Option<&'a Highlight>,
    version: bool,
    seq_no_primary_term: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    named_scores: bool,
    scatter: Scatter,
    indices_boost: &'a [(String, f32)],
}

impl CanonicalRequest {
    /// Returns `request` as bytes; `None` where its answer is good for this one time only: it is explained, timed,
    /// of a pinned moment, ended early, or depends on the very time of the request. `now_ms` is that time.
    pub fn of(request: &SearchRequest, now_ms: i64) -> Option<Self> {
        let bytes = json(&parts(request)?);
        let time = TimeBucket::of(&bytes, now_ms).ok()?;
        Some(Self { bytes, time })
    }

    /// Returns the end of the time for which the answer holds, in milliseconds since the epoch; `None` where it does
    /// not depend on the time.
    pub fn until_ms(&self) -> Option<i64> {
        self.time.map(TimeBucket::end_ms)
    }
}

/// Returns what shapes the answer. Every field of a search is either in it, or left out below with the reason.
fn parts(request: &SearchRequest) -> Option<AnswerParts<'_>> {
    let SearchRequest {
        query,
        from,
        size: _,
        sort,
        track_scores,
        search_after,
        track_total_hits,
        min_score,
        post_filter,
        aggregations,
        pipelines,
        collapse,
        rescores,
        source,
        is_source_asked,
        docvalue_fields,
        fields,
        stored_fields,
        highlight,
        explain,
        version,
        seq_no_primary_term,
        named_scores,
        profile,
        scatter,
        // A whole answer is the same, however long it was allowed to take.
        timeout: _,
        terminate_after,
        pit,
        slice,
        indices_boost,
        // Kept for the user, without effect.
        stats_groups: _,
    } = request;
    // What a named document says is not known here, and no edition covers it.
    if request.names_documents() {
        return None;
    }
    // Searches among collapsed hits are not written down.
    if collapse.is_some() {
        return None;
    }
    // The names stand for other indices on another day.
    if indices_boost.iter().any(|(name, _)| name.contains('<')) {
        return None;
    }
    if *explain || *profile || terminate_after.is_some() || pit.is_some() || slice.is_some() {
        return None;
    }
    // Fragments are marked in the order of clauses.
    let may_reorder = highlight.is_none() && !is_highlighting(aggregations);
    let everything = Cow::Owned(Query::MatchAll { boost: 1.0 });
    let query = query.as_ref().map_or(everything, Cow::Borrowed);
    let canonical = |query: Cow<'_, Query>, is_scored| match may_reorder {
        true => ordered(query.into_owned(), is_scored),
        false => query.into_owned(),
    };
    let post_filter = post_filter.as_ref().map(Cow::Borrowed);
    Some(AnswerParts {
        query: canonical(query, true),
        from: *from,
        size: request.size(),
        sort,
        track_scores: *track_scores,
        search_after: search_after.as_deref(),
        track_total_hits: *track_total_hits,
        min_score: *min_score,
        post_filter: post_filter.map(|filter| canonical(filter, false)),
        aggregations,
        pipelines,
        rescores,
        source,
        // It is looked at only where stored fields are asked for.
        is_source_asked: *is_source_asked && stored_fields.is_some(),
        docvalue_fields,
        fields,
        stored_fields: stored_fields.as_deref(),
        highlight: highlight.as_ref(),
        version: *version,
        seq_no_primary_term: *seq_no_primary_term,
        named_scores: *named_scores,
        scatter: *scatter,
        indices_boost,
    })
}

fn is_highlighting(aggregations: &[Aggregation]) -> bool {
    aggregations.iter().any(|aggregation| {
        let marks = match &aggregation.kind {
            AggregationKind::TopHits(hits) => hits.highlight.is_some(),
            _ => false,
        };
        marks || is_highlighting(&aggregation.sub)
    })
}

/// What a key is made of.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// Identity of the cluster.
    pub cluster_uuid: &'a str,
    /// Digest of the cluster's settings.
    pub settings: &'a SettingsDigest,
    /// The indices that the names stand for.
    pub targets: &'a Targets,
    /// What is asked of them.
    pub request: &'a CanonicalRequest,
    /// What else shapes the answer: the route, parameters, the type of the answer; unambiguous bytes.
    pub form: &'a [u8],
}

/// Returns the key of an answer.
pub fn answer_key(parts: &KeyParts<'_>) -> AnswerKey {
    let KeyParts {
        cluster_uuid,
        settings,
        targets,
        request,
        form,
    } = parts;
    let CanonicalRequest { bytes, time } = request;
    let mut hash = blake3::Hasher::new();
    add(&mut hash, VERSION);
    add(&mut hash, cluster_uuid.as_bytes());
    add(&mut hash, settings.as_bytes());
    add(&mut hash, &(targets.indices.len() as u64).to_le_bytes());
    for target in &targets.indices {
        add_target(&mut hash, target);
    }
    add(&mut hash, bytes);
    match time {
        Some(time) => add(&mut hash, &time.to_bytes()),
        None => add(&mut hash, &[]),
    }
    add(&mut hash, form);
    AnswerKey(*hash.finalize().as_bytes())
}

fn add_target(hash: &mut blake3::Hasher, target: &TargetIndex) {
    let TargetIndex {
        uuid,
        filters,
        boost,
        shards,
    } = target;
    add(hash, &uuid.0);
    add(hash, &(filters.len() as u64).to_le_bytes());
    filters
        .iter()
        .for_each(|filter| add(hash, filter.as_bytes()));
    add(hash, &boost.to_le_bytes());
    add(hash, &(shards.len() as u64).to_le_bytes());
    shards
        .iter()
        .for_each(|shard| add(hash, &shard.0.to_le_bytes()));
}

/// Adds a part with its length before it.
fn add(hash: &mut blake3::Hasher, part: &[u8]) {
    hash.update(&(part.len() as u64).to_le_bytes());
    hash.update(part);
}

#[cfg(test)]
mod tests;
