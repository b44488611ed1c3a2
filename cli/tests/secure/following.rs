//! Companions that follow something: a page of HTTP, an address in the environment or in etcd, a slow log, lines; and what
//! they answer to probes.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use gleaner_testkit::etcd::NO_ETCD;
use gleaner_testkit::skipped;
use serde_json::Value;

use crate::companions::{Killed, ask, broker, etcd, free_port, get, put, said_at, says, until};
use crate::running::{Running, gleaner, told};
use crate::site::Site;

/// Starts a `config-sync` that often writes to a file what a site answers.
fn follow(site: &Site, file: &Path) -> Running {
    let mut sync = gleaner();
    sync.env("NO_PROXY", "*")
        .args(["config-sync", "--from", &site.url, "--to"])
        .arg(file)
        .args(["--format", "json", "--period", "20ms"]);
    Running::of(&mut sync)
}

#[test]
fn a_file_follows_an_address_and_keeps_the_last_good_value() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.json");
    let site = Site::start();
    site.set(200, "\"one\"", "{\"a\": 1}");
    let sync = follow(&site, &file);
    let holds = |wanted: &str| fs::read_to_string(&file).is_ok_and(|text| text == wanted);
    let becomes = |wanted: &str| until(wanted, || holds(wanted).then_some(()));
    becomes("{\"a\": 1}");
    until("questions with the tag", || {
        (site.num_known() >= 2).then_some(())
    });
    site.set(200, "\"two\"", "{\"a\": 2}");
    becomes("{\"a\": 2}");
    site.set(200, "\"three\"", "{\"a\":");
    sync.until("the new value is not used");
    assert!(holds("{\"a\": 2}"), "a bad value changes nothing");
    site.set(404, "\"none\"", "");
    sync.until("the value is gone");
    assert!(holds("{\"a\": 2}"), "nor does one that is gone");
    site.set(503, "\"none\"", "");
    sync.until("the server answered 503");
    site.set(200, "\"four\"", "{\"a\": 4}");
    becomes("{\"a\": 4}");
    assert_eq!(sync.stop(), 0);
    Ok(())
}

#[test]
fn a_source_that_redirects_is_not_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.json");
    let (site, other) = (Site::start(), Site::start());
    other.set(200, "\"other\"", "{\"of\": \"another host\"}");
    site.redirect(302, &format!("{}?token=secret", other.url));
    let sync = follow(&site, &file);
    let said = sync.until("the server answered 302");
    assert!(said.contains(&other.url), "{said}");
    assert!(!said.contains("secret"), "{said}");
    for status in [301, 303, 307, 308] {
        site.redirect(status, &other.url);
        sync.until(&format!("the server answered {status}"));
    }
    assert!(!file.exists(), "what another host answers is not written");
    site.set(200, "\"one\"", "{\"a\": 1}");
    until("the value", || file.exists().then_some(()));
    assert_eq!(fs::read_to_string(&file)?, "{\"a\": 1}");
    assert_eq!(other.num_asked(), 0, "nobody has asked there");
    assert_eq!(sync.stop(), 0);
    Ok(())
}

