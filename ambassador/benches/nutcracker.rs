//! The ambassador beside nutcracker (twemproxy): requests a second through each, on one core, in turns.
//!
//! `cargo bench -p gleaner-ambassador` needs `redis-server`, `redis-benchmark`, `nutcracker` and `taskset`. Both proxies
//! run on the first core, the servers and the load on the others; the figure is the ratio of the two.

#![expect(clippy::print_stdout, reason = "the figures are read on the terminal")]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gleaner_ambassador::{RedisAmbassador, RedisOptions};

const ROUNDS: usize = 5;
const REQUESTS: &str = "200000";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        return serve(&arguments[at + 1], &arguments[at + 2..]);
    }
    let servers: Vec<u16> = (0..2).map(|_| free_port()).collect();
    let _servers: Vec<Killed> = servers.iter().map(|port| redis(*port)).collect();
    let (ours, theirs) = (free_port(), free_port());
    let _ours = ambassador(ours, &servers);
    let _theirs = nutcracker(theirs, &servers);
    println!("| request | pipeline | ambassador, req/s | nutcracker, req/s | ratio |");
    println!("| --- | --- | --- | --- | --- |");
    for (request, pipeline) in [("get", "16"), ("set", "16"), ("get", "1"), ("set", "1")] {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..2 * ROUNDS {
            let side = round % 2;
            rates[side].push(rate([ours, theirs][side], request, pipeline));
        }
        let [own, other] = rates.map(median);
        println!(
            "| {request} | {pipeline} | {own:.0} | {other:.0} | {:.2} |",
            own / other
        );
    }
}

/// The ambassador, as a process of its own on one thread.
fn serve(port: &str, servers: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}"))
            .await
            .expect("a port");
        let ambassador = RedisAmbassador::new(RedisOptions {
            servers: servers.to_vec(),
            copies: 1,
            timeout: Duration::from_secs(1),
            password: None,
            server_password: None,
            max_clients: 1_000,
            memory_bytes: 256 << 20,
        });
        ambassador
            .serve(listener, std::future::pending(), Duration::ZERO)
            .await;
    });
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(port: u16, request: &str, pipeline: &str) -> f64 {
    let output = Command::new("taskset")
        .args([
            "-c",
            "1",
            "redis-benchmark",
            "--csv",
            "-n",
            REQUESTS,
            "-c",
            "50",
            "-r",
            "100000",
            "-d",
            "64",
        ])
        .args(["-t", request, "-P", pipeline, "-p", &port.to_string()])
        .output()
        .expect("redis-benchmark runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().last().unwrap_or_default();
    let field = line.split(',').nth(1).unwrap_or_default().trim_matches('"');
    field
        .parse()
        .unwrap_or_else(|_| panic!("no rate in {text}"))
}

fn redis(port: u16) -> Killed {
    let words = [
        "-c",
        "1",
        "redis-server",
        "--save",
        "",
        "--port",
        &port.to_string(),
    ];
    start("taskset", &words, port)
}

fn ambassador(port: u16, servers: &[u16]) -> Killed {
    let own = std::env::current_exe().expect("this program");
    let mut words = vec![
        "-c".to_owned(),
        "0".to_owned(),
        own.display().to_string(),
        "--serve".to_owned(),
        port.to_string(),
    ];
    words.extend(servers.iter().map(|port| format!("127.0.0.1:{port}")));
    let started = start("taskset", &words, port);
    // The servers come in within a moment: a request is answered then.
    let ask = || {
        Command::new("redis-cli")
            .args(["-p", &port.to_string(), "GET", "a"])
            .output()
    };
    while !ask().is_ok_and(|output| output.status.success() && !output.stdout.starts_with(b"ERR")) {
        wait();
    }
    started
}

fn nutcracker(port: u16, servers: &[u16]) -> Killed {
    let mut settings = format!(
        "alpha:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  redis: true\n  servers:\n"
    );
    for server in servers {
        settings += &format!("   - 127.0.0.1:{server}:1\n");
    }
    let file = std::env::temp_dir().join(format!("nutcracker-{port}.yml"));
    std::fs::write(&file, settings).expect("written");
    let words = [
        "-c",
        "0",
        "nutcracker",
        "-c",
        &file.display().to_string(),
        "-s",
        &free_port().to_string(),
    ]
    .map(str::to_owned);
    start("taskset", &words, port)
}

fn start<W: AsRef<std::ffi::OsStr>>(program: &str, words: &[W], port: u16) -> Killed {
    let child = Command::new(program)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let started = Killed(child.unwrap_or_else(|error| panic!("{program}: {error}")));
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        wait();
    }
    started
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn wait() {
    std::thread::sleep(Duration::from_millis(20));
}
