//! From JSON to [`Query`]: one function per clause, keys and messages as in Elasticsearch.

mod compound;
mod exact;
mod function;
mod geo;
mod intervals;
mod label;
mod like;
mod lookup;
mod pattern;
mod regexp_flags;
mod spans;
mod strings;
mod text;
pub(crate) mod value;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use geo::parse_box;
pub use value::parse_field_factor;

pub(crate) use pattern::{MAX_DETERMINIZED_STATES, check_regexp};

use super::Query;
use crate::error::{ErrorType, QueryError};
use crate::json::{did_you_mean, token_name};
use crate::limits::Limits;

/// The clauses read here, in the order of the reference.
const KNOWN: [&str; 40] = [
    "match_all",
    "match_none",
    "match",
    "match_phrase",
    "match_phrase_prefix",
    "match_bool_prefix",
    "multi_match",
    "query_string",
    "combined_fields",
    "simple_query_string",
    "intervals",
    "term",
    "terms",
    "terms_set",
    "range",
    "exists",
    "ids",
    "prefix",
    "wildcard",
    "regexp",
    "fuzzy",
    "bool",
    "constant_score",
    "dis_max",
    "boosting",
    "function_score",
    "distance_feature",
    "rank_feature",
    "geo_bounding_box",
    "geo_distance",
    "geo_polygon",
    "more_like_this",
    "span_containing",
    "span_first",
    "span_multi",
    "span_near",
    "span_not",
    "span_or",
    "span_term",
    "span_within",
];

/// Clauses of the dialect that are refused by name.
const NOT_SUPPORTED: [&str; 24] = [
    "common",
    "field_masking_span",
    "geo_grid",
    "geo_shape",
    "has_child",
    "has_parent",
    "hybrid",
    "knn",
    "kql",
    "nested",
    "neural",
    "parent_id",
    "percolate",
    "pinned",
    "rule",
    "script",
    "script_score",
    "semantic",
    "shape",
    // Only between the clauses of `span_near`.
    "span_gap",
    "sparse_vector",
    "text_expansion",
    "weighted_tokens",
    "wrapper",
];

/// Reads a query such as `{"match": {"title": "rust"}}`.
///
/// ```
/// use gleaner_query::{Limits, dsl::parse_query};
///
/// let limits = Limits::default();
/// assert!(parse_query(&serde_json::json!({"match": {"title": "rust"}}), &limits).is_ok());
/// let fault = parse_query(&serde_json::json!({"macth": {}}), &limits).unwrap_err();
/// assert_eq!(fault.reason, "unknown query [macth] did you mean [match]?");
/// ```
///
/// # Errors
/// `parsing_exception` and its kin for what is unknown, misplaced or of a wrong type, by name;
/// `too_many_clauses` above [`Limits::clauses`], `illegal_argument_exception` above the other
/// limits. Levels beyond [`Limits::query_depth`] are never entered.
pub fn parse_query(value: &Value, limits: &Limits) -> Result<Query, QueryError> {
    Parser {
        limits,
        num_clauses: 0,
        depth: 0,
    }
    .query(value)
}

