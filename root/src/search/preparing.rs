//! What is settled before any shard is asked: the window, where it begins, and factors.

use gleaner_query::search::SearchRequest;

use crate::RootError;
use crate::plan::IndexPlan;

/// Refuses a window, or more fields, than an index searched allows.
pub(super) fn check_limits(plans: &[IndexPlan], request: &SearchRequest) -> Result<(), RootError> {
    let num_fields = request.docvalue_fields.len();
    let limits = plans.iter().map(|p| p.index.settings.max_docvalue_fields);
    if let Some(limit) = limits.min().filter(|limit| num_fields > *limit) {
        let reason = format!(
            "Trying to retrieve too many docvalue_fields. Must be less than or equal to: [{limit}] \
             but was [{num_fields}]. This limit can be set by changing the \
             [index.max_docvalue_fields_search] index level setting."
        );
        return Err(gleaner_query::QueryError::illegal(reason).into());
    }
    let window = request.from.saturating_add(request.size());
    let limit = plans
        .iter()
        .map(|p| p.index.settings.max_result_window)
        .min();
    let Some(limit) = limit.filter(|limit| window > *limit) else {
        return Ok(());
    };
    let reason = format!(
        "Result window is too large, from + size must be less than or equal to: [{limit}] but \
         was [{window}]. See the scroll api for a more efficient way to request large data \
         sets. This limit can be set by changing the [index.max_result_window] index level \
         setting."
    );
    Err(gleaner_query::QueryError::illegal(reason).into())
}

/// Refuses to go on after a hit where no order was asked for. A point in time has one of its own.
pub(super) fn check_search_after(request: &SearchRequest) -> Result<(), RootError> {
    if request.search_after.is_none() || !request.sort.is_empty() || request.pit.is_some() {
        return Ok(());
    }
    let reason = "Sort must contain at least one field.";
    Err(gleaner_query::QueryError::illegal(reason).into())
}

/// Sets the factors on the scores of indices.
pub(super) fn apply_boosts(plans: &mut [IndexPlan], request: &SearchRequest) {
    for plan in plans {
        let name = plan.index.name.as_str();
        let boost = request.indices_boost.iter().find(|(pattern, _)| {
            gleaner_model::mapping::matches_pattern(pattern, name)
                || plan.index.aliases.contains_key(pattern.as_str())
        });
        plan.boost = boost.map_or(1.0, |(_, factor)| *factor);
    }
}
