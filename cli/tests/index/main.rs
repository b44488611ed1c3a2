//! `gleaner index` as users run it, against a small server of the dialect that misbehaves on demand.

mod faults;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use server::{Reply, Server};

/// A folder with what a load needs.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    /// Writes `count` documents without ids, `{"n": 0}` and on.
    fn numbered(&self, name: &str, count: usize) -> PathBuf {
        let lines: String = (0..count).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        self.write(name, lines)
    }
}

fn gleaner(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
    command
        .args(["index", "--url", &server.url(), "--index", "books"])
        .args(arguments);
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// Runs the load and returns its exit code, with all it said for messages.
fn load(server: &Server, arguments: &[&str], files: &[&Path]) -> (i32, String) {
    let output = gleaner(server, arguments)
        .args(files)
        .output()
        .expect("it runs");
    told(&output)
}

fn told(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Returns the numbers `n` of all documents the server holds, sorted.
fn numbers(server: &Server) -> Vec<u64> {
    let mut numbers: Vec<u64> = server
        .documents()
        .values()
        .map(|document| document["n"].as_u64().expect("n"))
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn every_layout_is_loaded_plain_and_packed() {
    let (server, desk) = (Server::start(), Desk::new());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"{\"k\":\"a\",\"n\":1}\n").expect("to memory");
    let files = [
        desk.write("a.ndjson.gz", gzip.finish().expect("to memory")),
        desk.write(
            "b.json",
            "[{\"k\":\"b\",\n\"n\":2},\n{\"k\":\"c\",\"n\":3}]",
        ),
        desk.write("c.csv", "k,n\nd,4\n"),
        desk.write("d.tsv", "k\tn\ne\t5\n"),
    ];
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (code, said) = load(&server, &["--id-field", "k"], &files);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("indexed 5 documents"), "{said}");
    let ids: Vec<String> = server.documents().into_keys().collect();
    assert_eq!(ids, ["a", "b", "c", "d", "e"]);
    assert_eq!(server.documents()["b"], json!({"k": "b", "n": 2}));
    assert_eq!(server.num_refreshes(), 1);
}

#[test]
fn bulk_files_are_done_as_they_say() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.write(
        "a.bulk",
        "{\"index\":{\"_id\":\"1\"}}\n{\"n\":1}\n{\"create\":{\"_id\":\"2\",\"routing\":\"r\"}}\n\
         {\"n\":2}\n{\"delete\":{\"_id\":\"1\"}}\n{\"delete\":{\"_id\":\"absent\"}}\n",
    );
    let (code, said) = load(&server, &["--parallel", "1"], &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), [2]);
    let (code, said) = load(&server, &["--id-field", "k"], &[&file]);
    assert_eq!(code, 1);
    assert!(said.contains("leave out --id-field"), "{said}");
}

#[test]
fn busy_answers_are_tried_again_and_retry_after_is_honoured() {
    let (server, desk) = (Server::start(), Desk::new());
    server.reply_next([
        Reply::Status(429, Some(1)),
        Reply::Status(503, None),
        Reply::RejectEvery(3),
        Reply::Hang,
    ]);
    let file = desk.numbered("a.ndjson", 40);
    let arguments = ["--batch-docs", "10", "--parallel", "1"];
    let (code, said) = load(&server, &arguments, &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), (0..40).collect::<Vec<_>>());
    assert!(said.contains("will try again"), "{said}");
    let waited = server
        .shortest_wait_after_429()
        .expect("a request came again");
    assert!(waited.as_millis() >= 1_000, "{waited:?}");
    let sizes = server.request_sizes();
    assert!(
        sizes.contains(&4),
        "only the rejected 4 of 10 came again: {sizes:?}"
    );
}

#[test]
fn equal_batches_are_not_taken_for_one_sent_again() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.write("a.ndjson", "{\"n\":1}\n{\"n\":2}\n".repeat(3));
    let other = desk.write("b.ndjson", "{\"n\":1}\n{\"n\":2}\n");
    let (code, said) = load(&server, &["--batch-docs", "2"], &[&file, &other]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), [1, 1, 1, 1, 2, 2, 2, 2]);
}

#[test]
fn only_what_was_written_is_refreshed() {
    let (server, desk) = (Server::start(), Desk::new());
    let header = desk.write("header.csv", "a,b\n");
    let (code, said) = load(&server, &[], &[&header]);
    assert_eq!((code, server.refreshed()), (0, Vec::new()), "{said}");
    let refused = desk.write("bad.ndjson", "{\"bad\":true}\n");
    let (code, said) = load(&server, &[], &[&refused]);
    assert_eq!((code, server.refreshed()), (3, Vec::new()), "{said}");
    let elsewhere = desk.write("a.bulk", "{\"index\":{\"_index\":\"other\"}}\n{\"n\":1}\n");
    let (code, said) = load(&server, &[], &[&elsewhere]);
    assert_eq!(
        (code, server.refreshed()),
        (0, vec!["other".to_owned()]),
        "{said}"
    );
}

