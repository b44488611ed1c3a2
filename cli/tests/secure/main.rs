//! Encrypted servers, fronts, clusters and companions as users run them: one command, defaults, no mapping.

mod closed;
mod companions;
mod documented;
mod edge;
mod examples;
mod following;
mod hangup;
mod lines;
mod on_etcd;
mod places;
mod promtool;
mod rules;
mod running;
mod site;
mod variables;
mod watching;

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use running::{PATIENCE, Running, curl, gleaner, signal, told};

/// Exit code of curl where it does not believe the server's certificate.
const NOT_BELIEVED: i32 = 60;

fn word(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Loads documents of which nobody has given a mapping.
fn load(ca: &Path, url: &str, file: &Path, as_whom: &[&str]) {
    let documents =
        "{\"title\":\"Tea\",\"text\":\"scattered leaves\"}\n{\"year\":1999,\"text\":\"tea\"}\n";
    fs::write(file, documents).expect("written");
    let output = gleaner()
        .args([
            "index",
            "--cacert",
            word(ca),
            "--url",
            url,
            "--index",
            "notes",
            word(file),
        ])
        .args(as_whom)
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert!(code == 0 && said.contains("indexed 2 documents"), "{said}");
}

#[test]
fn a_secure_server_needs_one_flag_and_clients_its_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let flags = [
        "serve",
        "--secure",
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&data),
    ];
    let server = Running::start(&flags);
    let address = server.address();
    let (ca, url) = (data.join("tls/ca.pem"), format!("https://{address}"));
    assert!(
        server.until("--cacert").contains("https://"),
        "the first steps"
    );
    server.until("the first API key was made");
    let key = fs::read_to_string(data.join("admin.key")).expect("the first key");
    let as_admin = ["--api-key", key.trim()];
    load(&ca, &url, &folder.path().join("a.ndjson"), &as_admin);
    let search = [
        "search",
        "--api-key",
        key.trim(),
        "--cacert",
        word(&ca),
        "--url",
        &url,
        "--index",
        "notes",
        "--json",
        "tea",
    ];
    let (code, found) = told(&gleaner().args(search).output().expect("it runs"));
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(
        (code, &found["hits"]["total"]["value"]),
        (0, &2.into()),
        "{found}"
    );
    let health = ["health", "--cacert", word(&ca), "--url", &url];
    assert_eq!(
        told(&gleaner().args(health).output().expect("it runs")).0,
        0
    );
    let (_, plain) = curl(&ca, &[&format!("http://{address}/")]);
    assert!(
        plain.contains("400") && plain.contains("use https"),
        "{plain}"
    );
    let other = folder.path().join("other");
    let elsewhere = [
        "serve",
        "--secure",
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&other),
    ];
    Running::start(&elsewhere).address();
    assert_eq!(curl(&other.join("tls/ca.pem"), &[&url]).0, NOT_BELIEVED);
    let known = fs::read(&ca).expect("read");
    assert_eq!(server.stop(), 0);
    let server = Running::start(&flags);
    let url = format!("https://{}/notes/_count", server.address());
    let refused = curl(&ca, &[&url]).1;
    assert!(refused.contains("401"), "{refused}");
    let header = format!("Authorization: ApiKey {}", key.trim());
    let (code, counted) = curl(&ca, &["-H", &header, &url]);
    assert!(code == 0 && counted.contains("\"count\":2"), "{counted}");
    assert_eq!(
        fs::read(&ca).expect("read"),
        known,
        "clients go on with the authority that they have"
    );
}

