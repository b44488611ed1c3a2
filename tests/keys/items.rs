//! Requests that name indices in their bodies: a front and a root deny the same items, those that the table of denials
//! says.
//!
//! Called by: `denied`. Read first: [`denied_alike`].

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use crate::denied::{Class, Rows};
use crate::processes::Processes;

/// The indices that are named: the keys have rights to the first of them.
const NAMES: [&str; 2] = ["mine-1", "other-1"];

/// What an item of a bulk does, and the classes that may do it to `mine-1`.
const WRITES: [(&str, &[&str]); 4] = [
    ("index", &["index"]),
    ("create", &["index", "create"]),
    ("update", &["index"]),
    ("delete", &["delete"]),
];

/// A request of several items.
struct Batch {
    request: Request,
    /// Which of the items are denied.
    is_denied: Vec<bool>,
}

fn rows<'a>(table: &'a BTreeMap<&str, Rows>, route: &str) -> Result<&'a Rows> {
    let rows = table.get(route);
    rows.with_context(|| format!("`{route}` is not in the table"))
}

/// Returns which of the names are denied to the class by a route.
fn denied_names(table: &BTreeMap<&str, Rows>, route: &str, class: &Class) -> Result<Vec<bool>> {
    let rows = rows(table, route)?;
    let denied = NAMES.iter().map(|name| rows.is_denied(class.name, name));
    denied.collect()
}

/// Returns the bulk of all writes that the class is denied: no other changes anything.
fn denied_writes(class: &Class) -> Batch {
    let (mut lines, mut is_denied) = (String::new(), Vec::new());
    for name in NAMES {
        for (kind, allowed) in WRITES {
            if name == NAMES[0] && allowed.contains(&class.name) {
                continue;
            }
            lines += &format!("{}\n", json!({kind: {"_index": name, "_id": "1"}}));
            lines += match kind {
                "delete" => "",
                "update" => "{\"doc\":{\"text\":\"x\"}}\n",
                _ => "{\"text\":\"x\"}\n",
            };
            is_denied.push(true);
        }
    }
    Batch {
        request: Request::ndjson("POST", "/_bulk", lines),
        is_denied,
    }
}

fn batches(table: &BTreeMap<&str, Rows>, class: &Class) -> Result<[Batch; 3]> {
    let searches = NAMES.map(|name| format!("{{\"index\":\"{name}\"}}\n{{}}\n"));
    let searches = Batch {
        request: Request::ndjson("POST", "/_msearch", searches.concat()),
        is_denied: denied_names(table, "msearch", class)?,
    };
    let documents = NAMES.map(|name| json!({"_index": name, "_id": "1"}));
    let documents = Batch {
        request: Request::json("POST", "/_mget", &json!({"docs": documents})),
        is_denied: denied_names(table, "mget", class)?,
    };
    Ok([searches, documents, denied_writes(class)])
}

/// Returns status and error of each item.
fn verdicts(answer: &Value) -> Vec<(Value, Value)> {
    let lists = ["responses", "docs", "items"].map(|name| answer[name].as_array());
    let items = lists.into_iter().flatten().flatten();
    let verdict = |item: &Value| {
        // Each item of a bulk is wrapped in the name of its action.
        let around = WRITES.iter().find_map(|(kind, _)| item.get(kind));
        let item = around.unwrap_or(item);
        (item["status"].clone(), item["error"].clone())
    };
    items.map(verdict).collect()
}

/// Sends what the class is denied, and what it may read, to a front and a root, and compares the items.
pub(crate) async fn denied_alike(
    processes: &Processes,
    table: &BTreeMap<&str, Rows>,
    class: &Class,
    key: &str,
) -> Result<()> {
    let (front, root) = (processes.fronts[0], processes.roots[1]);
    for Batch { request, is_denied } in batches(table, class)? {
        let by_front = processes.send(front, key, &request).await?.ok()?;
        let at_root = processes.send(root, key, &request).await?.ok()?;
        let found = verdicts(&at_root);
        let path = &request.path;
        assert_eq!(verdicts(&by_front), found, "{}: {path}", class.name);
        let is_security = |error: &Value| error["type"] == "security_exception";
        let denials = found.iter().map(|(_, error)| is_security(error));
        let denials: Vec<bool> = denials.collect();
        assert_eq!(denials, is_denied, "{}: {path}: {at_root}", class.name);
        for (status, error) in found {
            // Items of `_mget` have none.
            let is_right = status.is_null() || (status == 403) == is_security(&error);
            ensure!(is_right, "{}: {path}: {status} {error}", class.name);
        }
    }
    let rows = rows(table, "indices.put_alias")?;
    for name in NAMES {
        if !rows.is_denied(class.name, name)? {
            continue;
        }
        let actions = json!({"actions": [{"add": {"index": name, "alias": "mine-alias"}}]});
        let request = Request::json("POST", "/_aliases", &actions);
        let by_front = processes.send(front, key, &request).await?;
        let at_root = processes.send(root, key, &request).await?;
        assert_eq!(at_root.status, 403, "{}: {name}", class.name);
        assert_eq!(by_front.status, 403, "{}: {name}", class.name);
        assert_eq!(by_front.json()?, at_root.json()?, "{}: {name}", class.name);
    }
    Ok(())
}
