//! `gleaner bench` as users run it, against a small server that stalls and refuses on demand.
//!
//! Latencies are only held against lower bounds that follow from the schedule, so a busy machine
//! cannot break a test.

mod server;

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use server::{Manner, Server};

/// What a run left behind.
struct Run {
    code: i32,
    said: String,
    /// `null` when there is none.
    report: Value,
    svg: String,
}

/// Runs `gleaner bench --warmup 0s` with these flags and two queries.
fn bench(server: &Server, flags: &[&str]) -> Run {
    bench_until(server, flags, |_| {})
}

/// Does the same, and something else while it runs.
fn bench_until(server: &Server, flags: &[&str], meanwhile: impl FnOnce(&Child)) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("queries"), "tide\n{\"query\": {\"match_all\": {}}}\n").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
    command
        .args(["bench", "--url", &server.url(), "--index", "books"])
        .args(["--warmup", "0s"])
        .args(flags)
        .arg("--queries")
        .arg(path("queries"))
        .arg("--json")
        .arg(path("report.json"))
        .arg("--svg")
        .arg(path("curve.svg"));
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it runs");
    meanwhile(&child);
    let output = child.wait_with_output().expect("it ends");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let report = fs::read(path("report.json")).unwrap_or_else(|_| b"null".to_vec());
    Run {
        code: output.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&said).into_owned(),
        report: serde_json::from_slice(&report).expect("JSON"),
        svg: fs::read_to_string(path("curve.svg")).unwrap_or_default(),
    }
}

impl Run {
    fn latency_ms(&self, from: &str, figure: &str) -> f64 {
        let figure = &self.report["latency_ms"][from][figure];
        figure.as_f64().unwrap_or_else(|| panic!("{}", self.said))
    }

    fn requests(&self, what: &str) -> u64 {
        let number = &self.report["requests"][what];
        number.as_u64().unwrap_or_else(|| panic!("{}", self.said))
    }
}

#[test]
fn every_request_of_the_schedule_is_sent_and_reported() {
    let server = Server::start(Manner::Normal);
    let run = bench(&server, &["--rate", "100", "--duration", "500ms"]);
    assert_eq!(run.code, 0, "{}", run.said);
    let counts = ["scheduled", "sent", "answered", "failed", "dropped"].map(|w| run.requests(w));
    assert_eq!(counts, [50, 50, 50, 0, 0]);
    assert_eq!(run.report["schema_version"], 1);
    assert_eq!(run.report["num_queries"], 2);
    assert!(run.said.contains("50 of 50 sent"), "{}", run.said);
    assert!(run.svg.starts_with("<svg") && run.svg.contains("<polyline"));
}

/// The server answers nobody until a request has arrived that a generator which waits would never
/// send: the run ends only because the loop is open.
#[test]
fn requests_go_out_on_schedule_while_the_server_stalls() {
    let stall = Manner::HoldUntil {
        first: 50,
        until: 150,
    };
    let server = Server::start(stall);
    let run = bench(&server, &["--rate", "100", "--duration", "2s"]);
    assert_eq!(run.code, 0, "{}", run.said);
    assert_eq!(run.requests("answered"), 200);
    // The first 20 of those held waited for at least 80 others, 10 ms apart.
    let p90 = run.latency_ms("from_intended", "p90");
    assert!(p90 >= 750.0, "{}", run.said);
    assert!(
        run.latency_ms("from_intended", "max") >= 980.0,
        "{}",
        run.said
    );
}

#[test]
fn requests_that_wait_for_a_connection_show_the_stall_as_well() {
    let stall = Manner::Stall {
        number: 10,
        time: Duration::from_millis(800),
    };
    let server = Server::start(stall);
    let run = bench(
        &server,
        &["--rate", "100", "--duration", "1s", "--connections", "1"],
    );
    assert_eq!(run.code, 0, "{}", run.said);
    assert_eq!(run.requests("answered"), 100);
    // Half of all were due in the first 500 ms of the stall or, sent after it, later still.
    let intended = run.latency_ms("from_intended", "p50");
    assert!(intended >= 280.0, "{}", run.said);
    // One request has seen the stall on the wire; the others only waited for it.
    assert!(run.latency_ms("from_send", "max") >= 800.0, "{}", run.said);
    assert!(
        run.latency_ms("from_send", "p50") < intended,
        "{}",
        run.said
    );
}

#[test]
fn what_exceeds_the_outstanding_is_dropped_and_told() {
    let server = Server::start(Manner::Silent { first: 1 });
    let flags = [
        "--rate",
        "100",
        "--duration",
        "500ms",
        "--max-outstanding",
        "5",
        "--timeout",
        "2",
    ];
    let run = bench(&server, &flags);
    let (sent, dropped) = (run.requests("sent"), run.requests("dropped"));
    assert_eq!((run.code, sent + dropped), (1, 50), "{}", run.said);
    assert_eq!(run.report["errors"]["timeout"], sent);
    assert!(
        dropped > 0 && run.said.contains("dropped: as many as"),
        "{}",
        run.said
    );
    assert!(run.report["latency_ms"]["from_intended"].is_null());
}

#[test]
fn refusals_and_partial_answers_are_counted_by_kind() {
    let server = Server::start(Manner::Mixed);
    let run = bench(&server, &["--rate", "300", "--duration", "300ms"]);
    assert_eq!(run.code, 3, "{}", run.said);
    let counts = ["answered", "failed", "timed_out", "partial"].map(|w| run.requests(w));
    assert_eq!(counts, [60, 30, 30, 30]);
    assert_eq!(run.report["errors"]["http_429"], 30);
    assert!(run.said.contains("30 × http_429"), "{}", run.said);
}

#[test]
fn a_first_query_that_is_refused_ends_the_command_before_the_run() {
    let server = Server::start(Manner::Missing);
    let run = bench(&server, &["--rate", "1", "--duration", "1h"]);
    assert_eq!(run.code, 1);
    assert!(
        run.said.contains("404: refused: as the test said"),
        "{}",
        run.said
    );
    assert!(run.report.is_null());
}

#[test]
fn an_interrupted_run_reports_what_it_has() {
    let server = Server::start(Manner::Silent { first: 11 });
    let flags = ["--rate", "100", "--duration", "1h"];
    let run = bench_until(&server, &flags, |child| {
        server.wait_for_searches(20);
        let id = child.id().to_string();
        let killed = Command::new("kill").args(["-INT", &id]).status();
        assert!(killed.expect("kill runs").success());
    });
    assert_eq!(run.code, 130, "{}", run.said);
    assert_eq!(run.report["is_interrupted"], true);
    let (answered, unfinished) = (run.requests("answered"), run.requests("unfinished"));
    assert_eq!(answered + unfinished, run.requests("sent"), "{}", run.said);
    assert!(answered <= 10 && unfinished >= 9, "{}", run.said);
}
