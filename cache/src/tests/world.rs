//! A world in memory: a document that is written, a mapping that grows, evaluations that take a while. It can be
//! built with a fault, to see that the checker finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::{AnswerKey, Edition};
use gleaner_query::canonical::edition::Targets;
use parking_lot::Mutex;

use super::whole;
use crate::{Answer, Cache, CacheOptions, Current, Generations, Keep};

/// A fault of those who say editions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// None.
    None,
    /// The mapping is in no edition.
    WithoutMapping,
    /// An answer says the edition that is current when it is there, and not the one that it was evaluated on.
    OfNow,
    /// A request that comes while an evaluation is under way sees the edition at which that evaluation began.
    JoinsAnother,
    /// A replica is asked what is current, which shows a write when the next is made.
    AsksReplica,
}

/// Where it is known what is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Here,
    /// On another node, which takes some turns to answer, or does not.
    Elsewhere,
}

/// What there is to know at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) written: u32,
    pub(crate) mapping: u32,
}

pub(crate) struct World {
    bug: Bug,
    known: Known,
    state: Mutex<State>,
    /// What a replica shows that lags.
    replica: Mutex<State>,
    /// How often it was asked what is current elsewhere.
    num_asked: AtomicUsize,
    /// Whether those who are asked are away.
    pub(crate) are_away: Mutex<bool>,
    /// States at which the evaluations under way began.
    under_way: Mutex<Vec<State>>,
}

impl World {
    pub(crate) fn new(bug: Bug) -> Arc<Self> {
        Self::known(Known::Here, bug)
    }

    pub(crate) fn known(known: Known, bug: Bug) -> Arc<Self> {
        Arc::new(Self {
            bug,
            known,
            state: Mutex::default(),
            replica: Mutex::default(),
            num_asked: AtomicUsize::new(0),
            are_away: Mutex::default(),
            under_way: Mutex::default(),
        })
    }

    pub(crate) fn cache(self: &Arc<Self>) -> Arc<Cache> {
        Cache::new(CacheOptions::new(|| 1), Arc::clone(self) as _)
    }

    pub(crate) fn write(&self) -> State {
        let mut state = self.state.lock();
        *self.replica.lock() = *state;
        state.written += 1;
        *state
    }

    pub(crate) fn map(&self) -> State {
        let mut state = self.state.lock();
        *self.replica.lock() = *state;
        state.mapping += 1;
        *state
    }

    pub(crate) fn num_asked(&self) -> usize {
        self.num_asked.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock()
    }

    pub(crate) fn edition(&self) -> Edition {
        self.edition_of(self.state())
    }

    fn edition_of(&self, state: State) -> Edition {
        let mapping = match self.bug {
            Bug::WithoutMapping => 0,
            Bug::None | Bug::OfNow | Bug::JoinsAnother | Bug::AsksReplica => state.mapping,
        };
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&state.written.to_le_bytes());
        bytes[4..8].copy_from_slice(&mapping.to_le_bytes());
        Edition(bytes)
    }

    /// Evaluates: reads the state after some turns of others, and answers after some more.
    pub(crate) async fn evaluate(self: Arc<Self>, turns: [usize; 2]) -> Answer {
        self.under_way.lock().push(self.state());
        wait(turns[0]).await;
        let seen = self.state();
        wait(turns[1]).await;
        self.under_way.lock().remove(0);
        let edition = match self.bug {
            Bug::OfNow => self.edition(),
            Bug::None | Bug::WithoutMapping | Bug::JoinsAnother | Bug::AsksReplica => {
                self.edition_of(seen)
            }
        };
        whole(&format!("{} {}", seen.written, seen.mapping), Some(edition))
    }
}

/// Lets others have their turns.
pub(crate) async fn wait(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Generations for World {
    fn current(&self, _: &Targets) -> Current {
        if self.known == Known::Elsewhere {
            return Current::Elsewhere;
        }
        let began = self.under_way.lock().first().copied();
        match (self.bug, began) {
            (Bug::JoinsAnother, Some(began)) => Current::Edition(self.edition_of(began)),
            _ => Current::Edition(self.edition()),
        }
    }

    async fn ask(&self, _: &Targets, _: Duration) -> Option<Edition> {
        let number = self.num_asked.fetch_add(1, Ordering::Relaxed);
        wait(number % 5).await;
        let state = match self.bug {
            Bug::AsksReplica => *self.replica.lock(),
            _ => self.state(),
        };
        wait(number % 3).await;
        (!*self.are_away.lock()).then(|| self.edition_of(state))
    }
}

/// How the answer to request `number` may be kept.
pub(crate) fn keep(number: u8) -> Keep {
    Keep {
        key: AnswerKey([number; 32]),
        targets: Arc::default(),
        until_ms: None,
        patience: Duration::from_secs(30),
        renews: false,
        stale: Default::default(),
    }
}
