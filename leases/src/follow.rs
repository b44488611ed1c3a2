//! The loop of a holder: ask, take in, tell those who follow it in turn, ask again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{Generation, NodeId, ShardKey};
use tokio::time::{Instant, sleep, timeout};

use crate::rules::Rule;
use crate::{FollowCall, FollowFault, Grantor, Grants, Holdings, Interest, LEASE, Mark, RENEWAL};

/// Longest wait for an answer: what comes later is worth no lease.
const PATIENCE: Duration = Duration::from_millis(650);

/// How long a grantor that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a grantor that grants no leases is left alone.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// What follows one grantor for a process.
#[derive(Clone)]
pub struct Following {
    /// The grantor's name.
    pub name: NodeId,
    /// The random number of this process.
    pub holder: u64,
    /// Where its word is kept.
    pub holdings: Arc<Holdings>,
    /// What is asked for.
    pub interest: Arc<Interest>,
    /// Those who follow this process in turn: a change counts as heard when they have heard of it.
    pub grants: Option<Arc<Grants>>,
}

/// Follows `grantor` for ever; drop the future to end it.
pub async fn follow(following: &Following, grantor: &dyn Grantor) {
    let mut asks = Asks::new(following);
    let mut passed_on = PassedOn::default();
    let mut additions = following.interest.additions();
    loop {
        let call = asks.next_call();
        let is_idle = call.interest.is_empty();
        if is_idle && asks.heard.is_none() {
            drop(additions.changed().await);
            continue;
        }
        let sent = Instant::now();
        let answered = timeout(PATIENCE, grantor.follow(call));
        let answered = tokio::select! {
            answered = answered => answered,
            // Asked again with what is new.
            _ = additions.changed() => continue,
        };
        let pause = match answered {
            Ok(Ok(answer)) => {
                asks.read_until = sent;
                let mark = answer.mark;
                let shown = answer.shown.iter().copied().collect();
                following.holdings.take(&following.name, sent, answer);
                passed_on.tell(following, shown).await;
                // With nothing asked for, the grantor waits for this process no more.
                asks.heard = (!is_idle).then_some(mark);
                continue;
            }
            Ok(Err(FollowFault::Refused(_))) => REFUSED_PAUSE,
            Ok(Err(FollowFault::Unreachable(_))) | Err(_) => PAUSE,
        };
        following.holdings.drop_grantor(&following.name);
        asks.heard = None;
        sleep(pause).await;
    }
}

/// Stops following `grantor`: refreshes wait for this process no more, and it relies on nothing that the grantor told.
pub async fn leave(following: &Following, grantor: &dyn Grantor) {
    following.holdings.drop_grantor(&following.name);
    let call = FollowCall {
        holder: following.holder,
        number: u64::MAX,
        heard: None,
        interest: Vec::new(),
        read: Vec::new(),
        is_last: true,
    };
    // A grantor that does not hear it waits until the lease runs out.
    drop(timeout(PATIENCE, grantor.follow(call)).await);
}

/// What those who follow this process may hold of what one grantor has leased to it: what was told to them last. It stays
/// when the grantor is lost, as their leases do.
#[derive(Default)]
struct PassedOn(HashMap<ShardKey, Generation>);

impl PassedOn {
    /// Has all who follow this process hear of what has changed, now that `shown` is all that is leased to it. A shard
    /// whose lease has ended is such a change: it may show more by now, and the next call to the grantor says that this
    /// process has heard everything.
    async fn tell(&mut self, following: &Following, shown: HashMap<ShardKey, Generation>) {
        let Some(grants) = &following.grants else {
            return;
        };
        let mut noted = Vec::new();
        for (shard, generation) in &shown {
            if self.0.get(shard) != Some(generation) {
                noted.push((shard.index, grants.note(*shard, *generation)));
            }
        }
        if grants.rules.have(Rule::TellWhatIsWithdrawn) {
            let withdrawn = self.0.keys().filter(|shard| !shown.contains_key(shard));
            noted.extend(withdrawn.map(|shard| (shard.index, grants.note_withdrawn(*shard))));
        }
        self.0 = shown;
        for (index, change) in noted {
            if let Some(change) = change {
                grants.wait_heard(index, change).await;
            }
        }
    }
}

/// The asks of one holder to one grantor.
struct Asks<'a> {
    following: &'a Following,
    number: u64,
    heard: Option<Mark>,
    /// Reads from before have been told of.
    read_until: Instant,
}

impl<'a> Asks<'a> {
    fn new(following: &'a Following) -> Self {
        Self {
            following,
            number: 0,
            heard: None,
            read_until: Instant::now(),
        }
    }

    fn next_call(&mut self) -> FollowCall {
        self.number += 1;
        let Following {
            name,
            holder,
            holdings,
            interest,
            ..
        } = self.following;
        let indices = interest.current();
        // First: who is asked about fewer indices waits for nobody over the others.
        holdings.keep_indices(name, &indices);
        FollowCall {
            holder: *holder,
            number: self.number,
            heard: self.heard,
            interest: indices,
            read: interest.read_since(self.read_until),
            is_last: false,
        }
    }
}

const _: () = assert!(PATIENCE.as_millis() >= (LEASE.as_millis() + RENEWAL.as_millis()));
