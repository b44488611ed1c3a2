//! `GET /_openapi.json`: the routes as an OpenAPI page, made from their tables.
//!
//! Does: paths, methods, parameters with what becomes of them, rights. Does not: describe bodies, which are those of the
//! dialect. Parameters and features that are refused by name are left out, but named under `x-refused`.
//! Called by: the route `openapi`. The module `page` writes the same for people. Read first: [`openapi`].

mod page;

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};

use crate::parameters::groups::IDEMPOTENCY_KEY;
use crate::route::{Parameter, ParameterEffect, Route};
use crate::routes::parameter_tables;
use crate::security::Right;

pub(crate) use page::{SECURITY_POLICY, page};

/// Routes whose bodies are lines.
const OF_LINES: [&str; 2] = ["bulk", "msearch"];

/// Routes that answer with text unless they are asked for JSON, by the beginning of their name; `metrics` always does.
const OF_TEXT: [&str; 3] = ["cat.", "metrics", "nodes.hot_threads"];

/// The route that answers with HTML.
const OF_HTML: &str = "openapi.page";

/// Returns the page.
pub fn openapi() -> Value {
    let mut paths = PathItems::default();
    for route in parameter_tables().filter(|route| !route.is_refused) {
        for path in route.paths {
            for method in route.methods.iter().filter(|method| is_described(method)) {
                paths.add(route, path, method);
            }
        }
    }
    let (paths, parameters) = paths.into_json();
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Gleaner",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A distributed document-search engine that speaks Elasticsearch's REST dialect. Parameters that \
                            are accepted and change nothing are marked as deprecated; any other is refused with status 400.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"ApiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`ApiKey` and the key in base64, where the server requires keys",
                },
            },
            "parameters": parameters,
            "schemas": {"Error": error_schema()},
            "responses": {
                "Error": {
                    "description": "Why it was refused, or failed",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        },
    })
}

/// OpenAPI has no other methods, and those are answered everywhere.
fn is_described(method: &Method) -> bool {
    *method != Method::OPTIONS
}

/// Paths with their operations.
#[derive(Default)]
struct PathItems {
    /// By the path without the names of its parts: two paths may not differ in those alone.
    by_shape: BTreeMap<String, (&'static str, Map<String, Value>)>,
    ids: BTreeSet<String>,
    parameters: SharedParameters,
}

/// Parameters that operations refer to, each described once.
#[derive(Default)]
struct SharedParameters(Map<String, Value>);

impl SharedParameters {
    /// Returns a reference to a parameter that is described so.
    fn refer(&mut self, described: Value) -> Value {
        let name = described["name"].as_str().unwrap_or_default();
        let numbered = (2..).map(|number: u32| format!("{name}_{number}"));
        let mut keys = std::iter::once(name.to_owned()).chain(numbered);
        let is_free = |known: &Map<String, Value>, key: &String| {
            known.get(key).is_none_or(|other| *other == described)
        };
        let key = keys.find(|key| is_free(&self.0, key)).unwrap_or_default();
        let reference = format!("#/components/parameters/{key}");
        self.0.entry(key).or_insert(described);
        json!({"$ref": reference})
    }
}

impl PathItems {
    fn add(&mut self, route: &'static Route, path: &'static str, method: &Method) {
        let id = self.free_id(route, method);
        let item = self.by_shape.entry(shape_of(path));
        let (path, operations) = item.or_insert_with(|| (path, Map::new()));
        let mut operation = operation(route, method, &id);
        let described = parameters_of(route, path);
        let shared = described.map(|described| self.parameters.refer(described));
        operation["parameters"] = shared.collect();
        operations.insert(method.as_str().to_ascii_lowercase(), operation);
    }

    /// Returns an id for an operation that no other has.
    fn free_id(&mut self, route: &Route, method: &Method) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric();
        let words: Vec<&str> = route
            .name
            .split(|c: char| !is_word(c))
            .filter(|word| !word.is_empty())
            .collect();
        let first = format!(
            "{}_{}",
            words.join("_"),
            method.as_str().to_ascii_lowercase()
        );
        let mut ids = (2..).map(|number: u32| format!("{first}_{number}"));
        let mut id = first.clone();
        while !self.ids.insert(id.clone()) {
            id = ids.next().unwrap_or_default();
        }
        id
    }

    /// Returns the paths, and the parameters that they refer to.
    fn into_json(self) -> (Map<String, Value>, Map<String, Value>) {
        let items = self.by_shape.into_values();
        let items = items.map(|(path, operations)| (path.to_owned(), operations.into()));
        (items.collect(), self.parameters.0)
    }
}

