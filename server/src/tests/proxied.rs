//! Connections behind a proxy that says whose they are.

use super::*;

/// Asks who asks, and for nothing after it.
const WHO: &str = "GET /who HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";

const HEADER: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 4660 443\r\n";

/// Returns options that trust `network` to be a proxy's.
fn behind(network: &str) -> ServerOptions {
    ServerOptions {
        proxy_protocol: vec![network.parse().expect("a network")],
        ..patient()
    }
}

async fn answer_to(server: &Running, sent: &[u8]) -> String {
    let mut stream = connected(server.address, sent).await;
    String::from_utf8(rest(&mut stream).await).expect("text")
}

#[tokio::test]
async fn a_request_comes_from_where_its_proxy_says() {
    let server = running(behind("127.0.0.0/8")).await;
    let answer = answer_to(&server, format!("{HEADER}{WHO}").as_bytes()).await;
    assert!(
        answer.ends_with("192.0.2.1:4660 plain HTTP/1.1"),
        "{answer}"
    );
    let mut stream = connected(server.address, HEADER.as_bytes()).await;
    stream.write_all(WHO.as_bytes()).await.expect("taken");
    let answer = String::from_utf8(rest(&mut stream).await).expect("text");
    assert!(
        answer.ends_with("192.0.2.1:4660 plain HTTP/1.1"),
        "{answer}"
    );
    let mut http2 = HEADER.as_bytes().to_vec();
    http2.extend(http2::preface());
    http2.extend(http2::get("/some", 1));
    let mut stream = connected(server.address, &http2).await;
    assert_eq!(http2::read_body(&mut stream).await, SOME);
}

#[tokio::test]
async fn a_probe_of_a_proxy_has_the_proxys_address() {
    let server = running(behind("127.0.0.0/8")).await;
    let mut stream = connected(server.address, b"PROXY UNKNOWN\r\n").await;
    let own = stream.local_addr().expect("an address");
    stream.write_all(WHO.as_bytes()).await.expect("taken");
    let answer = String::from_utf8(rest(&mut stream).await).expect("text");
    assert!(
        answer.ends_with(&format!("{own} plain HTTP/1.1")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_trusted_peer_without_a_header_is_refused() {
    let server = running(behind("127.0.0.0/8")).await;
    for sent in [WHO, "PROXY TCP4 x y 1 2\r\n", "garbage"] {
        assert_eq!(answer_to(&server, sent.as_bytes()).await, "", "{sent}");
    }
}

#[tokio::test]
async fn a_header_of_anybody_else_is_not_read() {
    let server = running(behind("192.0.2.0/24")).await;
    let answer = answer_to(&server, format!("{HEADER}{WHO}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = answer_to(&server, WHO.as_bytes()).await;
    assert!(answer.contains("127.0.0.1:"), "{answer}");
}

#[tokio::test]
async fn clients_behind_a_proxy_have_a_share_each() {
    let server = running(ServerOptions {
        max_connections_per_address: 1,
        ..behind("127.0.0.0/8")
    })
    .await;
    let request = |client: &str| {
        format!(
            "PROXY TCP4 {client} 198.51.100.1 1 2\r\nGET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        )
    };
    let mut held = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2"] {
        let mut stream = connected(server.address, request(client).as_bytes()).await;
        stream.read_u8().await.expect("an answer begins");
        held.push(stream);
    }
    assert_eq!(
        answer_to(&server, request("192.0.2.1").as_bytes()).await,
        ""
    );
}
