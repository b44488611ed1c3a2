//! Many calls over one stream each way: what a call of its own would cost is paid once.
//!
//! A line is opened by the first call and again after it broke. What waits on a line that breaks fails
//! with it; nothing is sent twice. A call that nobody waits for any more is cancelled on the peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use super::fault::CallFault;
use super::leaf::Stub;
use super::{Peer, too_large, trace_text};
use crate::wire::v1::line_answer::Answer;
use crate::wire::v1::line_call::Call;
use crate::wire::v1::{self, Cancelled};
use crate::wire::{MAX_FRAME_BYTES, MAX_MESSAGE_BYTES};

/// Calls that may wait to be sent on one line; further ones wait for room.
const MAX_UNSENT: usize = 1_024;

/// How long a peer that has no lines is not asked for one again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// A call that can be made on a line, and its answer.
pub(super) trait OnLine: Message {
    /// Its answer.
    type Answer: Send;

    /// Returns the call as it travels.
    fn into_call(self) -> Call;

    /// Returns the answer, if it is one to such a call.
    fn answer_of(answer: Answer) -> Option<Self::Answer>;
}

macro_rules! on_line {
    ($($call:ident => $answer:ident, $kind:ident;)*) => {$(
        impl OnLine for v1::$call {
            type Answer = v1::$answer;

            fn into_call(self) -> Call {
                Call::$kind(self)
            }

            fn answer_of(answer: Answer) -> Option<v1::$answer> {
                match answer {
                    Answer::$kind(answer) => Some(answer),
                    _ => None,
                }
            }
        }
    )*};
}

on_line! {
    StatisticsCall => StatisticsAnswers, Statistics;
    ExpandCall => ExpandAnswers, Expand;
    SearchCall => SearchAnswers, Search;
    FetchCall => FetchAnswers, Fetch;
}

/// The line to one peer.
pub(super) struct Line {
    peer: Peer,
    stub: Stub,
    state: Mutex<State>,
}

enum State {
    Closed,
    Open(Open),
    /// The peer knows no lines.
    Refused(Instant),
}

/// A line that stands. It is closed when nobody holds `calls` any more.
#[derive(Clone)]
struct Open {
    calls: mpsc::Sender<v1::LineCall>,
    waiting: Arc<PendingCalls>,
}

type Outcome = Result<Answer, CallFault>;

/// Who waits for which answer.
#[derive(Default)]
struct PendingCalls(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    last_number: u64,
    open: BTreeMap<u64, oneshot::Sender<Outcome>>,
    /// Whether no answer will come any more.
    is_over: bool,
}

impl Line {
    pub(super) fn new(peer: Peer, stub: Stub) -> Arc<Self> {
        Arc::new(Self {
            peer,
            stub,
            state: Mutex::new(State::Closed),
        })
    }

    /// Makes a call and waits for its answer for at most `limit`; `None` when the peer knows no lines,
    /// and has not seen the call.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call on the peer.
    pub(super) async fn ask<C: OnLine>(
        self: &Arc<Self>,
        limit: Duration,
        call: C,
    ) -> Option<Result<C::Answer, CallFault>> {
        let num_bytes = call.encoded_len() + MAX_FRAME_BYTES;
        if num_bytes > MAX_MESSAGE_BYTES {
            return Some(Err(CallFault::of(&too_large(num_bytes))));
        }
        let open = self.open()?;
        let (asked, answer) = open.enlist();
        let call = v1::LineCall {
            number: asked.number,
            traceparent: trace_text().unwrap_or_default(),
            call: Some(call.into_call()),
        };
        let answered = async {
            // When it is not taken, the line is over, and says why to all who wait.
            drop(asked.open.calls.send(call).await);
            answer.await
        };
        let outcome = match timeout(limit, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(CallFault::Broken("the connection was closed".to_owned())),
            Err(_elapsed) => Err(CallFault::Late),
        };
        if matches!(outcome, Err(CallFault::Unsupported(_))) && self.is_refused() {
            return None;
        }
        Some(outcome.and_then(|answer| {
            let other = || CallFault::Internal("the answer is one to another call".to_owned());
            C::answer_of(answer).ok_or_else(other)
        }))
    }