#[test]
fn a_broker_finds_a_service_by_a_variable() {
    let service = says("by a variable");
    let words = [
        "ambassador",
        "tcp",
        "--listen",
        "127.0.0.1:0",
        "--to",
        "env:DATABASE_URL",
    ];
    let url = format!("postgres://user:secret@{service}/app");
    let broker = Running::of(gleaner().env("DATABASE_URL", url).args(words));
    assert_eq!(said_at(&broker.address()), "by a variable");
    assert_eq!(broker.stop(), 0);
    for (name, value) in [("ANOTHER_URL", "x:1"), ("DATABASE_URL", "secret@")] {
        let mut command = gleaner();
        let command = command.env_remove("DATABASE_URL").env(name, value);
        let (code, said) = told(&command.args(words).output().expect("it runs"));
        assert!(code == 1 && said.contains("env:DATABASE_URL"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_broker_follows_a_key_of_etcd() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((_etcd, port)) = etcd(folder.path()) else {
        return skipped("secure::a_broker_follows_a_key_of_etcd", NO_ETCD);
    };
    let [first, second] = ["first", "second"].map(says);
    let broker = broker(&format!("etcd://127.0.0.1:{port}//app/database"));
    let address = broker.address();
    broker.until("the key is not there");
    put(port, "/app/database", &first);
    until("the first", || (said_at(&address) == "first").then_some(()));
    put(port, "/app/database", "no address of anything\n");
    broker.until("the value cannot be read");
    assert_eq!(said_at(&address), "first", "what was known stays");
    put(port, "/app/database", &format!("mysql://{second}/app\n"));
    until("the move", || (said_at(&address) == "second").then_some(()));
    assert_eq!(broker.stop(), 0);
    Ok(())
}

#[test]
fn health_by_a_query_is_answered_again_and_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start();
    site.set(200, "\"one\"", "{\"hits\": {\"total\": {\"value\": 3}}}");
    let expect = folder.path().join("expect.json");
    fs::write(&expect, "{\"hits\": {\"total\": {\"value\": 3}}}")?;
    let adapter = Running::start(&[
        "adapter",
        "health",
        "--url",
        &site.url,
        "--expect",
        expect.to_str().expect("text"),
        "--listen",
        "127.0.0.1:0",
    ]);
    let url = format!("http://{}/health", adapter.address());
    let asked = || ask(&url, &["-w", "\n%{http_code}"]);
    let said = asked();
    assert!(
        said.contains("\"healthy\"") && said.ends_with("\n200"),
        "{said}"
    );
    site.set(200, "\"two\"", "{\"hits\": {\"total\": {\"value\": 2}}}");
    let said = asked();
    assert!(
        said.contains("is 2, expected 3") && said.ends_with("\n503"),
        "{said}"
    );
    site.set(500, "\"three\"", "");
    let said = asked();
    assert!(
        said.contains("answered 500") && said.ends_with("\n503"),
        "{said}"
    );
    site.set(200, "\"four\"", "{\"hits\": {\"total\": {\"value\": 3}}}");
    assert!(asked().ends_with("\n200"), "it is healthy again");
    assert_eq!(adapter.stop(), 0);
    Ok(())
}

/// Returns the address at which a companion answers probes.
pub(crate) fn probes_of(companion: &Running) -> String {
    companion.address_in("answering probes")
}

/// Waits until a companion says that it is ready, and checks that it has metrics and a page.
fn check_probes(companion: &Running, role: &str) {
    let probes = probes_of(companion);
    let url = |path: &str| format!("http://{probes}{path}");
    until("readiness", || get(&url("/_health/ready")));
    assert!(get(&url("/_health/live")).is_some());
    assert!(get(&url("/metrics")).is_some());
    let page: Value = serde_json::from_str(&get(&url("/topz")).expect("a page")).expect("JSON");
    assert_eq!(page["role"], role, "{page}");
    // As the health check of a container does.
    let health = gleaner()
        .env("GLEANER_PROBE_LISTEN", &probes)
        .env("GLEANER_URL", "http://127.0.0.1:1")
        .arg("health")
        .output();
    assert_eq!(told(&health.expect("it runs")).0, 0);
}

#[test]
fn what_reads_lines_answers_probes_and_takes_its_flags_from_the_environment() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    fs::write(&file, "level=info msg=one\n")?;
    let mut command = gleaner();
    command
        .env("GLEANER_ADAPTER_FOLLOW", "true")
        .env("GLEANER_ADAPTER_NO_JOIN", "true")
        .env("GLEANER_ADAPTER_DATASET", "app")
        .env("GLEANER_PROBE_LISTEN", "127.0.0.1:0")
        .args(["adapter", "logs"])
        .arg(&file);
    let adapter = Running::of(&mut command);
    let first: Value = serde_json::from_str(&adapter.until("\"one\""))?;
    assert_eq!(first["event"]["dataset"], "app", "{first}");
    check_probes(&adapter, "adapter");
    let mut log = File::options().append(true).open(&file)?;
    writeln!(log, "level=info msg=two")?;
    adapter.until("\"two\"");
    assert_eq!(adapter.stop(), 0);
    Ok(())
}

#[test]
fn an_index_that_follows_a_folder_answers_probes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, notes) = (folder.path().join("data"), folder.path().join("notes"));
    fs::create_dir(&notes)?;
    fs::write(notes.join("one.txt"), "tea\n")?;
    let data = data.to_str().expect("text");
    let server = Running::start(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
    let mut command = gleaner();
    command
        .env("GLEANER_URL", format!("http://{}", server.address()))
        .env("GLEANER_INDEX", "notes")
        .env("GLEANER_INDEX_WATCH", "true")
        .env("GLEANER_INDEX_PERIOD", "50ms")
        .env("GLEANER_PROBE_LISTEN", "127.0.0.1:0")
        .arg("index")
        .arg(&notes);
    let watching = Running::of(&mut command);
    check_probes(&watching, "index");
    let count = format!("http://{}/notes/_count", server.address());
    let count = get(&count).expect("an answer");
    assert!(count.contains("\"count\":1"), "ready means whole: {count}");
    // A look that fails is no readiness.
    let probes = probes_of(&watching);
    assert_eq!(server.stop(), 0);
    fs::write(notes.join("two.txt"), "more tea\n")?;
    until("that it is not ready", || {
        get(&format!("http://{probes}/_health/ready"))
            .is_none()
            .then_some(())
    });
    assert_eq!(watching.stop(), 0);
    Ok(())
}