/// Reads one tree of queries and counts what it holds.
struct Parser<'l> {
    limits: &'l Limits,
    num_clauses: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Reads a query one level below the current one.
    fn query(&mut self, value: &Value) -> Result<Query, QueryError> {
        let (name, body) = name_and_body(value)?;
        self.enter()?;
        let query = match label::taken(name, body)? {
            None => self.clause(name, body)?,
            Some((label, bare)) => Query::Named {
                query: Box::new(self.clause(name, &bare)?),
                name: label,
            },
        };
        self.depth -= 1;
        Ok(query)
    }

    fn enter(&mut self) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > self.limits.query_depth {
            return Err(too_deep(self.limits));
        }
        self.num_clauses += 1;
        if self.num_clauses > self.limits.clauses {
            return Err(too_many_clauses(self.limits));
        }
        Ok(())
    }

    fn clause(&mut self, name: &str, body: &Value) -> Result<Query, QueryError> {
        match name {
            "match_all" => compound::match_all(body),
            "match_none" => compound::match_none(body),
            "match" => text::match_terms(body).map(Query::Match),
            "match_phrase" => text::match_phrase(body).map(Query::MatchPhrase),
            "match_phrase_prefix" => text::match_phrase_prefix(body).map(Query::MatchPhrasePrefix),
            "match_bool_prefix" => text::match_bool_prefix(body).map(Query::MatchBoolPrefix),
            "multi_match" => text::multi_match(body).map(Query::MultiMatch),
            "query_string" => strings::query_string(body, self.limits).map(Query::QueryString),
            "simple_query_string" => {
                strings::simple_query_string(body, self.limits).map(Query::SimpleQueryString)
            }
            "term" => exact::term(body).map(Query::Term),
            "terms" => exact::terms(body, self.limits),
            "terms_set" => lookup::terms_set(body, self.limits).map(Query::TermsSet),
            "intervals" => self.intervals(body).map(Query::Intervals),
            "combined_fields" => text::combined_fields(body).map(Query::CombinedFields),
            "more_like_this" => like::more_like_this(body, self.limits)
                .map(|query| Query::MoreLikeThis(Box::new(query))),
            name if spans::is_span(name) => self.span(name, body).map(Query::Span),
            "range" => exact::range(body).map(Query::Range),
            "exists" => exact::exists(body),
            "ids" => exact::ids(body, self.limits),
            "prefix" => pattern::prefix(body, self.limits).map(Query::Prefix),
            "wildcard" => pattern::wildcard(body, self.limits).map(Query::Wildcard),
            "regexp" => pattern::regexp(body, self.limits).map(Query::Regexp),
            "fuzzy" => pattern::fuzzy(body, self.limits).map(Query::Fuzzy),
            "bool" => self.boolean(body),
            "constant_score" => self.constant_score(body),
            "dis_max" => self.dis_max(body),
            "boosting" => self.boosting(body),
            "function_score" => self.function_score(body),
            "distance_feature" => function::distance_feature(body).map(Query::DistanceFeature),
            "geo_bounding_box" => geo::bounding_box(body).map(Query::Geo),
            "geo_distance" => geo::distance(body).map(Query::Geo),
            "geo_polygon" => geo::polygon(body).map(Query::Geo),
            "rank_feature" => function::rank_feature(body).map(Query::RankFeature),
            unknown => Err(refuse_name(unknown)),
        }
    }
}

/// Returns the error for trees with more levels than `limits` allow.
pub(crate) fn too_deep(limits: &Limits) -> QueryError {
    QueryError::illegal(format!(
        "The nested depth of the query exceeds the maximum nested depth of [{}] for queries set in \
         [indices.query.bool.max_nested_depth]",
        limits.query_depth
    ))
}

/// Returns the error for trees with more clauses than `limits` allow.
pub(crate) fn too_many_clauses(limits: &Limits) -> QueryError {
    QueryError::new(
        ErrorType::TooManyClauses,
        format!("maxClauseCount is set to {}", limits.clauses),
    )
}

/// Splits `{"name": body}`.
fn name_and_body(value: &Value) -> Result<(&str, &Value), QueryError> {
    let object = value.as_object().ok_or_else(|| {
        QueryError::parsing(format!(
            "[_na] query malformed, must start with start_object, but was [{}]",
            token_name(value)
        ))
    })?;
    let mut entries = object.iter();
    let Some((name, body)) = entries.next() else {
        return Err(QueryError::illegal(
            "query malformed, empty clause found".to_owned(),
        ));
    };
    if let Some((second, _)) = entries.next() {
        return Err(QueryError::parsing(format!(
            "[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME] [{second}]"
        )));
    }
    if !body.is_object() && !NOT_SUPPORTED.contains(&name.as_str()) {
        return Err(QueryError::parsing(format!(
            "[{name}] query malformed, no start_object after query name, but [{}]",
            token_name(body)
        )));
    }
    Ok((name, body))
}

fn refuse_name(name: &str) -> QueryError {
    if NOT_SUPPORTED.contains(&name) {
        return QueryError::parsing(format!("[{name}] query is not supported"));
    }
    let shown: String = name.chars().take(80).collect();
    QueryError::parsing(format!(
        "unknown query [{shown}]{}",
        did_you_mean(name, KNOWN)
    ))
}

/// Splits `{"field": body}` of the query called `name`.
fn one_field<'a>(name: &str, value: &'a Value) -> Result<(&'a str, &'a Value), QueryError> {
    let object = value.as_object().ok_or_else(|| {
        QueryError::parsing(format!(
            "[{name}] query malformed, no start_object after query name"
        ))
    })?;
    let mut entries = object.iter();
    let (Some((field, body)), second) = (entries.next(), entries.next()) else {
        return Err(QueryError::illegal(format!(
            "[{name}] requires a field, but none was given"
        )));
    };
    if let Some((second, _)) = second {
        return Err(QueryError::parsing(format!(
            "[{name}] query doesn't support multiple fields, found [{field}] and [{second}]"
        )));
    }
    check_field(name, field)?;
    Ok((field, body))
}

fn check_field(name: &str, field: &str) -> Result<(), QueryError> {
    if field.is_empty() {
        return Err(QueryError::illegal(format!(
            "[{name}] field name is null or empty"
        )));
    }
    Ok(())
}