#[test]
fn a_lost_answer_does_not_double_documents() {
    let (server, desk) = (Server::start(), Desk::new());
    server.reply_next([Reply::ApplyAndHang]);
    let file = desk.numbered("a.ndjson", 5);
    let (code, said) = load(&server, &[], &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        numbers(&server),
        [0, 1, 2, 3, 4],
        "ids were chosen by the server"
    );
    let keys = server.idempotency_keys();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn refused_documents_go_to_the_dead_letter_file() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.write(
        "a.ndjson",
        "{\"n\":1}\n{\"bad\":true}\nnot json\n{\"n\":2}\n",
    );
    let dead = desk.path("dead.ndjson");
    let dead_name = dead.to_str().expect("a name");
    let (code, said) = load(&server, &["--dead-letter", dead_name], &[&file]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(numbers(&server), [1, 2]);
    let letters: Vec<Value> = fs::read_to_string(&dead)
        .expect("letters")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0]["position"], 1);
    assert_eq!(letters[0]["document"], json!({"bad": true}));
    assert!(
        letters[0]["reason"]
            .as_str()
            .expect("text")
            .contains("mapper_parsing_exception")
    );
    assert_eq!(letters[1]["position"], 2);
    assert!(letters[1].get("document").is_none());
    assert_eq!(letters[1]["raw"], "not json");
}

#[test]
fn what_a_load_writes_is_neither_read_nor_emptied() {
    let (server, desk) = (Server::start(), Desk::new());
    let text = "{\"n\":1}\n{\"bad\":true}\n";
    let file = desk.write("a.ndjson", text);
    let link = desk.path("link.ndjson");
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    for flag in ["--dead-letter", "--checkpoint"] {
        for own in [&file, &link] {
            let (code, said) = load(&server, &[flag, own.to_str().expect("a name")], &[&file]);
            assert_eq!(code, 1, "{said}");
            assert!(said.contains("is an input"), "{said}");
            assert_eq!(fs::read_to_string(&file).expect("whole"), text);
        }
    }
    let dead = desk.write("dead.ndjson", "{\"n\":7}\n");
    let dead_name = dead.to_str().expect("a name");
    fs::remove_file(&link).expect("removed");
    let folder = desk.folder.path();
    let (code, said) = load(&server, &["--dead-letter", dead_name], &[folder]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(numbers(&server), [1], "letters are not loaded");
    let letters = fs::read_to_string(&dead).expect("letters");
    assert!(letters.starts_with("{\"n\":7}\n"), "{letters}");
    assert_eq!(letters.lines().count(), 2);
}

#[test]
fn an_interrupted_load_goes_on_without_losing_or_doubling() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 100);
    let checkpoint = desk.path("load.checkpoint");
    let checkpoint = checkpoint.to_str().expect("a name");
    let arguments = [
        "--checkpoint",
        checkpoint,
        "--batch-docs",
        "10",
        "--parallel",
        "3",
    ];
    // The server applies some, loses an answer, then refuses all further requests for good.
    server.reply_next([
        Reply::Normal,
        Reply::Normal,
        Reply::ApplyAndHang,
        Reply::Normal,
    ]);
    server.reply_always(Reply::Status(403, None));
    let (code, said) = load(&server, &arguments, &[&file]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the load stopped"), "{said}");
    let before = numbers(&server).len();
    assert!((1..100).contains(&before), "{before}");

    server.reply_always(Reply::Normal);
    let (code, said) = load(&server, &arguments, &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), (0..100).collect::<Vec<_>>());

    let num_requests = server.request_sizes().len();
    let (code, said) = load(&server, &arguments, &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        server.request_sizes().len(),
        num_requests,
        "nothing is sent a third time"
    );
}

fn interrupt(child: &Child) {
    let process = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &process]).status();
    assert!(killed.expect("kill runs").success());
}

#[test]
fn sigint_ends_a_refresh_that_gets_no_answer() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 3);
    server.hold_refreshes();
    let child = gleaner(&server, &["--timeout", "100000"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    server.wait_for_refresh();
    interrupt(&child);
    let (code, said) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("before the refresh"), "{said}");
    assert_eq!(numbers(&server), [0, 1, 2]);
}

/// A load whose standard output and error nobody reads: `gleaner index … 2>&1 | true`.
#[test]
fn how_a_load_ended_is_told_though_nobody_listens() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.write("a.ndjson", "{\"n\":1}\n{\"bad\":true}\n");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = gleaner(&server, &[])
        .arg(&file)
        .stdout(writer.try_clone().expect("a second end"))
        .stderr(writer)
        .status();
    assert_eq!(status.expect("it runs").code(), Some(3));
    assert_eq!(numbers(&server), [1]);
}

