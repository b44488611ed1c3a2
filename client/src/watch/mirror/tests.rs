//! What a mirror asks, and how much it reads at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Json, Router};

use super::*;
use crate::remote::RemoteOptions;
use crate::watch::Place;

/// A server that holds nothing, and notes what it is asked.
#[derive(Default)]
struct Server {
    asked: Mutex<Vec<String>>,
    /// Bulks that it is too busy for.
    num_refused: AtomicUsize,
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> impl IntoResponse {
    let asked = format!("{} {}", request.method(), request.uri());
    let is_bulk = asked.ends_with("/_bulk");
    server.asked.lock().expect("no panic").push(asked);
    let less = |left: usize| left.checked_sub(1);
    let left = &server.num_refused;
    let is_refused = is_bulk
        && left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok();
    match is_refused {
        true => (StatusCode::BAD_GATEWAY, Json(json!({}))),
        false => {
            let item = json!({"delete": {"status": 200}});
            let found = json!({"hits": {"hits": []}, "_scroll_id": "s", "items": [item]});
            (StatusCode::OK, Json(found))
        }
    }
}

async fn opened(server: &Arc<Server>) -> Mirror {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(server));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let remote = Remote::new(&RemoteOptions::at(format!("http://{address}")));
    let limits = Limits {
        num_records: 10,
        num_bytes: 1 << 20,
    };
    let remote = remote.expect("an address");
    let mirror = Mirror::open(remote, "files".to_owned(), "here".to_owned(), limits);
    mirror.await.expect("it answers")
}

#[tokio::test]
async fn what_the_index_holds_is_read_whole_or_not_at_all() {
    let server = Arc::default();
    opened(&server).await;
    let asked = server.asked.lock().expect("no panic");
    let search = asked.iter().find(|line| line.contains("/files/_search"));
    let search = search.expect("it searches");
    assert!(
        search.contains("allow_partial_search_results=false"),
        "{search}"
    );
}

#[tokio::test]
async fn a_bulk_is_sent_again_to_a_server_that_is_too_busy() {
    let server = Arc::new(Server::default());
    let mut mirror = opened(&server).await;
    server.num_refused.store(1, Ordering::SeqCst);
    let mut bulk = Bulk::default();
    bulk.delete("here", "a".to_owned());
    let mut outcome = Outcome::default();
    let sent = mirror.send(&mut bulk, &mut outcome).await;
    sent.expect("it is taken in the end");
    assert_eq!(outcome.deleted, 1);
    let asked = server.asked.lock().expect("no panic");
    let bulks = asked.iter().filter(|line| line.ends_with("/_bulk"));
    assert_eq!(bulks.count(), 2);
}

#[test]
fn files_are_read_in_groups_that_have_room_in_memory() {
    const HALF: u64 = BYTES_AT_ONCE / 2;
    let entry = |num_bytes| Entry {
        path: String::new(),
        state: String::new(),
        num_bytes,
        place: Place::Object,
    };
    let sizes = |files: &[u64]| -> Vec<Vec<u64>> {
        let files: Vec<Entry> = files.iter().map(|bytes| entry(*bytes)).collect();
        let files: Vec<&Entry> = files.iter().collect();
        let groups = groups(&files, 3 * HALF);
        let of = |group: &&[&Entry]| group.iter().map(|file| file.num_bytes).collect();
        groups.iter().map(of).collect()
    };
    assert!(sizes(&[]).is_empty());
    assert_eq!(
        sizes(&[HALF, HALF, 1, 3 * HALF, 1]),
        [vec![HALF, HALF], vec![1], vec![3 * HALF], vec![1]]
    );
    // What is too large is not read.
    assert_eq!(sizes(&[HALF, 4 * HALF, HALF]), [[HALF, 4 * HALF, HALF]]);
    let many = sizes(&[1; READ_AT_ONCE + 1]);
    assert_eq!(
        many.iter().map(Vec::len).collect::<Vec<_>>(),
        [READ_AT_ONCE, 1]
    );
}
