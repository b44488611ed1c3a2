//! Answers of backends: they are passed on as they come, unless they can be read in two ways.

use super::*;

/// Returns what a client is answered where a backend sends these bytes and closes the connection.
async fn answered(method: &str, bytes: &str) -> Option<client::Answer> {
    let bytes = bytes.to_owned().into_bytes();
    let backend = Recorder::replying(move |_| Reply::Last(bytes.clone())).await;
    let options = FrontOptions {
        is_read: |_, _| false,
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    let mut client = front.client().await;
    client
        .send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"))
        .await;
    if method == "HEAD" {
        let head = soon("a head", client.head()).await?;
        return Some(client::Answer {
            status: 200,
            head,
            body: String::new(),
        });
    }
    client.answer().await
}

#[tokio::test]
async fn answers_without_a_body_keep_their_fields() {
    let head = answered(
        "HEAD",
        "HTTP/1.1 200 OK\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
    )
    .await;
    let head = head.expect("an answer");
    assert_eq!(
        (head.field("content-length"), head.field("etag")),
        (Some("77"), Some("\"x\""))
    );
    for status in ["204 No Content", "304 Not Modified"] {
        let answer = answered("GET", &format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n")).await;
        let answer = answer.expect("an answer");
        assert!(status.starts_with(&answer.status.to_string()));
        assert_eq!(answer.field("etag"), Some("\"x\""));
        assert_eq!(answer.field("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn an_answer_loses_what_was_meant_for_the_front() {
    let answer = answered(
        "GET",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: x-private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n\
         Proxy-Authenticate: Basic\r\nX-Public: 1\r\nContent-Length: 2\r\n\r\nhi",
    );
    let answer = answer.await.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, "hi"));
    assert_eq!(answer.field("x-public"), Some("1"));
    for gone in ["x-private", "keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn a_redirect_of_a_backend_is_passed_on_and_not_followed() {
    let elsewhere = Recorder::start().await;
    let location = format!("http://{}/other?a=b", elsewhere.address);
    for status in ["301", "302", "303", "307", "308"] {
        let redirect = format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\nhi"
        );
        for method in ["GET", "POST"] {
            let answer = answered(method, &redirect).await.expect("an answer");
            assert_eq!(answer.status.to_string(), status, "{method}");
            assert_eq!(answer.field("location"), Some(&*location), "{method}");
            assert_eq!(answer.body, "hi", "{method}");
        }
    }
    assert_eq!(elsewhere.seen().num_connections, 0, "nobody asks there");
}

#[tokio::test]
async fn an_answer_that_cannot_be_passed_on_is_the_backends_fault() {
    for bytes in [
        "",
        "no HTTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nX\0: y\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ] {
        let answer = answered("GET", bytes).await.expect(bytes);
        assert_eq!(answer.status, 502, "{bytes:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(
            body["error"]["type"], "backend_failed_exception",
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn lengths_of_answers_are_told_once() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\n\r\nhi",
    ] {
        let answer = answered("GET", bytes).await.expect(bytes);
        assert_eq!((answer.status, &*answer.body), (200, "hi"), "{bytes:?}");
        let ways = ["content-length", "transfer-encoding"].map(|name| answer.field(name).is_some());
        assert!(ways[0] != ways[1], "{:?}", answer.head);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ] {
        assert_eq!(answered("GET", bytes).await, None, "{bytes:?}");
    }
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes_and_must_go_on() {
    let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let backend = Recorder::replying(move |_| Reply::Silence(begun.to_vec())).await;
    let options = FrontOptions {
        pause_within: SHORT,
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    let mut client = front.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    soon("a head", client.head()).await.expect("a head");
    assert_eq!(
        soon("a chunk", client.chunk()).await.expect("a chunk"),
        b"hello"
    );
    assert_eq!(soon("an end", client.chunk()).await, None);
}

#[tokio::test]
async fn what_a_backend_sends_behind_an_answer_is_nobodys_answer() {
    let twice = |arrived: &recorder::Arrived| {
        let own = recorder::plain("200 OK", &arrived.line);
        Reply::Bytes([own, recorder::plain("200 OK", "of nobody")].concat())
    };
    let backend = Recorder::replying(twice).await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let mut client = front.client().await;
    for number in 0..20 {
        let answer = client.get(&format!("/{number}")).await.expect("an answer");
        assert_eq!(answer.body, format!("GET /{number}"));
    }
}

#[tokio::test]
async fn backends_see_the_host_of_the_client_or_their_own() {
    let backend = Recorder::start().await;
    let own = backend.address.to_string();
    for (keeps_host, host) in [(true, "search.example"), (false, &*own)] {
        let options = FrontOptions {
            keeps_host,
            ..unprobed()
        };
        let front = Running::ahead_of(&[backend.address], options).await;
        front.client().await.get("/").await.expect("an answer");
        let arrived = backend.take().arrived.remove(0);
        assert_eq!(arrived.field("host"), Some(host));
        assert_eq!(arrived.field("x-forwarded-host"), Some("search.example"));
        assert_eq!(arrived.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(arrived.field("x-forwarded-proto"), Some("http"));
        assert_eq!(arrived.field("via"), Some("1.1 gleaner"));
    }
}
