//! A watch on one member: changes in order, whole revisions at a time, and an end where the member is silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Streaming;

use super::members::Members;
use super::wire::etcdserverpb::watch_client::WatchClient;
use super::wire::etcdserverpb::watch_request::RequestUnion;
use super::wire::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use super::wire::{self, request};
use super::{Event, Fault, Revision, end_of};
use crate::wire::MAX_MESSAGE_BYTES;

/// How often a member that says nothing is asked for a word.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How long a member may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Requests on their way to the member: the one that begins, and those for a word.
const MAX_UNSENT: usize = 4;

/// Changes of keys, from one member.
///
/// That a member says how far it is serves as a sign of life only: etcd up to 3.4.24 and 3.5.7 says so before it has
/// sent the changes up to there (etcd 15220).
pub struct Watch {
    answers: Streaming<WatchResponse>,
    requests: mpsc::Sender<WatchRequest>,
    pending: Fragments,
    heard: Instant,
    asked: Instant,
    members: Arc<Members>,
    member: usize,
    in_use: watch::Receiver<usize>,
}

impl Watch {
    pub(super) async fn begin(
        members: &Arc<Members>,
        prefix: &str,
        from: Revision,
        patience: Duration,
    ) -> Result<Self, Fault> {
        let mut in_use = members.in_use();
        let member = *in_use.borrow_and_update();
        let (requests, mut unsent) = mpsc::channel(MAX_UNSENT);
        let create = WatchCreateRequest {
            key: bytes::Bytes::copy_from_slice(prefix.as_bytes()),
            range_end: end_of(prefix),
            start_revision: from.0,
            progress_notify: true,
            fragment: true,
        };
        // There is room: it is the first one.
        drop(requests.try_send(asking(RequestUnion::CreateRequest(create))));
        let unsent = futures::stream::poll_fn(move |cx| unsent.poll_recv(cx));
        let mut stub =
            WatchClient::new(members.channel(member)).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let begun = match timeout(patience, stub.watch(request(unsent))).await {
            Ok(Ok(answers)) => Ok(answers.into_inner()),
            Ok(Err(status)) => Err(Fault::of(&status)),
            Err(_elapsed) => Err(Fault::late()),
        };
        let answers = begun.inspect_err(|_| members.leave(member))?;
        let now = Instant::now();
        Ok(Self {
            answers,
            requests,
            pending: Fragments::default(),
            heard: now,
            asked: now,
            members: Arc::clone(members),
            member,
            in_use,
        })
    }

    /// Returns the next changes: of one revision or of several, each whole, in order; never none.
    ///
    /// # Errors
    /// The watch is over then. [`Fault::Compacted`]: changes from its beginning on are not kept any more.
    /// Any other: the member ended it, was silent for 10 s, or is not the one in use any more, as a call found it slow.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Vec<Event>, Fault> {
        loop {
            let wait = (self.asked + ASK_EVERY).min(self.heard + SILENCE);
            let own = self.member;
            let answer = tokio::select! {
                biased;
                answer = timeout_at(wait, self.answers.message()) => answer,
                () = until_left(&mut self.in_use, own) => {
                    return Err(self.over("another member is in use".to_owned()));
                }
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(_elapsed) if self.heard.elapsed() >= SILENCE => {
                    let seconds = SILENCE.as_secs();
                    return Err(self.over(format!("the member was silent for {seconds} s")));
                }
                Err(_elapsed) => {
                    self.asked = Instant::now();
                    let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
                    // A full queue belongs to a connection that takes nothing: silence ends it.
                    drop(self.requests.try_send(asking(progress)));
                    continue;
                }
            };
            self.heard = Instant::now();
            let answer = match answer {
                Ok(Some(answer)) => answer,
                Ok(None) => return Err(self.over("the member ended it".to_owned())),
                Err(status) => return Err(self.over(Fault::of(&status).to_string())),
            };
            if answer.compact_revision > 0 {
                let oldest = Revision(answer.compact_revision);
                return Err(Fault::Compacted { oldest });
            }
            if answer.canceled {
                return Err(self.over(answer.cancel_reason));
            }
            let events = answer.events.into_iter().filter_map(wire::event);
            let whole = self.pending.add(events, answer.fragment);
            if !whole.is_empty() {
                return Ok(whole);
            }
        }
    }

    /// Returns when the member last gave a sign of life. It gives none where it knows no leader.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    fn over(&self, reason: String) -> Fault {
        self.members.leave(self.member);
        Fault::Unreachable { reason }
    }
}

/// Waits until another member than `own` is in use.
async fn until_left(in_use: &mut watch::Receiver<usize>, own: usize) {
    // Its sender is there as long as the members are.
    drop(in_use.wait_for(|member| *member != own).await);
}

fn asking(union: RequestUnion) -> WatchRequest {
    WatchRequest {
        request_union: Some(union),
    }
}

/// Changes of a revision of which more may come.
#[derive(Default)]
struct Fragments(Vec<Event>);

impl Fragments {
    /// Adds changes; returns those of revisions that are whole. Where `is_cut`, the last revision may not be.
    fn add(&mut self, events: impl Iterator<Item = Event>, is_cut: bool) -> Vec<Event> {
        self.0.extend(events);
        let last = match self.0.last() {
            Some(event) if is_cut => event.revision,
            _ => return std::mem::take(&mut self.0),
        };
        let num_whole = self.0.partition_point(|event| event.revision < last);
        let rest = self.0.split_off(num_whole);
        std::mem::replace(&mut self.0, rest)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(revision: i64, key: &'static str) -> Event {
        Event {
            key: Bytes::from_static(key.as_bytes()),
            revision: Revision(revision),
            value: None,
        }
    }

    #[test]
    fn a_revision_is_shown_when_its_last_fragment_has_come() {
        let mut pending = Fragments::default();
        let first = [event(1, "a"), event(2, "a")];
        assert_eq!(pending.add(first.into_iter(), true), [event(1, "a")]);
        assert_eq!(pending.add([event(2, "b")].into_iter(), true), []);
        let last = [event(2, "c"), event(3, "a")];
        let whole = [event(2, "a"), event(2, "b"), event(2, "c"), event(3, "a")];
        assert_eq!(pending.add(last.into_iter(), false), whole);
        assert_eq!(pending.add(std::iter::empty(), false), []);
    }
}
