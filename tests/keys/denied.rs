//! Every cell of the table of denials over real sockets: what the table denies to a key is denied by a front and by a
//! root, in the same words.
//!
//! Does: send what the table denies, which changes nothing. Does not: send what it lets in; `matrix` does, with keys
//! that only read. Read first: [`probes`].

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::items;
use crate::processes::Processes;

/// The table that the API's own tests keep.
const TABLE: &str = include_str!("../../api/src/security/tests/denials.txt");

/// How the table names a path without an index.
const NO_NAME: &str = "(no name)";

/// How many connections to each process are used at once.
const NUM_WORKERS: usize = 8;

/// A class of keys.
pub(crate) struct Class {
    /// Its name in the table.
    pub(crate) name: &'static str,
    on_cluster: &'static [&'static str],
    /// Privileges on `mine-*`.
    on_indices: &'static [&'static str],
}

const fn of_index(name: &'static str, on_indices: &'static [&'static str]) -> Class {
    Class {
        name,
        on_cluster: &[],
        on_indices,
    }
}

const fn of_cluster(name: &'static str, on_cluster: &'static [&'static str]) -> Class {
    Class {
        name,
        on_cluster,
        on_indices: &[],
    }
}

/// The classes of the table, but for `all`, which is denied nothing.
const CLASSES: &[Class] = &[
    of_index("none", &[]),
    of_index("read", &["read"]),
    of_index("view", &["view_index_metadata"]),
    of_index("index", &["index"]),
    of_index("create", &["create_doc"]),
    of_index("delete", &["delete"]),
    of_index("stats", &["monitor"]),
    of_index("upkeep", &["maintenance"]),
    of_index("configure", &["auto_configure"]),
    of_index("ilm", &["manage_ilm"]),
    of_index("manage", &["manage"]),
    of_cluster("c:monitor", &["monitor"]),
    of_cluster("c:manage", &["manage"]),
    of_cluster("c:keys", &["manage_own_api_key"]),
    of_cluster("c:ilm", &["read_ilm"]),
    of_cluster("c:policies", &["manage_ilm"]),
    of_cluster("c:templates", &["manage_index_templates"]),
];

/// The rows of one route: the names of classes that are let in, by the name that the path has.
#[derive(Default)]
pub(crate) struct Rows {
    /// Whether the route checks the names of a body by itself, one by one.
    is_of_items: bool,
    let_in: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl Rows {
    /// Does the table deny the class a path with this name?
    pub(crate) fn is_denied(&self, class: &str, name: &str) -> Result<bool> {
        let let_in = self.let_in.get(name);
        let let_in = let_in.with_context(|| format!("the table has no row `{name}`"))?;
        Ok(!let_in.contains(class))
    }
}

/// Reads the table: the rows of each route.
fn table() -> BTreeMap<&'static str, Rows> {
    let mut table: BTreeMap<&str, Rows> = BTreeMap::new();
    let mut route = "";
    for line in TABLE.lines() {
        let Some(row) = line.strip_prefix("  ") else {
            route = line.split(" [").next().unwrap_or_default();
            table.entry(route).or_default().is_of_items = line.contains("Items(");
            continue;
        };
        let (name, classes) = row.split_once(':').unwrap_or((row, ""));
        let classes = classes.split_whitespace();
        // Behind the arrow is what the class reaches.
        let classes = classes.map(|class| class.split('→').next().unwrap_or(class));
        let rows = table.entry(route).or_default();
        rows.let_in.insert(name, classes.collect());
    }
    table
}

/// A request, and the classes that are denied it.
struct Probe {
    request: Request,
    /// The name in its path, as the table has it.
    name: &'static str,
    /// Places among [`CLASSES`].
    denied: Vec<usize>,
}

impl Probe {
    /// Is this the answer to a request that is denied?
    fn is_denial(&self, answer: &Response) -> bool {
        // Where rights leave nothing of wildcards, the names are said to be missing.
        let may_miss = matches!(self.name, "*" | NO_NAME);
        answer.status == 403 || (answer.status == 404 && may_miss)
    }
}

/// Returns a request for each route, path, name and method that some class is denied.
fn probes(table: &BTreeMap<&str, Rows>) -> Result<Vec<Probe>> {
    let mut probes = Vec::new();
    for route in gleaner_api::parameter_tables().filter(|route| !route.is_refused) {
        let rows = table.get(route.name);
        let rows = rows.with_context(|| format!("`{}` is not in the table", route.name))?;
        if rows.is_of_items {
            continue;
        }
        for path in route.paths {
            let names: &[&str] = match path.contains("{index}") {
                true => &["mine-1", "other-1", "*"],
                false => &[NO_NAME],
            };
            for name in names.iter().copied() {
                let mut denied = Vec::new();
                for (at, class) in CLASSES.iter().enumerate() {
                    if rows.is_denied(class.name, name)? {
                        denied.push(at);
                    }
                }
                if denied.is_empty() {
                    continue;
                }
                let path = path.replace("{index}", name).replace(['{', '}'], "x");
                let path = path.replace("*rest", "rest");
                probes.extend(route.methods.iter().map(|method| Probe {
                    request: Request::json(method.as_str(), &path, &json!({})),
                    name,
                    denied: denied.clone(),
                }));
            }
        }
    }
    Ok(probes)
}

/// Sends every `NUM_WORKERS`th request from the place `first` on to a front and a root; returns how many were sent, and
/// what was wrong with the answers.
async fn send(
    processes: &Processes,
    keys: &[String],
    probes: &[Probe],
    first: usize,
) -> Result<(usize, Vec<String>)> {
    let mut front = Connection::to(processes, processes.fronts[0]);
    let mut root = Connection::to(processes, processes.roots[1]);
    let (mut num_sent, mut faults) = (0, Vec::new());
    for probe in probes.iter().skip(first).step_by(NUM_WORKERS) {
        for at in &probe.denied {
            let by_front = front.send(&keys[*at], &probe.request).await?;
            let at_root = root.send(&keys[*at], &probe.request).await?;
            num_sent += 1;
            let bodies = [&by_front, &at_root].map(|answer| answer.json().unwrap_or(Value::Null));
            let is_alike = by_front.status == at_root.status && bodies[0] == bodies[1];
            if !is_alike || !probe.is_denial(&at_root) {
                let Request { method, path, .. } = &probe.request;
                let class = CLASSES[*at].name;
                let shown = [by_front.shown(), at_root.shown()];
                faults.push(format!("{class}: {method} {path}: {shown:?}"));
            }
        }
    }
    Ok((num_sent, faults))
}

/// Returns what nothing of this may change.
async fn contents(processes: &Processes) -> Result<Vec<(u16, Value)>> {
    let refresh = Request::new("POST", "/_refresh");
    let (root, admin) = (processes.roots[1], &processes.admin);
    processes.send(root, admin, &refresh).await?.ok()?;
    let mut contents = Vec::new();
    for path in [
        "/*",
        "/_search?filter_path=hits&version=true&request_cache=false",
        "/_cluster/settings",
        "/_index_template",
        "/_ingest/pipeline",
    ] {
        let request = Request::new("GET", path);
        let answer = processes.send(root, admin, &request).await?;
        contents.push((answer.status, answer.json()?));
    }
    Ok(contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denied_cell_of_the_table_is_denied_by_front_and_root() -> Result<()> {
    if !etcd::is_installed() {
        let test = "keys::every_denied_cell_of_the_table_is_denied_by_front_and_root";
        return skipped(test, etcd::NO_ETCD);
    }
    let table = table();
    let of_all = table.get("info").and_then(|rows| rows.let_in.get(NO_NAME));
    let known = CLASSES.iter().map(|class| class.name).chain(["all"]);
    let known: BTreeSet<&str> = known.collect();
    ensure!(of_all == Some(&known), "other classes than {known:?}");
    let processes = Processes::start().await?;
    for name in ["mine-1", "other-1"] {
        let path = format!("/{name}/_doc/1?refresh=true");
        let document = Request::json("PUT", &path, &json!({"text": "tea"}));
        let written = processes.send(processes.roots[0], &processes.admin, &document);
        written.await?.ok()?;
    }
    let mut keys = Vec::new();
    for class in CLASSES {
        let indices = json!([{"names": "mine-*", "privileges": class.on_indices}]);
        let rights = json!({"cluster": class.on_cluster, "indices": indices});
        keys.push(processes.make_key(class.name, &rights).await?);
    }
    let before = contents(&processes).await?;
    let probes = probes(&table)?;
    let workers = (0..NUM_WORKERS).map(|first| send(&processes, &keys, &probes, first));
    let sent = try_join_all(workers).await?;
    let num_sent: usize = sent.iter().map(|(num_sent, _)| num_sent).sum();
    let faults: Vec<&String> = sent.iter().flat_map(|(_, faults)| faults).collect();
    ensure!(faults.is_empty(), "of {num_sent}: {faults:#?}");
    ensure!(num_sent > 2_000, "{num_sent} requests prove little");
    for (class, key) in CLASSES.iter().zip(&keys) {
        items::denied_alike(&processes, &table, class, key).await?;
    }
    let after = contents(&processes).await?;
    ensure!(after == before, "{after:?}\n{before:?}");
    Ok(())
}
