//! Over real sockets: what is left of a body that nobody read, and what the guard refuses.

use std::future::pending;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::ApiOptions;
use crate::dialect::tests::speaking;

async fn connected() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let options = ApiOptions::default();
    tokio::spawn(async move { crate::serve(listener, speaking(), &options, pending()).await });
    TcpStream::connect(address).await.expect("connects")
}

async fn ask(client: &mut TcpStream, target: &str, extra: &str, body: &[u8]) {
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{extra}\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await.expect("sent");
    client.write_all(body).await.expect("taken to its end");
}

/// Reads the head of an answer and its body, whose length the head says.
async fn answer(client: &mut TcpStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.read_u8().await.expect("an answer")));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    client
        .read_exact(&mut vec![0; length])
        .await
        .expect("a body");
    head
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_body_that_nobody_read() {
    let mut client = connected().await;
    for size in [9, 1 << 20] {
        ask(&mut client, "/i/_doc/1?pipeline=x", "", &vec![b' '; size]).await;
        let head = answer(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        assert!(!head.contains("connection: close"), "{head}");
    }
    let next = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    client.write_all(next).await.expect("sent");
    let head = answer(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_client_with_much_to_send_reads_the_answer_all_the_same() {
    let mut client = connected().await;
    // More than the buffers of both sides hold.
    let body = vec![b' '; 40 << 20];
    ask(&mut client, "/_bulk?foo=1", "", &body).await;
    let head = answer(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_not_asked() {
    let mut client = connected().await;
    let head = "PUT /_bulk?foo=1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\
                expect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).await.expect("sent");
    let head = answer(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn a_cross_site_request_is_refused_and_its_body_is_read() {
    let body = "x".repeat(1 << 20);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: https://evil.example\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = connected().await;
    client.write_all(head.as_bytes()).await.expect("taken");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("http_cors_allow_origin"), "{answer}");
    assert!(answer.contains("x-elastic-product"), "{answer}");
}
