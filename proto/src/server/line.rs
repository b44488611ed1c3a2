//! Many calls over one stream: each runs by itself and is answered when it is done.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use tokio::task::{AbortHandle, JoinSet};
use tonic::{Code, Status, Streaming};

use super::leaf::Service;
use super::life::Life;
use crate::wire::v1::line_answer::Answer;
use crate::wire::v1::line_call::Call;
use crate::wire::v1::{Failed, LineAnswer, LineCall};
use crate::wire::{MAX_FRAME_BYTES, MAX_MESSAGE_BYTES};

/// Calls that run at the same time for one line; more wait at the caller.
const MAX_CALLS: usize = 4_096;

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

    fn take(&mut self, LineCall { number, call }: LineCall) {
        if let Some(Call::Cancelled(_)) = call {
            if let Some(running) = self.by_number.remove(&number) {
                running.abort();
            }
            return;
        }
        let service = Arc::clone(&self.service);
        let running = self.running.spawn(async move {
            let answer = match answered(&service, call).await {
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
        while !this.is_closed && this.running.len() < MAX_CALLS {
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
