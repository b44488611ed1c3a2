//! The examples of `docs/companions.md`, run by a shell as they stand there, beside the programs that they are for.
//!
//! Addresses and places are put in the place of those of the text; nothing else of an example is changed.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Result;
use gleaner_testkit::etcd::NO_ETCD;
use gleaner_testkit::skipped;

use crate::companions::{Killed, etcd, free_port, put, until};
use crate::running::Running;
use crate::word;

const DOCUMENT: &str = include_str!("../../../docs/companions.md");

/// Returns the example whose first line begins so, with `replaced` in the place of its parts.
fn example(begins: &str, replaced: &[(&str, &str)]) -> String {
    let at = DOCUMENT.find(&format!("$ {begins}")).expect(begins) + 2;
    let mut command = String::new();
    for line in DOCUMENT[at..].lines() {
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        command += line;
        if !goes_on {
            break;
        }
    }
    for (part, with) in replaced {
        assert!(command.contains(part), "`{part}` of `{command}`");
        command = command.replace(part, with);
    }
    command.replace("gleaner ", &format!("{} ", env!("CARGO_BIN_EXE_gleaner")))
}

/// An example that runs; all of its processes end with it.
struct Shown(Child);

impl Shown {
    fn start(command: &str) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .env_remove("GLEANER_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Self(shell.spawn().expect("a shell"))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        drop(Command::new("kill").args(["-TERM", "--", &group]).status());
        drop(self.0.wait());
    }
}

/// Returns what an address answers.
fn asked(url: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-g", "--noproxy", "*", url])
        .output();
    String::from_utf8_lossy(&output.expect("curl").stdout).into_owned()
}

fn server(folder: &Path) -> (Running, String) {
    let data = folder.join("data");
    let words = ["serve", "--listen", "127.0.0.1:0", "--data", word(&data)];
    let running = Running::start(&words);
    let url = format!("http://{}", running.address());
    (running, url)
}

/// Is there a document of the index that holds these words?
fn until_found(url: &str, index: &str, words: &str) {
    until(words, || {
        let found = asked(&format!("{url}/{index}/_search?q={words}"));
        found.contains("\"_source\"").then_some(())
    });
}

/// Writes what nginx runs with, and answers `text`.
fn nginx_conf(folder: &Path, port: u16, text: &str) -> String {
    let at = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/{name};"))
        .join(" ");
    format!(
        "pid {at}/pid; error_log {at}/error.log; events {{}}\n\
         http {{ access_log {at}/access.log; {temporary}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{text}'; }} }} }}\n"
    )
}

/// An nginx that ends its workers when it is dropped.
struct Nginx(Killed);

impl Nginx {
    fn start(folder: &Path) -> Option<Self> {
        let conf = folder.join("nginx.conf");
        let words = ["-c", word(&conf), "-g", "daemon off;"];
        Killed::start("nginx", &words).map(Self)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.0.signal("-TERM");
        drop(self.0.0.wait());
    }
}

#[test]
fn the_file_of_nginx_follows_a_key_and_its_check_keeps_bad_ones_out() -> Result<()> {
    let name = "secure::the_file_of_nginx_follows_a_key_and_its_check_keeps_bad_ones_out";
    let folder = tempfile::tempdir()?;
    let Some((_etcd, members)) = etcd(folder.path()) else {
        return skipped(name, NO_ETCD);
    };
    let (port, conf) = (free_port(), folder.path().join("nginx.conf"));
    fs::write(&conf, nginx_conf(folder.path(), port, "one"))?;
    let Some(_nginx) = Nginx::start(folder.path()) else {
        return skipped(name, "no `nginx` is installed here");
    };
    let url = format!("http://127.0.0.1:{port}/");
    let answers = |wanted: &str| until(wanted, || (asked(&url) == wanted).then_some(()));
    answers("one");
    let pid = folder.path().join("pid");
    let command = example(
        "gleaner config-sync --from etcd:",
        &[
            ("127.0.0.1:2379", &format!("127.0.0.1:{members}")),
            ("/etc/nginx/nginx.conf", word(&conf)),
            // Others may run one on this machine.
            ("--process nginx", &format!("--pid-file {}", pid.display())),
        ],
    );
    let key = "/nginx/nginx.conf";
    put(members, key, &nginx_conf(folder.path(), port, "two"));
    let _sync = Shown::start(&command);
    answers("two");
    // Were a bad value let through, no good one would come after it.
    for text in ["three", "four"] {
        put(members, key, "events {} http { no_such_directive on; }");
        put(members, key, &nginx_conf(folder.path(), port, text));
        answers(text);
    }
    Ok(())
}

#[test]
fn lines_of_nginx_are_searchable_while_they_come() -> Result<()> {
    let name = "secure::lines_of_nginx_are_searchable_while_they_come";
    let folder = tempfile::tempdir()?;
    let (port, conf) = (free_port(), folder.path().join("nginx.conf"));
    fs::write(&conf, nginx_conf(folder.path(), port, "one"))?;
    let Some(_nginx) = Nginx::start(folder.path()) else {
        return skipped(name, "no `nginx` is installed here");
    };
    let page = |path: &str| asked(&format!("http://127.0.0.1:{port}/{path}"));
    until("nginx", || (page("") == "one").then_some(()));
    let (_server, url) = server(folder.path());
    let access = folder.path().join("access.log");
    let command = example(
        "gleaner adapter logs --follow",
        &[("/var/log/nginx/access.log", word(&access))],
    );
    let into = format!(
        "{} index --url {url} --index logs -",
        env!("CARGO_BIN_EXE_gleaner")
    );
    let _shown = Shown::start(&format!("{command} | {into}"));
    for path in ["first", "second"] {
        page(path);
        until_found(&url, "logs", path);
    }
    until_found(&url, "logs", "event.dataset:nginx.access");
    Ok(())
}

#[test]
fn slow_commands_of_redis_are_searchable_while_they_come() -> Result<()> {
    let name = "secure::slow_commands_of_redis_are_searchable_while_they_come";
    let folder = tempfile::tempdir()?;
    let port = free_port().to_string();
    let words = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--slowlog-log-slower-than",
        "0",
    ];
    let Some(_redis) = Killed::start("redis-server", &words) else {
        return skipped(name, "no `redis-server` is installed here");
    };
    let (_server, url) = server(folder.path());
    let command = example(
        "gleaner adapter redis",
        &[
            ("127.0.0.1:6379", &format!("127.0.0.1:{port}")),
            ("127.0.0.1:9121", &format!("127.0.0.1:{}", free_port())),
            ("--index slowlog", &format!("--index slowlog --url {url}")),
        ],
    );
    let _shown = Shown::start(&command);
    until_found(&url, "slowlog", "event.module:redis");
    Ok(())
}
