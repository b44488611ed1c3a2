//! What nodes tell, as one page of text.

use std::fmt::Write as _;

use serde_json::Value;

use crate::terminal::{Palette, cut, grouped, one_line};

/// Rows of the lists below the nodes.
const SHOWN: usize = 8;

/// Widest text of a row.
const WIDTH: usize = 60;

/// What all nodes tell.
#[derive(Debug, Default)]
pub(super) struct View {
    cluster: String,
    status: String,
    num_shards: u64,
    nodes: Vec<Node>,
    running: Vec<Row>,
    routes: Vec<Row>,
    searches: Vec<Row>,
    shards: Vec<Row>,
}

/// What a node uses.
#[derive(Debug, Default)]
struct Node {
    name: String,
    role: String,
    /// Does `_nodes/stats` know it?
    is_member: bool,
    /// Has its own page been added?
    has_page: bool,
    /// Why there is nothing of it.
    silent: Option<String>,
    cpu_percent: Option<u64>,
    resident_bytes: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    load: Option<f64>,
    documents: Option<u64>,
    running: Option<u64>,
    uptime_ms: Option<u64>,
}

/// Something that takes time.
#[derive(Debug)]
struct Row {
    what: String,
    /// How often; `None` of a request that is open.
    times: Option<u64>,
    took_ms: u64,
}

impl View {
    /// Returns what the answers of `_cluster/health` and `_nodes/stats` tell.
    pub(super) fn of(health: &Value, stats: &Value) -> Self {
        let nodes = stats["nodes"].as_object();
        let nodes = nodes.into_iter().flat_map(|nodes| nodes.values());
        Self {
            cluster: text(&health["cluster_name"]),
            status: text(&health["status"]),
            num_shards: health["active_shards"].as_u64().unwrap_or_default(),
            nodes: nodes.map(Node::of_stats).collect(),
            ..Self::default()
        }
    }

    /// Adds what the node at `address` tells of itself at `/topz`. One that is no member and has no name but its role is
    /// named by its address. A member that has been added is not added again.
    pub(super) fn add_page(&mut self, address: &str, page: &Value) {
        let (name, role) = (text(&page["node"]), text(&page["role"]));
        let mut nodes = self.nodes.iter();
        let known = nodes.position(|node| node.is_member && node.name == name);
        let at = known.unwrap_or_else(|| {
            self.nodes.push(Node {
                name: match name == role {
                    true => host_of(address).to_owned(),
                    false => name,
                },
                role,
                ..Node::default()
            });
            self.nodes.len() - 1
        });
        let node = &mut self.nodes[at];
        if std::mem::replace(&mut node.has_page, true) {
            return;
        }
        let process = &page["process"];
        let better = |known: &mut Option<u64>, told: &Value| *known = told.as_u64().or(*known);
        better(&mut node.cpu_percent, &process["cpu_percent"]);
        better(&mut node.resident_bytes, &process["resident_bytes"]);
        better(&mut node.threads, &process["threads"]);
        better(&mut node.open_files, &process["open_files"]);
        better(&mut node.uptime_ms, &page["uptime_ms"]);
        node.load = page["machine"]["load"][0].as_f64().or(node.load);
        let busy = &page["busy"];
        node.running = busy["num_running"].as_u64();
        let two = |row: &Value, first: &str, second: &str| {
            let (first, second) = (text(&row[first]), text(&row[second]));
            format!("{first} {second}").trim_end().to_owned()
        };
        self.running
            .extend(rows(&busy["running"], |row| two(row, "method", "path")));
        self.routes
            .extend(rows(&busy["routes"], |row| two(row, "route", "index")));
        self.searches
            .extend(rows(&busy["searches"], |row| text(&row["key"])));
        self.shards
            .extend(rows(&busy["shards"], |row| text(&row["key"])));
    }

    /// Notes that a node did not answer: a member by its name, another one by its address.
    pub(super) fn add_silent(&mut self, name: &str, why: &str) {
        let (name, why) = (one_line(name), one_line(why));
        let mut nodes = self.nodes.iter_mut();
        if let Some(member) = nodes.find(|node| node.is_member && node.name == name) {
            member.silent = Some(why);
            return;
        }
        self.nodes.push(Node {
            name,
            silent: Some(why),
            ..Node::default()
        });
    }

