//! What is settled before any shard is asked: the window, its order, where it begins, and factors.

use gleaner_model::{ClusterState, FieldKind, Mapping};
use gleaner_partial::sorting::check_sort;
use gleaner_query::QueryError;
use gleaner_query::aggregation::check_top_metrics;
use gleaner_query::mapping::{is_field_type, is_metadata};
use gleaner_query::names::{IndexBoosts, ResolveOptions};
use gleaner_query::search::{SearchRequest, SortKey, SortTarget};

use super::prepared::PreparedSearch;
use crate::RootError;
use crate::plan::{IndexPlan, SearchedIndices};

/// Gives up the indices that cannot be asked this: a window, or more fields, than they allow, an order by
/// fields that they cannot be sorted by. What all of them cannot be asked is refused.
pub(super) fn check_indices(
    plans: &mut [IndexPlan],
    request: &SearchRequest,
) -> Result<(), RootError> {
    for plan in &mut *plans {
        if let Err(wrong) = check_index(plan, request) {
            plan.give_up(&wrong);
        }
    }
    match !plans.is_empty() && plans.iter().all(IndexPlan::is_given_up) {
        true => Err(refused(plans)),
        false => Ok(()),
    }
}

/// Returns the refusal of a search for what is wrong for the indices given up.
pub(crate) fn refused(plans: &[IndexPlan]) -> RootError {
    let failures = plans.iter().flat_map(|plan| &plan.lost);
    RootError::AllShardsFailed {
        phase: "query",
        failures: failures.cloned().collect(),
    }
}

fn check_index(plan: &IndexPlan, request: &SearchRequest) -> Result<(), QueryError> {
    let settings = &plan.index.settings;
    let (limit, num_fields) = (settings.max_docvalue_fields, request.docvalue_fields.len());
    if num_fields > limit {
        return Err(QueryError::illegal(format!(
            "Trying to retrieve too many docvalue_fields. Must be less than or equal to: [{limit}] \
             but was [{num_fields}]. This limit can be set by changing the \
             [index.max_docvalue_fields_search] index level setting."
        )));
    }
    let (limit, window) = (
        settings.max_result_window,
        request.from.saturating_add(request.size()),
    );
    if window > limit {
        return Err(QueryError::illegal(format!(
            "Result window is too large, from + size must be less than or equal to: [{limit}] but \
             was [{window}]. See the scroll api for a more efficient way to request large data \
             sets. This limit can be set by changing the [index.max_result_window] index level \
             setting."
        )));
    }
    let windows = request.rescores.iter().map(|rescore| rescore.window_size);
    if let Some(window) = windows.max().filter(|window| *window > limit) {
        return Err(QueryError::illegal(format!(
            "Rescore window [{window}] is too large. It must be less than [{limit}]. This prevents \
             allocating massive heaps for storing the results to be rescored. This limit can be set by \
             changing the [index.max_result_window] index level setting."
        )));
    }
    let limit = settings.max_slices_per_scroll();
    if let Some(slice) = request.slice.filter(|slice| slice.max as usize > limit) {
        return Err(QueryError::illegal(format!(
            "The number of slices [{}] is too large. It must be less than [{limit}]. This limit can \
             be set by changing the [index.max_slices_per_scroll] index level setting.",
            slice.max
        )));
    }
    check_top_metrics(&request.aggregations, settings.top_metrics_max_size())?;
    check_unmapped_types(&request.sort, &plan.index.mapping)?;
    check_sort(&request.sort, &plan.index.mapping)
}

/// Refuses to take a field that the mapping does not know for one of a type that there is not.
fn check_unmapped_types(keys: &[SortKey], mapping: &Mapping) -> Result<(), QueryError> {
    for key in keys {
        let (SortTarget::Field(path), Some(type_name)) = (&key.target, &key.unmapped_type) else {
            continue;
        };
        let is_unmapped = mapping.field(path).is_none() && !is_metadata(path);
        if is_unmapped && !is_field_type(type_name) {
            return Err(QueryError::illegal(format!(
                "No mapper found for type [{type_name}]"
            )));
        }
    }
    Ok(())
}

/// Refuses a slice of what no scroll and no point in time holds: its slices would be of different moments.
pub(super) fn check_unsliced(request: &SearchRequest) -> Result<(), RootError> {
    match request.slice {
        None => Ok(()),
        Some(_) => {
            let reason = "[slice] can only be used with [scroll] or [point-in-time] requests";
            Err(QueryError::illegal(reason).into())
        }
    }
}

/// Refuses to go on after a hit where no order was asked for (a point in time has one of its own),
/// and where a value given back does not say which of several types of one field it is of.
pub(super) fn check_search_after(
    plans: &[IndexPlan],
    request: &SearchRequest,
) -> Result<(), RootError> {
    let Some(values) = &request.search_after else {
        return Ok(());
    };
    let num_keys = request.sort.len().max(1);
    // A hit has one value more: where equal hits go on.
    if values.len() > num_keys + 1 {
        let reason = format!(
            "search_after has {} value(s) but sort has {num_keys}.",
            values.len()
        );
        return Err(QueryError::illegal(reason).into());
    }
    if request.sort.is_empty() && request.pit.is_none() {
        let reason = "Sort must contain at least one field.";
        return Err(QueryError::illegal(reason).into());
    }
    request
        .sort
        .iter()
        .try_for_each(|key| check_one_sort_type(plans, key))
}

fn check_one_sort_type(plans: &[IndexPlan], key: &SortKey) -> Result<(), RootError> {
    let mut types = plans.iter().filter_map(|plan| sort_type(plan, key));
    let (Some(first), SortTarget::Field(path)) = (types.next(), &key.target) else {
        return Ok(());
    };
    match types.find(|other| *other != first) {
        None => Ok(()),
        Some(other) => Err(QueryError::illegal(format!(
            "Can't sort on field [{path}]; the field has incompatible sort types: [{first}] and \
             [{other}] across shards, which [search_after] cannot tell apart"
        ))
        .into()),
    }
}

/// Returns what kind of values the index has for a sort key: those of one kind are compared with one
/// another. `None` where its shards refuse the key.
fn sort_type(plan: &IndexPlan, key: &SortKey) -> Option<&'static str> {
    let SortTarget::Field(path) = &key.target else {
        return None;
    };
    match plan.index.mapping.field(path).map(|field| &field.kind) {
        Some(kind) if !kind.has_column() => None,
        Some(FieldKind::Keyword { .. } | FieldKind::Text { .. }) => Some("STRING"),
        Some(FieldKind::Ip { .. }) => Some("IP"),
        Some(_) => Some("NUMBER"),
        None => key.unmapped_type.as_deref().map(|name| match name {
            "keyword" | "text" => "STRING",
            "ip" => "IP",
            _ => "NUMBER",
        }),
    }
}

/// Sets the factors on the scores of indices.
pub(super) fn apply_boosts(
    plans: &mut [IndexPlan],
    search: &PreparedSearch<'_>,
    state: &ClusterState,
) -> Result<(), QueryError> {
    let options = match search.indices {
        SearchedIndices::Named(target) => target.options,
        // What the names stood for may be gone since.
        SearchedIndices::Pinned(_) => ResolveOptions {
            ignore_unavailable: true,
            ..ResolveOptions::default()
        },
    };
    let entries = &search.request.indices_boost;
    let boosts = IndexBoosts::resolve(entries, state, &options, search.now_ms)?;
    for plan in plans {
        plan.boost = boosts.of(&plan.index.uuid);
    }
    Ok(())
}
