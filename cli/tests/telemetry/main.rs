//! What operators see of requests, over real sockets: the access log, the slow log, spans at a collector, `gleaner top`
//! and `gleaner cluster status`.

mod collector;
mod counted;
mod members;
#[path = "../secure/running.rs"]
#[expect(dead_code, reason = "shared with the tests of secure clusters")]
mod running;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use collector::{Collector, Kind, Span};
use running::{PATIENCE, Running, gleaner, told};

/// The context of a client that records its trace.
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Asks with curl; returns the body.
fn curl(words: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-s", "--noproxy", "*", "--max-time", "60"])
        .args(["-H", "Content-Type: application/json"])
        .args(words)
        .output();
    told(&output.expect("curl runs")).1
}

/// Waits until `found` returns something.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{what} did not come");
}

/// Returns the lines of a log, once there are so many.
fn lines_of(path: &Path, num_lines: usize) -> Vec<Value> {
    until(&format!("{num_lines} lines of {}", path.display()), || {
        let text = fs::read_to_string(path).ok()?;
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines: Vec<Value> = lines.collect();
        (lines.len() >= num_lines).then_some(lines)
    })
}

fn serve(data: &Path, flags: &[&str]) -> (Running, String) {
    let data = data.to_str().expect("a path");
    let words = [&["serve", "--listen", "127.0.0.1:0", "--data", data], flags].concat();
    let served = Running::start(&words);
    let url = format!("http://{}", served.address());
    (served, url)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[test]
fn each_request_is_one_line_and_logs_are_opened_anew_at_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (access, slow) = (folder.path().join("access"), folder.path().join("slow"));
    let flags = ["--access-log", text(&access), "--slow-log", text(&slow)];
    let (served, url) = serve(&folder.path().join("data"), &flags);
    let settings =
        r#"{"settings":{"number_of_shards":3,"index.search.slowlog.threshold.query.warn":"0ms"}}"#;
    curl(&["-X", "PUT", "-d", settings, &format!("{url}/notes")]);
    let document = format!("{url}/notes/_doc/1?refresh=true");
    curl(&["-X", "POST", "-d", r#"{"a":"tea"}"#, &document]);
    let search = format!("{url}/notes/_search");
    let body = r#"{"query":{"match":{"a":"tea"}}}"#;
    for _ in 0..2 {
        let found = curl(&["-X", "POST", "-d", body, "-H", "X-Opaque-Id: mine", &search]);
        assert!(found.contains("\"_id\":\"1\""), "{found}");
    }
    curl(&[
        "-H",
        "Authorization: ApiKey c2VjcmV0OnNlY3JldA==",
        &format!("{url}/no/such/path?q=%0a"),
    ]);
    curl(&[&format!("{url}/_health/ready")]);

    let lines = lines_of(&access, 5);
    assert_eq!(lines.len(), 5, "probes have none: {lines:?}");
    let routes: Vec<_> = lines.iter().map(|line| line["route"].as_str()).collect();
    let named = [
        Some("indices.create"),
        Some("index"),
        Some("search"),
        Some("search"),
        None,
    ];
    assert_eq!(routes, named);
    let [_, _, first, second, unknown] = &lines[..] else {
        panic!("five of them");
    };
    assert_eq!(
        (&first["index"], &first["http.status"]),
        (&"notes".into(), &200.into())
    );
    assert_eq!(first["shards"]["total"], 3, "{first}");
    assert_eq!(first["cache"], "miss");
    assert_eq!(second["cache"], "hit", "{second}");
    assert_eq!(first["query_key"], second["query_key"]);
    assert_eq!(first["query_key"].as_str().map(str::len), Some(8));
    assert_eq!(first["opaque_id"], "mine");
    assert_eq!(first["client.address"], "127.0.0.1");
    assert!(first["http.bytes"].as_u64() > Some(50) && first["took_ms"].as_f64() > Some(0.0));
    assert_eq!(unknown["http.status"], 400);
    assert_eq!(unknown["url.query"], "q=%0a");
    assert!(
        !fs::read_to_string(&access)
            .expect("a file")
            .contains("c2VjcmV0"),
        "a secret"
    );

    let slow_lines = lines_of(&slow, 1);
    assert_eq!(slow_lines[0]["message"], "slow search", "{slow_lines:?}");
    assert_eq!(slow_lines[0]["threshold"], "warn");
    assert_eq!(slow_lines[0]["query_key"], first["query_key"]);
    assert_eq!(slow_lines[0]["trace_id"], first["trace.id"]);

    let old = folder.path().join("access.1");
    fs::rename(&access, &old).expect("moved");
    let page: Value = serde_json::from_str(&curl(&[&format!("{url}/topz")])).expect("JSON");
    let pid = page["process"]["pid"].as_u64().expect("a number");
    running::signal(u32::try_from(pid).expect("a process"), "-USR1");
    until("a new log", || access.exists().then_some(()));
    curl(&[&url]);
    assert_eq!(lines_of(&access, 1)[0]["route"], "info");
    assert_eq!(lines_of(&old, 5).len(), 5);
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_slow_log_alone_has_all_its_lines_with_their_traces_whatever_the_log_lets_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = folder.path().join("slow");
    let data = folder.path().join("data");
    let words = ["serve", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let flags = ["--log", "warn", "--slow-log", text(&slow)];
    let served = Running::start(&[&words[..], &flags].concat());
    let url = url_in(&served.until("http://"));
    let settings = r#"{"settings":{"index.search.slowlog.threshold.query.info":"0ms"}}"#;
    curl(&["-X", "PUT", "-d", settings, &format!("{url}/notes")]);
    let traced = format!("traceparent: {TRACEPARENT}");
    let found = curl(&["-H", &traced, &format!("{url}/notes/_search?q=tea")]);
    assert!(found.contains("\"hits\""), "{found}");
    let line = lines_of(&slow, 1).remove(0);
    assert_eq!(line["threshold"], "info", "{line}");
    assert_eq!(line["trace_id"], TRACEPARENT[3..35], "{line}");
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_signal_at_which_logs_are_opened_anew_ends_no_command() -> anyhow::Result<()> {
    if !etcd::is_installed() {
        let test = "telemetry::the_signal_at_which_logs_are_opened_anew_ends_no_command";
        return skipped(test, etcd::NO_ETCD);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("cluster");
    let listen = ["--listen", "127.0.0.1:0"];
    let up = ["cluster", "up", "--data", text(&data)];
    let cluster = Running::start(&[&up[..], &listen].concat());
    cluster.until("http://");
    let front = ["front", "--backend", "http://127.0.0.1:1"];
    let front = Running::start(&[&front[..], &listen].concat());
    front.until("serving");
    let companion = ["ambassador", "tcp", "--to", "127.0.0.1:1"];
    let companion = Running::start(&[&companion[..], &listen].concat());
    companion.until("serving");
    for command in [cluster, front, companion] {
        command.signal("-USR1");
        assert_eq!(command.stop(), 0);
    }
    Ok(())
}

#[test]
fn a_view_that_waits_for_nodes_ends_when_it_is_asked_to() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let top = Running::start(&["top", "--url", &url]);
    let (_asked, _) = silent.accept().expect("it asks");
    assert_eq!(top.stop(), 0);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let refused = |flags: &[&str]| {
        let data = text(&data);
        let words = [&["serve", "--listen", "127.0.0.1:0", "--data", data], flags].concat();
        let (code, said) = told(&gleaner().args(words).output().expect("it runs"));
        assert_eq!(code, 1, "{said}");
        said
    };
    assert!(refused(&["--access-log", "/no/such/folder/log"]).contains("/no/such/folder/log"));
    assert!(refused(&["--otlp-endpoint", "ftp://x"]).contains("`otlp_endpoint`"));
    assert!(refused(&["--trace-share", "1.5"]).contains("`trace_share` is 1.5"));
}

/// Checks that all spans are of one tree below the client's span; returns them by their numbers.
fn tree(spans: &[Span]) -> BTreeMap<u64, &Span> {
    let by_id: BTreeMap<u64, &Span> = spans.iter().map(|span| (span.id, span)).collect();
    assert_eq!(by_id.len(), spans.len(), "numbers are used once");
    for span in spans {
        let parent = by_id.get(&span.parent);
        assert!(
            span.parent == 0x00f0_67aa_0ba9_02b7 || parent.is_some(),
            "{span:?} is below nothing of {spans:#?}"
        );
        assert!(span.ended >= span.started, "{span:?}");
    }
    let at_top = spans
        .iter()
        .filter(|span| !by_id.contains_key(&span.parent));
    assert_eq!(at_top.count(), 1, "one is below the client's: {spans:#?}");
    by_id
}

/// Starts a cluster of a front, a root and two leaves that tell `collector` of everything; returns where clients go.
fn cluster(collector: &Collector, data: &Path) -> (Running, String) {
    let cluster = Running::start(&[
        "cluster",
        "up",
        "--leaves",
        "2",
        "--fronts",
        "1",
        "--listen",
        "127.0.0.1:0",
        "--access-logs",
        "--otlp-endpoint",
        collector.url(),
        "--data",
        text(data),
    ]);
    let url = url_in(&cluster.until("http://"));
    (cluster, url)
}

/// Returns the address in a line.
fn url_in(line: &str) -> String {
    let address = line.split("http://").nth(1).expect("an address");
    let is_of_address = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    let end = address.find(|c| !is_of_address(c)).unwrap_or(address.len());
    format!("http://{}", &address[..end])
}

/// Makes an index of four shards with eight documents.
fn load(url: &str) {
    let settings = r#"{"settings":{"number_of_shards":4,"number_of_replicas":0}}"#;
    let made = curl(&["-X", "PUT", "-d", settings, &format!("{url}/notes")]);
    assert!(made.contains("\"acknowledged\":true"), "{made}");
    for number in 0..8 {
        let document = format!("{url}/notes/_doc/{number}?refresh=true");
        curl(&["-X", "PUT", "-d", r#"{"a":"tea"}"#, &document]);
    }
}

#[test]
fn a_search_through_front_root_and_leaves_is_one_tree_below_the_clients_span() -> anyhow::Result<()>
{
    if !etcd::is_installed() {
        let test =
            "telemetry::a_search_through_front_root_and_leaves_is_one_tree_below_the_clients_span";
        return skipped(test, etcd::NO_ETCD);
    }
    let collector = Collector::start();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("cluster");
    let (cluster, url) = cluster(&collector, &data);
    load(&url);
    let traced = format!("traceparent: {TRACEPARENT}");
    let body = r#"{"query":{"match":{"a":"tea"}}}"#;
    let search = format!("{url}/notes/_search");
    let found = curl(&["-X", "POST", "-H", &traced, "-d", body, &search]);
    assert!(found.contains("\"value\":8"), "{found}");

    // The requests of the front and the root, the calls of both leaves, and their answers.
    let is_whole = |spans: &[Span]| {
        let num_of = |name: &str| spans.iter().filter(|span| span.name == name).count();
        num_of("POST search") == 2 && num_of("leaf search") == 2 && num_of("leaf fetch") >= 1
    };
    let spans = until("the spans of a search", || {
        let spans = collector.spans_of(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        is_whole(&spans).then_some(spans)
    });
    let by_id = tree(&spans);
    let expected = [
        "leaf call",
        "query phase",
        "search",
        "POST search",
        "forward",
        "POST search",
    ];
    assert_eq!(above("leaf search", &spans, &by_id), expected);
    let above_fetch = above("leaf fetch", &spans, &by_id);
    assert!(above_fetch.contains(&"fetch phase"), "{spans:#?}");
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let services: Vec<&str> = services.into_iter().collect();
    assert_eq!(services, ["gleaner-front", "gleaner-leaf", "gleaner-root"]);
    let is_forward = |span: &Span| span.kind == Kind::Client && span.name == "forward";
    assert!(spans.iter().any(is_forward));
    check_lines(&data);
    status_and_top(&url);
    assert_eq!(cluster.stop(), 0);
    Ok(())
}

/// Returns the names of the spans above the first one of this name.
fn above<'a>(name: &str, spans: &'a [Span], by_id: &BTreeMap<u64, &'a Span>) -> Vec<&'a str> {
    let mut of_name = spans.iter().filter(|span| span.name == name);
    let mut span = of_name.next().expect("it is there");
    let mut names = Vec::new();
    while let Some(parent) = by_id.get(&span.parent) {
        names.push(parent.name.as_str());
        span = parent;
    }
    names
}

/// Checks that front and root tell of the traced search in the same way.
fn check_lines(data: &Path) {
    let [front, root] = ["front-1", "root-1"].map(|node| {
        let lines = lines_of(&data.join(format!("{node}.access.jsonl")), 10);
        let hex = &TRACEPARENT[3..35];
        let line = lines.iter().find(|line| line["trace.id"] == hex).cloned();
        line.unwrap_or_else(|| panic!("no line of the trace: {lines:?}"))
    });
    assert_eq!(root["shards"]["total"], 4, "{root}");
    assert_eq!(
        (&front["route"], &root["route"]),
        (&"search".into(), &"search".into())
    );
    assert_eq!(front["query_key"], root["query_key"]);
    let backend = front["backend"].as_str();
    assert!(
        backend.is_some_and(|backend| backend.starts_with("http://")),
        "{front}"
    );
    let of_leaf = data.join("leaf-1.access.jsonl");
    assert!(!of_leaf.exists(), "no client asks a leaf");
}

/// Both commands, on a cluster that is green.
fn status_and_top(url: &str) {
    let (code, said) = told(
        &gleaner()
            .args(["cluster", "status", "--url", url])
            .output()
            .expect("it runs"),
    );
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("green") && said.contains("leaf-2"), "{said}");
    let words = ["cluster", "status", "--json", "--url", url];
    let output = gleaner().args(words).output().expect("it runs");
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let shards = status["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 4, "{status}");
    assert!(
        shards
            .iter()
            .all(|shard| shard["in_sync"][0] == shard["primary"]),
        "{status}"
    );
    let (code, said) = told(
        &gleaner()
            .args(["top", "--once", "--url", url])
            .output()
            .expect("it runs"),
    );
    assert_eq!(code, 0, "{said}");
    for wanted in ["leaf-1", "leaf-2", "root-1", "search notes", "CPU%"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(
        !said.contains('\x1b'),
        "no colours where there is no terminal: {said}"
    );
}

#[test]
fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = [
        "--otlp-endpoint",
        "http://127.0.0.1:1",
        "--trace-share",
        "1",
    ];
    let (served, url) = serve(&folder.path().join("data"), &flags);
    for _ in 0..10 {
        assert!(curl(&[&url]).contains("cluster_name"));
    }
    until("dropped spans", || {
        let metrics = curl(&[&format!("{url}/metrics")]);
        let mut lines = metrics.lines();
        let dropped = "gleaner_spans_dropped_total{reason=\"collector\"} ";
        let dropped = lines.find_map(|line| line.strip_prefix(dropped))?;
        (dropped.parse::<f64>().ok()? >= 10.0).then_some(())
    });
    assert_eq!(served.stop(), 0);
}

#[test]
fn an_index_whose_replicas_have_no_place_is_yellow_by_the_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let (served, url) = serve(&folder.path().join("data"), &[]);
    let settings = r#"{"settings":{"number_of_replicas":1}}"#;
    curl(&["-X", "PUT", "-d", settings, &format!("{url}/notes")]);
    let (code, said) = told(
        &gleaner()
            .args(["cluster", "status", "--url", &url])
            .output()
            .expect("it runs"),
    );
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("yellow") && said.contains("unassigned"),
        "{said}"
    );
    let page: Value = serde_json::from_str(&curl(&[&format!("{url}/topz")])).expect("JSON");
    assert!(page["process"]["threads"].as_u64() > Some(1), "{page}");
    assert_eq!(served.stop(), 0);
    let (code, said) = told(
        &gleaner()
            .args(["cluster", "status", "--url", &url])
            .output()
            .expect("it runs"),
    );
    assert_eq!(code, 1, "{said}");
}

#[test]
fn topz_shows_one_process_as_text_and_as_it_answers() {
    let topz = |words: &[&str]| {
        let output = gleaner().arg("topz").args(words).output();
        output.expect("it runs")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (served, url) = serve(&folder.path().join("data"), &[]);
    let (code, said) = told(&topz(&["--url", &url]));
    assert_eq!(code, 0, "{said}");
    for wanted in ["PROCESS", "threads", "cpu_percent", "resident_bytes"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(!said.contains('\x1b'), "no colours: {said}");
    let raw = topz(&["--json", "--url", &url]);
    let page: Value = serde_json::from_slice(&raw.stdout).expect("JSON");
    assert!(page["process"]["threads"].as_u64() > Some(1), "{page}");
    assert_eq!(served.stop(), 0);
    let (code, said) = told(&topz(&["--url", &url]));
    let port = url.rsplit(':').next().expect("a port");
    assert!(code == 1 && said.contains(port), "{said}");

    // A companion has the page at the address of its probes.
    let ambassador = ["ambassador", "tcp", "--to", "127.0.0.1:1"];
    let listen = ["--listen", "127.0.0.1:0", "--probe-listen", "127.0.0.1:0"];
    let companion = Running::start(&[&ambassador[..], &listen].concat());
    let probes = companion.address_in("answering probes");
    let (code, said) = told(&topz(&["--url", &probes]));
    assert!(code == 0 && said.starts_with("ambassador  "), "{said}");
    assert_eq!(companion.stop(), 0);
}
