//! Answers to searches, kept for as long as they are what a search would answer now.
//!
//! Does: keep answers within a bound of memory, serve one while its edition is the current one, have equal requests
//! that come together evaluated once. Does not: know HTTP routes, JSON, how keys or editions are made, where shards
//! are. Called by `api`, around the routes whose answers may be kept. Read [`Cache::answer`] first, then [`flights`].
//!
//! Nothing is ever purged. An entry holds the edition that it was evaluated on. Each request looks up the current
//! edition after it has come, and takes an entry of that edition only: equal editions mean equal answers. `docs/decisions/0041-answer-cache.md`
//! says why.

pub mod current;
pub mod entry;
mod flights;
pub mod memo;
pub mod overflow;
pub mod respond;
mod rules;
mod several;
mod store;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gleaner_model::{AnswerKey, Edition};
use gleaner_query::canonical::edition::Targets;

pub use current::{Current, Generations};
pub use entry::{Answer, Entry};
use flights::{Ending, Flights, Seat};
pub use memo::Memo;
use overflow::Overflow;
pub use overflow::{Beyond, BeyondError, OverflowOptions};
pub use respond::{Origin, Origins};
use rules::{Rule, Rules};
use store::Store;

/// What a cache may use up.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// Bytes of all answers that are kept; default 256 MiB.
    pub memory_bytes: u64,
    /// Bytes of the largest answer that is kept; default 1 MiB. It is at most a 64th of all.
    pub entry_bytes: u64,
    /// Clock: milliseconds since the epoch.
    pub clock: fn() -> i64,
    /// Where answers go that fall out of memory; default nowhere.
    pub overflow: Option<OverflowOptions>,
}

impl CacheOptions {
    /// Returns the defaults.
    pub fn new(clock: fn() -> i64) -> Self {
        Self {
            memory_bytes: 256 << 20,
            entry_bytes: 1 << 20,
            clock,
            overflow: None,
        }
    }
}

/// How the answer to a request may be kept.
#[derive(Debug, Clone)]
pub struct Keep {
    /// What it is the answer to.
    pub key: AnswerKey,
    /// The indices that its edition is of.
    pub targets: Arc<Targets>,
    /// When it stops to hold, in milliseconds since the epoch; `None` where it depends on no time.
    pub until_ms: Option<i64>,
    /// How long the request may wait for the answer to an equal one before it is evaluated by itself.
    pub patience: Duration,
    /// Whether it is evaluated whatever is kept, and its answer is kept then.
    pub renews: bool,
    /// How old an answer it takes that is no longer current.
    pub stale: StaleLimits,
}

/// For how long after it was last known to be current a request takes an answer that may not be so any more; by default
/// never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StaleLimits {
    /// Instead of an evaluation (`max-stale` of RFC 9111, 5.2.1.2).
    pub always: Duration,
    /// Instead of an evaluation that failed (`stale-if-error` of RFC 5861, 4).
    pub on_error: Duration,
}

/// Where an answer came from.
#[derive(Debug, Clone)]
pub enum Served {
    /// It was kept.
    Kept(Arc<Entry>),
    /// An equal request that was under way brought it.
    Shared(Answer),
    /// It was evaluated for this request.
    Evaluated(Answer),
    /// It was evaluated although another may be kept: the request asked for that.
    Renewed(Answer),
    /// It was kept, and may be no longer current: the request takes that.
    Stale(Arc<Entry>),
}

/// The evaluation ended without an answer: it panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the evaluation of the request ended without an answer")]
pub struct Lost;

/// How often a request joins others' evaluations before it goes by itself.
const MAX_JOINS: usize = 2;

/// Longest wait for what is current where other nodes are asked: they answer from memory, so who is silent for longer
/// is gone or has no time. The request is evaluated then.
const ASK_PATIENCE: Duration = Duration::from_millis(250);

/// Where a request is answered.
enum Place {
    /// By what is kept.
    Kept(Arc<Entry>),
    /// By what is kept and may be no longer current, as the request says.
    Stale(Arc<Entry>),
    /// By an evaluation that others may share.
    Seat(Seat),
    /// By itself.
    Alone,
}

/// Answers that are kept, and requests that are under way. Share it by `Arc`.
pub struct Cache {
    generations: Arc<dyn Generations>,
    store: Store,
    overflow: Option<Overflow>,
    flights: Flights,
    memo: Memo,
    clock: fn() -> i64,
    rules: Rules,
}

