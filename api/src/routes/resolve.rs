//! `_resolve/index`: what names and wildcards stand for.

use std::collections::BTreeMap;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{ClusterState, IndexMeta, IndexName};
use gleaner_query::names::{ExpandWildcards, ResolveOptions, expand_date_math};
use http::Method;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::INDICES;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.resolve_index",
    methods: &[Method::GET, Method::POST],
    paths: &["/_resolve/index/{name}"],
    parameters: &[INDICES],
    is_refused: false,
}
.answered_by(|request| Box::pin(async move { resolve(&request) }))];

/// One of the names asked for.
struct Expression<'a> {
    text: &'a str,
    is_pattern: bool,
    expand: ExpandWildcards,
}

/// What was found, by name.
#[derive(Default)]
struct Found {
    indices: BTreeMap<String, Value>,
    aliases: BTreeMap<String, Value>,
    streams: BTreeMap<String, Value>,
}

impl Expression<'_> {
    /// Returns whether it stands for `name`. What is hidden is found by its whole name, by a pattern that begins with a
    /// dot as it does, or where hidden ones are asked for.
    fn names(&self, name: &str, is_hidden: bool) -> bool {
        let by_dot = name.starts_with('.') && self.text.starts_with('.');
        let reaches_hidden = !self.is_pattern || self.expand.hidden || by_dot;
        matches_pattern(self.text, name) && (!is_hidden || reaches_hidden)
    }

    fn names_index(&self, index: &IndexMeta) -> bool {
        let is_expanded = match index.is_closed {
            true => self.expand.closed,
            false => self.expand.open,
        };
        self.names(index.name.as_str(), index.settings.hidden) && (!self.is_pattern || is_expanded)
    }
}

fn resolve(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let options = request.parameters.resolve_options(ResolveOptions {
        expand_wildcards: ExpandWildcards {
            open: true,
            closed: false,
            hidden: false,
        },
        ..ResolveOptions::default()
    })?;
    let now_ms = request.root().cluster().now_ms();
    let names = expand_date_math(request.required_part("name")?, now_ms)?;
    let mut found = Found::default();
    let mut has_pattern = false;
    for text in names.split(',').map(str::trim) {
        let text = if text == "_all" { "*" } else { text };
        if let Some(excluded) = text.strip_prefix('-').filter(|_| has_pattern) {
            found.leave_out(excluded);
            continue;
        }
        let expression = Expression {
            text,
            is_pattern: text.contains('*'),
            expand: options.expand_wildcards,
        };
        let is_found = [
            found.add_indices(&state, &expression),
            found.add_aliases(&state, &expression),
            found.add_streams(&state, &expression),
        ];
        has_pattern |= expression.is_pattern;
        let may_be_missing = expression.is_pattern || options.ignore_unavailable;
        if !is_found.contains(&true) && !may_be_missing {
            return Err(ApiError::index_not_found(text));
        }
    }
    if found.is_empty() && !options.allow_no_indices {
        return Err(ApiError::index_not_found(&names));
    }
    let listed = |shown: BTreeMap<String, Value>| shown.into_values().collect::<Vec<Value>>();
    Ok(Reply::json(&json!({
        "indices": listed(found.indices),
        "aliases": listed(found.aliases),
        "data_streams": listed(found.streams),
    })))
}

impl Found {
    fn is_empty(&self) -> bool {
        self.indices.is_empty() && self.aliases.is_empty() && self.streams.is_empty()
    }

    fn leave_out(&mut self, pattern: &str) {
        for found in [&mut self.indices, &mut self.aliases, &mut self.streams] {
            found.retain(|name, _| !matches_pattern(pattern, name));
        }
    }

    fn add_indices(&mut self, state: &ClusterState, expression: &Expression<'_>) -> bool {
        let mut is_found = false;
        let indices = state.indices.values();
        for index in indices.filter(|index| expression.names_index(index)) {
            let name = index.name.as_str();
            let mut attributes = Vec::new();
            if index.settings.hidden {
                attributes.push("hidden");
            }
            attributes.push(if index.is_closed { "closed" } else { "open" });
            let mut shown = json!({"name": name});
            let own: Vec<&str> = index.aliases.keys().map(IndexName::as_str).collect();
            // Those of an index of a data stream are the stream's.
            if !own.is_empty() && index.stream_name().is_none() {
                shown["aliases"] = json!(own);
            }
            shown["attributes"] = json!(attributes);
            if let Some((stream, _)) = state.data_stream_of(&index.uuid) {
                shown["data_stream"] = json!(stream.as_str());
            }
            self.indices.insert(name.to_owned(), shown);
            is_found = true;
        }
        is_found
    }

    fn add_aliases(&mut self, state: &ClusterState, expression: &Expression<'_>) -> bool {
        let mut is_found = false;
        let aliases = state.indices.values().flat_map(|index| &index.aliases);
        for (alias, of) in aliases.filter(|(_, alias)| !alias.is_data_stream) {
            let name = alias.as_str();
            if !expression.names(name, of.is_hidden.unwrap_or(false)) {
                continue;
            }
            let bearers = state.aliased(name);
            let mut bearers: Vec<&str> = bearers.map(|(index, _)| index.name.as_str()).collect();
            bearers.sort_unstable();
            let shown = json!({"name": name, "indices": bearers});
            self.aliases.insert(name.to_owned(), shown);
            is_found = true;
        }
        is_found
    }

    fn add_streams(&mut self, state: &ClusterState, expression: &Expression<'_>) -> bool {
        let mut is_found = false;
        for (name, stream) in &state.data_streams {
            if !expression.names(name.as_str(), stream.hidden) {
                continue;
            }
            let indices = stream
                .indices
                .iter()
                .filter_map(|uuid| state.indices.get(uuid));
            let indices: Vec<&str> = indices.map(|index| index.name.as_str()).collect();
            let shown = json!({
                "name": name.as_str(),
                "backing_indices": indices,
                "timestamp_field": "@timestamp",
            });
            self.streams.insert(name.to_string(), shown);
            is_found = true;
        }
        is_found
    }
}