/// Every way to open an address; all are run in a folder with a file of members.
const OPENINGS: [&str; 12] = [
    "serve --data serve --listen 0.0.0.0:0",
    "root --config members.toml --node-name r --data root --listen 0.0.0.0:0 --rpc-listen 127.0.0.1:0",
    "root --config members.toml --node-name r --data root --listen 127.0.0.1:0 --rpc-listen 0.0.0.0:0",
    "leaf --config members.toml --node-name l --data leaf --listen 0.0.0.0:0 --rpc-listen 127.0.0.1:0",
    "leaf --config members.toml --node-name l --data leaf --listen 127.0.0.1:0 --rpc-listen 0.0.0.0:0",
    "front --backend http://127.0.0.1:1 --listen 0.0.0.0:0",
    "front --backend http://127.0.0.1:1 --listen 127.0.0.1:0 --admin-listen 0.0.0.0:0",
    "cluster up --data cluster --listen 0.0.0.0:0",
    "cluster up --data cluster --fronts 1 --listen 0.0.0.0:0",
    "ambassador redis --server 127.0.0.1:1 --listen 0.0.0.0:0",
    "ambassador tcp --to 127.0.0.1:1 --listen 0.0.0.0:0",
    "demo --once --listen 0.0.0.0:0",
];

/// Returns the command of a line, to be run in `folder`.
fn command_in(folder: &Path, line: &str) -> Command {
    let mut command = gleaner();
    command.current_dir(folder).args(line.split(' '));
    command
}

#[test]
fn an_address_that_others_reach_needs_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let members = "[cluster]\netcd = ['http://127.0.0.1:2']\n\
                   [[cluster.nodes]]\nname = 'r'\nrole = 'root'\naddress = '127.0.0.1:1'\n\
                   [[cluster.nodes]]\nname = 'l'\nrole = 'leaf'\naddress = '127.0.0.1:1'\n";
    fs::write(folder.path().join("members.toml"), members).expect("written");
    let refused = |line: &str| {
        let output = command_in(folder.path(), line).output();
        let (code, said) = told(&output.expect("it runs"));
        assert_eq!(code, 1, "{line}: {said}");
        said
    };
    for line in OPENINGS {
        let said = refused(line);
        for word in ["other machines reach 0.0.0.0:", "`--insecure`"] {
            assert!(said.contains(word), "{line}: {said}");
        }
    }
    let said = refused(OPENINGS[0]);
    for flag in ["--secure", "--tls-certificate"] {
        assert!(said.contains(flag), "{said}");
    }
    let said = refused(OPENINGS[5]);
    assert!(said.contains("`--cert FILE --key FILE`"), "{said}");
    for line in [OPENINGS[5], OPENINGS[11]] {
        let said = refused(line);
        for flag in ["--secure", "--tls-certificate"] {
            assert!(!said.contains(flag), "{line} has no such flag: {said}");
        }
    }
    let both = refused("serve --data serve --listen 0.0.0.0:0 --insecure --secure");
    assert!(both.contains("`insecure`"), "{both}");
    let both = refused("cluster up --data cluster --listen 0.0.0.0:0 --insecure --secure");
    assert!(both.contains("cannot be used with"), "{both}");
    for line in [
        "serve --data serve --listen 0.0.0.0:0 --secure --no-keys",
        "cluster up --data cluster --listen 0.0.0.0:0 --secure --no-keys",
        "cluster up --data cluster --fronts 1 --listen 0.0.0.0:0 --secure --no-keys",
    ] {
        let said = refused(line);
        for word in [
            "other machines reach 0.0.0.0:",
            "`--no-keys`",
            "`--insecure`",
        ] {
            assert!(said.contains(word), "{line}: {said}");
        }
    }
    let alone = refused("serve --data serve --listen 127.0.0.1:0 --no-keys");
    assert!(alone.contains("`no_keys`"), "{alone}");
}