    /// Returns the page.
    pub(super) fn to_text(&self, palette: Palette) -> String {
        let Palette {
            strong,
            faint,
            reset,
            ..
        } = palette;
        let colour = palette.of_health(&self.status);
        let mut page = format!(
            "{strong}{}{reset}  {colour}{}{reset}  nodes: {}, shards: {}\n\n",
            self.cluster,
            self.status,
            self.nodes.len(),
            grouped(self.num_shards)
        );
        let head = format!(
            "{:<20} {:<8} {:>5} {:>9} {:>7} {:>6} {:>6} {:>5} {:>14} {:>8}",
            "NODE", "ROLE", "CPU%", "MEMORY", "THREADS", "FILES", "LOAD", "OPEN", "DOCUMENTS", "UP"
        );
        line(&mut page, &format!("{faint}{head}{reset}"));
        let mut nodes: Vec<&Node> = self.nodes.iter().collect();
        nodes.sort_by(|a, b| b.cpu_percent.cmp(&a.cpu_percent).then(a.name.cmp(&b.name)));
        for node in nodes {
            line(&mut page, &node.to_line(palette));
        }
        self.list_all(&mut page, palette);
        page
    }

    /// Writes what takes long: requests, routes, searches and shards.
    pub(super) fn list_all(&self, page: &mut String, palette: Palette) {
        for (title, rows) in [
            ("OPEN FOR THE LONGEST", &self.running),
            ("ROUTES THAT TOOK LONGEST", &self.routes),
            ("SEARCHES THAT TOOK LONGEST (query_key)", &self.searches),
            ("SHARDS THAT TOOK LONGEST", &self.shards),
        ] {
            list(page, title, rows, palette);
        }
    }
}

/// Adds a line.
pub(super) fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a string takes all");
}

fn list(page: &mut String, title: &str, rows: &[Row], palette: Palette) {
    if rows.is_empty() {
        return;
    }
    let Palette { faint, reset, .. } = palette;
    line(page, &format!("\n{faint}{title}{reset}"));
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.took_ms));
    for row in rows.into_iter().take(SHOWN) {
        let (what, took) = (cut(&row.what, WIDTH), grouped(row.took_ms));
        let mut text = format!("{what:<WIDTH$} {took:>12} ms");
        if let Some(times) = row.times {
            write!(text, " {:>10} ×", grouped(times)).expect("a string takes all");
        }
        line(page, &text);
    }
}

impl Node {
    fn of_stats(stats: &Value) -> Self {
        let (process, jvm) = (&stats["process"], &stats["jvm"]);
        let has_process = process.is_object();
        let if_told = |value: &Value| value.as_u64().filter(|_| has_process);
        let roles = stats["roles"].as_array();
        let has = |wanted: &str| {
            let mut roles = roles.into_iter().flatten();
            roles.any(|role| role == wanted)
        };
        let has_data = has("data");
        // As their pages call them.
        let role = match (has_data, has("master")) {
            (true, true) => "serve",
            (true, false) => "leaf",
            (false, _) => "root",
        };
        Self {
            name: text(&stats["name"]),
            role: role.to_owned(),
            is_member: true,
            cpu_percent: process["cpu"]["percent"].as_u64(),
            resident_bytes: process["mem"]["resident_in_bytes"].as_u64(),
            threads: if_told(&jvm["threads"]["count"]),
            open_files: process["open_file_descriptors"].as_u64(),
            load: stats["os"]["cpu"]["load_average"]["1m"].as_f64(),
            documents: has_data
                .then(|| stats["indices"]["docs"]["count"].as_u64())
                .flatten(),
            uptime_ms: if_told(&jvm["uptime_in_millis"]),
            ..Self::default()
        }
    }

    fn to_line(&self, palette: Palette) -> String {
        let name = cut(&self.name, 20);
        if let Some(why) = &self.silent {
            let Palette { bad, reset, .. } = palette;
            return format!("{name:<20} {bad}{}{reset}", cut(why, WIDTH));
        }
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), grouped);
        let load = self
            .load
            .map_or_else(|| "-".to_owned(), |load| format!("{load:.2}"));
        format!(
            "{name:<20} {:<8} {:>5} {:>9} {:>7} {:>6} {load:>6} {:>5} {:>14} {:>8}",
            self.role,
            number(self.cpu_percent),
            self.resident_bytes.map_or_else(|| "-".to_owned(), in_bytes),
            number(self.threads),
            number(self.open_files),
            number(self.running),
            number(self.documents),
            self.uptime_ms.map_or_else(|| "-".to_owned(), in_time),
        )
    }
}

fn rows(list: &Value, what: impl Fn(&Value) -> String) -> Vec<Row> {
    let list = list.as_array().into_iter().flatten();
    list.map(|row| Row {
        what: what(row),
        times: row["times"].as_u64(),
        took_ms: row["took_ms"]
            .as_u64()
            .or(row["running_ms"].as_u64())
            .unwrap_or_default(),
    })
    .collect()
}

/// Returns a text of an answer, made safe for the terminal.
pub(super) fn text(value: &Value) -> String {
    one_line(value.as_str().unwrap_or_default())
}

