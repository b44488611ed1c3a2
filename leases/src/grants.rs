//! The side that grants: who holds a lease on what, what each holder has heard, and acknowledgements that wait.
//!
//! Read first: [`Grants::answer`] and [`Grants::acknowledge`]; between them lies the promise. A holder's lease is noted
//! *before* what is shown is read, and a change is noted *after* it is shown. So a change is in the answer, or it finds
//! the lease and waits for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gleaner_model::{Generation, IndexUuid, ShardKey};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::rules::{Rule, Rules};
use crate::{FollowAnswer, FollowCall, FollowFault, GRANTED, LEASE, MAX_INDICES, Mark, RENEWAL};

/// Processes that may follow one grantor.
const MAX_HOLDERS: usize = 256;

/// How long a holder is remembered after its lease has run out.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// What a grantor shows and may lease now.
pub trait Shown: Send + Sync {
    /// Returns the shards of `index` that may be leased, with what each shows, for [`LEASE`] or as long as the grantor
    /// itself knows, which is written into `longest` where that is less.
    fn leasable(&self, index: IndexUuid, longest: &mut Duration) -> Vec<(ShardKey, Generation)>;

    /// Notes that shards of `index` were read.
    fn note_read(&self, index: IndexUuid);

    /// Returns the version of the cluster state that is known here.
    fn state_version(&self) -> u64;
}

/// The leases that one process has granted.
#[derive(Debug)]
pub struct Grants {
    process: u64,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    heard: watch::Sender<()>,
    pub(crate) rules: Rules,
}

#[derive(Debug, Default)]
struct State {
    /// Changes so far.
    change: u64,
    /// Of shards that a holder is interested in: what they show, and the change that brought it.
    shards: HashMap<ShardKey, (Generation, u64)>,
    holders: HashMap<u64, Holder>,
}

/// A process that follows this one.
#[derive(Debug)]
struct Holder {
    /// Number of its newest ask.
    number: u64,
    /// Changes that it has heard of.
    heard: u64,
    interest: HashSet<IndexUuid>,
    /// When the last lease granted to it runs out.
    until: Instant,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            process: rand::random(),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            heard: watch::Sender::new(()),
            rules: Rules::default(),
        }
    }
}