#[test]
fn an_address_that_others_reach_is_opened_with_a_word_and_another_one_without() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("password"), "secret\n").expect("written");
    for line in [
        "serve --data here --listen 127.0.0.1:0",
        "serve --data here-without-keys --listen 127.0.0.1:0 --secure --no-keys",
        "serve --data without-keys --listen 0.0.0.0:0 --secure --no-keys --insecure",
        "front --backend http://127.0.0.1:1 --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0",
        "front --backend http://127.0.0.1:1 --listen 0.0.0.0:0 --insecure",
        "front --backend http://127.0.0.1:1 --listen 127.0.0.1:0 --admin-listen 0.0.0.0:0 --insecure",
        "ambassador redis --server 127.0.0.1:1 --listen 127.0.0.1:0",
        "ambassador redis --server 127.0.0.1:1 --listen 0.0.0.0:0 --insecure",
        "ambassador redis --server 127.0.0.1:1 --listen 0.0.0.0:0 --password-file password",
        "ambassador tcp --to 127.0.0.1:1 --listen 127.0.0.1:0",
        "ambassador tcp --to 127.0.0.1:1 --listen 0.0.0.0:0 --insecure",
    ] {
        let opened = Running::of(&mut command_in(folder.path(), line));
        opened.address();
        assert_eq!(opened.stop(), 0, "{line}");
    }
    // As in a container.
    let mut command = command_in(folder.path(), OPENINGS[10]);
    let broker = Running::of(command.env("GLEANER_INSECURE", "true"));
    broker.address();
    assert_eq!(broker.stop(), 0);
    let line = "demo --once --limit 200 --listen 0.0.0.0:0 --insecure";
    let mut demo = command_in(folder.path(), line);
    // There is no registry.
    let output = demo.env("CARGO_HOME", folder.path()).output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 0, "{said}");
    let line = "serve --data open --listen 0.0.0.0:0 --insecure";
    let server = Running::of(&mut command_in(folder.path(), line));
    let port = server.address().replace("0.0.0.0:", "");
    let (_, answer) = curl(
        Path::new("/dev/null"),
        &[&format!("http://127.0.0.1:{port}/")],
    );
    assert!(answer.contains("You Know, for Search"), "{answer}");
}

/// Makes certificates for one root, called `r`; a file of members names it.
fn certificates(folder: &Path) {
    let members = folder.join("cluster.toml");
    let text = "[cluster]\netcd = ['http://127.0.0.1:2']\n[[cluster.nodes]]\nname = 'r'\nrole = 'root'\naddress = '127.0.0.1:1'\n";
    fs::write(&members, text).expect("written");
    let out = folder.join("certs");
    let words = ["certs", "--cluster", word(&members), "--out", word(&out)];
    let made = gleaner().args(words).stdout(Stdio::null()).status();
    assert!(made.expect("it runs").success());
}

#[test]
fn a_front_encrypts_a_service_and_takes_new_certificates_while_it_serves() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let legacy = Running::start(&["serve", "--listen", "127.0.0.1:0", "--data", word(&data)]);
    let backend = format!("http://{}", legacy.address());
    certificates(folder.path());
    let certs = folder.path().join("certs");
    let (cert, key, ca) = (
        certs.join("r.pem"),
        certs.join("r.key"),
        certs.join("ca.pem"),
    );
    let front = Running::start(&[
        "front",
        "--backend",
        &backend,
        "--cert",
        word(&cert),
        "--key",
        word(&key),
        "--listen",
        "127.0.0.1:0",
    ]);
    let url = format!("https://{}/", front.address());
    let asked = |words: &[&str]| {
        let (code, answer) = curl(&ca, &[words, &[&url]].concat());
        assert!(
            code == 0 && answer.contains("You Know, for Search"),
            "{code}: {answer}"
        );
        answer
    };
    for version in ["--http1.1", "--http2"] {
        assert!(asked(&[version]).contains(" 200"), "{version}");
    }
    certificates(folder.path());
    let began = Instant::now();
    let exchanged = std::thread::spawn(move || {
        front.until("new certificates are in use");
        front
    });
    while !exchanged.is_finished() {
        asked(&[]);
        assert!(
            began.elapsed() < PATIENCE,
            "the new certificates were not taken"
        );
    }
    asked(&[]);
    assert_eq!(exchanged.join().expect("it goes on").stop(), 0);
}