/// Returns the host and port of a URL.
fn host_of(url: &str) -> &str {
    let (_, after) = url.split_once("://").unwrap_or(("", url));
    after.trim_end_matches('/')
}

/// Writes bytes with a unit.
pub(super) fn in_bytes(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..10_737_418_240 => format!("{} MiB", grouped(bytes >> 20)),
        _ => format!("{} GiB", grouped(bytes >> 30)),
    }
}

/// Writes a time in its largest units.
pub(super) fn in_time(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_are_sorted_by_what_they_use_and_silent_ones_are_named() {
        let health =
            json!({"cluster_name": "c\x1b[2J", "status": "green\x1b[3J", "active_shards": 1_234});
        let leaf = |name: &str, cpu: u64| {
            json!({
                "name": name, "roles": ["data"],
                "process": {"cpu": {"percent": cpu}, "mem": {"resident_in_bytes": 5 << 20}, "open_file_descriptors": 9},
                "jvm": {"threads": {"count": 12}, "uptime_in_millis": 61_000},
                "os": {"cpu": {"load_average": {"1m": 0.5}}},
                "indices": {"docs": {"count": 1_000_000}},
            })
        };
        let stats = json!({"nodes": {"a": leaf("leaf-1", 3), "b": leaf("leaf-2", 40)}});
        let mut view = View::of(&health, &stats);
        view.add_page(
            "http://root:9200/",
            &json!({
                "node": "root-1", "role": "root", "uptime_ms": 90_000_000,
                "process": {"cpu_percent": 7, "threads": 4},
                "busy": {
                    "num_running": 1,
                    "running": [{"method": "POST", "path": "/a/_search", "running_ms": 1_500}],
                    "routes": [{"route": "search", "index": "a", "times": 3, "took_ms": 20}],
                    "searches": [], "shards": [],
                },
            }),
        );
        view.add_silent("http://front:9210/", "no answer");
        let text = view.to_text(Palette::PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "c [2J  green [3J  nodes: 4, shards: 1,234");
        let names: Vec<&str> = lines[3..7]
            .iter()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(names, ["leaf-2", "root-1", "leaf-1", "http://front:9210/"]);
        assert!(
            lines[3].contains("5 MiB") && lines[3].ends_with("1m01s"),
            "{text}"
        );
        assert!(lines[4].ends_with("1d01h"), "{text}");
        assert!(text.contains("POST /a/_search"), "{text}");
        assert!(text.contains("1,500 ms") && text.contains("3 ×"), "{text}");
    }

    #[test]
    fn a_member_that_tells_of_itself_twice_has_one_row() {
        let member = |name: &str, roles: &[&str]| json!({"name": name, "roles": roles});
        let stats = json!({"nodes": {
            "a": member("root-1", &["ingest", "master"]),
            "b": member("root-2", &["ingest", "master"]),
            "c": member("root-3", &["ingest", "master"]),
            "d": member("leaf-1", &["data"]),
            "e": member("alone", &["data", "ingest", "master"]),
        }});
        let mut view = View::of(&json!({}), &stats);
        let page = |name: &str| {
            json!({
                "node": name, "role": "root", "process": {"cpu_percent": 7},
                "busy": {"num_running": 1, "running": [{"path": format!("/{name}"), "running_ms": 5}]},
            })
        };
        for name in ["root-1", "root-2", "root-1"] {
            view.add_page("http://h:9200/", &page(name));
        }
        view.add_silent("root-3", "no answer");
        let text = view.to_text(Palette::PLAIN);
        let mut rows: Vec<Vec<&str>> = text
            .lines()
            .skip(3)
            .take(5)
            .map(|line| line.split_whitespace().take(3).collect())
            .collect();
        rows.sort_unstable();
        let expected = [
            ["alone", "serve", "-"],
            ["leaf-1", "leaf", "-"],
            ["root-1", "root", "7"],
            ["root-2", "root", "7"],
            ["root-3", "no", "answer"],
        ];
        assert_eq!(rows, expected, "{text}");
        assert_eq!(text.matches("/root-1").count(), 1, "{text}");
    }

    #[test]
    fn each_front_has_a_row_with_its_name_or_its_address() {
        let mut view = View::of(&json!({}), &json!({}));
        for (address, name) in [
            ("http://a:9210/", "front"),
            ("http://b:9210/", "front"),
            ("http://c:9210/", "front-3"),
        ] {
            view.add_page(address, &json!({"node": name, "role": "front"}));
        }
        let text = view.to_text(Palette::PLAIN);
        let rows = text.lines().skip(3).filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        });
        let rows: Vec<_> = rows.collect();
        let expected = [
            ("a:9210", "front"),
            ("b:9210", "front"),
            ("front-3", "front"),
        ];
        assert_eq!(rows, expected, "{text}");
    }
}
