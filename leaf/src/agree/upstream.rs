//! The stream to one other leaf, for all copies here that follow a primary there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{StreamExt, stream};
use gleaner_model::{CopyId, NodeUuid, ShardKey};
use gleaner_proto::replicate::{FollowerMessage, PrimaryMessages};
use gleaner_replication::{Event, FromFollower};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::driver::CopyDriver;
use super::hub::{Agreeing, LIFE_SIGN, SILENCE};
use super::outbox::Outbox;

/// How long after a stream has ended, or could not be opened, there is another attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long a stream may take to be opened.
const OPENING: Duration = Duration::from_secs(2);

/// The stream to one leaf.
pub(super) struct Upstream {
    state: Mutex<State>,
    /// A copy joins, or the stream is to be closed.
    changed: Notify,
}

struct State {
    members: BTreeMap<ShardKey, Member>,
    /// What is said on the stream that is open.
    open: Option<Arc<Outbox<FollowerMessage>>>,
}

/// A copy that follows.
#[derive(Clone)]
struct Member {
    primary: CopyId,
    driver: Weak<CopyDriver>,
}

impl Upstream {
    /// Returns the stream to `node`; it is opened once a copy wants it.
    pub(super) fn new(hub: &Arc<Agreeing>, node: NodeUuid) -> Arc<Self> {
        let upstream = Arc::new(Self {
            state: Mutex::new(State {
                members: BTreeMap::new(),
                open: None,
            }),
            changed: Notify::new(),
        });
        tokio::spawn(keep_open(Arc::downgrade(hub), node, Arc::clone(&upstream)));
        upstream
    }

    /// Adds a copy that follows `primary`. Returns whether the stream is open now; it is told when it opens else.
    pub(super) fn join(&self, primary: CopyId, driver: &Arc<CopyDriver>) -> bool {
        let member = Member {
            primary,
            driver: Arc::downgrade(driver),
        };
        let mut state = self.state.lock();
        state.members.insert(driver.shard, member);
        let is_open = state.open.is_some();
        drop(state);
        self.changed.notify_one();
        is_open
    }

    /// Takes a copy out.
    pub(super) fn leave(&self, shard: ShardKey) {
        self.state.lock().members.remove(&shard);
    }

    /// Says something, if the stream is open.
    pub(super) fn push(&self, message: FollowerMessage) {
        let open = self.state.lock().open.clone();
        if let Some(outbox) = open {
            outbox.push(message, merge);
        }
    }

    /// Closes the stream; it is opened anew.
    pub(super) fn close(&self) {
        let open = self.state.lock().open.clone();
        if let Some(outbox) = open {
            outbox.close();
        }
    }

    fn is_wanted(&self) -> bool {
        !self.state.lock().members.is_empty()
    }

    fn members(&self) -> Vec<Member> {
        self.state.lock().members.values().cloned().collect()
    }

    fn opened(&self, outbox: &Arc<Outbox<FollowerMessage>>) {
        let mut state = self.state.lock();
        state.open = Some(Arc::clone(outbox));
        let members: Vec<Member> = state.members.values().cloned().collect();
        drop(state);
        for Member { primary, driver } in members {
            if let Some(driver) = driver.upgrade() {
                driver.handle(Event::Connected { primary });
            }
        }
    }

    fn ended(&self) {
        let open = self.state.lock().open.take();
        if let Some(outbox) = open {
            outbox.close();
        }
        for Member { primary, driver } in self.members() {
            if let Some(driver) = driver.upgrade() {
                driver.handle(Event::Disconnected { primary });
            }
        }
    }

    /// Hands on what primaries say, until the stream ends or is silent for too long. Returns why.
    async fn hear(
        &self,
        mut messages: PrimaryMessages,
        outbox: &Outbox<FollowerMessage>,
    ) -> String {
        loop {
            let said = match timeout(SILENCE, messages.next()).await {
                Ok(Some(Ok(said))) => said,
                Ok(Some(Err(fault))) => return fault.to_string(),
                Ok(None) => return "it was ended there".to_owned(),
                Err(_) => return "nothing was heard".to_owned(),
            };
            for message in said {
                if outbox.is_closed() {
                    return "it is closed here".to_owned();
                }
                let member = self.state.lock().members.get(&message.shard).cloned();
                let Some(Member { primary, driver }) = member else {
                    continue;
                };
                let Some(driver) = driver.upgrade() else {
                    continue;
                };
                if primary == message.from && driver.copy == message.to {
                    driver.wait_for_room().await;
                    driver.hear_primary(message);
                }
            }
        }
    }
}

/// What a copy has takes the place of what it had before.
fn merge(newest: &mut FollowerMessage, message: FollowerMessage) -> Option<FollowerMessage> {
    let is_have = |message: &FollowerMessage| matches!(message.message, FromFollower::Have { .. });
    let is_same =
        newest.shard == message.shard && newest.from == message.from && newest.to == message.to;
    if is_same && is_have(newest) && is_have(&message) {
        *newest = message;
        return None;
    }
    Some(message)
}

/// Opens the stream whenever a copy wants it, and again after it has ended.
async fn keep_open(hub: Weak<Agreeing>, node: NodeUuid, upstream: Arc<Upstream>) {
    loop {
        while !upstream.is_wanted() {
            let changed = timeout(SILENCE, upstream.changed.notified()).await;
            if changed.is_err() && hub.strong_count() == 0 {
                return;
            }
        }
        let Some(held) = hub.upgrade() else {
            return;
        };
        let peer = held.peer(node);
        drop(held);
        if let Some(peer) = peer {
            let outbox = Arc::new(Outbox::new());
            let said = said_by(Arc::clone(&outbox));
            let opened = timeout(OPENING, peer.follow(said)).await;
            let reason = match opened {
                Ok(Ok(messages)) => {
                    upstream.opened(&outbox);
                    upstream.hear(messages, &outbox).await
                }
                Ok(Err(fault)) => fault.to_string(),
                Err(_) => "it was not opened in time".to_owned(),
            };
            tracing::debug!(%node, reason, "no stream to a leaf of primaries");
            upstream.ended();
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Returns what is said, all that waits at a time; nothing as a sign of life.
fn said_by(
    outbox: Arc<Outbox<FollowerMessage>>,
) -> stream::BoxStream<'static, Vec<FollowerMessage>> {
    let said = stream::unfold(outbox, |outbox| async move {
        let items = match timeout(LIFE_SIGN, outbox.take()).await {
            Ok(Some(items)) => items,
            Ok(None) => return None,
            Err(_) => VecDeque::new(),
        };
        Some((Vec::from(items), outbox))
    });
    said.boxed()
}
