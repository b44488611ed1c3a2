//! Ranges and points: what of them a query finds.

use gleaner_model::mapping::Codec;
use gleaner_model::{FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{GeoQuery, RangeQuery};
use gleaner_query::encoded::{Edge, Reading, Relation, edge};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, Pattern};
use serde_json::Value;

use super::{Resolver, boosted};

impl Resolver<'_> {
    /// Returns the documents with ranges that stand to that of the query as it says.
    pub(super) fn spans(
        &self,
        path: &FieldPath,
        codec: &Codec,
        query: &RangeQuery,
    ) -> Result<Clause, QueryError> {
        let edge_of = |bound: &Option<(Value, bool)>, is_lower| {
            let of = Edge {
                value: bound.as_ref().map(|(value, _)| value),
                is_included: bound.as_ref().is_none_or(|(_, is_included)| *is_included),
                is_lower,
                now_ms: self.now_ms,
                format: query.format.as_deref(),
                time_zone: query.time_zone.as_deref(),
                reading: Reading::New,
            };
            edge(codec, of).map_err(refuse)
        };
        let (lower, upper) = (edge_of(&query.lower, true)?, edge_of(&query.upper, false)?);
        Ok(match (lower, upper) {
            (Some(lower), Some(upper)) if lower <= upper => {
                spanning(path, query.relation, lower, upper)
            }
            _ => Clause::MatchNone,
        })
    }

    /// Returns the documents with a range that holds a value.
    pub(super) fn holding(
        &self,
        path: &FieldPath,
        codec: &Codec,
        value: &Value,
    ) -> Result<Clause, QueryError> {
        if *codec == Codec::GeoPoint {
            return Err(refuse(format!(
                "Geometry fields do not support exact searching, use dedicated geometry queries \
                 instead: [{path}]"
            )));
        }
        let query = RangeQuery {
            lower: Some((value.clone(), true)),
            upper: Some((value.clone(), true)),
            ..RangeQuery::default()
        };
        self.spans(path, codec, &query)
    }

    /// Returns the documents with a point in a shape.
    pub(super) fn geo(&self, query: &GeoQuery) -> Result<Clause, QueryError> {
        let path = self.mapping().own_path(&query.field);
        match self.mapping().field(&query.field).map(|field| &field.kind) {
            None if query.ignore_unmapped => Ok(Clause::MatchNone),
            None => Err(refuse(format!("failed to find geo field [{path}]"))),
            Some(FieldKind::Encoded {
                codec: Codec::GeoPoint,
                index: true,
                ..
            }) => {
                let pattern = Pattern::Points(query.shape.clone());
                let clause = Clause::Pattern {
                    field: path,
                    pattern,
                };
                Ok(boosted(clause, query.boost))
            }
            Some(other) => Err(refuse(format!(
                "Field [{path}] is of unsupported type [{}]. Geo queries support the type \
                 [geo_point], indexed",
                other.type_name()
            ))),
        }
    }
}

fn spanning(path: &FieldPath, relation: Relation, lower: String, upper: String) -> Clause {
    Clause::Pattern {
        field: path.clone(),
        pattern: Pattern::Spans {
            relation,
            lower,
            upper,
        },
    }
}

fn refuse(reason: impl std::fmt::Display) -> QueryError {
    QueryError::new(
        ErrorType::QueryShard,
        format!("failed to create query: {reason}"),
    )
}
