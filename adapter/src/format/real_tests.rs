//! Lines as programs and languages wrote them: Python 3.11, Rust 1.95, Java 17, Node 20, Ruby 3.1, Redis 7.0, etcd 3.4,
//! nginx 1.22, this program.

use serde_json::{Value, json};

use super::tests::{joined_texts, objects, read};
use crate::Level;

const PYTHON: &str = r#"2026-11-29 21:55:52,808 INFO app: starts
2026-11-29 21:55:52,808 ERROR app: it failed
Traceback (most recent call last):
  File "/app/chain.py", line 8, in outer
    inner()
  File "/app/chain.py", line 5, in inner
    return {}["key"]
           ~~^^^^^^^
KeyError: 'key'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/chain.py", line 13, in second
    outer()
  File "/app/chain.py", line 10, in outer
    raise ValueError("bad value") from error
ValueError: bad value

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/chain.py", line 18, in <module>
    second()
  File "/app/chain.py", line 15, in second
    int("x")
ValueError: invalid literal for int() with base 10: 'x'
2026-11-29 21:55:52,812 INFO app: goes on"#;

#[test]
fn chained_exceptions_of_python_are_one_record() {
    let found = objects(PYTHON);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(found[1]["message"], "ERROR app: it failed");
    let trace = found[1]["error"]["stack_trace"].as_str().expect("a trace");
    assert_eq!(
        trace.matches("Traceback (most recent call last)").count(),
        3
    );
    assert!(trace.ends_with("base 10: 'x'"), "{trace}");
    assert_eq!(found[2]["message"], "INFO app: goes on");
    // Nobody caught it: blank lines alone are no record, and nothing is without a message.
    let (_, uncaught) = PYTHON.split_once("it failed\n").expect("the trace");
    let found = objects(&format!("\n\n{uncaught}\n\n\n"));
    assert_eq!(found.len(), 2, "{found:#?}");
    let first = found[0]["message"].as_str().expect("text");
    assert_eq!(first, "Traceback (most recent call last):");
    assert_eq!(found[0]["log"]["level"], "error");
    // Two that have nothing to do with one another.
    let trace =
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nKeyError: 'y'";
    assert_eq!(joined_texts(&format!("{trace}\n\n{trace}")), [trace, trace]);
}

const RUST: &str = "\nthread 'worker one' (30640) panicked at p.rs:1:124:
index out of bounds: the len is 0 but the index is 3
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa/library/std/src/panicking.rs:689:5
   6: p::main::{{closure}}
             at ./p.rs:1:124
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.

thread 'main' (30639) panicked at p.rs:3:2:
assertion `left == right` failed: sums differ
  left: 2
 right: 3
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
";

#[test]
fn panics_of_rust_are_one_record_each() {
    let found = objects(RUST);
    assert_eq!(found.len(), 2, "{found:#?}");
    for (record, end) in [
        (&found[0], "verbose backtrace."),
        (&found[1], "to display a backtrace"),
    ] {
        let trace = record["error"]["stack_trace"].as_str().expect("a trace");
        assert!(
            trace.starts_with("thread '") && trace.ends_with(end),
            "{trace}"
        );
        assert_eq!(record["log"]["level"], "error");
    }
    // As it was before 2025, and without a backtrace.
    let old = "thread 'main' panicked at p.rs:3:2:\n[1] is no number\nnext";
    assert_eq!(joined_texts(old).len(), 2);
    let other = "thread 'main' panicked at p.rs:3:2:\n2026-11-29T21:55:52Z INFO on";
    assert_eq!(joined_texts(other).len(), 2);
}

#[test]
fn the_two_lines_of_java_and_its_traces_are_one_record() {
    let found = objects(
        "Nov 29, 2026 9:55:56 PM com.example.E main
WARNING: low on disk
Nov 29, 2026 9:55:57\u{202f}PM com.example.E main
SEVERE: it failed
java.lang.RuntimeException: wrapped
\tat E.main(E.java:3)
\tat java.base/java.lang.reflect.Method.invoke(Method.java:569)
Caused by: java.lang.IllegalStateException: x
\tat E.f(E.java:1)
\t... 8 more

Exception in thread \"main\" java.lang.RuntimeException: outer
\tat E.main(E.java:4)
Caused by: java.io.IOException: inner
\tat E.main(E.java:4)",
    );
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(found[0]["@timestamp"], "2026-11-29T21:55:56Z");
    assert_eq!(found[0]["message"], "WARNING: low on disk");
    assert_eq!(found[0]["log"]["level"], "warn");
    assert_eq!(found[0]["log"]["logger"], "com.example.E");
    assert_eq!(found[1]["message"], "SEVERE: it failed");
    assert!(
        found[1]["error"]["stack_trace"]
            .as_str()
            .is_some_and(|it| it.ends_with("8 more"))
    );
    assert_eq!(found[2]["log"]["level"], "error");
}

