//! What is forwarded, what is sent twice, and what clients are answered where backends fail.

use super::backend::Behaviour;
use super::*;

#[tokio::test]
async fn requests_and_answers_pass_without_what_was_meant_for_the_front() {
    let backend = Backend::start().await;
    let front = listening(ahead_of(&[&backend])).await;
    let request = "POST /wiki/_search?q=a HTTP/1.1\r\nhost: search.example\r\nconnection: x-mine\r\nx-mine: 1\r\n\
        x-gleaner-remaining-ms: 1\r\nx-forwarded-for: 10.0.0.1\r\ncontent-length: 2\r\n\r\n{}";
    let answered = ask(front.address, request).await;
    assert_eq!(status(&answered), 200, "{answered}");
    assert!(
        answered.ends_with(&backend.address.to_string()),
        "{answered}"
    );
    let seen = backend.seen.lock().first().cloned().expect("one request");
    let head = seen.head.to_ascii_lowercase();
    assert_eq!(
        (seen.path(), &seen.body[..]),
        ("/wiki/_search?q=a", &b"{}"[..])
    );
    for absent in ["x-mine", "gleaner-remaining", "10.0.0.1"] {
        assert!(!head.contains(absent), "{head}");
    }
    for present in [
        "host: search.example",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http\r",
    ] {
        assert!(head.contains(present), "{head}");
    }
}

#[tokio::test]
async fn large_bodies_are_streamed() {
    let backend = Backend::start().await;
    let front = listening(ahead_of(&[&backend])).await;
    let body = "x".repeat(3 << 20);
    assert_eq!(
        status(&ask(front.address, &post("/_bulk", &body)).await),
        200
    );
    assert_eq!(backend.seen.lock()[0].body.len(), body.len());
}

#[tokio::test]
async fn a_request_that_no_backend_has_seen_goes_to_another() {
    let (gone, backend) = (Backend::start().await, Backend::start().await);
    let options = FrontOptions {
        // The front must find out by itself.
        probe_every: Duration::from_secs(3_600),
        ..ahead_of(&[&gone, &backend])
    };
    let front = listening(options).await;
    drop(gone);
    for number in 0..40 {
        let answered = ask(front.address, &post("/wiki/_doc", "{}")).await;
        assert_eq!(status(&answered), 200, "{number}: {answered}");
    }
    assert_eq!(backend.take_paths().len(), 40);
}

#[tokio::test]
async fn only_what_changes_nothing_is_sent_again_once_it_was_seen() {
    let backends = [Backend::start().await, Backend::start().await];
    let front = listening(ahead_of(&[&backends[0], &backends[1]])).await;
    let num_seen = || {
        backends
            .iter()
            .map(|backend| backend.take_paths().len())
            .sum::<usize>()
    };
    backends
        .iter()
        .for_each(|backend| backend.behave(Behaviour::Close));
    let answered = ask(front.address, &post("/wiki/_doc", "{}")).await;
    assert_eq!((status(&answered), num_seen()), (502, 1), "{answered}");
    assert!(answered.contains("backend_failed_exception"), "{answered}");
    let answered = ask(front.address, &get("/wiki/_doc/1")).await;
    assert_eq!((status(&answered), num_seen()), (502, 2), "{answered}");
}

#[tokio::test]
async fn without_backends_clients_are_told_when_to_come_back() {
    let gone = Backend::start().await;
    let options = ahead_of(&[&gone]);
    drop(gone);
    let front = listening(options).await;
    let answered = ask(front.address, &get("/")).await;
    assert_eq!(status(&answered), 503, "{answered}");
    assert!(answered.contains("retry-after: 1"), "{answered}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let backend = Backend::start().await;
    backend.behave(Behaviour::Silence);
    let options = FrontOptions {
        answer_within: Duration::from_millis(100),
        ..ahead_of(&[&backend])
    };
    let front = listening(options).await;
    let answered = ask(front.address, &get("/slow")).await;
    assert_eq!(status(&answered), 504, "{answered}");
    let mut num_left = backend.num_left.clone();
    let left = num_left.wait_for(|number| *number == 1);
    timeout(PATIENCE, left)
        .await
        .expect("in time")
        .expect("the backend is told");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let backend = Backend::start().await;
    backend.behave(Behaviour::Silence);
    let front = listening(ahead_of(&[&backend])).await;
    let mut stream = TcpStream::connect(front.address).await.expect("connects");
    stream
        .write_all(get("/slow").as_bytes())
        .await
        .expect("sent");
    let is_seen = async {
        while backend.seen.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_seen)
        .await
        .expect("the backend has it");
    drop(stream);
    let mut num_left = backend.num_left.clone();
    let left = num_left.wait_for(|number| *number == 1);
    timeout(PATIENCE, left)
        .await
        .expect("in time")
        .expect("the backend is told");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_its_clients_fault() {
    let backend = Backend::start().await;
    let front = listening(ahead_of(&[&backend])).await;
    let request =
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n";
    let answered = ask(front.address, request).await;
    assert_eq!(status(&answered), 400, "{answered}");
    assert_eq!(status(&ask(front.address, &get("/")).await), 200);
}

#[tokio::test]
async fn a_backend_that_is_not_ready_is_left_out_and_comes_back() {
    let (first, second) = (Backend::start().await, Backend::start().await);
    first.behave(Behaviour::Status(503));
    let options = FrontOptions {
        ready_path: Some("/ready".to_owned()),
        probe_every: Duration::from_millis(20),
        ..ahead_of(&[&first, &second])
    };
    let front = listening(options).await;
    let name = first.address.to_string();
    let goes_to_first = async |expected: bool| loop {
        let mut num_at_first = 0;
        for _ in 0..20 {
            let answered = ask(front.address, &get("/")).await;
            num_at_first += usize::from(answered.ends_with(&name));
        }
        if (num_at_first > 0) == expected {
            return;
        }
    };
    timeout(PATIENCE, goes_to_first(false))
        .await
        .expect("left out");
    first.behave(Behaviour::Answer);
    timeout(PATIENCE, goes_to_first(true))
        .await
        .expect("asked again");
}
