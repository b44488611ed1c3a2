//! What every shard is asked.

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Bm25, Clause, NamedQueries, ShardQuery, Similarities};

use super::aggregation::{aggregations, nodes};
use super::field::{all, maybe, maybe_message, messages, one, size};
use super::ids::field_text;
use super::{DecodeError, Wire, v1};

impl Wire for ShardQuery {
    type Message = v1::ShardQuery;

    fn to_message(&self) -> v1::ShardQuery {
        let Self {
            query,
            post_filter,
            statistics,
            similarities,
            top,
            collapse,
            sort,
            after,
            search_after,
            track_scores,
            track_total,
            min_score,
            aggregations,
            aggregation_filters,
            named,
            terminate_after,
            now_ms,
        } = self;
        let plain = similarities.is_empty().then(|| query.to_message());
        let scored = plain.is_none().then(|| scored_query(query, similarities));
        v1::ShardQuery {
            query: plain,
            scored_query: scored,
            post_filter: maybe_message(post_filter.as_ref()),
            statistics: Some(statistics.to_message()),
            top: *top as u64,
            collapse: collapse.as_ref().map(field_text),
            sort: messages(sort),
            after: maybe_message(after.as_ref()),
            search_after: search_after.as_ref().map(|values| v1::SearchAfter {
                values: messages(values),
            }),
            track_scores: *track_scores,
            track_total: Some(track_total.to_message()),
            min_score: *min_score,
            aggregations: nodes(aggregations),
            aggregation_filters: messages(aggregation_filters),
            named: messages(&named.clauses),
            names_are_scored: named.are_scored,
            terminate_after: *terminate_after,
            now_ms: *now_ms,
        }
    }

    fn from_message(message: v1::ShardQuery) -> Result<Self, DecodeError> {
        let v1::ShardQuery {
            query,
            post_filter,
            statistics,
            top,
            sort,
            after,
            search_after,
            track_scores,
            track_total,
            min_score,
            aggregations: aggregation_nodes,
            aggregation_filters,
            terminate_after,
            now_ms,
            scored_query,
            collapse,
            named,
            names_are_scored,
        } = message;
        let (query, similarities) = match scored_query {
            Some(v1::ScoredQuery {
                query,
                similarities,
            }) => (query, similarities),
            None => (query, Vec::new()),
        };
        let similarities = similarities.into_iter().map(similarity);
        let search_after = search_after.map(|v1::SearchAfter { values }| all(values));
        Ok(Self {
            query: one(query, "ShardQuery.query")?,
            post_filter: maybe(post_filter)?,
            statistics: Arc::new(one(statistics, "ShardQuery.statistics")?),
            similarities: similarities.collect::<Result<_, _>>()?,
            top: size(top, "ShardQuery.top")?,
            collapse: collapse.map(FieldPath::new),
            sort: all(sort)?,
            after: maybe(after)?,
            search_after: search_after.transpose()?,
            track_scores,
            track_total: one(track_total, "ShardQuery.track_total")?,
            min_score,
            aggregations: Arc::new(aggregations(aggregation_nodes)?),
            aggregation_filters: Arc::new(all(aggregation_filters)?),
            named: Arc::new(NamedQueries {
                clauses: all(named)?,
                are_scored: names_are_scored,
            }),
            terminate_after,
            now_ms,
        })
    }
}

fn scored_query(query: &Clause, similarities: &Similarities) -> v1::ScoredQuery {
    let of_field = |(field, similarity): (&FieldPath, Bm25)| v1::scored_query::Similarity {
        field: field_text(field),
        k1: similarity.k1(),
        b: similarity.b(),
    };
    v1::ScoredQuery {
        query: Some(query.to_message()),
        similarities: similarities.iter().map(of_field).collect(),
    }
}

fn similarity(message: v1::scored_query::Similarity) -> Result<(FieldPath, Bm25), DecodeError> {
    let v1::scored_query::Similarity { field, k1, b } = message;
    let Some(similarity) = Bm25::new(k1, b) else {
        let reason = format!("k1 of {k1} and b of {b}");
        return Err(DecodeError::field("ScoredQuery.similarities", reason));
    };
    Ok((FieldPath::new(field), similarity))
}
