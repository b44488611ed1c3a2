//! `GET /_openapi.html`: the routes as a page for people, without scripts, and with nothing from elsewhere.
//!
//! Does: write what [`super::openapi`] says of each route as a row of a table. Does not: read the tables of routes by
//! itself, so the two pages cannot differ. Called by: the route `openapi.page`. Read first: [`page`].

use gleaner_server::escaped_html;
use serde_json::Value;

use crate::parameters::groups::COMMON;

/// What the page may load, for browsers: nothing but its own style.
pub(crate) const SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Routes of Gleaner</title>\
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}\
table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.2rem .8rem;text-align:left;\
vertical-align:top}code{font-size:13px}small{color:#555}</style>";

/// Returns the page of a document that [`super::openapi`] made.
pub(crate) fn page(document: &Value) -> String {
    let mut page = String::from(HEAD);
    let common = COMMON.iter().map(|parameter| code(parameter.name));
    page.push_str(&format!(
        "<h1>Routes of Gleaner {}</h1><p>{}<p>Every route takes {} too.",
        text(&document["info"]["version"]),
        text(&document["info"]["description"]),
        common.collect::<Vec<_>>().join(", "),
    ));
    page.push_str("<table><tr><th>Methods and path<th>Name<th>Parameters<th>Action");
    for (path, item) in members(&document["paths"]) {
        for row in rows(item) {
            page.push_str(&row.to_html(path, document));
        }
    }
    page.push_str("</table>");
    page
}

/// A route at a path.
struct Row<'a> {
    methods: Vec<String>,
    operation: &'a Value,
}

/// Returns the routes at a path: one answers several methods alike.
fn rows(item: &Value) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (method, operation) in members(item) {
        let method = method.to_ascii_uppercase();
        let name = &operation["summary"];
        let mut known = rows.iter_mut();
        match known.find(|row| row.operation["summary"] == *name) {
            Some(row) => row.methods.push(method),
            None => rows.push(Row {
                methods: vec![method],
                operation,
            }),
        }
    }
    rows
}

impl Row<'_> {
    fn to_html(&self, path: &str, document: &Value) -> String {
        let cells = [
            code(&format!("{} {path}", self.methods.join("|"))),
            text(&self.operation["summary"]),
            self.parameters(document),
            text(&self.operation["x-action"]),
        ];
        format!("<tr><td>{}", cells.join("<td>"))
    }

    /// Returns the parameters that the path does not show and that not every route takes.
    fn parameters(&self, document: &Value) -> String {
        let references = self.operation["parameters"].as_array();
        let references = references.into_iter().flatten();
        let described = references.filter_map(|reference| referred(document, reference));
        let own = described.filter(|parameter| parameter["in"] != "path" && !is_common(parameter));
        let taken = own.map(|parameter| {
            let name = code(parameter["name"].as_str().unwrap_or_default());
            match &parameter["description"] {
                Value::Null => name,
                effect => format!("{name} <small>{}</small>", text(effect)),
            }
        });
        let refused = members(&self.operation["x-refused"]);
        let refused = refused.map(|(name, what)| {
            let what = text(what);
            format!("{} <small>refused: {what}</small>", code(name))
        });
        taken.chain(refused).collect::<Vec<_>>().join("<br>")
    }
}

/// Returns the part of the document that `reference` points to.
fn referred<'a>(document: &'a Value, reference: &Value) -> Option<&'a Value> {
    document.pointer(reference["$ref"].as_str()?.strip_prefix('#')?)
}

fn is_common(parameter: &Value) -> bool {
    COMMON.iter().any(|common| parameter["name"] == common.name)
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped_html(text))
}

fn text(value: &Value) -> String {
    escaped_html(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::openapi;
    use crate::routes::parameter_tables;

    #[test]
    fn every_route_that_is_served_is_on_the_page_with_its_own_parameters() {
        let page = page(&openapi());
        for route in parameter_tables().filter(|route| !route.is_refused) {
            let name = format!("<td>{}<td>", route.name);
            let rows = page.split("<tr>").filter(|row| row.contains(&name));
            let rows: Vec<&str> = rows.collect();
            assert!(!rows.is_empty(), "{}", route.name);
            for parameter in route.parameters.iter().copied().flatten() {
                let shown = format!("<code>{}</code>", parameter.name);
                let is_shown = |row: &&str| row.contains(&shown);
                let is_common = COMMON.iter().any(|common| common.name == parameter.name);
                assert!(is_common || rows.iter().all(is_shown), "{name}: {shown}");
            }
        }
        for foreign in ["<script", "<link", "src=", "href=", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_row_has_all_methods_and_what_becomes_of_each_parameter() {
        let parameters = json!([
            {"$ref": "#/components/parameters/index"},
            {"$ref": "#/components/parameters/size"},
            {"$ref": "#/components/parameters/local"},
        ]);
        let operation = json!({
            "summary": "a<b", "x-action": "read", "parameters": parameters,
            "x-refused": {"x": "\"y\""},
        });
        let document = json!({
            "paths": {"/{index}/_a": {"get": operation, "post": operation}},
            "components": {"parameters": {
                "index": {"name": "index", "in": "path"},
                "size": {"name": "size", "in": "query"},
                "local": {"name": "local", "in": "query", "description": "without effect: R&D"},
            }},
        });
        let expected = "<tr><td><code>GET|POST /{index}/_a</code><td>a&lt;b<td><code>size</code><br>\
            <code>local</code> <small>without effect: R&amp;D</small><br>\
            <code>x</code> <small>refused: &quot;y&quot;</small><td>read</table>";
        let page = page(&document);
        assert!(page.ends_with(expected), "{page}");
    }
}
