//! Texts of `query_string`, `simple_query_string` and `q=` as trees of the query DSL.
//!
//! The syntax is Lucene's classic parser's, the meaning Elasticsearch's. Nothing is known here
//! about fields: text becomes `match` and `multi_match`, other clauses over several fields, or
//! over a pattern such as `book.*`, name them beside what is asked; the root finds the fields.

mod build;
mod grammar;
mod group;
mod lexer;
mod simple;
mod simple_flags;

#[cfg(test)]
mod tests;

pub use group::{BoolClauses, Build, Conjunction, Group, Member, Modifier, Shape, Syntax};
pub use simple_flags::SimpleFlags;

use crate::dsl::value::parse_operator;
use crate::dsl::{BoolQuery, Fuzziness, MinimumShouldMatch, Query, QueryStringQuery};
use crate::error::{ErrorType, QueryError};
use crate::limits::Limits;

/// Reads the text of a `query_string` query.
///
/// `minimum_should_match` counts the clauses at the top: each term of a run of words over one field,
/// while a run over several fields is one clause.
///
/// # Errors
/// `query_shard_exception` when the text does not follow the syntax; above the limits on length,
/// depth and clauses as [`crate::dsl::parse_query`].
pub fn parse(query: &QueryStringQuery, limits: &Limits) -> Result<Query, QueryError> {
    check_length(&query.query, limits)?;
    if query.query.trim().is_empty() {
        return Ok(Query::MatchNone);
    }
    let parsed = grammar::parse(query, limits)?;
    Ok(finish(parsed, query))
}

/// Reads the text of a `simple_query_string` query, whatever it is.
///
/// # Errors
/// Only above the limits on length, depth and clauses.
pub fn parse_simple(query: &QueryStringQuery, limits: &Limits) -> Result<Query, QueryError> {
    check_length(&query.query, limits)?;
    let parsed = simple::parse(query, limits)?;
    Ok(finish(parsed, query))
}

/// Replaces every `query_string` and `simple_query_string` in a tree by what its text means.
///
/// Recurses as deep as the tree, which [`crate::dsl::parse_query`] has bounded.
///
/// # Errors
/// See [`parse`] and [`parse_simple`].
pub fn expand(query: Query, limits: &Limits) -> Result<Query, QueryError> {
    let all = |queries: Vec<Query>| -> Result<Vec<Query>, QueryError> {
        queries
            .into_iter()
            .map(|query| expand(query, limits))
            .collect()
    };
    let one = |query: Box<Query>| expand(*query, limits).map(Box::new);
    Ok(match query {
        Query::QueryString(text) => parse(&text, limits)?,
        Query::SimpleQueryString(text) => parse_simple(&text, limits)?,
        Query::Bool(query) => Query::Bool(BoolQuery {
            must: all(query.must)?,
            filter: all(query.filter)?,
            should: all(query.should)?,
            must_not: all(query.must_not)?,
            ..query
        }),
        Query::ConstantScore { filter, boost } => Query::ConstantScore {
            filter: one(filter)?,
            boost,
        },
        Query::Named { name, query } => Query::Named {
            name,
            query: one(query)?,
        },
        Query::DisMax {
            queries,
            tie_breaker,
            boost,
        } => Query::DisMax {
            queries: all(queries)?,
            tie_breaker,
            boost,
        },
        Query::Boosting {
            positive,
            negative,
            negative_boost,
            boost,
        } => Query::Boosting {
            positive: one(positive)?,
            negative: one(negative)?,
            negative_boost,
            boost,
        },
        Query::FunctionScore(mut scored) => {
            scored.query = one(scored.query)?;
            for function in &mut scored.functions {
                let filter = function.filter.take();
                function.filter = filter.map(|filter| expand(filter, limits)).transpose()?;
            }
            Query::FunctionScore(scored)
        }
        other => other,
    })
}

/// The parameters of URI search beside `q`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UriOptions {
    /// Default field (`df`); `None` is the index's default fields.
    pub default_field: Option<String>,
    /// `and` or `or` (`default_operator`); `None` is `or`.
    pub default_operator: Option<String>,
    /// Analyzer instead of the fields' (`analyzer`).
    pub analyzer: Option<String>,
    /// Whether text that is no value of a field's type matches nothing (`lenient`).
    pub lenient: bool,
    /// Whether prefixes are analysed (`analyze_wildcard`).
    pub analyze_wildcard: bool,
}

/// Returns the query of `q=text`; its text is read when it is expanded.
///
/// # Errors
/// `illegal_argument_exception` for an unknown operator or a text above the limit.
pub fn parse_uri_query(
    text: &str,
    options: &UriOptions,
    limits: &Limits,
) -> Result<Query, QueryError> {
    check_length(text, limits)?;
    let mut query = QueryStringQuery::new(text.to_owned());
    query.fields = options
        .default_field
        .iter()
        .map(|field| (field.clone(), 1.0))
        .collect();
    query.default_field.clone_from(&options.default_field);
    if let Some(name) = &options.default_operator {
        query.default_operator = parse_operator(name, "default_operator")?;
    }
    query.analyzer.clone_from(&options.analyzer);
    query.lenient = options.lenient;
    query.analyze_wildcard = options.analyze_wildcard;
    query.fuzzy.fuzziness = Some(Fuzziness::Auto { low: 3, high: 6 });
    Ok(Query::QueryString(query))
}

/// Escapes every character that means something in the syntax.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\+-!():^[]\"{}~*?|&/".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Refuses a text longer than the limit.
pub(crate) fn check_length(text: &str, limits: &Limits) -> Result<(), QueryError> {
    if text.len() <= limits.query_string_bytes {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "Query string length exceeds max allowed length [{}]: was [{}] bytes",
        limits.query_string_bytes,
        text.len()
    )))
}

/// Returns the error for a text that does not follow the syntax.
fn syntax_error(text: &str, why: &str) -> QueryError {
    let start: String = text.chars().take(1_000).collect();
    QueryError::new(
        ErrorType::QueryShard,
        format!("Failed to parse query [{start}]: {why}"),
    )
}

/// Applies what holds for the whole text.
fn finish(parsed: Query, query: &QueryStringQuery) -> Query {
    let counted = match &query.minimum_should_match {
        None => parsed,
        Some(minimum) => with_minimum(parsed, minimum),
    };
    counted.boosted(query.boost)
}

fn with_minimum(parsed: Query, minimum: &MinimumShouldMatch) -> Query {
    match parsed {
        Query::Group(mut group) => {
            group.minimum_should_match = Some(minimum.clone());
            Query::Group(group)
        }
        Query::Match(mut query) => {
            query.options.minimum_should_match = Some(minimum.clone());
            Query::Match(query)
        }
        other => other,
    }
}
