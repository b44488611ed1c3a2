//! A server that answers searches as a test tells it to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::watch};

/// How to answer. Searches are numbered from 0; the first is the one that `bench` tries before a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    Normal,
    /// Those from `first` on are held until the one numbered `until` has arrived.
    HoldUntil {
        first: usize,
        until: usize,
    },
    /// The one of that number takes so long.
    Stall {
        number: usize,
        time: Duration,
    },
    /// Those from `first` on are never answered.
    Silent {
        first: usize,
    },
    /// Every third is refused with 429, every third is late and every third lacks a shard.
    Mixed,
    /// All are refused with 404.
    Missing,
}

struct Books {
    manner: Manner,
    next: AtomicUsize,
    num_arrived: watch::Sender<usize>,
}

/// The server; it ends when it is dropped.
pub(crate) struct Server {
    address: String,
    books: Arc<Books>,
    runtime: Runtime,
}

impl Server {
    /// Starts on a free port.
    pub(crate) fn start(manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let books = Arc::new(Books {
            manner,
            next: AtomicUsize::new(0),
            num_arrived: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/", get(|| async { axum::Json(json!({})) }))
            .route("/books/_search", post(search))
            .with_state(Arc::clone(&books));
        runtime.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            address,
            books,
            runtime,
        }
    }

    /// Waits until so many searches have arrived.
    pub(crate) fn wait_for_searches(&self, number: usize) {
        let mut arrived = self.books.num_arrived.subscribe();
        let enough = self
            .runtime
            .block_on(arrived.wait_for(|arrived| *arrived >= number));
        drop(enough.expect("the books are open"));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn search(State(books): State<Arc<Books>>) -> Response {
    let number = books.next.fetch_add(1, Ordering::Relaxed);
    books.num_arrived.send_modify(|arrived| *arrived += 1);
    match books.manner {
        Manner::HoldUntil { first, until } if number >= first => {
            let mut arrived = books.num_arrived.subscribe();
            let enough = arrived.wait_for(|arrived| *arrived > until).await;
            drop(enough.expect("the books are open"));
            answer(false, 0)
        }
        Manner::Stall {
            number: stalled,
            time,
        } if number == stalled => {
            tokio::time::sleep(time).await;
            answer(false, 0)
        }
        Manner::Silent { first } if number >= first => std::future::pending().await,
        Manner::Mixed if number > 0 => match number % 3 {
            0 => refusal(StatusCode::TOO_MANY_REQUESTS),
            remainder => answer(remainder == 1, u64::from(remainder == 2)),
        },
        Manner::Missing => refusal(StatusCode::NOT_FOUND),
        _ => answer(false, 0),
    }
}

fn answer(timed_out: bool, num_failed: u64) -> Response {
    let body: Value = json!({
        "took": 1,
        "timed_out": timed_out,
        "_shards": {"total": 2, "failed": num_failed},
        "hits": {"hits": []},
    });
    axum::Json(body).into_response()
}

fn refusal(status: StatusCode) -> Response {
    let body = axum::Json(json!({"error": {"type": "refused", "reason": "as the test said"}}));
    (status, body).into_response()
}
