//! Companions as users run them: real etcd, real Redis, a process that is signalled, servers that move.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use gleaner_testkit::etcd::NO_ETCD;
use gleaner_testkit::skipped;
use serde_json::Value;

use crate::running::{PATIENCE, Running, gleaner, told};

/// A process that is killed with the test.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    pub(crate) fn start(program: &str, words: &[&str]) -> Option<Self> {
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().ok().map(Self)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        crate::running::signal(self.0.id(), signal);
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = gleaner_machine::ports::held().expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Waits until `found` returns something.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not come");
}

pub(crate) fn etcd(folder: &Path) -> Option<(Killed, u16)> {
    let (client, peer) = (free_port(), free_port());
    let [client_url, peer_url] = [client, peer].map(|port| format!("http://127.0.0.1:{port}"));
    let data = folder.join("etcd");
    let words = [
        "--data-dir",
        data.to_str()?,
        "--listen-client-urls",
        &client_url,
        "--advertise-client-urls",
        &client_url,
        "--listen-peer-urls",
        &peer_url,
        "--initial-advertise-peer-urls",
        &peer_url,
        "--initial-cluster",
        &format!("default={peer_url}"),
    ];
    let started = Killed::start("etcd", &words)?;
    until("etcd", || TcpStream::connect(("127.0.0.1", client)).ok());
    Some((started, client))
}

/// Puts a value, by the gateway of etcd for HTTP.
pub(crate) fn put(port: u16, key: &str, value: &str) {
    let encode = |text: &str| {
        let output = Command::new("base64")
            .arg("-w0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = output.expect("base64");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(text.as_bytes()).expect("written");
        drop(stdin);
        String::from_utf8(child.wait_with_output().expect("ended").stdout).expect("text")
    };
    let body = format!(
        "{{\"key\": \"{}\", \"value\": \"{}\"}}",
        encode(key),
        encode(value)
    );
    until("a put", || {
        let url = format!("http://127.0.0.1:{port}/v3/kv/put");
        let output = Command::new("curl")
            .args(["-sf", "--noproxy", "*", "-d", &body, &url])
            .output();
        output.expect("curl").status.success().then_some(())
    });
}

#[test]
fn a_file_follows_a_key_and_its_process_hears_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((_etcd, port)) = etcd(folder.path()) else {
        return skipped(
            "secure::a_file_follows_a_key_and_its_process_hears_of_it",
            NO_ETCD,
        );
    };
    let place = |name: &str| folder.path().join(name);
    let (pid, heard, file) = (place("pid"), place("heard"), place("app.conf"));
    let script = format!(
        "trap 'cat {file} >> {heard}' USR1; echo $$ > {pid}; while :; do sleep 0.05; done",
        file = file.display(),
        heard = heard.display(),
        pid = pid.display()
    );
    let _program = Killed::start("sh", &["-c", &script]).expect("sh");
    until("the program", || {
        fs::read(&pid).ok().filter(|text| !text.is_empty())
    });
    put(port, "/app/conf", "one good\n");
    let from = format!("etcd://127.0.0.1:{port}//app/conf");
    let sync = Running::start(&[
        "config-sync",
        "--from",
        &from,
        "--to",
        file.to_str().expect("text"),
        "--check",
        "grep -q good \"$FILE\"",
        "--pid-file",
        pid.to_str().expect("text"),
        // Who ran the tests may ignore SIGHUP, and a shell does not trap what was ignored when it began.
        "--signal",
        "USR1",
    ]);
    let hears = |wanted: &str| {
        until(wanted, || {
            fs::read_to_string(&heard)
                .ok()
                .filter(|text| text == wanted)
        })
    };
    hears("one good\n");
    put(port, "/app/conf", "two bad\n");
    sync.until("the check refuses it");
    assert_eq!(fs::read_to_string(&file)?, "one good\n");
    put(port, "/app/conf", "three good\n");
    hears("one good\nthree good\n");
    assert_eq!(sync.stop(), 0);
    Ok(())
}

/// A server that says its name to each client.
pub(crate) fn says(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            drop({ stream }.write_all(name.as_bytes()));
        }
    });
    address
}

/// Starts a broker that often looks where its service is.
pub(crate) fn broker(to: &str) -> Running {
    Running::start(&[
        "ambassador",
        "tcp",
        "--listen",
        "127.0.0.1:0",
        "--to",
        to,
        "--refresh",
        "50ms",
    ])
}

/// What the service behind a broker says; nothing while the broker has no connection for clients.
pub(crate) fn said_at(address: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        // A connection that is reset says nothing.
        drop(stream.read_to_string(&mut text));
    }
    text
}