impl Cache {
    /// Returns an empty cache whose entries are held against `generations`.
    ///
    /// # Panics
    /// Outside of a tokio runtime, where answers overflow.
    pub fn new(options: CacheOptions, generations: Arc<dyn Generations>) -> Arc<Self> {
        let CacheOptions {
            memory_bytes,
            entry_bytes,
            clock,
            overflow,
        } = options;
        let most_bytes = store::most_bytes(memory_bytes, entry_bytes);
        let overflow = overflow.map(|options| Overflow::start(options, clock, most_bytes));
        let (overflow, falling) = overflow.unzip();
        Arc::new(Self {
            generations,
            rules: Rules::default(),
            store: Store::new(memory_bytes, most_bytes, falling),
            overflow,
            flights: Flights::default(),
            memo: Memo::default(),
            clock,
        })
    }

    /// Returns one as [`Self::new`] does that leaves out a rule.
    #[cfg(test)]
    fn without(
        omitted: Option<Rule>,
        options: CacheOptions,
        generations: Arc<dyn Generations>,
    ) -> Arc<Self> {
        let cache = Self::new(options, generations);
        let mut cache = Arc::into_inner(cache).expect("it is not shared yet");
        cache.rules = Rules { omitted };
        cache.flights.rules = cache.rules;
        Arc::new(cache)
    }