/// The first figure of a search's total, and whether the answer was kept.
fn found(ca: &Path, url: &str, body: &str) -> (String, u64) {
    let (code, answer) = curl(ca, &["-d", body, &format!("{url}/notes/_search")]);
    assert_eq!(code, 0, "{answer}");
    let mut lines = answer.lines();
    let kept = lines.find_map(|line| line.strip_prefix("x-cache: "));
    let kept = kept
        .unwrap_or_else(|| panic!("no X-Cache: {answer}"))
        .trim()
        .to_owned();
    let body = answer.lines().last().expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let total = body["hits"]["total"]["value"].as_u64();
    (kept, total.unwrap_or_else(|| panic!("no total: {body}")))
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story of a cluster, in its order"
)]
fn a_secure_cluster_with_fronts_is_one_command() -> anyhow::Result<()> {
    if !etcd::is_installed() {
        let test = "secure::a_secure_cluster_with_fronts_is_one_command";
        return skipped(test, etcd::NO_ETCD);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("D");
    let up = [
        "cluster",
        "up",
        "--leaves",
        "2",
        "--copies",
        "2",
        "--roots",
        "2",
        "--fronts",
        "2",
        "--secure",
        "--no-keys",
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&data),
    ];
    let cluster = Running::start(&up);
    cluster.until("Its processes and shards");
    let map = fs::read_to_string(data.join("processes.json")).expect("the map");
    let map: Value = serde_json::from_str(&map).expect("JSON");
    let (ca, url) = (
        data.join("ca.pem"),
        map["url"].as_str().expect("a URL").to_owned(),
    );
    load(&ca, &url, &folder.path().join("a.ndjson"), &[]);
    let query = "{\"query\":{\"match\":{\"text\":\"tea\"}}}";
    let spelt = "{ \"size\": 10, \"query\" : {\"match\": {\"text\": {\"query\": \"tea\"}}} }";
    // Two roots answer by turns, and each keeps what it has answered.
    let until_kept = |body: &str, total: u64| {
        let began = Instant::now();
        loop {
            let (kept, found) = found(&ca, &url, body);
            assert_eq!(found, total, "{kept}");
            if kept == "hit" {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "nothing is kept");
        }
    };
    assert_eq!(found(&ca, &url, query).1, 1);
    until_kept(query, 1);
    until_kept(spelt, 1);
    // What is kept is for those whom a root would answer.
    for (field, status) in [
        ("Host: evil.example", " 421"),
        ("Origin: https://evil.example", " 403"),
        ("Sec-Fetch-Site: cross-site", " 403"),
    ] {
        for _ in 0..4 {
            let (_, answer) = curl(
                &ca,
                &["-H", field, "-d", query, &format!("{url}/notes/_search")],
            );
            let line = answer.lines().next().expect("a status");
            assert!(line.contains(status), "{field}: {answer}");
        }
    }
    let write = [
        "-X",
        "PUT",
        "-d",
        "{\"text\":\"green tea\"}",
        &format!("{url}/notes/_doc/new?refresh=true"),
    ];
    assert!(curl(&ca, &write).1.contains("created"));
    for body in [query, spelt, query, spelt] {
        assert_eq!(
            found(&ca, &url, body).1,
            2,
            "no answer is older than the write"
        );
    }
    let nodes = map["nodes"].as_array().expect("nodes");
    let named = |name: &str| {
        nodes
            .iter()
            .find(|node| node["name"] == name)
            .expect("a node")
    };
    let process = named("root-2")["pid"].as_u64().expect("a process");
    signal(u32::try_from(process).expect("a process"), "-KILL");
    // What it was answering fails with it.
    let address = named("root-2")["address"].as_str().expect("an address");
    companions::until("its end", || TcpStream::connect(address).err());
    for _ in 0..20 {
        assert_eq!(found(&ca, &url, query).1, 2, "the other root answers");
    }
    let leaf = named("leaf-1")["address"].as_str().expect("an address");
    let (code, _) = curl(&ca, &["--http2", &format!("https://{leaf}/")]);
    assert_ne!(code, 0, "nobody reaches a leaf without a certificate");
    assert_eq!(cluster.stop(), 0);
    Ok(())
}
