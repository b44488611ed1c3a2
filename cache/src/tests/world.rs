//! A world in memory: a document that is written, a mapping that grows, evaluations that take a while. It can be
//! built with a fault, to see that the checker finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::{AnswerKey, ClusterState, Edition};
use gleaner_query::canonical::edition::Targets;
use parking_lot::Mutex;

use super::whole;
use crate::overflow::tests::Place;
use crate::rules::Rule;
use crate::{Answer, Cache, CacheOptions, Current, Generations, Keep, OverflowOptions};

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
    /// Who has lost its lease goes by what it knew when it had one.
    GoesByTheLast,
    /// The term of the primary is in no edition, so another history of a shard is taken for the same.
    WithoutTerm,
    /// The filter of the alias that is asked is in no edition.
    WithoutFilter,
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
    pub(crate) term: u32,
    pub(crate) filter: u32,
}

impl State {
    /// Is something of it older than in `other`?
    pub(crate) fn is_behind(&self, other: &Self) -> bool {
        self.parts()
            .iter()
            .zip(other.parts())
            .any(|(own, other)| *own < other)
    }

    fn parts(&self) -> [u32; 4] {
        [self.written, self.mapping, self.term, self.filter]
    }

    /// Reads what an answer shows.
    pub(crate) fn shown_in(text: &str) -> Self {
        let mut parts = text.split(' ').map(|part| part.parse().expect("a number"));
        let mut part = || parts.next().expect("four numbers");
        Self {
            written: part(),
            mapping: part(),
            term: part(),
            filter: part(),
        }
    }
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
    /// What was known when the lease was lost; `None` while there is one.
    at_loss: Mutex<Option<State>>,
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
            at_loss: Mutex::default(),
            under_way: Mutex::default(),
        })
    }

    pub(crate) fn cache(self: &Arc<Self>) -> Arc<Cache> {
        Cache::new(CacheOptions::new(|| 1), Arc::clone(self) as _)
    }

    /// Returns a cache that leaves out `omitted`, with room for a few answers; others fall out of it.
    pub(crate) fn cache_without(self: &Arc<Self>, omitted: Option<Rule>) -> Arc<Cache> {
        let state = Arc::new(ClusterState::default());
        let options = CacheOptions {
            memory_bytes: 1 << 10,
            overflow: Some(OverflowOptions {
                beyond: Arc::new(Place::default()),
                state: Arc::new(move || Some(Arc::clone(&state))),
            }),
            ..CacheOptions::new(|| 1)
        };
        Cache::without(omitted, options, Arc::clone(self) as _)
    }

    pub(crate) fn write(&self) -> State {
        self.change(|state| state.written += 1)
    }

    pub(crate) fn map(&self) -> State {
        self.change(|state| state.mapping += 1)
    }

    /// Changes something of the state.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) -> State {
        let mut state = self.state.lock();
        *self.replica.lock() = *state;
        change(&mut state);
        *state
    }

    /// Loses the lease on what is current, or has it again.
    pub(crate) fn lease(&self, is_held: bool) {
        let state = self.state();
        let mut at_loss = self.at_loss.lock();
        *at_loss = (!is_held).then(|| at_loss.unwrap_or(state));
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
        let unless = |bug, part| if self.bug == bug { 0 } else { part };
        let parts = [
            state.written,
            unless(Bug::WithoutMapping, state.mapping),
            unless(Bug::WithoutTerm, state.term),
            unless(Bug::WithoutFilter, state.filter),
        ];
        let mut bytes = [0; 16];
        for (bytes, part) in bytes.chunks_mut(4).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
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
            _ => self.edition_of(seen),
        };
        let [written, mapping, term, filter] = seen.parts();
        whole(
            &format!("{written} {mapping} {term} {filter}"),
            Some(edition),
        )
    }
}

/// Lets others have their turns.
pub(super) async fn wait(turns: usize) {
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
        if let Some(at_loss) = *self.at_loss.lock() {
            return match self.bug {
                Bug::GoesByTheLast => Current::Edition(self.edition_of(at_loss)),
                _ => Current::Unknown,
            };
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
