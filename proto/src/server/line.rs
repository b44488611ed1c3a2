//! Many calls over one stream: each runs by itself and is answered when it is done.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use tokio::task::{AbortHandle, JoinSet};
use tonic::{Code, Status, Streaming};

use super::MAX_CALLS;
use super::leaf::Service;
use super::life::Life;
use super::traced;
use crate::wire::v1::line_answer::Answer;
use crate::wire::v1::line_call::Call;
use crate::wire::v1::{Failed, LineAnswer, LineCall};
use crate::wire::{MAX_FRAME_BYTES, MAX_MESSAGE_BYTES};

/// The answers to the calls of one line, as they are done. Dropped with the connection, it drops the
/// calls that run.
pub(super) struct Answers {
    service: Arc<Service>,
    calls: Streaming<LineCall>,
    /// Whether no more calls come.
    is_closed: bool,
    running: JoinSet<LineAnswer>,
    by_number: HashMap<u64, AbortHandle>,
    draining: BoxFuture<'static, ()>,
}

impl Answers {
    pub(super) fn new(service: Arc<Service>, life: Life, calls: Streaming<LineCall>) -> Self {
        Self {
            service,
            calls,
            is_closed: false,
            running: JoinSet::new(),
            by_number: HashMap::new(),
            draining: Box::pin(async move { life.draining().await }),
        }
    }

    fn take(&mut self, taken: LineCall) {
        let LineCall {
            number,
            traceparent,
            call,
        } = taken;
        if let Some(Call::Cancelled(_)) = call {
            if let Some(running) = self.by_number.remove(&number) {
                running.abort();
            }
            return;
        }
        let service = Arc::clone(&self.service);
        let running = self.running.spawn(async move {
            let answered = traced::below(traceparent.parse().ok(), answered(&service, call));
            let answer = match answered.await {
                Ok(answer) => within_limit(answer),
                Err(status) => failed(status.code(), status.message()),
            };
            LineAnswer {
                number,
                answer: Some(answer),
            }
        });
        self.by_number.insert(number, running);
    }
}

impl Stream for Answers {
    type Item = Result<LineAnswer, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.is_closed && this.draining.as_mut().poll(cx).is_ready() {
            this.is_closed = true;
        }
        while !this.is_closed && this.running.len() < MAX_CALLS as usize {
            match Pin::new(&mut this.calls).poll_next(cx) {
                Poll::Ready(Some(Ok(call))) => this.take(call),
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => this.is_closed = true,
                Poll::Pending => break,
            }
        }
        loop {
            match this.running.poll_join_next(cx) {
                Poll::Ready(Some(Ok(answer))) => {
                    this.by_number.remove(&answer.number);
                    return Poll::Ready(Some(Ok(answer)));
                }
                // Cancelled.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) if this.is_closed => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

async fn answered(service: &Service, call: Option<Call>) -> Result<Answer, Status> {
    match call {
        Some(Call::Statistics(call)) => service.count(call).await.map(Answer::Statistics),
        Some(Call::Expand(call)) => service.expand_all(call).await.map(Answer::Expand),
        Some(Call::Search(call)) => service.search_all(call).await.map(Answer::Search),
        Some(Call::Fetch(call)) => service.fetch_all(call).await.map(Answer::Fetch),
        Some(Call::Cancelled(_)) | None => Err(Status::unimplemented(
            "a call of a kind that this version does not know",
        )),
    }
}

/// Returns the answer, or that it is too large: it would end the line for all calls.
fn within_limit(answer: Answer) -> Answer {
    let num_bytes = answer.encoded_len();
    if num_bytes + MAX_FRAME_BYTES <= MAX_MESSAGE_BYTES {
        return answer;
    }
    let reason = format!("the answer has {num_bytes} bytes, a message at most {MAX_MESSAGE_BYTES}");
    failed(Code::OutOfRange, &reason)
}

fn failed(code: Code, reason: &str) -> Answer {
    Answer::Failed(Failed {
        code: code.into(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::net::TcpListener;
    use tonic::body::Body;
    use tonic::server::NamedService;
    use tonic::transport::Server;
    use tonic::transport::server::TcpIncoming;

    use super::*;
    use crate::tests::samples;
    use crate::tests::stub::StubLeaf;
    use crate::wire::v1::leaf_server::LeafServer;
    use crate::{GrpcLeaf, LeafClient, Peer};

    /// A leaf of a version that knows no lines.
    #[derive(Clone)]
    struct Older(LeafServer<Service>);

    impl NamedService for Older {
        const NAME: &'static str = "gleaner.v1.Leaf";
    }

    impl tower::Service<http::Request<Body>> for Older {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
            if request.uri().path().ends_with("/Converse") {
                *request.uri_mut() = http::Uri::from_static("/gleaner.v1.Leaf/NotYet");
            }
            self.0.call(request)
        }
    }

    #[tokio::test]
    async fn a_leaf_that_knows_no_lines_is_asked_by_calls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let stub = Arc::new(StubLeaf::default());
        let (_stages, life) = super::super::life::begin();
        let service = LeafServer::new(Service::new(Arc::clone(&stub) as _, life));
        let server = Server::builder()
            .add_service(Older(service))
            .serve_with_incoming(TcpIncoming::from(listener));
        let serving = tokio::spawn(server);
        let leaf = GrpcLeaf::new(Peer::new(&address).expect("an address"));
        for _ in 0..3 {
            let answers = leaf.search(samples::search_call()).await;
            assert!(answers[0].is_ok(), "{answers:?}");
        }
        assert_eq!(stub.calls.lock().len(), 3, "each was seen once");
        serving.abort();
    }
}
