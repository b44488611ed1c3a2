//! What it costs that requests are watched: the same requests over HTTP with no telemetry at all, with what `/topz` needs, and
//! with a line of the access log each. What is measured is the CPU time of the process, client and server together, which other
//! work on the machine changes little.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use gleaner_benches::race::process_cpu;
use gleaner_server::{ServerOptions, serve};
use gleaner_telemetry::{AccessLog, LineLog, LinePlace};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Connections, each with one request at a time.
const NUM_CLIENTS: usize = 16;

/// Requests of a client in one measurement.
const NUM_REQUESTS: usize = 32;

const REQUEST: &[u8] = b"POST /notes/_search?request_cache=false HTTP/1.1\r\nhost: 127.0.0.1:9200\r\n\
    user-agent: bench\r\naccept: application/json\r\nx-opaque-id: a-client\r\ncontent-length: 0\r\n\r\n";

/// An answer of some documents.
const ANSWER: &[u8; 2_048] = &[b'x'; 2_048];

async fn answer() -> &'static [u8] {
    let route = |facts: &mut gleaner_telemetry::Facts| {
        facts.note_target("search", Some("notes"));
        facts.note_key(&[1, 2, 3, 4]);
    };
    gleaner_telemetry::note(route);
    ANSWER
}

async fn served(access_log: Option<AccessLog>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let options = ServerOptions {
        access_log,
        ..ServerOptions::default()
    };
    let service = Router::new().route("/notes/_search", post(answer));
    let never = std::future::pending();
    tokio::spawn(async move { serve(listener, service, &options, never).await });
    address
}

/// A connection, and how long an answer is.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("taken");
        stream.set_nodelay(true).expect("an option of TCP");
        stream.write_all(REQUEST).await.expect("taken");
        let mut answer = Vec::new();
        while !answer.ends_with(ANSWER) {
            answer.push(stream.read_u8().await.expect("an answer"));
        }
        Self { stream, answer }
    }

    async fn ask(&mut self) {
        for _ in 0..NUM_REQUESTS {
            self.stream.write_all(REQUEST).await.expect("taken");
            let read = self.stream.read_exact(&mut self.answer).await;
            read.expect("an answer as long as the first");
        }
    }
}

fn telemetry(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    let folder = tempfile::tempdir().expect("a folder");
    let place = LinePlace::File(folder.path().join("access.jsonl"));
    let lines = LineLog::start("access", place).expect("opened");
    let sides = [
        ("none", None),
        ("watched", Some(AccessLog::new("n1", None))),
        ("access log", Some(AccessLog::new("n1", Some(lines)))),
    ];
    let mut group = criterion.benchmark_group("telemetry");
    group
        .sample_size(30)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements((NUM_CLIENTS * NUM_REQUESTS) as u64));
    for (name, access_log) in sides {
        let address = runtime.block_on(served(access_log));
        let clients = (0..NUM_CLIENTS).map(|_| Client::connect(address));
        let mut clients = runtime.block_on(join_all(clients));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|num_rounds| {
                let began = process_cpu();
                for _ in 0..num_rounds {
                    runtime.block_on(join_all(clients.iter_mut().map(Client::ask)));
                }
                process_cpu() - began
            });
        });
    }
    group.finish();
}

criterion_group!(benches, telemetry);
criterion_main!(benches);