#[test]
fn a_broker_follows_a_service_that_moves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("where");
    let dead = format!("127.0.0.1:{}", free_port());
    let [first, second] = ["first", "second"].map(says);
    fs::write(&file, format!("# one of them is gone\n{dead}\n{first}\n"))?;
    let broker = broker(&format!("file:{}", file.display()));
    let address = broker.address();
    for _ in 0..20 {
        assert_eq!(
            said_at(&address),
            "first",
            "an address that takes no connection is passed over"
        );
    }
    fs::write(&file, format!("tcp://{second}/\n"))?;
    until("the move", || (said_at(&address) == "second").then_some(()));
    fs::write(&file, "nonsense\n")?;
    broker.until("cannot look where the service is");
    assert_eq!(said_at(&address), "second", "what was known stays");
    assert_eq!(broker.stop(), 0);
    Ok(())
}

/// The metrics of a page, by their names with labels, which stand in any order.
fn metrics(page: &str) -> std::collections::BTreeMap<String, String> {
    let lines = page.lines().filter(|line| line.starts_with("redis_"));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    let sorted = |name: &str| match name.trim_end_matches('}').split_once('{') {
        None => name.to_owned(),
        Some((name, labels)) => {
            let mut labels: Vec<&str> = labels
                .split("\",")
                .map(|label| label.trim_end_matches('"'))
                .collect();
            labels.sort_unstable();
            format!("{name} {}", labels.join(","))
        }
    };
    pairs
        .map(|(name, value)| (sorted(name), value.to_owned()))
        .collect()
}

/// Returns what curl prints of an answer, whatever its status; `words` are more flags of curl.
pub(crate) fn ask(url: &str, words: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-s", "--noproxy", "*"])
        .args(words)
        .arg(url)
        .output();
    told(&output.expect("curl runs")).1
}

