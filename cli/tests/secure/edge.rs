//! The edge as strangers and operators see it: nginx behind a front, protocols and ciphers, answers beyond memory.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use gleaner_testkit::skipped;

use crate::companions::{Killed, free_port, until};
use crate::running::{Running, curl, gleaner};
use crate::{certificates, word};

/// Starts nginx with `server` inside of a `server {}`, on a port of its own.
fn nginx(folder: &Path, name: &str, server: &str) -> Option<(Killed, u16)> {
    let (port, folder) = (free_port(), folder.join(name));
    fs::create_dir_all(&folder).expect("a folder");
    let at = folder.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = paths.map(|kind| format!("{kind}_temp_path {at}/{kind};"));
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log; events {{ }}
http {{ access_log off; {} server {{ listen 127.0.0.1:{port} {server} }} }}\n",
        paths.join(" ")
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).expect("written");
    let server = Killed::start("nginx", &["-c", word(&file), "-p", word(&folder)])?;
    until("nginx", || TcpStream::connect(("127.0.0.1", port)).ok());
    Some((server, port))
}

/// A front with certificates of its own ahead of a backend.
fn front(folder: &Path, backend: &str) -> Running {
    front_with(folder, backend, &[])
}

/// As [`front`], with further flags.
fn front_with(folder: &Path, backend: &str, flags: &[&str]) -> Running {
    certificates(folder);
    let certs = folder.join("certs");
    let (cert, key) = (certs.join("r.pem"), certs.join("r.key"));
    let listen = ["--listen", "127.0.0.1:0"];
    let tls = ["--cert", word(&cert), "--key", word(&key)];
    let words = [&["front", "--backend", backend][..], &tls, &listen, flags];
    Running::start(&words.concat())
}

#[test]
fn nginx_is_encrypted_by_a_front_and_its_answers_are_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text: String = (0..2_000).map(|n| format!("line {n}\n")).collect();
    fs::write(folder.path().join("page.txt"), &text)?;
    let root = folder.path().display();
    let server = format!(
        "; root {root}; location = /moved {{ return 302 http://elsewhere.example/; }}
location = /who {{ return 200 '$http_host $http_x_forwarded_proto $http_x_forwarded_for'; }}"
    );
    let Some((_nginx, port)) = nginx(folder.path(), "nginx", &server) else {
        return skipped("secure::nginx_is_encrypted", "no `nginx` is installed here");
    };
    let front = front(folder.path(), &format!("http://127.0.0.1:{port}"));
    let (ca, url) = (
        folder.path().join("certs/ca.pem"),
        format!("https://{}", front.address()),
    );
    let asked = |words: &[&str], path: &str| {
        let (code, answer) = curl(&ca, &[words, &[&format!("{url}{path}")]].concat());
        assert_eq!(code, 0, "{answer}");
        answer
    };
    for version in ["--http1.1", "--http2"] {
        let answer = asked(&[version], "/page.txt");
        assert!(answer.contains(&text), "{version}");
        let answer = asked(&[version, "-r", "0-5"], "/page.txt");
        assert!(
            answer.contains(" 206") && answer.trim_end().ends_with("line 0"),
            "{answer}"
        );
        let answer = asked(&[version, "-d", "x=1"], "/page.txt");
        assert!(answer.contains(" 405"), "{answer}");
        let answer = asked(&[version], "/gone");
        assert!(
            answer.contains(" 404") && answer.contains("nginx"),
            "{answer}"
        );
        let answer = asked(&[version], "/moved");
        assert!(
            answer.contains("http://elsewhere.example/"),
            "not followed: {answer}"
        );
        let answer = asked(&[version, "-H", "X-Forwarded-For: 1.2.3.4"], "/who");
        let host = front.address();
        let who = format!("{host} https 127.0.0.1");
        assert!(answer.trim_end().ends_with(&who), "{answer}");
    }
    assert_eq!(front.stop(), 0);
    Ok(())
}

#[test]
fn requests_without_encryption_are_redirected_and_browsers_told_to_stay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let flags = ["--redirect-listen", &listen, "--strict-transport", "365d"];
    let front = front_with(folder.path(), "http://127.0.0.1:9", &flags);
    let ca = folder.path().join("certs/ca.pem");
    let ask = |words: &[&str], url: &str| curl(&ca, &[words, &[url]].concat()).1;
    let plain = format!("http://{listen}");
    let to = format!("https://{}/a%20b/_search?q=x", front.address());
    for words in [&[][..], &["-I"], &["-d", "{}"]] {
        let answer = ask(words, &format!("{plain}/a%20b/_search?q=x"));
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        let told = format!("location: {to}\r\n");
        assert!(answer.contains(&told), "{answer}");
        assert!(
            answer.contains("connection: close") && !answer.contains("strict-transport"),
            "{answer}"
        );
    }
    for bad in ["Host: me@elsewhere", "Host:", "Host: a/b"] {
        let answer = ask(&["-H", bad], &plain);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad}: {answer}");
    }
    let answer = ask(&["-L", "-d", "{}"], &format!("{plain}/a%20b/_search?q=x"));
    let (_, encrypted) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(encrypted.contains(" 503"), "the backend is away: {answer}");
    let strict = "strict-transport-security: max-age=31536000\r\n";
    assert!(encrypted.contains(strict), "{answer}");
    assert_eq!(front.stop(), 0);
    Ok(())
}

/// Makes a handshake with `flags`; returns whether it succeeded.
fn speaks(port: u16, flags: &[&str]) -> bool {
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address]).args(flags);
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    // A handshake that failed ends without a cipher.
    output.status.success() && said.contains("Cipher is ") && !said.contains("Cipher is (NONE)")
}