impl Grants {
    /// Returns those of a process that goes by `rules` only.
    #[cfg(test)]
    pub(crate) fn by(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Answers an ask, as [`crate::Grantor::follow`] says; `shown` is asked for what may be leased.
    ///
    /// # Errors
    /// [`FollowFault::Refused`] for one holder too many.
    pub async fn answer(
        &self,
        call: &FollowCall,
        shown: &dyn Shown,
    ) -> Result<FollowAnswer, FollowFault> {
        // Subscribed first: a change from here on ends the wait.
        let mut changed = self.changed.subscribe();
        let mut is_due = self.take_ask(call)?;
        for index in &call.read {
            shown.note_read(*index);
        }
        let news = async {
            while !is_due && !self.state.lock().has_news_for(call.holder) {
                is_due = changed.changed().await.is_err();
            }
        };
        // Without news the lease is renewed.
        drop(timeout(RENEWAL, news).await);
        Ok(self.grant(call, shown))
    }

    /// Takes in what an ask says; returns whether it is to be answered at once.
    fn take_ask(&self, call: &FollowCall) -> Result<bool, FollowFault> {
        let mut state = self.state.lock();
        let now = Instant::now();
        if call.is_last {
            state.holders.remove(&call.holder);
            self.heard.send_replace(());
            return Ok(true);
        }
        let is_own = |mark: &Mark| {
            mark.process == self.process || !self.rules.have(Rule::HeardOfThisProcess)
        };
        let heard = call.heard.filter(is_own);
        let interest = call.interest.iter().take(MAX_INDICES).copied();
        let interest: HashSet<IndexUuid> = interest.collect();
        if !state.holders.contains_key(&call.holder) {
            let is_kept = |holder: &Holder| now < holder.until + FORGET_AFTER;
            state.holders.retain(|_, holder| is_kept(holder));
            if state.holders.len() >= MAX_HOLDERS {
                let reason = format!("{MAX_HOLDERS} processes follow it already");
                return Err(FollowFault::Refused(reason));
            }
        }
        let holder = state.holders.entry(call.holder).or_insert_with(|| Holder {
            number: 0,
            heard: 0,
            interest: HashSet::new(),
            until: now,
        });
        if call.number <= holder.number {
            // It was given up, and another has come since.
            return Ok(true);
        }
        holder.number = call.number;
        holder.heard = heard.map_or(0, |mark| mark.change);
        let is_due = heard.is_none() || holder.interest != interest;
        holder.interest = interest;
        state.forget_shards();
        self.heard.send_replace(());
        Ok(is_due)
    }

    /// Grants what may be leased; nothing to an ask that was given up.
    fn grant(&self, call: &FollowCall, shown: &dyn Shown) -> FollowAnswer {
        let (change, interest) = {
            let mut state = self.state.lock();
            let change = state.change;
            let holder = state.holders.get_mut(&call.holder);
            let holder = holder.filter(|holder| holder.number == call.number);
            let Some(holder) = holder else {
                return self.nothing(change, shown);
            };
            // Counted a little longer than the holder does, whose clock may be slower.
            holder.until = Instant::now() + GRANTED;
            (change, call.interest.iter().take(MAX_INDICES))
        };
        let mut lease = LEASE;
        let shards = interest.flat_map(|index| shown.leasable(*index, &mut lease));
        FollowAnswer {
            shown: shards.collect(),
            lease,
            ..self.nothing(change, shown)
        }
    }

    fn nothing(&self, change: u64, shown: &dyn Shown) -> FollowAnswer {
        FollowAnswer {
            mark: Mark {
                process: self.process,
                change,
            },
            shown: Vec::new(),
            lease: Duration::ZERO,
            state_version: shown.state_version(),
        }
    }

    /// Notes what `shard` shows now, and has those told who are interested; call it after it is shown. Returns the
    /// number of the change, `None` where nobody is interested.
    pub fn note(&self, shard: ShardKey, generation: Generation) -> Option<u64> {
        let mut state = self.state.lock();
        if !state.is_of_interest(shard) {
            return None;
        }
        match state.shards.get(&shard) {
            // Nothing new, or older than what is shown by now: as it was told, or will be.
            Some((known, change))
                if generation.history == known.history
                    && generation.visible <= known.visible
                    && generation.mapping <= known.mapping =>
            {
                let is_waited_for = self.rules.have(Rule::WaitForWhatOthersTold);
                return is_waited_for.then_some(*change);
            }
            _ => {}
        }
        let change = state.note(shard, generation);
        drop(state);
        self.changed.send_replace(());
        Some(change)
    }

    /// Notes that `shard` is not leased to this process any more, and has those told who are interested, as
    /// [`Self::note`] does.
    pub(crate) fn note_withdrawn(&self, shard: ShardKey) -> Option<u64> {
        let mut state = self.state.lock();
        if !state.is_of_interest(shard) {
            return None;
        }
        let known = state.shards.get(&shard);
        let known = known.map_or_else(Generation::default, |(known, _)| *known);
        let change = state.note(shard, known);
        drop(state);
        self.changed.send_replace(());
        Some(change)
    }

    /// Waits until every holder that may serve what is older has heard what `shard` shows, or its lease has run out.
    /// Whoever tells a client that writes are visible calls it first, on each path.
    pub async fn acknowledge(&self, shard: ShardKey, generation: Generation) {
        if let Some(change) = self.note(shard, generation) {
            self.wait_heard(shard.index, change).await;
        }
    }

    /// Waits until every holder that is interested in `index` has heard of `change`, or its lease has run out.
    pub async fn wait_heard(&self, index: IndexUuid, change: u64) {
        let mut heard = self.heard.subscribe();
        loop {
            let Some(until) = self.state.lock().waits_until(index, change) else {
                return;
            };
            tokio::select! {
                _ = heard.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}

impl State {
    fn is_of_interest(&self, shard: ShardKey) -> bool {
        let mut holders = self.holders.values();
        holders.any(|holder| holder.interest.contains(&shard.index))
    }

    /// Notes a change of what `shard` shows, or of whether it is leased; returns its number.
    fn note(&mut self, shard: ShardKey, generation: Generation) -> u64 {
        self.change += 1;
        self.shards.insert(shard, (generation, self.change));
        self.change
    }

    fn has_news_for(&self, holder: u64) -> bool {
        let Some(holder) = self.holders.get(&holder) else {
            return true;
        };
        let mut shards = self.shards.iter();
        shards.any(|(shard, (_, change))| {
            *change > holder.heard && holder.interest.contains(&shard.index)
        })
    }

    /// Returns until when the last holder may serve something from before `change`.
    fn waits_until(&self, index: IndexUuid, change: u64) -> Option<Instant> {
        let now = Instant::now();
        let late = self.holders.values().filter(|holder| {
            holder.heard < change && holder.until > now && holder.interest.contains(&index)
        });
        late.map(|holder| holder.until).max()
    }

    /// Forgets shards that nobody is interested in.
    fn forget_shards(&mut self) {
        let holders = &self.holders;
        self.shards.retain(|shard, _| {
            let mut holders = holders.values();
            holders.any(|holder| holder.interest.contains(&shard.index))
        });
    }
}