/// Returns the body of an answer that is a success.
pub(crate) fn get(url: &str) -> Option<String> {
    let output = Command::new("curl")
        .args(["-sf", "--noproxy", "*", url])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_redis_is_measured_as_redis_exporter_measures_it() -> Result<()> {
    const TEST: &str = "secure::a_redis_is_measured_as_redis_exporter_measures_it";
    let (port, theirs) = (
        free_port().to_string(),
        format!("127.0.0.1:{}", free_port()),
    );
    let address = format!("127.0.0.1:{port}");
    let Some(_redis) = Killed::start("redis-server", &["--port", &port, "--save", ""]) else {
        return skipped(TEST, "no `redis-server` is installed here");
    };
    until("redis-server", || TcpStream::connect(&address).ok());
    let uri = format!("redis://{address}");
    let words = ["-redis.addr", &uri, "-web.listen-address", &theirs];
    let Some(_exporter) = Killed::start("prometheus-redis-exporter", &words) else {
        return skipped(TEST, "no `prometheus-redis-exporter` is installed here");
    };
    let adapter = Running::start(&[
        "adapter",
        "redis",
        "--redis",
        &address,
        "--listen",
        "127.0.0.1:0",
    ]);
    let ours = adapter.address();
    let page = |address: &str| until("a page", || get(&format!("http://{address}/metrics")));
    let (theirs, ours) = (metrics(&page(&theirs)), metrics(&page(&ours)));
    assert!(theirs.len() > 150, "{theirs:?}");
    let left_out = [
        "redis_latency_percentiles",
        "redis_exporter_",
        "redis_last_key_groups",
        "redis_target_",
        "redis_config_io_threads",
        "redis_commands",
    ];
    for (name, value) in &theirs {
        if left_out.iter().any(|left| name.starts_with(left)) {
            continue;
        }
        let Some(own) = ours.get(name) else {
            panic!("{name} is not there: {ours:#?}");
        };
        let is_steady = [
            "db_keys",
            "up",
            "config_",
            "connected_slaves",
            "aof_",
            "start_time",
            "backlog",
            "process_id",
        ]
        .iter()
        .any(|part| name.contains(part) && !name.contains("uptime"));
        if is_steady {
            let numbers = [own, value].map(|text| text.parse::<f64>().expect("a number"));
            assert!(
                (numbers[0] - numbers[1]).abs() <= 1.0,
                "{name}: {own}, {value}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_ambassador_answers_as_nutcracker_does() -> Result<()> {
    const TEST: &str = "secure::the_ambassador_answers_as_nutcracker_does";
    let folder = tempfile::tempdir()?;
    let ports: Vec<String> = (0..4).map(|_| free_port().to_string()).collect();
    let mut servers = Vec::new();
    for port in &ports {
        let Some(server) = Killed::start("redis-server", &["--port", port, "--save", ""]) else {
            return skipped(TEST, "no `redis-server` is installed here");
        };
        until("redis-server", || {
            TcpStream::connect(format!("127.0.0.1:{port}")).ok()
        });
        servers.push(server);
    }
    let nutcracker = free_port();
    let settings = format!(
        "alpha:\n  listen: 127.0.0.1:{nutcracker}\n  hash: fnv1a_64\n  distribution: ketama\n  redis: true\n  servers:\n   - 127.0.0.1:{}:1\n   - 127.0.0.1:{}:1\n",
        ports[0], ports[1]
    );
    let file = folder.path().join("nutcracker.yml");
    fs::write(&file, settings)?;
    let words = [
        "-c",
        file.to_str().expect("text"),
        "-s",
        &free_port().to_string(),
    ];
    let Some(_nutcracker) = Killed::start("nutcracker", &words) else {
        return skipped(TEST, "no `nutcracker` is installed here");
    };
    until("nutcracker", || {
        TcpStream::connect(("127.0.0.1", nutcracker)).ok()
    });
    let server = |at: usize| format!("127.0.0.1:{}", ports[at]);
    let ambassador = Running::start(&[
        "ambassador",
        "redis",
        "--listen",
        "127.0.0.1:0",
        "--server",
        &server(2),
        "--server",
        &server(3),
    ]);
    let ours = ambassador.address();
    ambassador.until(&format!("server={}", server(2)));
    ambassador.until(&format!("server={}", server(3)));
    let script = "SET a 1\nSET b two\nGET a\nMGET a b none\nINCR a\nAPPEND b x\nDEL a b none\nEXISTS a\n\
                  HSET h f 1 g 2\nHGETALL h\nZADD z 1 one 2 two\nZRANGE z 0 -1 WITHSCORES\nLPUSH l x y\nLRANGE l 0 -1\n\
                  EXPIRE h 100\nTTL none\nTYPE z\nSETNX a 3\nGETSET a 4\nMSET p 1 q 2 r 3\nMGET p q r\nINCR h\nGET\n";
    let run = |port: &str| {
        let mut command = Command::new("redis-cli");
        command
            .args(["-p", port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("redis-cli comes with redis-server");
        drop(
            child
                .stdin
                .take()
                .expect("it is piped")
                .write_all(script.as_bytes()),
        );
        told(&child.wait_with_output().expect("it ends")).1
    };
    let theirs = run(&nutcracker.to_string());
    let ours = run(ours.rsplit(':').next().expect("a port"));
    // What nutcracker does not understand it ends the connection for; all before that is the same.
    let until_error = |text: &str| {
        text.lines()
            .take_while(|line| !line.contains("ERR") && !line.starts_with("Error"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let common = until_error(&theirs);
    assert!(common.len() > 30, "{theirs}");
    assert_eq!(until_error(&ours), common);
    Ok(())
}

#[test]
fn log_lines_become_records_and_a_renamed_file_is_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    fs::write(
        &file,
        "2026-03-01T12:30:05Z ERROR boom\n\tat A.b(A.java:1)\nlevel=info msg=on port=80\n",
    )?;
    let name = file.to_str().expect("text");
    let adapter = Running::start(&["adapter", "logs", "--follow", name, "--dataset", "app"]);
    let record =
        |wanted: &str| -> Value { serde_json::from_str(&adapter.until(wanted)).expect("JSON") };
    let boom = record("boom");
    assert_eq!(boom["@timestamp"], "2026-03-01T12:30:05Z");
    assert_eq!(
        boom["error"]["stack_trace"],
        "2026-03-01T12:30:05Z ERROR boom\n\tat A.b(A.java:1)"
    );
    assert_eq!(record("\"on\"")["labels"]["port"], 80);
    fs::rename(&file, folder.path().join("app.log.1"))?;
    fs::write(&file, "{\"level\":\"warn\",\"msg\":\"after the move\"}\n")?;
    assert_eq!(record("after the move")["log"]["level"], "warn");
    Ok(())
}

#[test]
fn health_is_what_a_query_finds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Running::start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().expect("text"),
    ]);
    let url = format!("http://{}", server.address());
    let document = format!("{url}/notes/_doc/1?refresh=true");
    let curl = [
        "-sf",
        "--noproxy",
        "*",
        "-XPUT",
        "-H",
        "Content-Type: application/json",
        "-d",
        "{\"t\": \"tea\"}",
        &document,
    ];
    until("a write", || {
        Command::new("curl")
            .args(curl)
            .output()
            .ok()
            .filter(|output| output.status.success())
    });
    let place = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let query = place("query.json", "{\"query\": {\"match\": {\"t\": \"tea\"}}}");
    let right = place("right.json", "{\"hits\": {\"hits\": [{\"_id\": \"1\"}]}}");
    let wrong = place("wrong.json", "{\"hits\": {\"total\": {\"value\": 2}}}");
    let search = format!("{url}/notes/_search");
    let asked = |expect: &str| {
        let words = [
            "adapter", "health", "--url", &search, "--query", &query, "--expect", expect,
        ];
        told(&gleaner().args(words).output().expect("it runs"))
    };
    let (code, said) = asked(&right);
    assert!(code == 0 && said.contains("\"healthy\""), "{code} {said}");
    let (code, said) = asked(&wrong);
    assert!(
        code == 1 && said.contains("`/hits/total/value` is 1, expected 2"),
        "{code} {said}"
    );
    Ok(())
}
