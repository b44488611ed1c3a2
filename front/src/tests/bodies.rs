//! Bodies of requests: they arrive as they were sent, and what is wrong with them is no fault of a backend.

use super::*;

const CHUNKED: &str = "HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn bodies_arrive_whole_with_every_method() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let mut client = front.client().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        client
            .send(format!("{method} /a {CHUNKED}5\r\nhello\r\n0\r\n\r\n"))
            .await;
        assert_eq!(
            client.answer().await.expect("an answer").body,
            format!("{method} /a")
        );
        client
            .send(format!(
                "{method} /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
            ))
            .await;
        assert_eq!(
            client.answer().await.expect("an answer").body,
            format!("{method} /b")
        );
    }
    for arrived in backend.take().arrived {
        assert_eq!(arrived.body, b"hello", "{}", arrived.line);
    }
}

#[tokio::test]
async fn a_large_body_streams() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let mut client = front.client().await;
    let large = "x".repeat(4 << 20);
    assert_eq!(
        client.post("/told", &large).await.expect("an answer").body,
        "POST /told"
    );
    client.send(format!("POST /chunks {CHUNKED}")).await;
    for _ in 0..64 {
        client
            .send(format!("10000\r\n{}\r\n", &large[..1 << 16]))
            .await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(
        client.answer().await.expect("an answer").body,
        "POST /chunks"
    );
    for arrived in backend.take().arrived {
        assert_eq!(arrived.body.len(), 4 << 20, "{}", arrived.line);
    }
}

#[tokio::test]
async fn a_malformed_body_is_its_clients_fault() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    for _ in 0..5 {
        let mut client = front.client().await;
        client
            .send(format!("POST / {CHUNKED}5\r\nhello\r\nz\r\n"))
            .await;
        assert_eq!(client.answer().await.expect("an answer").status, 400);
    }
    assert!(front.front.is_ready(), "the backend did nothing wrong");
    assert!(backend.take().arrived.is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_is_refused() {
    let backend = Recorder::start().await;
    let options = FrontOptions {
        max_body_bytes: 10,
        pause_within: SHORT,
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    for (rest, status) in [
        (
            format!(
                "POST /told HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{}",
                "x".repeat(10)
            ),
            200,
        ),
        (
            format!(
                "POST /told HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n{}",
                "x".repeat(11)
            ),
            413,
        ),
        (
            format!("POST /chunks {CHUNKED}a\r\n0123456789\r\n0\r\n\r\n"),
            200,
        ),
        (
            format!("POST /chunks {CHUNKED}a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n"),
            413,
        ),
        (
            "POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhell".to_owned(),
            408,
        ),
        (format!("POST /half {CHUNKED}9\r\nhell"), 408),
    ] {
        let mut client = front.client().await;
        client.send(&rest).await;
        assert_eq!(
            client.answer().await.expect("an answer").status,
            status,
            "{rest}"
        );
    }
    assert!(front.front.is_ready());
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_go_on() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let mut client = front.client().await;
    client
        .send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    let told = soon("a word", client.head()).await.expect("a head");
    assert!(told.starts_with("http/1.1 100"), "{told}");
    client.send("hello").await;
    assert_eq!(client.answer().await.expect("an answer").body, "PUT /");
}

#[tokio::test]
async fn an_answer_before_the_end_of_a_body_arrives() {
    let early = |_: &recorder::Arrived| Reply::Early(recorder::plain("413 Too much", "early"));
    let backend = Recorder::replying(early).await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let answer = front.client().await.post("/", &"x".repeat(1 << 20)).await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (413, "early"));
}
