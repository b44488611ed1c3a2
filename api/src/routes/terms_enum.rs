//! `_terms_enum`: the first terms of a field that begin with some text.
//!
//! Does: page through the field's terms in order, by `composite` aggregations over the documents that can be found. Does
//! not: have terms of other types than `keyword` and `constant_keyword`, as in Elasticsearch, or of fields without doc
//! values.

mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{FieldKind, Mapping};
use gleaner_query::answer::{AggregationValue, BucketKey};
use gleaner_query::json::ObjectReader;
use gleaner_query::mapping::{ValuesAsked, check_values_of};
use gleaner_query::names::{ResolveOptions, ResolvedIndex};
use gleaner_query::search::parse_search_value;
use gleaner_query::units::parse_time;
use gleaner_root::SearchResponse;
use gleaner_root::memory::HeldMemory;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::Method;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{INDICES, SOURCE};
use crate::render::shards::{self, Staleness};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;

use start::Start;

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "terms_enum",
    methods: &[Method::GET, Method::POST],
    paths: &["/{index}/_terms_enum"],
    parameters: &[INDICES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(terms_enum(request)))];

/// Terms where no size is given.
const DEFAULT_SIZE: u64 = 10;

/// Most terms of one answer.
const MAX_SIZE: u64 = 10_000;

/// Fewest terms of a page: some of them may begin otherwise.
const LEAST_PAGE: usize = 100;

/// Bytes of a term beside its text, in memory.
const TERM_BYTES: usize = 64;

/// What is asked for.
struct TermsRequest {
    field: String,
    start: Start,
    size: usize,
    timeout: Duration,
    /// Only terms after this one.
    after: Option<String>,
    /// Only terms of documents that this query finds.
    filter: Option<Value>,
}

/// Indices that one search can look at: reached through aliases with the same filters and routing, or without.
struct Group {
    filters: Vec<Value>,
    routing: Option<String>,
    /// Whether a `prefix` query finds the documents of terms in all of them.
    has_prefixes: bool,
    names: Vec<String>,
}

/// The first terms, and what they were gathered from.
struct FirstTerms {
    terms: BTreeSet<String>,
    /// The memory of the terms.
    held: HeldMemory,
    /// The shards of each search.
    shards: Vec<Value>,
    staleness: Staleness,
    is_complete: bool,
}

impl FirstTerms {
    /// Notes what page number `at` of a search was gathered from, from 0. In the answer one page stands for all of them:
    /// the first, or one that failed.
    fn note_page(&mut self, response: &SearchResponse, at: usize) {
        let summary = &response.shards;
        self.is_complete &= is_whole(response);
        self.staleness.add(Staleness::of_search(summary));
        if at == 0 {
            self.shards.push(shards::of_search(summary));
            return;
        }
        let shown = self.shards.last_mut();
        if let Some(shown) = shown.filter(|_| !summary.failures.is_empty()) {
            *shown = shards::of_search(summary);
        }
    }

    /// Adds a term and the memory that it takes.
    fn add(&mut self, term: &str) -> Result<(), ApiError> {
        if self.terms.insert(term.to_owned()) {
            self.held.grow(TERM_BYTES + term.len())?;
        }
        Ok(())
    }
}

/// Returns whether all shards answered, and had the time for all of the answer.
fn is_whole(response: &SearchResponse) -> bool {
    response.shards.failures.is_empty() && !response.timed_out
}

async fn terms_enum(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or_else(|| json!({}));
    let asked = read(&body, request.root().cluster().default_timeout())?;
    let target = request.target()?;
    let planner = request.root().planner();
    let searched = planner.searched(&target)?;
    let indices = searched.into_iter().map(|searched| searched.found);
    let mut first = FirstTerms {
        terms: BTreeSet::new(),
        held: request.making.memory.reserve(0)?,
        shards: Vec::new(),
        staleness: Staleness::default(),
        is_complete: true,
    };
    for group in group_indices(indices, &asked.field) {
        add_terms(&request, &group, &asked, &mut first).await?;
    }
    // Pages leave out an index that was deleted meanwhile. Where it was named, that is an error.
    planner.searched(&target)?;
    let terms: Vec<&String> = first.terms.iter().take(asked.size).collect();
    let reply = Reply::json(&json!({
        "_shards": sum_shards(&first.shards),
        "terms": terms,
        "complete": first.is_complete,
    }));
    Ok(reply.warning(&first.staleness.warnings()))
}

fn read(body: &Value, default_timeout: Duration) -> Result<TermsRequest, ApiError> {
    let mut reader = ObjectReader::part("terms_enum", body)?;
    let field = reader.text("field")?;
    let text = reader.text("string")?.unwrap_or_default();
    let ignores_case = reader.boolean("case_insensitive")?.unwrap_or(false);
    let size = reader.count("size")?.unwrap_or(DEFAULT_SIZE);
    let timeout = match reader.text("timeout")? {
        None => None,
        Some(text) => parse_time(&text, "timeout")?,
    };
    let after = reader.text("search_after")?;
    let filter = reader.take("index_filter");
    reader.finish()?;
    let Some(field) = field else {
        return Err(ApiError::validation(&["field cannot be null".to_owned()]));
    };
    check_values_of(&field, ValuesAsked::FirstTerms)?;
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(ApiError::illegal(format!(
            "[size] must be between [1] and [{MAX_SIZE}] but was [{size}]"
        )));
    }
    Ok(TermsRequest {
        field,
        start: Start::new(text, ignores_case),
        size: size as usize,
        timeout: timeout.unwrap_or(default_timeout),
        after,
        filter: filter.filter(|filter| !filter.is_null()).cloned(),
    })
}

