//! One search of several: what its header line says, and the search under it.
//!
//! Does: read both, and check what can be checked without asking anybody. Does not: need a root. Called by the route,
//! and by what makes keys of answers that are kept. Read first: [`Header::read`], then [`checked`].

use gleaner_query::json::{self, ObjectReader, scalar_text};
use gleaner_query::names::{ExpandWildcards, ResolveOptions, expand_date_math};
use gleaner_query::search::{SearchRequest, parse_search};
use gleaner_root::plan::Target;
use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::{Parameters, check_preference};
use crate::render::search::SearchForm;
use crate::request::Reading;
use crate::routes::search::{
    check_boosts, check_pit, check_search_after, check_search_type, count_all_for_plain_totals,
    refuses_partial,
};

/// How one search is to be done; what its line does not say is as the URI has it.
pub(crate) struct Header {
    /// Where, before it is narrowed to what the sender may reach.
    pub(crate) target: Target,
    /// Do the line or the path name indices?
    pub(crate) names_indices: bool,
    /// Is an answer of some shards alone refused?
    pub(crate) refuse_partial: bool,
    /// How to search, and on which copies.
    search_type: Option<String>,
    preference: Option<String>,
    /// Whether it takes an answer that is kept; `None`: as others.
    pub(crate) request_cache: Option<bool>,
}

/// Memory of a header line as a tree: more than the names of indices take.
const MOST_TREE_BYTES: usize = 16 << 20;

impl Header {
    /// Returns the bytes of its names, which may be those of the URI for each line.
    pub(crate) fn num_bytes(&self) -> usize {
        let names = self.target.expression.iter().chain(&self.target.routing);
        names.chain(&self.preference).map(String::len).sum()
    }

    /// Reads a header line, which may be blank.
    ///
    /// # Errors
    /// 400 for what is no JSON, and for keys that are not known.
    pub(crate) fn read(line: &[u8], reading: &Reading<'_>) -> Result<Self, ApiError> {
        let mut header = Self {
            target: reading.target_with(ResolveOptions::default())?,
            names_indices: reading.names_indices(),
            refuse_partial: refuses_partial(None, &reading.state),
            search_type: None,
            preference: None,
            request_cache: None,
        };
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(header);
        }
        if json::tree_bytes(line) > MOST_TREE_BYTES {
            return Err(ApiError::illegal(
                "a header line is too large: is it a search?",
            ));
        }
        let value = json::read(line, &reading.limits)?;
        let mut reader = ObjectReader::part("msearch", &value)?;
        let target = &mut header.target;
        if let Some(indices) = reader.take_any(&["index", "indices"]) {
            let expression = expression(indices)?;
            header.names_indices = true;
            target.expression = Some(expand_date_math(&expression, reading.now_ms)?);
        }
        if let Some(routing) = reader.take("routing").and_then(scalar_text) {
            target.routing = Some(routing);
        }
        target.options = resolve_options(&mut reader, target.options)?;
        let partial = reader.boolean("allow_partial_search_results")?;
        header.refuse_partial = refuses_partial(partial, &reading.state);
        header.search_type = reader.take("search_type").and_then(scalar_text);
        header.preference = reader.take("preference").and_then(scalar_text);
        header.request_cache = reader.boolean("request_cache")?;
        reader.ignore(&["ccs_minimize_roundtrips"]);
        reader.ignore(&["ignore_throttled", "type", "types"]);
        if let Some((key, _)) = reader.rest().next() {
            let reason = format!("key [{key}] is not supported in the metadata section");
            return Err(ApiError::illegal(reason));
        }
        Ok(header)
    }
}

/// Lays the URI over the body of a search, and checks it against its header. Returns how its answer is written.
///
/// # Errors
/// 400 for what does not go together.
pub(super) fn checked(
    search: &mut SearchRequest,
    header: &Header,
    parameters: &Parameters,
) -> Result<SearchForm, ApiError> {
    count_all_for_plain_totals(search, parameters)?;
    search.named_scores = parameters.is_set("include_named_queries_score")?;
    let form = SearchForm::of(search, parameters)?;
    check_search_type(header.search_type.as_deref())?;
    let preference = header.preference.as_deref();
    preference.map_or(Ok(()), check_preference)?;
    check_search_after(search)?;
    check_pit(search, &header.target, preference)?;
    Ok(form)
}

/// Returns the place of one search, narrowed by `narrow` to what the sender may reach.
///
/// # Errors
/// Those of `narrow`.
pub(crate) fn narrowed(
    header: &Header,
    search: &SearchRequest,
    narrow: impl FnOnce(Option<&str>, &ResolveOptions) -> Result<Option<String>, ApiError>,
) -> Result<Target, ApiError> {
    let target = &header.target;
    // What may be reached was settled when the point in time was opened.
    if search.pit.is_some() && !header.names_indices {
        return Ok(target.clone());
    }
    Ok(Target {
        expression: narrow(target.expression.as_deref(), &target.options)?,
        ..target.clone()
    })
}

/// Reads a search whose answer may be kept; `narrow` as in [`narrowed`].
///
/// # Errors
/// What the route would answer.
pub(crate) fn read_kept(
    body: &[u8],
    header: &Header,
    reading: &Reading<'_>,
    narrow: impl FnOnce(Option<&str>, &ResolveOptions) -> Result<Option<String>, ApiError>,
) -> Result<(SearchRequest, Target), ApiError> {
    let mut search = parse_search(body, &reading.limits)?;
    checked(&mut search, header, reading.parameters)?;
    let target = narrowed(header, &search, narrow)?;
    check_boosts(&search, &target, &reading.state, reading.now_ms)?;
    Ok((search, target))
}

fn expression(value: &Value) -> Result<String, ApiError> {
    let name = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| ApiError::illegal("index must be a text"))
    };
    match value {
        Value::Array(items) => Ok(items
            .iter()
            .map(name)
            .collect::<Result<Vec<_>, _>>()?
            .join(",")),
        other => name(other),
    }
}

fn resolve_options(
    reader: &mut ObjectReader<'_>,
    defaults: ResolveOptions,
) -> Result<ResolveOptions, ApiError> {
    let mut options = defaults;
    if let Some(flag) = reader.boolean("ignore_unavailable")? {
        options.ignore_unavailable = flag;
    }
    if let Some(flag) = reader.boolean("allow_no_indices")? {
        options.allow_no_indices = flag;
    }
    if let Some(words) = reader.take("expand_wildcards") {
        options.expand_wildcards = ExpandWildcards::parse(&expression(words)?)?;
    }
    Ok(options)
}