#[test]
fn traces_of_ruby_and_node_are_one_record() {
    let found = objects(
        "W, [2026-11-29T21:56:04.750658 #30969]  WARN -- : low
E, [2026-11-29T21:56:04.750760 #30969] ERROR -- app: outer (RuntimeError)
e.rb:5:in `rescue in <main>'
e.rb:5:in `<main>'
e.rb:6:in `rescue in <main>': outer (RuntimeError)
\tfrom e.rb:6:in `<main>'
e.rb:3:in `f': bad (ArgumentError)
\tfrom e.rb:6:in `<main>'",
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[0]["log"]["level"], "warn");
    assert_eq!(found[0]["process"]["pid"], 30969);
    assert_eq!(found[1]["log"], json!({"level": "error", "logger": "app"}));
    let node = "TypeError: bad
    at f (/app/e.js:1:25)
    at node:internal/main/run_main_module:28:49 {
  code: 'E1',
  [cause]: Error: root
      at f (/app/e.js:1:54)
}
goes on";
    assert_eq!(joined_texts(node).len(), 2);
}

#[test]
fn lines_of_redis_say_when_and_how_bad() {
    for (line, time, level, message) in [
        (
            "30801:C 29 Nov 2026 21:55:57.523 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo",
            "2026-11-29T21:55:57.523Z",
            Level::Warn,
            "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo",
        ),
        (
            "30801:M 29 Nov 2026 21:55:57.549 * Ready to accept connections",
            "2026-11-29T21:55:57.549Z",
            Level::Info,
            "Ready to accept connections",
        ),
        (
            "30801:signal-handler (1795989360) Received SIGTERM scheduling shutdown...",
            "2026-11-29T21:56:00Z",
            Level::Warn,
            "Received SIGTERM scheduling shutdown...",
        ),
    ] {
        let (record, object) = read(line);
        assert_eq!(
            (record.format, record.level),
            ("redis", Some(level)),
            "{line}"
        );
        assert_eq!(object["@timestamp"], time);
        assert_eq!(object["message"], message);
        assert_eq!(object["process"]["pid"], 30801);
    }
}

#[test]
fn lines_of_etcd_say_when_and_how_bad() {
    let (record, object) = read("2026-11-29 21:56:00.546805 W | etcdmain: no data-dir provided");
    assert_eq!(record.level, Some(Level::Warn));
    assert_eq!(object["@timestamp"], "2026-11-29T21:56:00.546805Z");
    assert_eq!(object["log"]["logger"], "etcdmain");
    assert_eq!(record.message, "W | etcdmain: no data-dir provided");
    let (record, object) = read(
        r#"{"level":"warn","ts":"2026-11-29T21:56:00.546+0100","caller":"etcdmain/etcd.go:73","msg":"failed","error":"x"}"#,
    );
    assert_eq!((record.format, record.level), ("json", Some(Level::Warn)));
    assert_eq!(object["@timestamp"], "2026-11-29T20:56:00.546Z");
    let (record, _) =
        read("2026-11-29T21:56:00.546Z\tERROR\tetcdmain/etcd.go:73\tfailed\t{\"a\": 1}");
    assert_eq!(record.level, Some(Level::Error));
    let (record, _) = read("[WARNING] Deprecated '--logger=capnslog' flag is set");
    assert_eq!(record.level, Some(Level::Warn));
}

#[test]
fn lines_of_nginx_and_what_is_no_request() {
    let (record, object) = read(
        r#"2026/11/29 21:56:01 [error] 30899#30899: *1 open() "/www/a" failed (2: No such file or directory), client: 127.0.0.1"#,
    );
    assert_eq!((record.format, record.level), ("plain", Some(Level::Error)));
    assert_eq!(object["@timestamp"], "2026-11-29T21:56:01Z");
    let access = |front: &str, request: &str| {
        read(&format!(
            r#"{front} [29/Nov/2026:21:56:01 +0000] "{request}" 400 157 "-" "-""#
        ))
        .1
    };
    for junk in [
        r"\x16\x03\x01\x00junk",
        "hello world",
        "-",
        "",
        "get / HTTP/1.1",
        "SSH-2.0-x y",
        "GET /",
    ] {
        let object = access("10.0.0.1 - -", junk);
        let method = &object["http"]["request"]["method"];
        let wanted = if junk == "GET /" {
            json!("GET")
        } else {
            Value::Null
        };
        assert_eq!(*method, wanted, "{object}");
        assert_eq!(object["message"], junk);
    }
    let object = access("10.0.0.1 - -", "PRI * HTTP/2.0");
    assert_eq!(object["http"]["version"], "2.0");
    let object = access("10.0.0.1 - -", "GET /a b?c=1 HTTP/1.1");
    assert_eq!(object["url"]["path"], "/a b");
    for (front, domain, address, user) in [
        ("::1 - frank", Value::Null, "::1", json!("frank")),
        (
            "::1 - frank smith",
            Value::Null,
            "::1",
            json!("frank smith"),
        ),
        (
            "2001:db8::7 - frank",
            Value::Null,
            "2001:db8::7",
            json!("frank"),
        ),
        ("fe80::1:80 - -", Value::Null, "fe80::1:80", Value::Null),
        (
            "[2001:db8::7]:443 ::1 - frank",
            json!("[2001:db8::7]:443"),
            "::1",
            json!("frank"),
        ),
        (
            "shop:443 2001:db8::7 - a b",
            json!("shop:443"),
            "2001:db8::7",
            json!("a b"),
        ),
    ] {
        let object = access(front, "GET / HTTP/1.1");
        assert_eq!(object["source"]["address"], address, "{front}");
        assert_eq!(object["url"]["domain"], domain, "{front}");
        assert_eq!(object["user"]["name"], user, "{front}");
    }
    assert_eq!(
        access("::1 ident -", "GET / HTTP/1.1")["labels"]["ident"],
        "ident"
    );
}

#[test]
fn a_level_is_no_host() {
    for (line, level) in [
        (
            "2024-01-01T00:00:00Z ERROR server failed",
            Some(Level::Error),
        ),
        (
            "2024-01-01T00:00:00Z ERROR server: failed",
            Some(Level::Error),
        ),
        (
            "2024-01-01T00:00:00Z  INFO gleaner: listens",
            Some(Level::Info),
        ),
        (
            "2026-11-29T21:56:00.546805Z ERROR gleaner_leaf::copy: a shard failed error=x",
            Some(Level::Error),
        ),
        (
            "2026-11-29T21:56:00.546805Z  WARN request{id=7}: gleaner: slow",
            Some(Level::Warn),
        ),
        (
            "2024-01-01T00:00:00Z main ERROR: failed",
            Some(Level::Error),
        ),
        (
            "2024-01-01T00:00:00Z error server[7]: failed",
            Some(Level::Error),
        ),
        (
            "2024-01-01T00:00:00Z [main] INFO a.b.C - on",
            Some(Level::Info),
        ),
        ("2024-01-01T00:00:00Z server has started", None),
        ("2024-01-01T00:00:00Z GET http://x/", None),
        ("Oct 11 22:14:15 host last message repeated 3 times", None),
        (
            "2026-11-29 21:56:00.546 UTC [123] ERROR:  relation does not exist",
            Some(Level::Error),
        ),
        (
            "2026-11-29T21:56:00.546805Z 0 [Warning] [MY-010116] [Server] low",
            Some(Level::Warn),
        ),
    ] {
        let (record, object) = read(line);
        assert_eq!((record.format, record.level), ("plain", level), "{line}");
        assert_eq!(object.get("host"), None, "{line}");
        assert_eq!(object.get("process"), None, "{line}");
    }
}

#[test]
fn a_proved_header_is_syslog() {
    for (line, host, name, pid, message) in [
        (
            "Oct 11 22:14:15 mymachine su[9]: failed",
            "mymachine",
            "su",
            json!(9),
            "failed",
        ),
        (
            "Oct  1 22:14:15 mymachine kernel: [ 12.3] up",
            "mymachine",
            "kernel",
            Value::Null,
            "[ 12.3] up",
        ),
        (
            "2024-01-01T00:00:00.123456+01:00 web-1.example systemd[1]: Started x.",
            "web-1.example",
            "systemd",
            json!(1),
            "Started x.",
        ),
        (
            "2024-01-01T00:00:00Z 10.0.0.7 postfix/smtpd[12]: connect",
            "10.0.0.7",
            "postfix/smtpd",
            json!(12),
            "connect",
        ),
        (
            "<13>Oct 11 22:14:15 mymachine app: [error] on",
            "mymachine",
            "app",
            Value::Null,
            "[error] on",
        ),
        (
            "Oct 11 22:14:15 mymachine su:",
            "mymachine",
            "su",
            Value::Null,
            "",
        ),
    ] {
        let (record, object) = read(line);
        assert_eq!(record.format, "syslog", "{line}");
        assert!(record.time.is_some(), "{line}");
        assert_eq!(object["host"]["hostname"], host, "{line}");
        assert_eq!(object["process"]["name"], name, "{line}");
        assert_eq!(object["process"]["pid"], pid, "{line}");
        assert_eq!(record.message, message);
    }
    // A priority alone is proof: nothing else of the line is guessed.
    let (record, object) = read("<11>2024-01-01T00:00:00Z ERROR server failed");
    assert_eq!(
        (record.format, record.level),
        ("syslog", Some(Level::Error))
    );
    assert_eq!(
        (record.message.as_str(), object.get("host")),
        ("ERROR server failed", None)
    );
    assert_eq!(read("<192>text").0.format, "plain");
    let twice =
        r#"<165>1 2026-03-01T12:30:05.003Z host app 42 ID47 [ex@1 a="1" a="2"][ex@1 b="3"] on"#;
    let labels = &read(twice).1["labels"];
    assert_eq!(*labels, json!({"ex@1": {"a": ["1", "2"], "b": "3"}}));
}

#[test]
fn every_word_of_a_line_stands_in_the_record() {
    for line in [
        "2024-01-01T00:00:00Z ERROR server failed",
        "2024-01-01T00:00:00Z app1 db: connection lost",
        "<34>Oct 11 22:14:15 mymachine su[9x]: 'su root' failed [x]",
        "a=1 a=2 pid=7 process_id=8 file=x caller=y",
        r#"{"pid":7,"process_id":8,"msg":"m","message":"n","level":"odd"}"#,
        r#"h:80 ::1 me frank smith [29/Nov/2026:21:56:01 +0000] "x y z w" 400 157 "r" "a" extra words"#,
        "30801:X 29 Nov 2026 21:55:57.549 - accepted 10.0.0.1:5",
        "error: no such thing",
    ] {
        let text = read(line).1.to_string();
        let apart = |c: char| !(c.is_alphanumeric());
        for word in line.split(apart).filter(|word| word.len() > 1) {
            let is_of_time = [
                "2024", "2026", "01", "01T00", "00", "00Z", "29", "21", "55", "56", "57", "549",
                "0000", "Nov", "Oct", "11", "22", "14", "15", "34",
            ];
            assert!(
                is_of_time.contains(&word) || text.contains(word),
                "`{word}` of `{line}`: {text}"
            );
        }
    }
}

#[test]
fn a_mark_of_the_order_of_bytes_is_no_part_of_a_line() {
    let line = "{\"level\":\"warn\",\"msg\":\"slow\"}";
    let found = objects(&format!("\u{feff}{line}\n\u{feff}{line}"));
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|object| object["event"]["module"] == "json")
    );
    let cri = format!("\u{feff}2026-01-02T03:04:05Z stdout F \u{feff}{line}");
    assert_eq!(read(&cri).1["event"]["module"], "json");
}

#[test]
fn a_line_of_the_other_stream_does_not_cut_a_trace() {
    let err = |text: &str| format!("2026-01-02T03:04:05Z stderr F {text}\n");
    let out = |text: &str| format!("2026-01-02T03:04:05Z stdout F {text}\n");
    let lines = [
        out("first"),
        err("2026-01-02 03:00:01 ERROR boom"),
        out("second"),
        err("java.lang.Error: x"),
        out("third"),
        err("\tat A.b(A.java:1)"),
        out("\tindented"),
        err("next"),
    ];
    let found = objects(&lines.concat());
    let messages: Vec<&str> = found
        .iter()
        .filter_map(|it| it["message"].as_str())
        .collect();
    // In the order in which they began.
    assert_eq!(messages, ["first", "ERROR boom", "second", "third", "next"]);
    let trace = found[1]["error"]["stack_trace"].as_str().expect("a trace");
    assert_eq!(trace.lines().count(), 3, "{trace}");
    assert_eq!(found[3]["error"]["stack_trace"], "third\n\tindented");
}
