//! Rules of a front as people change them: in their file while the process runs, and across restarts.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::companions::until;
use crate::running::Running;
use crate::word;

/// A service that answers each request with a status and its name; returns its address.
pub(crate) fn service(status: &'static str, name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_all(stream, status, name));
        }
    });
    format!("http://{address}")
}

fn answer_all(stream: TcpStream, status: &str, name: &str) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let num_bytes = name.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {num_bytes}\r\n\r\n{name}");
    // An empty line ends a request: none has a body.
    while lines.any(|line| line.is_empty()) {
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A connection of a client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the front takes connections");
        Self(BufReader::new(stream))
    }

    /// Sends a request that begins with these lines; returns the body of its answer.
    fn ask(&mut self, lines: &str, body: &str) -> String {
        let length = body.len();
        let host = match lines.to_ascii_lowercase().contains("\r\nhost:") {
            true => "",
            false => "\r\nHost: 127.0.0.1",
        };
        let request = format!("{lines}{host}\r\nContent-Length: {length}\r\n\r\n{body}");
        let sent = self.0.get_mut().write_all(request.as_bytes());
        sent.expect("it is sent");
        let mut num_bytes = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line");
            assert!(!line.is_empty(), "the connection has ended");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                num_bytes = length.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; num_bytes];
        self.0.read_exact(&mut body).expect("a whole body");
        String::from_utf8(body).expect("text")
    }

    fn ask_as(&mut self, user: usize) -> String {
        self.ask(&format!("GET / HTTP/1.1\r\nX-User: {user}"), "")
    }
}

/// Asks for `/` over a connection of its own, with this field; returns the body of the answer.
pub(crate) fn asked_with(address: &str, field: &str) -> String {
    Client::connect(address).ask(&format!("GET / HTTP/1.1\r\n{field}"), "")
}

/// A front that runs.
struct Front {
    running: Running,
    address: String,
    admin: String,
}

impl Front {
    fn start(words: &[&str]) -> Self {
        let flags = [
            "front",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        let running = Running::start(&[&flags[..], words].concat());
        Self {
            address: running.address_in("front serving"),
            admin: running.address_in("rules and the shadow are shown"),
            running,
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Returns the share of the first rule that goes the other way now.
    fn share_now(&self) -> Value {
        let shown = Client::connect(&self.admin).ask("GET /_front/rules HTTP/1.1", "");
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        shown["rules"][0]["share_now"].clone()
    }

    fn until_share(&self, wanted: &str) {
        until(wanted, || (self.share_now() == wanted).then_some(()));
    }
}

/// Returns a rule that sends a share of users to `to`.
fn rules(to: &str, share: &str) -> String {
    let rule = json!({
        "name": "new", "to": to, "share": share, "by": "header:x-user", "canary": true,
    });
    json!({"rules": [rule]}).to_string()
}

/// Returns the flags of a front that splits requests between two services by the rules in a file.
fn words<'a>(main: &'a str, other: &'a str, path: &'a Path) -> [&'a str; 6] {
    [
        "--backend",
        main,
        "--split-to",
        other,
        "--rules",
        word(path),
    ]
}

/// Exchanges the file in one step, so that nobody reads half of it.
fn exchange(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("written");
    fs::rename(&beside, path).expect("renamed");
}

#[test]
fn a_canary_that_was_left_stays_so_when_the_process_starts_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json");
    let stopped = folder.path().join("rules.json.stopped");
    let (main, other) = (service("200 OK", "main"), service("500 Oh", "other"));
    exchange(&path, &rules(&other, "50%"));
    let words = words(&main, &other, &path);
    let front = Front::start(&words);
    let mut client = front.client();
    for user in 0..400 {
        client.ask_as(user);
    }
    front.running.until("the other way is worse");
    until("the file of ways that were left", || {
        stopped.exists().then_some(())
    });
    drop(client);
    assert_eq!(front.running.stop(), 0);

    let front = Front::start(&words);
    assert_eq!(front.share_now(), "0%", "the next process knows");
    let mut client = front.client();
    for user in 0..100 {
        assert_eq!(client.ask_as(user), "main");
    }
    let mut admin = Client::connect(&front.admin);
    admin.ask("PUT /_front/rules HTTP/1.1", &rules(&other, "50%"));
    assert_eq!(front.share_now(), "50%", "a person starts it again");
    until("the end of the file", || (!stopped.exists()).then_some(()));
}

#[test]
fn a_second_front_on_the_same_rules_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json");
    let (main, other) = (service("200 OK", "main"), service("200 OK", "other"));
    exchange(&path, &rules(&other, "0%"));
    let words = words(&main, &other, &path);
    let front = Front::start(&words);
    let second = Running::start(&[&["front", "--listen", "127.0.0.1:0"][..], &words].concat());
    let said = second.until("`--node-name`");
    assert!(said.contains("rules.json.stopped`"), "{said}");
    assert_ne!(second.stop(), 0);
    assert_eq!(front.running.stop(), 0);
}

#[test]
fn rules_that_change_in_their_file_come_into_force_and_wrong_ones_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json");
    let (main, other) = (service("200 OK", "main"), service("200 OK", "other"));
    exchange(&path, &rules(&other, "0%"));
    let front = Front::start(&words(&main, &other, &path));
    let mut client = front.client();
    assert_eq!(client.ask_as(1), "main");
    exchange(&path, &rules(&other, "100%"));
    front.until_share("100%");
    assert_eq!(client.ask_as(1), "other");

    exchange(
        &path,
        "{\"rules\": [\n{\"name\": \"new\", \"shar\": \"0%\"}]}",
    );
    let said = front.running.until("rules are not exchanged");
    assert!(said.contains("`shar`") && said.contains("line 2"), "{said}");
    assert_eq!(front.share_now(), "100%", "those in force stay");
    exchange(&path, &rules("http://10.0.0.1:9200", "0%"));
    front.running.signal("-HUP");
    let said = front.running.until("`--split-to`");
    assert!(said.contains("rule `new`"), "{said}");
    assert_eq!(client.ask_as(1), "other");

    exchange(&path, &rules(&other, "0%"));
    front.running.signal("-HUP");
    front.until_share("0%");
    assert_eq!(client.ask_as(1), "main");
    assert_eq!(front.running.stop(), 0);
}

#[test]
fn pages_and_foreign_names_change_no_rules() {
    let (main, other) = (service("200 OK", "main"), service("200 OK", "other"));
    let front = Front::start(&["--backend", &main, "--split-to", &other]);
    let wanted = rules(&other, "100%");
    let own = &front.admin;
    for (field, status) in [
        ("Host: evil.example", "421"),
        ("Origin: https://evil.example", "403"),
        ("Sec-Fetch-Site: cross-site", "403"),
    ] {
        for path in ["/_front/rules", "/_front/shadow"] {
            let asked = Client::connect(own).ask(&format!("GET {path} HTTP/1.1\r\n{field}"), "");
            assert!(asked.contains(&format!("\"status\":{status}")), "{asked}");
        }
        let put = format!("PUT /_front/rules HTTP/1.1\r\n{field}");
        let said = Client::connect(own).ask(&put, &wanted);
        assert!(said.contains(&format!("\"status\":{status}")), "{said}");
        assert_eq!(front.share_now(), Value::Null, "{field}");
    }
    let said = Client::connect(own).ask("PUT /_front/rules HTTP/1.1\r\nHost: localhost", &wanted);
    assert!(said.contains("100%"), "{said}");
}