/// Returns the path with its parts unnamed.
fn shape_of(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => "{}",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn operation(route: &Route, method: &Method, id: &str) -> Value {
    let own = route.parameters.iter().copied().flatten();
    let refused = own.filter_map(|parameter| match parameter.handling {
        ParameterEffect::Refused(what) => Some((parameter.name.to_owned(), what.into())),
        _ => None,
    });
    let refused: Map<String, Value> = refused.collect();
    let mut operation = json!({
        "operationId": id,
        "summary": route.name,
        "tags": [route.name.split('.').next().unwrap_or(route.name)],
        "x-action": Right::of(route).action,
        "responses": {
            "200": answer(route, method),
            "default": refusal(method),
        },
    });
    if !refused.is_empty() {
        operation["x-refused"] = refused.into();
    }
    if matches!(*method, Method::POST | Method::PUT) {
        operation["requestBody"] = body(route);
    }
    operation
}

/// Returns what is said of answers that are no success: those to `HEAD` have no body, whose type could be told.
fn refusal(method: &Method) -> Value {
    match *method {
        Method::HEAD => json!({"description": "It is not there, was refused, or failed"}),
        _ => json!({"$ref": "#/components/responses/Error"}),
    }
}

/// Returns the parameters of a route at a path: of the path, of heads, of the query.
fn parameters_of(route: &Route, path: &str) -> impl Iterator<Item = Value> {
    let of_query = route.all_parameters().filter_map(of_query);
    let of_path = parts_of(path).map(of_path);
    of_path.chain(headers_of(route)).chain(of_query)
}

fn parts_of(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn of_path(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
}

fn of_query(parameter: &Parameter) -> Option<Value> {
    let name = parameter.name;
    match parameter.handling {
        ParameterEffect::Honoured => {
            Some(json!({"name": name, "in": "query", "schema": {"type": "string"}}))
        }
        ParameterEffect::NoEffect(why) => Some(json!({
            "name": name,
            "in": "query",
            "deprecated": true,
            "description": format!("without effect: {why}"),
            "schema": {"type": "string"},
        })),
        ParameterEffect::Refused(_) => None,
    }
}

fn headers_of(route: &Route) -> Vec<Value> {
    let header = IDEMPOTENCY_KEY;
    let is_taken = header.routes.contains(&route.name);
    let names = header.names.iter().filter(|_| is_taken);
    names
        .map(|name| {
            json!({
                "name": name,
                "in": "header",
                "description": header.effect,
                "schema": {"type": "string"},
            })
        })
        .collect()
}

fn body(route: &Route) -> Value {
    match OF_LINES.contains(&route.name) {
        true => json!({
            "required": true,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }),
        false => json!({"content": {"application/json": {"schema": {"type": "object"}}}}),
    }
}

fn answer(route: &Route, method: &Method) -> Value {
    let description = "The answer of the dialect";
    if *method == Method::HEAD {
        return json!({"description": "It is there; the answer has no body"});
    }
    let is_text = OF_TEXT.iter().any(|name| route.name.starts_with(name));
    let content = match route.name {
        OF_HTML => json!({"text/html": {"schema": {"type": "string"}}}),
        _ if is_text => json!({"text/plain": {"schema": {"type": "string"}}}),
        // An array for some, as for the tables in JSON.
        _ => json!({"application/json": {"schema": {}}}),
    };
    json!({"description": description, "content": content})
}

fn error_schema() -> Value {
    let cause = json!({
        "type": "object",
        "properties": {"type": {"type": "string"}, "reason": {"type": "string"}},
    });
    json!({
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "integer"},
            // A text where the method or the path is not known.
            "error": {"oneOf": [{"type": "string"}, cause]},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_that_is_served_is_on_the_page() {
        let page = openapi();
        let operations = page["paths"].as_object().expect("paths").values();
        let operations = operations.flat_map(|item| item.as_object().expect("an item").values());
        let mut ids = BTreeSet::new();
        let mut named = BTreeSet::new();
        for operation in operations {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            named.insert(operation["summary"].as_str().expect("a name").to_owned());
        }
        for route in parameter_tables().filter(|route| !route.is_refused) {
            assert!(named.contains(route.name), "{}", route.name);
        }
    }

    #[test]
    fn every_part_of_a_path_is_a_parameter_and_no_name_comes_twice() {
        let page = openapi();
        let shared = &page["components"]["parameters"];
        for (path, item) in page["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("an item").values() {
                let mut seen = BTreeSet::new();
                for reference in operation["parameters"].as_array().expect("parameters") {
                    let key = reference["$ref"].as_str().expect("a reference");
                    let key = key.trim_start_matches("#/components/parameters/");
                    let parameter = &shared[key];
                    let place = (parameter["in"].to_string(), parameter["name"].to_string());
                    assert!(seen.insert(place), "{path}: {parameter}");
                }
                for part in parts_of(path) {
                    let place = (json!("path").to_string(), json!(part).to_string());
                    assert!(seen.contains(&place), "{path}: {part}");
                }
            }
        }
    }
}
