//! What a request leaves unread of its body: taken off the connection, so that the answer arrives.
//!
//! An answer may be known before the body is read: a parameter is refused, a body is too large. Were the
//! rest left where it is, the connection would be closed on a client that is still sending. It would
//! fail to send, and might never see the answer; and a client that had sent it all would find out only
//! by its next request. So the rest is read and thrown away. Up to [`DRAIN_BYTES`] that happens before
//! the answer, and the connection stays. Beyond, the answer goes out at once with `Connection: close`,
//! and the rest is read for a while after it. Over HTTP/2 nothing has to be done: streams end alone.
//!
//! Called by [`crate::dialect`] around every request with a body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::StreamExt;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

/// Bytes that are read before the answer, so that the connection can be used again: what takes a
/// client no longer than a new connection would.
const DRAIN_BYTES: u64 = 4 << 20;

/// Longest time that they hold an answer up.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Bytes that are read after the answer: some times the largest body there can be.
const LINGER_BYTES: u64 = 1 << 30;

/// How long after the answer they are read.
const LINGER_TIME: Duration = Duration::from_secs(15);

/// A request's body, of which whoever answers may read a part only.
pub(crate) struct Leftover {
    /// `None` where nothing can be left.
    lent: Option<Arc<Mutex<SharedBody>>>,
    /// The client sends only once it is told to (`Expect: 100-continue`), which reading does.
    waits: bool,
}

/// The body as it is given to whoever answers.
struct LentBody(Arc<Mutex<SharedBody>>);

struct SharedBody {
    body: Body,
    is_begun: bool,
}

impl Leftover {
    /// Keeps a hold of the body of `request`.
    pub(crate) fn of(request: &mut Request<Body>) -> Self {
        let is_plain = request.version() <= Version::HTTP_11;
        let waits = request.headers().contains_key(header::EXPECT);
        if !is_plain || request.body().is_end_stream() {
            return Self { lent: None, waits };
        }
        let body = std::mem::replace(request.body_mut(), Body::empty());
        let is_begun = false;
        let shared = Arc::new(Mutex::new(SharedBody { body, is_begun }));
        *request.body_mut() = Body::new(LentBody(Arc::clone(&shared)));
        let lent = Some(shared);
        Self { lent, waits }
    }

    /// Takes what is left off the connection, or says in `response` that it will be closed.
    pub(crate) async fn settle(self, response: &mut Response<Body>) {
        // An answer that is still being made from the body reads it itself.
        let Some(shared) = self.lent.and_then(Arc::into_inner) else {
            return;
        };
        let SharedBody { body, is_begun } = shared.into_inner();
        if body.is_end_stream() {
            return;
        }
        if self.waits && !is_begun {
            close(response);
            return;
        }
        let told = body.size_hint();
        let mut rest = body.into_data_stream();
        // In a box, as what is rare makes the future of each request large.
        if told.lower() <= DRAIN_BYTES && Box::pin(drain(&mut rest, DRAIN_BYTES, DRAIN_TIME)).await
        {
            return;
        }
        close(response);
        // It ends by itself, and with the connection.
        tokio::spawn(async move { drain(&mut rest, LINGER_BYTES, LINGER_TIME).await });
    }
}

fn close(response: &mut Response<Body>) {
    let value = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, value);
}

/// Reads and forgets; returns whether that was all of it, or all that will come.
fn drain(
    rest: &mut axum::body::BodyDataStream,
    most: u64,
    time: Duration,
) -> impl Future<Output = bool> {
    let reading = async move {
        let mut num_read = 0;
        while let Some(Ok(piece)) = rest.next().await {
            num_read += piece.len() as u64;
            if num_read > most {
                return false;
            }
        }
        true
    };
    async move { tokio::time::timeout(time, reading).await.unwrap_or(false) }
}

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut shared = self.0.lock();
        shared.is_begun = true;
        Pin::new(&mut shared.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

#[cfg(test)]
mod tests {
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
}