    fn is_refused(&self) -> bool {
        matches!(&*self.state.lock(), State::Refused(until) if Instant::now() < *until)
    }

    /// Returns the line, opened if it was not; `None` when the peer knows no lines.
    fn open(self: &Arc<Self>) -> Option<Open> {
        let mut state = self.state.lock();
        match &*state {
            State::Open(open) if !open.waiting.0.lock().is_over => return Some(open.clone()),
            State::Refused(until) if Instant::now() < *until => return None,
            _ => {}
        }
        let (sender, unsent) = mpsc::channel(MAX_UNSENT);
        let open = Open {
            calls: sender,
            waiting: Arc::default(),
        };
        *state = State::Open(open.clone());
        let waiting = Arc::clone(&open.waiting);
        let request = self.peer.speaking_of(calls(unsent));
        let (mut stub, line) = (self.stub.clone(), Arc::downgrade(self));
        tokio::spawn(async move {
            let fault = match stub.converse(request).await {
                Ok(answers) => hear(answers.into_inner(), &waiting).await,
                Err(status) => {
                    let fault = CallFault::of(&status);
                    if let (CallFault::Unsupported(_), Some(line)) = (&fault, line.upgrade()) {
                        *line.state.lock() = State::Refused(Instant::now() + ASK_AGAIN);
                    }
                    fault
                }
            };
            waiting.end(&fault);
        });
        Some(open)
    }
}

/// Returns the calls that are made, as a stream.
fn calls(mut unsent: mpsc::Receiver<v1::LineCall>) -> impl Stream<Item = v1::LineCall> {
    futures::stream::poll_fn(move |cx| unsent.poll_recv(cx))
}

/// Hands answers to those who wait for them; returns why there are no more.
async fn hear(mut answers: Streaming<v1::LineAnswer>, waiting: &PendingCalls) -> CallFault {
    loop {
        match answers.message().await {
            Ok(Some(v1::LineAnswer { number, answer })) => waiting.answered(number, answer),
            Ok(None) => return CallFault::Broken("the node is stopping".to_owned()),
            Err(status) => return CallFault::of(&status),
        }
    }
}

impl PendingCalls {
    fn answered(&self, number: u64, answer: Option<Answer>) {
        let Some(waits) = self.0.lock().open.remove(&number) else {
            return;
        };
        let outcome = match answer {
            Some(Answer::Failed(failed)) => {
                let status = Status::new(failed.code.into(), failed.reason);
                Err(CallFault::of(&status))
            }
            Some(answer) => Ok(answer),
            None => Err(CallFault::Unsupported(
                "an answer of a newer kind".to_owned(),
            )),
        };
        // Nobody may wait for it any more.
        drop(waits.send(outcome));
    }

    fn end(&self, fault: &CallFault) {
        let mut calls = self.0.lock();
        calls.is_over = true;
        let open = std::mem::take(&mut calls.open);
        drop(calls);
        for waits in open.into_values() {
            drop(waits.send(Err(fault.clone())));
        }
    }
}

impl Open {
    /// Returns a number for a call and where its answer comes.
    fn enlist(self) -> (PendingCall, oneshot::Receiver<Outcome>) {
        let (waits, answer) = oneshot::channel();
        let mut calls = self.waiting.0.lock();
        calls.last_number += 1;
        let number = calls.last_number;
        if !calls.is_over {
            calls.open.insert(number, waits);
        }
        drop(calls);
        (PendingCall { number, open: self }, answer)
    }
}

/// A call that was made. Dropped before its answer, it is cancelled on the peer.
struct PendingCall {
    number: u64,
    open: Open,
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        let was_waited_for = self.open.waiting.0.lock().open.remove(&self.number);
        if was_waited_for.is_some() {
            let cancelled = v1::LineCall {
                number: self.number,
                traceparent: String::new(),
                call: Some(Call::Cancelled(Cancelled {})),
            };
            // With so many unsent calls ahead the peer is to be pitied anyway; the call's own deadline
            // ends it.
            drop(self.open.calls.try_send(cancelled));
        }
    }
}
