//! Connections of strangers: what is sent, whatever it is, ends no task and closes the connection in time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gleaner_ambassador::{
    RedisAmbassador, RedisOptions, RedisReport, SlowLog, SlowLogPosition, key_positions,
};
use gleaner_front::{Front, FrontOptions};
use gleaner_server::ServerOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longest time until a connection whose client has said all is over.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Name of the threads that serve connections. Other tests of the process panic too.
const SERVING: &str = "fuzzed-serving";

/// Panics of those threads.
static NUM_PANICS: AtomicUsize = AtomicUsize::new(0);

/// What listens.
struct Site {
    runtime: Runtime,
    http: SocketAddr,
    resp: SocketAddr,
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some(SERVING) {
                NUM_PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.enable_all().thread_name(SERVING).build();
        let runtime = runtime.expect("a runtime");
        let (http, resp) = runtime.block_on(async { (start_front().await, start_redis().await) });
        Site {
            runtime,
            http,
            resp,
        }
    })
}

/// A front that believes PROXY headers, ahead of nobody.
async fn start_front() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let options = FrontOptions {
        backends: vec!["http://127.0.0.1:9".parse().expect("an address")],
        probe_every: Duration::from_secs(3_600),
        session: Some("cookie".parse().expect("a key")),
        ..FrontOptions::default()
    };
    let front = Front::start(options);
    tokio::spawn(async move {
        let options = ServerOptions {
            proxy_protocol: vec!["127.0.0.0/8".parse().expect("a network")],
            ..ServerOptions::default()
        };
        gleaner_server::serve(listener, front, &options, std::future::pending()).await
    });
    address
}

/// An ambassador of a Redis server that is away.
async fn start_redis() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let ambassador = RedisAmbassador::new(RedisOptions {
        servers: vec!["127.0.0.1:9".to_owned()],
        copies: 1,
        timeout: Duration::from_secs(1),
        password: None,
        server_password: None,
        max_clients: 64,
        memory_bytes: 1 << 20,
    });
    tokio::spawn(async move {
        ambassador
            .serve(listener, std::future::pending(), Duration::ZERO)
            .await;
    });
    address
}

/// Sends bytes, and reads until the other side closes.
async fn send(address: SocketAddr, bytes: &[u8]) {
    let exchanged = timeout(ENDS_WITHIN, async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        // It may close before it has read everything.
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
    });
    exchanged.await.expect("the connection is over in time");
    check_panics();
}

/// Checks that no task has panicked.
fn check_panics() {
    let num_panics = NUM_PANICS.load(Ordering::SeqCst);
    assert_eq!(num_panics, 0, "a task has panicked");
}

/// A PROXY header, requests of HTTP/1.1 or frames of HTTP/2.
pub(super) fn http(bytes: &[u8]) {
    let site = site();
    site.runtime.block_on(send(site.http, bytes));
}

/// A header of cookies, behind a PROXY header that is one.
pub(super) fn cookie(bytes: &[u8]) {
    let head = b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: ";
    let request = [&head[..], bytes, b"\r\n\r\n"].concat();
    let site = site();
    site.runtime.block_on(send(site.http, &request));
}

/// A PROXY header, and a request behind it.
pub(super) fn proxy(bytes: &[u8]) {
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let site = site();
    site.runtime
        .block_on(send(site.http, &[bytes, &request[..]].concat()));
}

/// Requests of Redis clients.
pub(super) fn resp(bytes: &[u8]) {
    let site = site();
    site.runtime.block_on(send(site.resp, bytes));
}

/// Starts a server that sends `bytes` to each client, whatever it asks.
async fn start_hostile(bytes: &[u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let bytes: Arc<[u8]> = bytes.into();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = Arc::clone(&bytes);
            tokio::spawn(async move {
                // The client may be gone.
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
                drop(stream.read_to_end(&mut Vec::new()).await);
            });
        }
    });
    (address, serving)
}

/// Answers of a Redis server, in the order in which it is asked: a page of metrics is one whatever it says, and keys
/// stand among the words of a request.
pub(super) fn redis_answer(bytes: &[u8]) {
    for words in [&["GET", "a"][..], &["mset", "a", "1", "b", "2"], &["eval"]] {
        let positions = key_positions(bytes, words);
        assert!(positions.iter().all(|at| *at < words.len()), "{words:?}");
    }
    let asked = async {
        let (address, serving) = start_hostile(bytes).await;
        let report = || RedisReport::new(address.to_string(), None, Duration::from_secs(5));
        let page = report().scrape().await;
        let is_of_page = |line: &str| line.starts_with("# ") || line.starts_with("redis_");
        assert!(page.lines().all(is_of_page), "{page}");
        let position = SlowLogPosition {
            run_id: "a".to_owned(),
            last: -1,
        };
        let mut log = SlowLog::new(report(), true).after(Some(position));
        drop(log.news().await);
        drop(log.news().await);
        serving.abort();
        check_panics();
    };
    let site = site();
    let in_time = async { timeout(ENDS_WITHIN, asked).await };
    let ended = site.runtime.block_on(in_time);
    ended.expect("all of it is over in time");
}