#[test]
fn sigint_ends_a_load_with_a_checkpoint_and_130() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 60);
    let checkpoint = desk.path("load.checkpoint");
    let checkpoint = checkpoint.to_str().expect("a name");
    let arguments = [
        "--checkpoint",
        checkpoint,
        "--batch-docs",
        "10",
        "--parallel",
        "1",
    ];
    server.reply_next([Reply::Normal, Reply::Normal]);
    server.reply_always(Reply::Status(503, None));
    let child = gleaner(&server, &arguments)
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    server.wait_for_requests(3);
    interrupt(&child);
    let (code, said) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 130, "{said}");
    assert_eq!(
        numbers(&server),
        (0..20).collect::<Vec<_>>(),
        "nobody waits for a busy server any more"
    );
    server.reply_always(Reply::Normal);
    let (code, said) = load(&server, &arguments, &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), (0..60).collect::<Vec<_>>());
}

#[test]
fn a_second_load_on_one_checkpoint_ends_at_once() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 3);
    let checkpoint = desk.path("load.checkpoint");
    let checkpoint = checkpoint.to_str().expect("a name");
    let flags = ["--no-refresh", "--checkpoint", checkpoint];
    server.hold_refreshes();
    let mut first = gleaner(&server, &flags[1..])
        .args(["--timeout", "100000"])
        .arg(&file)
        .spawn()
        .expect("it runs");
    server.wait_for_refresh();
    let (code, said) = load(&server, &flags, &[&file]);
    assert_eq!(code, 1, "{said}");
    let id = first.id();
    let held = format!("`{checkpoint}` is in use by another load (process {id})");
    assert!(said.contains(&held), "{said}");
    interrupt(&first);
    assert_eq!(first.wait().expect("it ends").code(), Some(130));
    let (code, said) = load(&server, &flags, &[&file]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn too_large_requests_are_split() {
    let (server, desk) = (Server::start(), Desk::new());
    server.limit_body(64);
    let file = desk.write(
        "a.ndjson",
        format!(
            "{{\"n\":1}}\n{{\"n\":2}}\n{{\"n\":3}}\n{{\"n\":4,\"x\":\"{}\"}}\n",
            "x".repeat(99)
        ),
    );
    let (code, said) = load(&server, &[], &[&file]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(numbers(&server), [1, 2, 3]);
    assert!(said.contains("document 3"), "{said}");
}

#[test]
fn an_index_is_made_once_and_a_wrong_mapping_stops_the_load() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 1);
    let mapping = desk.write("mapping.json", "{\"mappings\": {}}");
    let mapping = mapping.to_str().expect("a name");
    for _ in 0..2 {
        let (code, said) = load(&server, &["--create-mapping", mapping], &[&file]);
        assert_eq!(code, 0, "{said}");
    }
    let broken = desk.write("broken.json", "{");
    let (code, said) = load(
        &server,
        &["--create-mapping", broken.to_str().expect("a name")],
        &[&file],
    );
    assert_eq!(code, 1);
    assert!(said.contains("is not JSON"), "{said}");
}

#[test]
fn usage_and_connection_faults_exit_with_1() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 1);
    let (code, said) = load(&server, &["--format", "xml"], &[&file]);
    assert_eq!(code, 1, "{said}");
    let (code, said) = load(&server, &["--checkpoint", "x"], &[Path::new("-")]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot be read again"), "{said}");
    let address = server.url();
    drop(server);
    let output = Command::new(env!("CARGO_BIN_EXE_gleaner"))
        .args(["index", "--url", &address, "--index", "books"])
        .arg(&file)
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 1);
    assert!(said.contains("no server answers"), "{said}");
}

/// `gleaner index <(…)`: the shell names a pipe, here that of standard input.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_with_a_name_is_read_once_and_so_not_with_a_checkpoint() {
    let (server, desk) = (Server::start(), Desk::new());
    let checkpoint = desk.path("load.checkpoint");
    let checkpoint = checkpoint.to_str().expect("a name");
    let from_pipe = |flags: &[&str]| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        // Fewer bytes than a pipe holds.
        std::io::Write::write_all(&mut writer, b"{\"n\":1}\n{\"n\":2}\n").expect("room");
        drop(writer);
        let mut command = gleaner(&server, &["--format", "ndjson", "/dev/stdin"]);
        told(&command.args(flags).stdin(reader).output().expect("it runs"))
    };
    let (code, said) = from_pipe(&["--checkpoint", checkpoint]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("`/dev/stdin` cannot be read again"), "{said}");
    let (code, said) = from_pipe(&["--dead-letter", "/dev/null"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), [1, 2]);
}

#[test]
fn a_server_on_this_machine_is_reached_without_a_proxy() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 2);
    let output = gleaner(&server, &[])
        .env("http_proxy", "http://127.0.0.1:1")
        .env_remove("no_proxy")
        .arg(&file)
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn credentials_and_headers_reach_the_server() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.numbered("a.ndjson", 1);
    let arguments = ["--api-key", "c2VjcmV0", "--header", "X-Opaque-Id: me"];
    let (code, said) = load(&server, &arguments, &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        server.last_header("authorization").as_deref(),
        Some("ApiKey c2VjcmV0")
    );
    assert_eq!(server.last_header("x-opaque-id").as_deref(), Some("me"));
}
