//! Lines of each format, as programs write them, and the records that they become.

use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Joiner, Level};

/// Returns the record of a line that is joined to no other.
fn single(line: &str) -> Joined {
    Joined::single(line).expect("the line is not blank")
}

pub(super) fn read(line: &str) -> (Record, Value) {
    let record = Format::Auto.read(&single(line));
    let object = record.to_json(None);
    (record, object)
}

#[test]
fn json_of_any_logger_is_read() {
    let (record, object) = read(
        r#"{"ts":1772368205.25,"level":"warning","msg":"slow","logger":"db","took_ms":7,"http":{"request":{"id":"a"}}}"#,
    );
    assert_eq!(record.format, "json");
    assert_eq!(object["@timestamp"], "2026-03-01T12:30:05.250Z");
    assert_eq!(object["log"], json!({"level": "warn", "logger": "db"}));
    assert_eq!(object["message"], "slow");
    assert_eq!(object["http"], json!({"request": {"id": "a"}}));
    assert_eq!(object["labels"], json!({"took_ms": 7}));
}

#[test]
fn logfmt_is_read_with_its_types() {
    let (record, object) =
        read(r#"time=2026-03-01T12:30:05Z level=error msg="it \"stops\"" port=80 up=true id=007"#);
    assert_eq!(record.format, "logfmt");
    assert_eq!(record.level, Some(Level::Error));
    assert_eq!(record.message, "it \"stops\"");
    assert_eq!(
        object["labels"],
        json!({"port": 80, "up": true, "id": "007"})
    );
    assert_eq!(read("a = b and c").0.format, "plain");
    assert_eq!(read("x=\"open").0.format, "plain");
}

#[test]
fn access_logs_are_read() {
    let common = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326"#;
    let (record, object) = read(common);
    assert_eq!(record.format, "access");
    assert_eq!(object["@timestamp"], "2000-10-10T20:55:36Z");
    assert_eq!(
        object["http"]["response"],
        json!({"status_code": 200, "body": {"bytes": 2326}})
    );
    assert_eq!(
        object["url"],
        json!({"original": "/a?b=1", "path": "/a", "query": "b=1"})
    );
    assert_eq!(object["user"]["name"], "frank");
    let combined = format!(r#"shop:443 {common} "https://x/" "curl \"8\"" 0.003"#);
    let (record, object) = read(&combined);
    assert_eq!(record.format, "access");
    assert_eq!(object["user_agent"]["original"], r#"curl \"8\""#);
    assert_eq!(object["http"]["request"]["referrer"], "https://x/");
    assert_eq!(object["labels"]["rest"], "0.003");
    let broken = read(r#"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "-" 400 0"#).0;
    assert_eq!((broken.format, broken.level), ("access", Some(Level::Warn)));
}

#[test]
fn syslog_new_and_old_is_read() {
    let new = r#"<165>1 2026-03-01T12:30:05.003Z host app 42 ID47 [ex@1 a="1"] It happened"#;
    let (record, object) = read(new);
    assert_eq!((record.format, record.level), ("syslog", Some(Level::Info)));
    assert_eq!(object["process"], json!({"name": "app", "pid": 42}));
    assert_eq!(object["labels"], json!({"ex@1": {"a": "1"}}));
    assert_eq!(object["event"]["code"], "ID47");
    let old = "<34>Oct 11 22:14:15 mymachine su[9]: 'su root' failed";
    let (record, object) = read(old);
    assert_eq!(
        (record.format, record.level),
        ("syslog", Some(Level::Fatal))
    );
    assert_eq!(object["host"]["hostname"], "mymachine");
    assert_eq!(record.message, "'su root' failed");
    let bare = read("Oct 11 22:14:15 mymachine su[9]: failed").0;
    assert_eq!(bare.format, "syslog");
}

#[test]
fn prose_keeps_its_words() {
    let (record, _) = read("2026-03-01 12:30:05,250 [main] WARN com.example.A - low on disk");
    assert_eq!(record.format, "plain");
    assert_eq!(record.level, Some(Level::Warn));
    assert!(record.time.is_some());
    assert_eq!(record.message, "[main] WARN com.example.A - low on disk");
    let (record, _) = read("no error here");
    assert_eq!(
        (record.level, record.message.as_str()),
        (None, "no error here")
    );
}

fn joined(text: &str) -> Vec<Joined> {
    let mut joiner = Joiner::default();
    let mut records = Vec::new();
    for line in text.lines() {
        joiner.push(line, Instant::now());
        records.extend(std::iter::from_fn(|| joiner.pop()));
    }
    joiner.flush();
    records.extend(std::iter::from_fn(|| joiner.pop()));
    records
}

/// Returns the text of each record of lines that no container runtime wrote.
pub(super) fn joined_texts(text: &str) -> Vec<String> {
    let records = joined(text).into_iter();
    records.map(|record| record.text).collect()
}

#[test]
fn traces_of_four_languages_are_one_record_each() {
    let java = "2026-03-01 12:30:05 ERROR boom\njava.lang.IllegalStateException: x\n\tat A.b(A.java:1)\n\
                Caused by: java.io.IOException: y\n\tat C.d(C.java:2)\n\t... 3 more\n2026-03-01 12:30:06 INFO on";
    let records = joined_texts(java);
    // The exception's own line is not indented, as some loggers write it.
    assert_eq!(records.len(), 2, "{records:?}");
    let record = Format::Auto.read_text(&records[0]);
    let object = record.to_json(None);
    assert_eq!(record.message, "ERROR boom");
    assert_eq!(object["@timestamp"], "2026-03-01T12:30:05Z");
    assert!(records[0].ends_with("... 3 more"), "{records:?}");
    assert_eq!(object["error"]["stack_trace"], records[0].as_str());
    let python = "ERROR:root:boom\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\n\
                  ValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\n\
                  Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nKeyError: 'y'\nINFO:root:on";
    let records = joined_texts(python);
    assert_eq!(records.last().map(String::as_str), Some("INFO:root:on"));
    assert!(
        records[0].starts_with("ERROR:root:boom\nTraceback"),
        "{records:?}"
    );
    let go = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/a/main.go:5 +0x1\nexit status 2\n{\"msg\":\"on\"}";
    let records = joined_texts(go);
    assert_eq!(records.len(), 2, "{records:?}");
    let rust = "thread 'main' panicked at a.rs:1:1:\n  boom\nstack backtrace:\n   0: f\n             at a.rs:1\nnext";
    assert_eq!(joined(rust).len(), 2);
    let record = Format::Auto.read_text(&records[0]);
    assert_eq!(record.level, Some(Level::Error));
    assert!(
        record
            .stack_trace
            .is_some_and(|trace| trace.contains("goroutine"))
    );
}

#[test]
fn an_exception_belongs_to_the_prose_that_logs_it() {
    let head = "2026-03-01 12:30:05 ERROR boom";
    for exception in [
        "java.lang.Error",
        "com.example.Outer$InnerException: x",
        "System.Exception: x",
        "System.Net.Http.HttpRequestException: x",
        "Npgsql.PostgresException (0x80004005): 42P01: no relation",
    ] {
        let records = joined(&format!("{head}\n{exception}\n   at A.b()\nnext"));
        assert_eq!(records.len(), 2, "{exception}: {records:?}");
    }
    for (head, line) in [
        (head, "an Exception: x"),
        (head, "java.lang.Errors: x"),
        ("{\"level\":\"error\"}", "java.lang.Error: x"),
        ("level=error msg=boom", "java.lang.Error: x"),
        ("no head of a record", "java.lang.Error: x"),
    ] {
        let records = joined_texts(&format!("{head}\n{line}"));
        assert_eq!(records, [head, line]);
    }
}

/// Returns the records of lines, as objects.
pub(super) fn objects(text: &str) -> Vec<Value> {
    let records = joined(text);
    let read = |record| Format::Auto.read(record).to_json(None);
    records.iter().map(read).collect()
}

#[test]
fn lines_of_container_runtimes_are_unwrapped() {
    let cri = "2026-01-02T03:04:05.1Z stdout F {\"level\":\"info\",\"msg\":\"on\"}\n\
               2026-01-02T03:04:06Z stdout P 2026-01-02 03:00:00 WARN long \n\
               2026-01-02T03:04:06Z stderr F 2026-01-02 03:00:01 ERROR boom\n\
               2026-01-02T03:04:06Z stderr F java.lang.Error: x\n\
               2026-01-02T03:04:06Z stderr F \tat A.b(A.java:1)\n\
               2026-01-02T03:04:07Z stdout F line\n\
               2026-01-02T03:04:08Z stdout F \n\
               2026-01-02T03:04:09Z stdout P cut";
    let found = objects(cri);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert_eq!(found[0]["event"]["module"], "json");
    assert_eq!(found[0]["message"], "on");
    assert_eq!(found[0]["@timestamp"], "2026-01-02T03:04:05.100Z");
    assert_eq!(found[0]["labels"], json!({"stream": "stdout"}));
    assert_eq!(found[1]["labels"], json!({"stream": "stderr"}));
    assert_eq!(
        found[1]["error"]["stack_trace"],
        "2026-01-02 03:00:01 ERROR boom\njava.lang.Error: x\n\tat A.b(A.java:1)"
    );
    assert_eq!(found[2]["message"], "WARN long line");
    // The program's own time goes before the runtime's.
    assert_eq!(found[2]["@timestamp"], "2026-01-02T03:00:00Z");
    assert_eq!(found[3]["message"], "cut");
    let long = "x".repeat(16 << 10);
    let docker = [
        (r"level=warn msg=slow took_ms=7\n", "stderr"),
        (r"ended by a terminal\r\n", "stdout"),
        (long.as_str(), "stdout"),
        (r"y\n", "stdout"),
        ("without its end", "stdout"),
    ]
    .map(|(log, stream)| {
        format!(r#"{{"log":"{log}","stream":"{stream}","time":"2026-01-02T03:04:05Z"}}"#)
    });
    let found = objects(&docker.join("\n"));
    assert_eq!(found.len(), 4, "{found:#?}");
    assert_eq!(found[0]["event"]["module"], "logfmt");
    assert_eq!(found[0]["message"], "slow");
    assert_eq!(found[0]["@timestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(
        found[0]["labels"],
        json!({"took_ms": 7, "stream": "stderr"})
    );
    assert_eq!(found[1]["message"], "ended by a terminal");
    assert_eq!(found[2]["message"], format!("{long}y"));
    assert_eq!(found[3]["message"], "without its end");
    // One by one, as they are read where nothing is joined; and what only looks like theirs.
    assert_eq!(read(&docker[0]).1, found[0]);
    let other = r#"{"log":"a","stream":"stdout","time":"2026-01-02T03:04:05Z","app":"b"}"#;
    assert_eq!(read(other).1["service"]["name"], "b");
    assert_eq!(read("now stdout F a").0.format, "plain");
}

/// Wraps what a program wrote as Docker and as Kubernetes do.
fn wrapped(text: &str) -> [String; 2] {
    let log = format!("{text}\n");
    let time = "2026-01-02T03:04:05Z";
    [
        json!({"log": log, "stream": "stdout", "time": time}).to_string(),
        format!("{time} stdout F {text}"),
    ]
}

#[test]
fn lines_of_container_runtimes_are_unwrapped_for_every_format() {
    let access = r#"10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 7"#;
    let json = r#"{"level":"warn","msg":"slow"}"#;
    let logfmt = "level=warn msg=slow";
    let syslog = "<34>Oct 11 22:14:15 host su[9]: slow";
    let rows = [
        (Format::Auto, json, "json", "slow"),
        (Format::Json, json, "json", "slow"),
        (Format::Json, "hello world", "plain", "hello world"),
        (Format::Logfmt, logfmt, "logfmt", "slow"),
        (Format::Logfmt, "hello world", "plain", "hello world"),
        (Format::Access, access, "access", "GET / HTTP/1.0"),
        (Format::Access, "hello world", "plain", "hello world"),
        (Format::Syslog, syslog, "syslog", "slow"),
        (Format::Syslog, "hello world", "plain", "hello world"),
        (Format::Plain, "hello world", "plain", "hello world"),
        (Format::Plain, json, "plain", json),
    ];
    for (format, text, module, message) in rows {
        for line in wrapped(text) {
            for record in [joined(&line), vec![single(&line)]].concat() {
                let record = format.read(&record);
                assert_eq!(record.format, module, "{format:?}: {line}");
                assert_eq!(record.message, message, "{format:?}: {line}");
                assert_eq!(record.labels["stream"], "stdout", "{format:?}: {line}");
                assert!(record.time.is_some(), "{format:?}: {line}");
            }
        }
    }
}

#[test]
fn a_trace_of_a_container_is_read_in_the_format_that_is_asked_for() {
    for at in [0, 1] {
        let lines = ["level=error msg=boom", "\tat A.b(A.java:1)"].map(|text| {
            let [docker, kubernetes] = wrapped(text);
            if at == 0 { docker } else { kubernetes }
        });
        let records = joined(&lines.join("\n"));
        assert_eq!(records.len(), 1, "{records:?}");
        let record = Format::Logfmt.read(&records[0]);
        assert_eq!(record.format, "logfmt");
        assert_eq!(record.message, "boom");
        assert_eq!(
            record.stack_trace.as_deref(),
            Some("level=error msg=boom\n\tat A.b(A.java:1)")
        );
    }
}

#[test]
fn a_line_alone_is_the_same_record_whether_lines_are_joined_or_not() {
    let mut lines = vec!["2026-01-02T03:04:05Z stderr P part".to_owned()];
    for text in ["hello world", "\tat A.b()", "", "  ", "trailing \t"] {
        lines.push(text.to_owned());
        for line in wrapped(text) {
            lines.extend(wrapped(&line));
            lines.push(line);
        }
    }
    for line in lines {
        let alone: Vec<Joined> = Joined::single(&line).into_iter().collect();
        assert_eq!(joined(&line), alone, "{line:?}");
    }
}

proptest! {
    #[test]
    fn every_line_is_a_record_and_its_words_are_kept(line in "[ -~äß]{0,80}") {
        let alone: Vec<Joined> = Joined::single(&line).into_iter().collect();
        prop_assert_eq!(&joined(&line), &alone);
        let Some(lines) = alone.first() else {
            prop_assert!(line.trim().is_empty());
            return Ok(());
        };
        let record = Format::Auto.read(lines);
        let text = record.to_json(Some("a")).to_string();
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
        if record.format == "plain" {
            prop_assert!(line.trim_end().ends_with(&record.message));
        }
    }

    #[test]
    fn joining_loses_no_line(lines in proptest::collection::vec("[ \\tA-Za-z:(){}]{1,20}", 1..30)) {
        let all = joined_texts(&lines.join("\n")).join("\n");
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            prop_assert!(all.contains(line.trim_end()), "{line:?} in {all:?}");
        }
    }
}
