//! `collapse` and `rescore`.

use serde_json::{Map, Value};

use super::parse_search_value;
use crate::dsl::parse_query;
use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;
use crate::limits::Limits;
use crate::search::{Collapse, InnerHits, Rescore, RescoreMode, SearchRequest, SortTarget};

/// Hits of `inner_hits` where no size is given.
const INNER_SIZE: usize = 3;
/// Most searches among the hits of each value.
const MAX_INNER_HITS: usize = 16;
/// Most hits that one of them returns, with those before them.
const MAX_INNER_WINDOW: usize = 100;
/// Most steps of `rescore`.
const MAX_RESCORES: usize = 16;

/// What `inner_hits` take of a search.
const INNER_KEYS: [&str; 13] = [
    "from",
    "size",
    "sort",
    "track_scores",
    "_source",
    "docvalue_fields",
    "fields",
    "stored_fields",
    "highlight",
    "explain",
    "version",
    "seq_no_primary_term",
    "script_fields",
];

/// Reads `collapse`.
pub(super) fn collapse(value: &Value, limits: &Limits) -> Result<Collapse, QueryError> {
    let (field, listed) = parts(value)?;
    let listed = match listed {
        None => &[][..],
        Some(Value::Array(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    if listed.len() > MAX_INNER_HITS {
        return Err(QueryError::illegal(format!(
            "[collapse] has [{}] inner_hits, more than [{MAX_INNER_HITS}]",
            listed.len()
        )));
    }
    let inner_hits = listed.iter().map(|one| inner(one, &field, limits));
    let inner_hits: Vec<InnerHits> = inner_hits.collect::<Result<_, _>>()?;
    let mut names: Vec<&str> = inner_hits.iter().map(|inner| inner.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(QueryError::illegal(format!(
            "[inner_hits] already contains an entry for key [{}]",
            twice[0]
        )));
    }
    Ok(Collapse { field, inner_hits })
}

/// Reads the `field` of a `collapse`, and takes its `inner_hits`.
fn parts(value: &Value) -> Result<(String, Option<&Value>), QueryError> {
    let mut reader = ObjectReader::part("collapse", value)?;
    let field = reader.text("field")?.unwrap_or_default();
    let listed = reader.take("inner_hits");
    reader.ignore(&["max_concurrent_group_searches"]);
    reader.finish()?;
    if field.is_empty() {
        return Err(QueryError::illegal("no [field] in [collapse]"));
    }
    Ok((field, listed))
}

fn inner(value: &Value, field: &str, limits: &Limits) -> Result<InnerHits, QueryError> {
    let mut reader = ObjectReader::part("inner_hits", value)?;
    let name = reader.text("name")?;
    reader.ignore(&["ignore_unmapped"]);
    let collapsed = reader.take("collapse");
    let mut kept = Map::new();
    for key in INNER_KEYS {
        if let Some(part) = reader.take(key) {
            kept.insert(key.to_owned(), part.clone());
        }
    }
    reader.finish()?;
    let mut request = parse_search_value(&Value::Object(kept), limits)?;
    request.size = Some(request.size.unwrap_or(INNER_SIZE));
    let window = request.from.saturating_add(request.size());
    if window > MAX_INNER_WINDOW {
        return Err(QueryError::illegal(format!(
            "Inner result window is too large, the inner hit definition's [{field}]'s from + size must \
             be less than or equal to: [{MAX_INNER_WINDOW}] but was [{window}]."
        )));
    }
    if let Some(collapsed) = collapsed {
        if collapsed.get("collapse").is_some() {
            return Err(malformed("collapse"));
        }
        let (field, listed) = parts(collapsed)?;
        if listed.is_some() {
            return Err(malformed("inner_hits"));
        }
        let inner_hits = Vec::new();
        request.collapse = Some(Collapse { field, inner_hits });
    }
    let name = name.unwrap_or_else(|| field.to_owned());
    Limits::check_label("the name of [inner_hits]", &name)?;
    Ok(InnerHits {
        name,
        request: Box::new(request),
    })
}

/// The error for what stands inside an inner `collapse`.
fn malformed(key: &str) -> QueryError {
    QueryError::new(
        ErrorType::DateParse,
        format!("the inner [collapse] of [inner_hits] must not hold [{key}]"),
    )
}

/// Reads `rescore`: one step or several.
pub(super) fn rescores(value: &Value, limits: &Limits) -> Result<Vec<Rescore>, QueryError> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        single => std::slice::from_ref(single),
    };
    if items.len() > MAX_RESCORES {
        return Err(QueryError::illegal(format!(
            "[rescore] has [{}] steps, more than [{MAX_RESCORES}]",
            items.len()
        )));
    }
    let steps = items.iter().filter(|item| !is_empty(item));
    steps.map(|item| rescore(item, limits)).collect()
}

fn is_empty(item: &Value) -> bool {
    item.as_object().is_some_and(Map::is_empty)
}

fn rescore(value: &Value, limits: &Limits) -> Result<Rescore, QueryError> {
    let mut reader = ObjectReader::part("rescore", value)?;
    let window_size = reader.integer("window_size")?;
    let query = reader
        .take("query")
        .ok_or_else(|| QueryError::parsing("missing rescore type"))?;
    reader.finish()?;
    let mut step = ObjectReader::part("query", query)?;
    let rescore_query = match step.take("rescore_query") {
        Some(query) => parse_query(query, limits)?,
        None => {
            return Err(QueryError::illegal(
                "[rescore] [query] requires [rescore_query]",
            ));
        }
    };
    let mut weight = |key| -> Result<f32, QueryError> {
        Ok(step.number(key)?.map_or(1.0, |weight| weight as f32))
    };
    let (query_weight, rescore_query_weight) =
        (weight("query_weight")?, weight("rescore_query_weight")?);
    let score_mode = match step.text("score_mode")?.as_deref() {
        None | Some("total") => RescoreMode::Total,
        Some("multiply") => RescoreMode::Multiply,
        Some("avg") => RescoreMode::Avg,
        Some("max") => RescoreMode::Max,
        Some("min") => RescoreMode::Min,
        Some(other) => {
            return Err(QueryError::illegal(format!("illegal score_mode [{other}]")));
        }
    };
    step.finish()?;
    let window_size = match window_size {
        None => SearchRequest::DEFAULT_SIZE,
        Some(size) => usize::try_from(size)
            .ok()
            .filter(|size| *size > 0)
            .ok_or_else(|| QueryError::illegal("[window_size] must be greater than 0"))?,
    };
    Ok(Rescore {
        window_size,
        query: rescore_query,
        query_weight,
        rescore_query_weight,
        score_mode,
    })
}

/// Refuses what cannot stand beside `collapse` or `rescore`.
pub(super) fn check(request: &SearchRequest) -> Result<(), QueryError> {
    let refuse = |reason: &str| {
        Err(QueryError::new(
            ErrorType::Validation,
            format!("Validation Failed: 1: {reason};"),
        ))
    };
    if let Some(collapse) = &request.collapse {
        if !request.rescores.is_empty() {
            return refuse("cannot use `collapse` in conjunction with `rescore`");
        }
        let is_by_field = matches!(
            request.sort.as_slice(),
            [key] if key.target == SortTarget::Field(collapse.field.clone())
        );
        if request.search_after.is_some() && !is_by_field {
            return Err(QueryError::illegal(
                "Cannot use [collapse] in conjunction with [search_after] unless the search is sorted \
                 on the same field.",
            ));
        }
    }
    if !request.rescores.is_empty() && !request.is_by_score_alone() {
        return Err(QueryError::illegal(
            "Cannot use [sort] option in conjunction with [rescore].",
        ));
    }
    Ok(())
}

impl SearchRequest {
    /// Refuses what a scroll cannot show.
    ///
    /// # Errors
    /// `action_request_validation_exception` naming it.
    pub fn check_scrolled(&self) -> Result<(), QueryError> {
        let refused = if self.collapse.is_some() {
            "cannot use `collapse` in a scroll context"
        } else if !self.rescores.is_empty() {
            "using [rescore] is not allowed in a scroll context"
        } else {
            return Ok(());
        };
        Err(QueryError::new(
            ErrorType::Validation,
            format!("Validation Failed: 1: {refused};"),
        ))
    }

    /// Returns how many hits are ranked: those up to the end of the page, and those that are scored anew.
    pub fn num_ranked(&self) -> usize {
        let windows = self.rescores.iter().map(|rescore| rescore.window_size);
        match self.size() {
            0 => 0,
            size => windows.fold(self.from.saturating_add(size), usize::max),
        }
    }
}
