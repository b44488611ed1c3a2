//! What a scatter by terms takes: `bool`, `match` and `term` on text and keyword fields, ordered by
//! score. All else is refused by name.

use gleaner_query::QueryError;
use gleaner_query::resolved::Clause;
use gleaner_query::search::{SearchRequest, SortKey, SortTarget};

use crate::plan::IndexPlan;
use crate::search::Page;

/// Refuses requests that ask for more than ranked hits of such queries.
pub(super) fn check(
    plans: &[IndexPlan],
    request: &SearchRequest,
    page: &Page,
) -> Result<(), QueryError> {
    let is_pinned = plans
        .iter()
        .flat_map(|plan| &plan.shards)
        .any(|shard| shard.is_pinned);
    let by_score = |key: &SortKey| key.target == SortTarget::Score && key.descending;
    let is_by_score = match request.sort.as_slice() {
        [] => true,
        [only] => by_score(only),
        _ => false,
    };
    let parts = [
        (!request.aggregations.is_empty(), "[aggregations]"),
        (request.post_filter.is_some(), "[post_filter]"),
        (request.collapse.is_some(), "[collapse]"),
        (!request.rescores.is_empty(), "[rescore]"),
        (!is_by_score, "[sort] by anything but [_score]"),
        (request.search_after.is_some(), "[search_after]"),
        (request.terminate_after.is_some(), "[terminate_after]"),
        (request.named_scores, "[include_named_queries_score]"),
        (is_pinned || page.after.is_some(), "[pit] or [scroll]"),
    ];
    if let Some((_, name)) = parts.iter().find(|(is_there, _)| *is_there) {
        return Err(refused(name));
    }
    plans
        .iter()
        .try_for_each(|plan| check_clause(&plan.resolved.query))
}

fn check_clause(clause: &Clause) -> Result<(), QueryError> {
    match clause {
        Clause::MatchNone | Clause::Term { .. } => Ok(()),
        // A text that says nothing.
        Clause::Exists { fields } if fields.is_empty() => Ok(()),
        Clause::Synonyms { terms, .. } if terms.len() == 1 => Ok(()),
        Clause::Boost { clause, .. } => check_clause(clause),
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            ..
        } => {
            let required = must.len() + filter.len() + clause.minimum_should_match();
            if required == 0 {
                return Err(refused("a [bool] query that only says what must not match"));
            }
            let parts = [must, should, filter, must_not];
            parts.into_iter().flatten().try_for_each(check_clause)
        }
        other => Err(refused(&name_of(other))),
    }
}

/// Returns what a clause that is refused was asked as.
fn name_of(clause: &Clause) -> String {
    match clause {
        Clause::Synonyms { .. } => "a term with synonyms".to_owned(),
        Clause::Blended { .. } => "[fuzziness]".to_owned(),
        Clause::Exact { .. } => {
            "a [term] query on a field that is neither text nor keyword".to_owned()
        }
        other => match other.name() {
            "slice" => "[slice]".to_owned(),
            name if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an [{name}] query"),
            name => format!("a [{name}] query"),
        },
    }
}

pub(super) fn refused(what: &str) -> QueryError {
    QueryError::illegal(format!(
        "[scatter] by [terms] does not support {what}; it takes [bool], [match] and [term] queries \
         on text and keyword fields, ordered by score"
    ))
}