/// Returns the indices whose field has terms.
fn group_indices(indices: impl Iterator<Item = ResolvedIndex>, field: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for index in indices {
        let Some(has_prefixes) = prefixes_of(&index.meta.mapping, field) else {
            continue;
        };
        let name = index.meta.name.to_string();
        let is_alike = |group: &&mut Group| {
            group.filters == index.filters && group.routing == index.search_routing
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => {
                group.has_prefixes &= has_prefixes;
                group.names.push(name);
            }
            None => groups.push(Group {
                filters: index.filters,
                routing: index.search_routing,
                has_prefixes,
                names: vec![name],
            }),
        }
    }
    groups
}

/// Returns whether a `prefix` query finds the documents of the field's terms, by the text that they begin with; `None`
/// where the field has no terms.
fn prefixes_of(mapping: &Mapping, path: &str) -> Option<bool> {
    let kind = &mapping.field(path)?.kind;
    let FieldKind::Keyword {
        family,
        index,
        normalizer,
        ..
    } = kind
    else {
        return None;
    };
    let has_terms = kind.has_doc_values() && (family.is_keyword() || kind.is_constant());
    let is_nested = mapping.nested_parent(path).is_some();
    // A normalizer changes what is asked for too.
    (has_terms && !is_nested).then_some(*index && normalizer.is_none())
}

/// Adds the first terms of the indices of a group, page by page while there is time.
async fn add_terms(
    request: &Request,
    group: &Group,
    asked: &TermsRequest,
    first: &mut FirstTerms,
) -> Result<(), ApiError> {
    let page_size = asked.size.max(LEAST_PAGE);
    let mut num_terms = 0;
    let mut num_pages = 0;
    let mut after = asked.start.floor().max(asked.after.clone());
    loop {
        if request.started.elapsed() >= asked.timeout {
            first.is_complete = false;
            return Ok(());
        }
        let response = page(request, group, asked, after.as_deref()).await?;
        first.note_page(&response, num_pages);
        num_pages += 1;
        let terms = terms_of(&response);
        let begun = terms.iter().filter(|term| asked.start.is_of(term));
        for term in begun.take(asked.size - num_terms) {
            first.add(term)?;
            num_terms += 1;
        }
        // Behind a page that is not full there is none, and behind one with gaps nobody knows what is missing.
        let is_followed = is_whole(&response) && terms.len() == page_size;
        let last = terms
            .last()
            .filter(|_| is_followed && num_terms < asked.size);
        let Some(last) = last.filter(|last| !asked.start.is_behind(last)) else {
            return Ok(());
        };
        after = Some((*last).to_owned());
    }
}

/// Returns a page of the field's terms: those after one.
async fn page(
    request: &Request,
    group: &Group,
    asked: &TermsRequest,
    after: Option<&str>,
) -> Result<SearchResponse, ApiError> {
    let of_aliases = json!({"bool": {"should": group.filters, "minimum_should_match": 1}});
    let limits = request.root().cluster().limits();
    let prefix = asked.start.query(&asked.field, &limits);
    let mut filter: Vec<&Value> = asked.filter.iter().collect();
    filter.extend((!group.filters.is_empty()).then_some(&of_aliases));
    filter.extend(prefix.as_ref().filter(|_| group.has_prefixes));
    let composite = json!({
        "size": asked.size.max(LEAST_PAGE),
        "sources": [{"term": {"terms": {"field": asked.field}}}],
        "after": after.map(|term| json!({"term": term})),
    });
    let body = json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": filter}},
        "aggs": {"terms": {"composite": composite}},
    });
    let mut search = parse_search_value(&body, &limits)?;
    let elapsed = request.started.elapsed();
    search.timeout = Some(asked.timeout.saturating_sub(elapsed));
    let target = Target {
        expression: Some(group.names.join(",")),
        routing: group.routing.clone(),
        options: ResolveOptions {
            ignore_unavailable: true,
            ..ResolveOptions::default()
        },
    };
    let _held = request.look_up(&mut search, &target).await?;
    let options = SearchOptions {
        origin: request.origin(&Bytes::new()),
        patience: request.patience(),
        memory: Some(request.making.memory.clone()),
        ..SearchOptions::default()
    };
    Ok(request.root().search(&target, &search, &options).await?)
}

fn terms_of(response: &SearchResponse) -> Vec<&str> {
    let mut terms = Vec::new();
    for result in &response.aggregations {
        let AggregationValue::Buckets { buckets, .. } = &result.value else {
            continue;
        };
        for bucket in buckets {
            if let BucketKey::Several { shown, .. } = &bucket.key {
                terms.extend(shown["term"].as_str());
            }
        }
    }
    terms
}

/// Returns the shards of all searches together.
fn sum_shards(shards: &[Value]) -> Value {
    let sum = |key: &str| -> u64 { shards.iter().filter_map(|one| one[key].as_u64()).sum() };
    let mut all = json!({
        "total": sum("total"), "successful": sum("successful"), "failed": sum("failed"),
    });
    let failures = shards.iter().filter_map(|one| one["failures"].as_array());
    let failures: Vec<&Value> = failures.flatten().collect();
    if !failures.is_empty() {
        all["failures"] = json!(failures);
    }
    all
}
