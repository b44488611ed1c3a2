//! What the access log says of an answer: how much of it has gone.

use std::path::PathBuf;

use gleaner_telemetry::{AccessLog, LineLog, LinePlace};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::*;

/// A server with a log, and the file of that.
async fn logged(folder: &tempfile::TempDir) -> (Running, LineLog, PathBuf) {
    let path = folder.path().join("access");
    let lines = LineLog::start("access", LinePlace::File(path.clone())).expect("opened");
    let server = running(ServerOptions {
        access_log: Some(AccessLog::new("n1", Some(lines.clone()))),
        ..patient()
    });
    (server.await, lines, path)
}

/// Returns the only line of a log.
fn line(lines: &LineLog, path: &PathBuf) -> Value {
    assert!(lines.flush(Duration::from_secs(60)));
    let text = std::fs::read_to_string(path).expect("a file");
    serde_json::from_str(&text).expect("one line")
}

#[tokio::test]
async fn an_answer_of_one_chunk_is_aborted_where_its_client_took_a_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, lines, path) = logged(&folder).await;
    let request = b"GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let mut stream = connected(server.address, request).await;
    stream
        .read_exact(&mut [0; 1_000])
        .await
        .expect("some of it");
    drop(stream);
    server.dropped.recv().await.expect("it is dropped");
    let line = line(&lines, &path);
    assert_eq!(line["aborted"], true, "{line}");
    let num_bytes = line["http.bytes"].as_u64().expect("a number");
    assert!((1..LARGE as u64).contains(&num_bytes), "{line}");
}

#[tokio::test]
async fn an_answer_of_one_chunk_is_whole_where_its_client_took_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, lines, path) = logged(&folder).await;
    let request = b"GET /piece HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut stream = connected(server.address, request).await;
    assert!(rest(&mut stream).await.len() > PIECE);
    server.dropped.recv().await.expect("it is dropped");
    let line = line(&lines, &path);
    assert_eq!(line["http.bytes"], PIECE as u64, "{line}");
    assert!(line.get("aborted").is_none(), "{line}");
}

#[tokio::test]
async fn no_byte_of_an_answer_to_head_is_counted_and_none_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, lines, path) = logged(&folder).await;
    let request = b"HEAD /piece HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut stream = connected(server.address, request).await;
    rest(&mut stream).await;
    server.dropped.recv().await.expect("it is dropped");
    let line = line(&lines, &path);
    assert_eq!(line["http.bytes"], 0, "{line}");
    assert!(line.get("aborted").is_none(), "{line}");
}