/// Asks a Redis server; several words of `script` a line.
fn redis(port: &str, script: &str) {
    for line in script.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let asked = Command::new("redis-cli")
            .args(["-p", port])
            .args(words)
            .output();
        let (code, said) = told(&asked.expect("redis-cli comes with redis-server"));
        assert!(code == 0 && said.trim() == "OK", "{line}: {said}");
    }
}

/// Has a Redis server log one command that names `mark` as a slow one, and whatever else comes meanwhile.
fn be_slow(port: &str, mark: &str) {
    let log = "CONFIG SET slowlog-log-slower-than";
    redis(port, &format!("{log} 0\nSET mark {mark}\n{log} -1"));
}

/// The lines that were written to a file.
fn lines_of(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.map_while(Result::ok).collect()
}

fn num_marked(lines: &[Value], mark: &str) -> usize {
    let wanted = serde_json::json!(["mark", mark]);
    let is_marked = |line: &&Value| line["redis"]["slowlog"]["arguments"] == wanted;
    lines.iter().filter(is_marked).count()
}

#[test]
fn a_slow_command_is_written_once_also_when_the_adapter_starts_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port().to_string();
    let address = format!("127.0.0.1:{port}");
    let words = [
        "--port",
        &port,
        "--save",
        "",
        "--slowlog-log-slower-than",
        "-1",
        "--slowlog-max-len",
        "1000",
    ];
    let Some(_redis) = Killed::start("redis-server", &words) else {
        return skipped(
            "secure::a_slow_command_is_written_once_also_when_the_adapter_starts_again",
            "no `redis-server` is installed here",
        );
    };
    until("redis-server", || TcpStream::connect(&address).ok());
    let (state, out) = (folder.path().join("state"), folder.path().join("lines"));
    let adapter = || -> Result<Killed> {
        let lines = File::options().create(true).append(true).open(&out)?;
        let mut command = gleaner();
        command
            .args(["adapter", "redis", "--redis", &address])
            .args(["--listen", "127.0.0.1:0", "--slowlog"])
            .args(["--slowlog-arguments", "--slowlog-period", "20ms"])
            .arg("--slowlog-state")
            .arg(&state)
            .stdout(lines)
            .stderr(Stdio::null());
        Ok(Killed(command.spawn()?))
    };
    let comes = |mark: &str| {
        until(mark, || {
            (num_marked(&lines_of(&out), mark) > 0).then_some(())
        });
    };
    let stop = |mut adapter: Killed| -> Result<()> {
        adapter.signal("-TERM");
        assert!(adapter.0.wait()?.success());
        Ok(())
    };
    be_slow(&port, "before");
    let first = adapter()?;
    comes("before");
    be_slow(&port, "first");
    comes("first");
    stop(first)?;
    be_slow(&port, "between");
    let second = adapter()?;
    comes("between");
    be_slow(&port, "second");
    comes("second");
    stop(second)?;
    let third = adapter()?;
    be_slow(&port, "third");
    comes("third");
    stop(third)?;
    let lines = lines_of(&out);
    for mark in ["before", "first", "between", "second", "third"] {
        assert_eq!(num_marked(&lines, mark), 1, "{mark}: {lines:#?}");
    }
    let ids = lines.iter().map(|line| &line["redis"]["slowlog"]["id"]);
    let ids: Vec<i64> = ids.filter_map(Value::as_i64).collect();
    let last = i64::try_from(ids.len())? - 1;
    assert_eq!(
        ids,
        (0..=last).collect::<Vec<_>>(),
        "none twice, none missed"
    );
    Ok(())
}