/// Returns the ciphers of TLS 1.2 that a server takes, of all that OpenSSL knows.
fn ciphers(port: u16) -> Vec<String> {
    let all = [
        "ciphers",
        "-s",
        "-tls1_2",
        "ALL:COMPLEMENTOFALL:@SECLEVEL=0",
    ];
    let output = Command::new("openssl").args(all).output().expect("it runs");
    let all = String::from_utf8(output.stdout).expect("text");
    let all = all.trim().split(':');
    let is_taken = |name: &&str| {
        let cipher = format!("{name}:@SECLEVEL=0");
        speaks(port, &["-tls1_2", "-cipher", &cipher])
    };
    // Those of 1.3 are chosen apart.
    let of_old = all.filter(|name| !name.starts_with("TLS_"));
    of_old.filter(is_taken).map(str::to_owned).collect()
}

#[test]
fn only_ciphers_with_forward_secrecy_that_authenticate_are_spoken() -> Result<()> {
    const TEST: &str = "secure::only_ciphers_with_forward_secrecy";
    if Command::new("openssl").arg("version").output().is_err() {
        return skipped(TEST, "no `openssl` is installed here");
    }
    let folder = tempfile::tempdir()?;
    let front = front(folder.path(), "http://127.0.0.1:9");
    let address = front.address();
    let port: u16 = address.rsplit(':').next().expect("a port").parse()?;
    let weak = "ALL:@SECLEVEL=0";
    for old in ["-tls1", "-tls1_1"] {
        assert!(!speaks(port, &[old, "-cipher", weak]), "{old}");
    }
    assert!(speaks(port, &["-tls1_2"]) && speaks(port, &["-tls1_3"]));
    let taken = ciphers(port);
    let is_good = |name: &String| {
        name.starts_with("ECDHE-") && (name.contains("GCM") || name.contains("CHACHA20"))
    };
    assert!(!taken.is_empty() && taken.iter().all(is_good), "{taken:?}");
    // What is found of a server that takes more: the same look sees it.
    let certs = folder.path().join("certs");
    let server = format!(
        "ssl; ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.2;
ssl_ciphers ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0; return 200;",
        certs.join("r.pem").display(),
        certs.join("r.key").display()
    );
    if let Some((_nginx, port)) = nginx(folder.path(), "weak", &server) {
        assert_eq!(ciphers(port), ["ECDHE-ECDSA-AES128-SHA"]);
    }
    Ok(())
}

/// Returns how often the cache of a server had an outcome beyond memory.
fn outcomes(url: &str, outcome: &str) -> u64 {
    let (_, page) = curl(Path::new("/dev/null"), &[&format!("{url}/metrics")]);
    let name = format!("gleaner_cache_overflow_total{{outcome=\"{outcome}\"}}");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.trim().parse().expect("a number"))
}

#[test]
fn answers_that_fall_out_of_memory_lie_in_redis_and_come_back() -> Result<()> {
    const TEST: &str = "secure::answers_that_fall_out_of_memory";
    let folder = tempfile::tempdir()?;
    let redis = free_port();
    let words = ["--port", &redis.to_string(), "--save", ""];
    let Some(server) = Killed::start("redis-server", &words) else {
        return skipped(TEST, "no `redis-server` is installed here");
    };
    until("redis-server", || {
        TcpStream::connect(("127.0.0.1", redis)).ok()
    });
    let data = folder.path().join("data");
    let beyond = format!("redis://127.0.0.1:{redis}");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", word(&data)];
    let cache = ["--cache-memory", "192kb", "--cache-overflow", &beyond];
    let node = Running::start(&[&serve[..], &cache].concat());
    let url = format!("http://{}", node.address());
    let ask = |words: &[&str], path: &str| {
        let (code, answer) = curl(
            Path::new("/dev/null"),
            &[words, &[&format!("{url}{path}")]].concat(),
        );
        assert_eq!(code, 0, "{answer}");
        answer
    };
    let put = |id: &str| {
        let body = "{\"text\":\"scattered leaves\"}";
        ask(
            &["-X", "PUT", "-d", body],
            &format!("/notes/_doc/{id}?refresh=true"),
        )
    };
    assert!(put("1").contains("created"));
    // Each of a kilobyte in the cache, and all of them larger than it.
    let search = |number: u32| {
        let body = format!("{{\"query\":{{\"match\":{{\"text\":\"leaves\"}}}},\"size\":{number}}}");
        ask(&["-d", &body], "/notes/_search")
    };
    until("an answer beyond memory", || {
        for number in 1..600 {
            search(number);
        }
        (outcomes(&url, "written") > 0 && outcomes(&url, "hit") > 0).then_some(())
    });
    let stored = Command::new("redis-cli")
        .args(["-p", &redis.to_string(), "--scan", "--pattern", "*"])
        .output();
    if let Ok(stored) = stored {
        let names = String::from_utf8(stored.stdout)?;
        assert!(
            names.lines().count() > 0 && names.lines().all(|name| name.starts_with("gleaner:"))
        );
    }
    assert!(put("2").contains("created"));
    for number in 1..600 {
        let answer = search(number);
        assert!(
            answer.contains("\"value\":2"),
            "older than the write: {answer}"
        );
    }
    server.signal("-STOP");
    assert!(put("3").contains("created"));
    for number in 1..50 {
        assert!(search(number).contains("\"value\":3"));
    }
    assert!(outcomes(&url, "failed") > 0);
    server.signal("-CONT");
    assert_eq!(node.stop(), 0);
    Ok(())
}

#[test]
fn a_place_beyond_memory_that_is_no_address_is_refused() {
    let flags = [
        "serve",
        "--data",
        "/nowhere",
        "--cache-overflow",
        "localhost:6379",
    ];
    let output = gleaner().args(flags).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("cache_overflow") && said.contains("redis://HOST:PORT"),
        "{said}"
    );
}
