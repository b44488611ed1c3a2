//! The answer to `INFO`, written in the exposition format of Prometheus.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::names::{COUNTERS, GAUGES};
use super::slowlog::SlowEntry;

/// Most databases that have lines although they are empty. A server may say that it has four billion.
const MAX_EMPTY_DATABASES: u32 = 1_024;

/// What one look at a server found.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) info: String,
    /// How many databases it has, where it says so.
    pub(super) databases: Option<u32>,
    pub(super) last_slow: Option<SlowEntry>,
    pub(super) slow_length: Option<i64>,
}

/// The metrics that were found, each with its lines.
#[derive(Debug, Default)]
struct Page(BTreeMap<String, (&'static str, Vec<String>)>);

impl Page {
    fn add(&mut self, name: &str, kind: &'static str, labels: &[(&str, &str)], value: f64) {
        let mut line = format!("redis_{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let opening = if at == 0 { '{' } else { ',' };
            line += &format!("{opening}{label}=\"{}\"", escape(text));
        }
        if !labels.is_empty() {
            line.push('}');
        }
        line += &format!(" {value}");
        let entry = self.0.entry(name.to_owned());
        entry.or_insert((kind, Vec::new())).1.push(line);
    }

    fn gauge(&mut self, name: &str, value: f64) {
        self.add(name, "gauge", &[], value);
    }

    fn print(&self) -> String {
        let mut text = String::new();
        for (name, (kind, lines)) in &self.0 {
            text += &format!(
                "# HELP redis_{name} As INFO of Redis has it.
# TYPE redis_{name} {kind}
"
            );
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Writes what was found.
pub(super) fn render(looked: &Looked) -> String {
    let mut page = Page::default();
    let fields: HashMap<&str, &str> = looked
        .info
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.trim_end().split_once(':'))
        .collect();
    for (names, kind) in [(GAUGES, "gauge"), (COUNTERS, "counter")] {
        for (field, name) in names {
            if let Some(value) = fields.get(field).and_then(|text| number(text)) {
                page.add(name, kind, &[], value);
            }
        }
    }
    add_derived(&mut page, &fields);
    add_keyspace(&mut page, &fields, looked.databases);
    add_commands(&mut page, &fields);
    add_replicas(&mut page, &fields);
    if let Some(length) = looked.slow_length {
        page.gauge("slowlog_length", length as f64);
    }
    if looked.slow_length.is_some() {
        let (id, seconds) = looked
            .last_slow
            .as_ref()
            .map_or((0, 0.0), |slow| (slow.id, slow.seconds()));
        page.gauge("slowlog_last_id", id as f64);
        page.gauge("last_slow_execution_duration_seconds", seconds);
    }
    page.print()
}

/// Reads a number; `ok` and `err` are 1 and 0.
fn number(text: &str) -> Option<f64> {
    match text {
        "ok" => Some(1.0),
        "err" | "fail" => Some(0.0),
        text => text.parse().ok(),
    }
}

/// Values that stand in no single field.
fn add_derived(page: &mut Page, fields: &HashMap<&str, &str>) {
    let value = |field: &str| fields.get(field).and_then(|text| number(text));
    if let Some(microseconds) = value("latest_fork_usec") {
        page.gauge("latest_fork_seconds", microseconds / 1e6);
    }
    if let (Some(now), Some(up)) = (value("server_time_usec"), value("uptime_in_seconds")) {
        page.gauge("start_time_seconds", (now / 1e6 - up).floor());
    }
    let text = |field: &str| fields.get(field).copied().unwrap_or_default();
    let labels = [
        ("role", "role"),
        ("redis_version", "redis_version"),
        ("redis_build_id", "redis_build_id"),
        ("redis_mode", "redis_mode"),
        ("os", "os"),
        ("maxmemory_policy", "maxmemory_policy"),
        ("tcp_port", "tcp_port"),
        ("run_id", "run_id"),
        ("process_id", "process_id"),
    ]
    .map(|(label, field)| (label, text(field)));
    page.add("instance_info", "gauge", &labels, 1.0);
    if text("role") == "slave" {
        let from = [
            ("master_host", text("master_host")),
            ("master_port", text("master_port")),
        ];
        let is_up = f64::from(u8::from(text("master_link_status") == "up"));
        page.add("master_link_up", "gauge", &from, is_up);
        let is_syncing = value("master_sync_in_progress").unwrap_or_default();
        page.add("master_sync_in_progress", "gauge", &from, is_syncing);
        for (field, name) in [
            ("master_last_io_seconds_ago", "master_last_io_seconds_ago"),
            ("slave_repl_offset", "slave_repl_offset"),
        ] {
            if let Some(value) = value(field) {
                page.add(name, "gauge", &from, value);
            }
        }
    }
}

/// Reads `keys=1,expires=0,…`.
fn parts(text: &str) -> HashMap<&str, &str> {
    text.split(',')
        .filter_map(|part| part.split_once('='))
        .collect()
}

/// Keys of each database; an empty one has no line in `INFO`, and 0 keys.
fn add_keyspace(page: &mut Page, fields: &HashMap<&str, &str>, databases: Option<u32>) {
    let in_info = fields
        .keys()
        .filter_map(|field| field.strip_prefix("db")?.parse::<u32>().ok());
    let mut all: BTreeSet<u32> = in_info.collect();
    let behind_last = all.last().map_or(0, |last| last.saturating_add(1));
    let count = databases.unwrap_or_default().max(behind_last);
    all.extend(0..count.min(MAX_EMPTY_DATABASES));
    for at in all {
        let name = format!("db{at}");
        let held = fields
            .get(name.as_str())
            .map(|text| parts(text))
            .unwrap_or_default();
        let value = |part: &str| {
            held.get(part)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0)
        };
        let label = [("db", name.as_str())];
        page.add("db_keys", "gauge", &label, value("keys"));
        page.add("db_keys_expiring", "gauge", &label, value("expires"));
        if !held.is_empty() {
            page.add(
                "db_avg_ttl_seconds",
                "gauge",
                &label,
                value("avg_ttl") / 1e3,
            );
        }
    }
}

/// Calls and time of each command, and the errors by their codes.
fn add_commands(page: &mut Page, fields: &HashMap<&str, &str>) {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable();
    for (field, text) in sorted {
        if let Some(command) = field.strip_prefix("cmdstat_") {
            let of = parts(text);
            let value = |part: &str| of.get(part).and_then(|text| text.parse::<f64>().ok());
            let label = [("cmd", command)];
            for (part, name, scale) in [
                ("calls", "commands_total", 1.0),
                ("usec", "commands_duration_seconds_total", 1e-6),
                ("rejected_calls", "commands_rejected_calls_total", 1.0),
                ("failed_calls", "commands_failed_calls_total", 1.0),
            ] {
                if let Some(value) = value(part) {
                    page.add(name, "counter", &label, value * scale);
                }
            }
        } else if let Some(code) = field.strip_prefix("errorstat_") {
            let count = parts(text)
                .get("count")
                .and_then(|count| count.parse().ok());
            page.add(
                "errors_total",
                "counter",
                &[("err", code)],
                count.unwrap_or(0.0),
            );
        }
    }
}

/// Replicas of a primary: `slave0:ip=…,port=…,state=…,offset=…,lag=…`.
fn add_replicas(page: &mut Page, fields: &HashMap<&str, &str>) {
    for at in 0.. {
        let Some(text) = fields.get(format!("slave{at}").as_str()) else {
            return;
        };
        let of = parts(text);
        let part = |name: &str| of.get(name).copied().unwrap_or_default();
        let labels = [
            ("slave_ip", part("ip")),
            ("slave_port", part("port")),
            ("slave_state", part("state")),
        ];
        let value = |name: &str| part(name).parse().unwrap_or(0.0);
        page.add(
            "connected_slave_offset_bytes",
            "gauge",
            &labels,
            value("offset"),
        );
        page.add(
            "connected_slave_lag_seconds",
            "gauge",
            &labels,
            value("lag"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(info: &str) -> String {
        render(&Looked {
            info: info.to_owned(),
            databases: Some(2),
            last_slow: None,
            slow_length: Some(0),
        })
    }

    #[test]
    fn fields_are_metrics_under_their_known_names() {
        let page = page(
            "# Memory\r\nused_memory:1024\r\ntotal_commands_processed:7\r\naof_last_write_status:ok\r\n\
             db1:keys=3,expires=1,avg_ttl=1500\r\ncmdstat_get:calls=2,usec=9,rejected_calls=0,failed_calls=1\r\n\
             errorstat_ERR:count=4\r\nslave0:ip=10.0.0.1,port=1,state=online,offset=5,lag=1\r\nrole:master\r\n",
        );
        for line in [
            "# TYPE redis_memory_used_bytes gauge",
            "redis_memory_used_bytes 1024",
            "# TYPE redis_commands_processed_total counter",
            "redis_commands_processed_total 7",
            "redis_aof_last_write_status 1",
            "redis_db_keys{db=\"db0\"} 0",
            "redis_db_keys{db=\"db1\"} 3",
            "redis_db_avg_ttl_seconds{db=\"db1\"} 1.5",
            "redis_commands_total{cmd=\"get\"} 2",
            "redis_commands_failed_calls_total{cmd=\"get\"} 1",
            "redis_errors_total{err=\"ERR\"} 4",
            "redis_connected_slave_lag_seconds{slave_ip=\"10.0.0.1\",slave_port=\"1\",slave_state=\"online\"} 1",
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\n{page}");
        }
    }

    #[test]
    fn a_server_cannot_have_us_write_a_line_for_each_of_four_billion_databases() {
        let page = page("db4294967295:keys=1,expires=0\r\nrole:master\r\n");
        assert!(page.contains("redis_db_keys{db=\"db4294967295\"} 1\n"));
        let num_lines = page.matches("redis_db_keys{").count();
        assert_eq!(num_lines, MAX_EMPTY_DATABASES as usize + 1);
    }

    #[test]
    fn labels_cannot_break_the_page() {
        let page = page("os:a\"b\\c\r\nrole:master\r\n");
        assert!(page.contains("os=\"a\\\"b\\\\c\""), "{page}");
    }
}
