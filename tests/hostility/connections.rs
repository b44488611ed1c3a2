//! Thousands of connections that say nothing, little, or no end, while others search and probe.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use gleaner_testkit::{Server, run};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// Hostile connections: reduced, and in full. The reduced server has room for fewer than that.
const NUM_HOSTILE: (usize, usize) = (1_500, 10_000);
/// Connections that the server has room for: reduced, and in full, which is the default.
const ROOM: (usize, usize) = (600, 8_192);
/// Addresses that they come from.
const NUM_ADDRESSES: usize = 4;
/// Searches that are made meanwhile.
const NUM_SEARCHES: usize = 40;

/// What hostile connections begin with, in turns.
const BEGINNINGS: [&[u8]; 5] = [
    b"",
    b"PRI * HT",
    b"GET /books/_search?q=",
    b"POST /books/_doc HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
      content-length: 100\r\n\r\n{",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Lets this process open as many files as the system allows.
fn raise_files() -> Result<usize> {
    let pid = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(4));
    let hard = hard.context("no limit of open files")?;
    let raised = format!("--nofile={hard}:{hard}");
    let status = Command::new("prlimit")
        .args(["--pid", &pid, &raised])
        .status();
    ensure!(status.context("no `prlimit`")?.success(), "not allowed");
    Ok(hard.parse().unwrap_or(usize::MAX))
}

/// Connects from one of several addresses of this machine.
async fn connect(number: usize, to: SocketAddr) -> Result<TcpStream> {
    let last = u8::try_from(2 + number % NUM_ADDRESSES)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)),
        0,
    ))?;
    Ok(socket.connect(to).await?)
}

/// Opens connections until `number` are open; those that the server closes are left closed.
async fn crowd(number: usize, to: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut crowd = Vec::with_capacity(number);
    for at in 0..number {
        let mut stream = connect(at, to).await?;
        // It may be closed already: that is what the server is for.
        drop(stream.write_all(BEGINNINGS[at % BEGINNINGS.len()]).await);
        crowd.push(stream);
    }
    Ok(crowd)
}

async fn start(folder: &Path) -> Result<Server> {
    let room = run::sized(ROOM.0, ROOM.1);
    let start = Start {
        arguments: vec!["--max-connections".to_owned(), room.to_string()],
        ..Start::on(&folder.join("data"))
    };
    let server = start.spawn().await?;
    let put = Request::json(
        "PUT",
        "/books/_doc/1?refresh=true",
        &json!({"title": "found"}),
    );
    server.send(&put).await?.ok()?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_slow_and_half_open_connections_keep_nobody_out() -> Result<()> {
    let wanted = run::sized(NUM_HOSTILE.0, NUM_HOSTILE.1);
    let files = raise_files()?;
    ensure!(
        files > wanted + 100,
        "{files} files are too few for {wanted}"
    );
    let folder = tempfile::tempdir()?;
    let server = start(folder.path()).await?;
    let address = server.address();
    let crowding = tokio::spawn(crowd(wanted, address));
    let (mut slowest, mut num_searches) = (Duration::ZERO, 0);
    while num_searches < NUM_SEARCHES || !crowding.is_finished() {
        for path in ["/books/_search?q=found", "/_health/live", "/_health/ready"] {
            let began = Instant::now();
            let answer = server.send(&Request::new("GET", path)).await?;
            ensure!(answer.status == 200, "{path}: {}", answer.shown());
            slowest = slowest.max(began.elapsed());
        }
        num_searches += 1;
    }
    let crowd = crowding.await??;
    let metrics = server.send(&Request::new("GET", "/metrics")).await?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let closed = "gleaner_connections_closed_total{port=\"clients\",reason=\"room\"}";
    ensure!(
        metrics.contains(closed),
        "none had to make room:\n{metrics}"
    );
    run::report(
        "connections",
        &json!({"hostile": crowd.len(), "searches": num_searches,
            "slowest_ms": slowest.as_millis() as u64}),
    )?;
    drop(crowd);
    server.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_deletes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path()).await?;
    let from = |path: &str, header: (&str, &str)| {
        Request::new("POST", path).with_header(header.0, header.1)
    };
    for path in [
        "/books/_delete_by_query?q=*&refresh=true",
        "/books/_close",
        "/books/_forcemerge",
        "/books/_pit?keep_alive=1m",
    ] {
        for header in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("host", "rebound.evil.example"),
        ] {
            let answer = server.send(&from(path, header)).await?;
            let expected = if header.0 == "host" { 421 } else { 403 };
            ensure!(answer.status == expected, "{path}: {}", answer.shown());
            let error = answer.json()?["error"]["type"].clone();
            ensure!(error == "security_exception", "{path}: {error}");
        }
    }
    let found = server.send(&Request::new("GET", "/books/_count")).await?;
    ensure!(found.ok()?["count"] == 1, "{}", found.shown());
    let own = format!("http://{}", server.address());
    let answer = server
        .send(&from("/books/_refresh", ("origin", &own)))
        .await?;
    answer.ok()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_listens_by_name_and_answers_the_names_that_are_set() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let arguments = [
        "--allowed-hosts",
        "search,*.svc.local",
        "--http-cors-enabled",
        "true",
        "--http-cors-allow-origin",
        "https://app.example.com",
        "--probe-listen",
        "localhost:0",
    ];
    let start = Start {
        arguments: arguments.map(str::to_owned).to_vec(),
        ..Start::on(&data)
    };
    let server = start.spawn().await?;
    for host in ["search:9200", "a.svc.local", "localhost"] {
        let request = Request::new("GET", "/").with_header("host", host);
        server.send(&request).await?.ok()?;
    }
    let preflight = Request::new("OPTIONS", "/books/_search")
        .with_header("origin", "https://app.example.com")
        .with_header("access-control-request-method", "POST");
    let answer = server.send(&preflight).await?;
    ensure!(answer.status == 200, "{}", answer.shown());
    let allowed = answer.header("access-control-allow-origin");
    ensure!(allowed == Some("https://app.example.com"), "{allowed:?}");
    let printed = server.printed()?;
    let line = printed
        .lines()
        .find(|line| line.contains("answering probes"));
    let port = line.and_then(|line| line.rsplit_once("127.0.0.1:"));
    let (_, port) = port.context("the address of probes is logged")?;
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    let probed = SocketAddr::from((Ipv4Addr::LOCALHOST, digits.parse()?));
    for (path, status) in [
        ("/_health/live", 200),
        ("/_health/ready", 200),
        ("/metrics", 200),
        ("/books", 404),
    ] {
        let answer = Request::new("GET", path).send(probed).await?;
        ensure!(answer.status == status, "{path}: {}", answer.shown());
    }
    server.stop().await
}