    /// Answers a request: from what is kept if that is current, with others that ask the same at the same edition,
    /// or by `fetch`, which evaluates it. Where the current edition is not known, the request goes by itself.
    ///
    /// # Errors
    /// [`Lost`] when `fetch` panicked.
    ///
    /// # Cancel safety
    /// Dropping the future ends the evaluation, unless others wait for it too.
    pub async fn answer<F>(
        self: &Arc<Self>,
        keep: &Keep,
        fetch: impl FnOnce() -> F,
    ) -> Result<Served, Lost>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        if keep.renews {
            return Ok(Served::Renewed(self.note(keep, fetch().await)));
        }
        let served = self.answer_current(keep, fetch).await?;
        Ok(match &served {
            Served::Evaluated(answer) if has_failed(answer) => {
                let entry = self.kept_within(keep, keep.stale.on_error);
                entry.map_or(served, Served::Stale)
            }
            _ => served,
        })
    }

    /// Answers a request that renews nothing, as [`Self::answer`].
    async fn answer_current<F>(
        self: &Arc<Self>,
        keep: &Keep,
        fetch: impl FnOnce() -> F,
    ) -> Result<Served, Lost>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut fetch = Some(fetch);
        // What came from beyond memory instead of an evaluation.
        let brought = Arc::new(OnceLock::new());
        for _ in 0..MAX_JOINS {
            let place = match self.place(keep).await {
                Place::Kept(entry) => Place::Kept(entry),
                other => self
                    .kept_within(keep, keep.stale.always)
                    .map_or(other, Place::Stale),
            };
            let mut seat = match place {
                Place::Kept(entry) => {
                    self.store.note_hit();
                    return Ok(Served::Kept(entry));
                }
                Place::Stale(entry) => {
                    self.store.note_hit();
                    return Ok(Served::Stale(entry));
                }
                Place::Seat(seat) => seat,
                Place::Alone => break,
            };
            if seat.is_first
                && let Some(fetch) = fetch.take()
            {
                let (cache, keep) = (Arc::clone(self), keep.clone());
                let (fetching, brought) = (fetch(), Arc::clone(&brought));
                let work = async move {
                    if let Some(entry) = cache.overflown(&keep).await {
                        return brought.get_or_init(|| entry).to_answer();
                    }
                    cache.note(&keep, fetching.await)
                };
                seat.begin(work);
            }
            match seat.ending(keep.patience).await {
                Ending::Own(answer) => {
                    if let Some(entry) = brought.get() {
                        self.store.note_hit();
                        return Ok(Served::Kept(Arc::clone(entry)));
                    }
                    self.store.note_miss();
                    return Ok(Served::Evaluated(answer));
                }
                Ending::Shared(answer) => {
                    self.store.note_hit();
                    return Ok(Served::Shared(answer));
                }
                Ending::Another => {}
                Ending::Alone => break,
                Ending::Lost => return Err(Lost),
            }
        }
        self.store.note_miss();
        match fetch.take() {
            Some(fetch) => Ok(Served::Evaluated(self.note(keep, fetch().await))),
            None => Err(Lost),
        }
    }

    /// Returns what is known of requests by how they are spelt.
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Finds where a request is answered that has come.
    async fn place(&self, keep: &Keep) -> Place {
        // Looked up after the request has come: what was acknowledged before is in it.
        let current = match self.generations.current(&keep.targets) {
            Current::Edition(edition) => edition,
            Current::Unknown => return Place::Alone,
            Current::Elsewhere => {
                // Nothing there to hold against what is current: nobody is asked.
                if self.store.get(&keep.key).is_none() {
                    if self.flights.goes_apart(&keep.key) {
                        return Place::Alone;
                    }
                    if let Some(seat) = self.flights.begin(keep.key) {
                        return Place::Seat(seat);
                    }
                }
                let patience = keep.patience.min(ASK_PATIENCE);
                match self.generations.ask(&keep.targets, patience).await {
                    Some(edition) => edition,
                    None => return Place::Alone,
                }
            }
        };
        if let Some(entry) = self.kept(keep, current) {
            return Place::Kept(entry);
        }
        let seat = self.flights.join(keep.key, current);
        seat.map_or(Place::Alone, Place::Seat)
    }

    /// Takes the entry that answers the request back from beyond memory, if it is of the current edition. That is looked up
    /// when the entry is there, so it holds for every request that has come by then.
    async fn overflown(&self, keep: &Keep) -> Option<Arc<Entry>> {
        let entry = self
            .overflow
            .as_ref()?
            .get(&keep.key, keep.patience)
            .await?;
        let current = match self.generations.current(&keep.targets) {
            Current::Edition(edition) => Some(edition),
            Current::Unknown => None,
            Current::Elsewhere => {
                let patience = keep.patience.min(ASK_PATIENCE);
                self.generations.ask(&keep.targets, patience).await
            }
        };
        let is_checked = self.rules.have(Rule::HoldBeyondAgainstCurrent);
        if (is_checked && current != Some(entry.edition)) || !self.holds(keep) {
            overflow::note("stale");
            return None;
        }
        overflow::note("hit");
        entry.note_current();
        self.store.put(keep.key, Arc::clone(&entry));
        Some(entry)
    }

    /// Returns the entry that answers the request, if it is of the edition that is `current`.
    fn kept(&self, keep: &Keep, current: Edition) -> Option<Arc<Entry>> {
        let entry = self.store.get(&keep.key)?;
        let is_current = entry.edition == current || !self.rules.have(Rule::HoldAgainstCurrent);
        let is_current = is_current && self.holds(keep);
        is_current.then(|| {
            entry.note_current();
            entry
        })
    }

    /// Returns the entry that answers the request, of whichever edition, if it was current within `limit`.
    fn kept_within(&self, keep: &Keep, limit: Duration) -> Option<Arc<Entry>> {
        if limit.is_zero() {
            return None;
        }
        let entry = self.store.get(&keep.key)?;
        (entry.since_current() <= limit && self.holds(keep)).then_some(entry)
    }

    /// Keeps an answer under the edition that it came with, if that is the current one now. Where other nodes would
    /// have to be asked it is kept unasked: they are asked before each hit.
    fn note(&self, keep: &Keep, answer: Answer) -> Answer {
        let edition = answer.edition;
        #[cfg(test)]
        let edition = match self.rules.have(Rule::KeepAsItCame) {
            true => edition,
            false => self.edition_now(keep).or(edition),
        };
        if let Some(edition) = edition
            && self.holds(keep)
            && self.store.takes(&answer)
            && self.may_be_current(keep, edition)
        {
            let entry = Entry::of(&answer, edition);
            self.store.put(keep.key, Arc::new(entry));
        }
        answer
    }

    #[cfg(test)]
    fn edition_now(&self, keep: &Keep) -> Option<Edition> {
        match self.generations.current(&keep.targets) {
            Current::Edition(current) => Some(current),
            Current::Unknown | Current::Elsewhere => None,
        }
    }

    fn may_be_current(&self, keep: &Keep, edition: Edition) -> bool {
        match self.generations.current(&keep.targets) {
            Current::Edition(current) => current == edition,
            Current::Unknown => false,
            Current::Elsewhere => true,
        }
    }

    #[cfg(test)]
    fn falling(&self) -> Option<&overflow::Falling> {
        Some(&self.overflow.as_ref()?.falling)
    }

    fn holds(&self, keep: &Keep) -> bool {
        keep.until_ms
            .is_none_or(|until_ms| (self.clock)() < until_ms)
    }
}

/// Is it an answer in whose place a stale one may be taken (RFC 5861, 4)?
fn has_failed(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests;
