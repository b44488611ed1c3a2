//! Which backend a request goes to.

use std::sync::Arc;

use gleaner_shard_router::order_for_session;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::options::BackendUrl;

/// How many times the mean of open requests a backend may have before questions that it owns go elsewhere (Mirrokni,
/// Thorup and Zadimoghaddam, *Consistent Hashing with Bounded Loads*, 2016).
const BOUND: f64 = 1.25;

/// Open requests that a backend may have in any case: among few, the mean says nothing of load.
const FLOOR: usize = 16;

/// What a request sticks to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Affinity<'a> {
    /// Nothing: any backend will do.
    None,
    /// The backend of this session, for as long as it is ready: what the session is about is known there alone.
    Session(&'a [u8]),
    /// The backend that owns this question, unless it has too much to do: another one can answer as well.
    Owner(&'a [u8]),
    /// The backend at this place, which alone can answer.
    Backend(usize),
}

/// The backends of a front.
#[derive(Debug)]
pub(crate) struct Backends {
    all: Vec<Arc<Backend>>,
    names: Vec<String>,
}

impl Backends {
    pub(crate) fn new(urls: &[BackendUrl]) -> Self {
        let all: Vec<_> = urls
            .iter()
            .map(|url| Arc::new(Backend::new(url.clone())))
            .collect();
        Self {
            names: all.iter().map(|backend| backend.name.to_string()).collect(),
            all,
        }
    }

    pub(crate) fn all(&self) -> &[Arc<Backend>] {
        &self.all
    }

    /// Is any of them asked?
    pub(crate) fn is_any_available(&self) -> bool {
        let now = Instant::now();
        self.all.iter().any(|backend| backend.is_available(now))
    }

    /// Returns the backend for a request that is not `tried`.
    ///
    /// Where none is available all are: one may have come back since it was looked at. One in doubt is asked where no
    /// other is there.
    pub(crate) fn choose(
        &self,
        affinity: Affinity<'_>,
        tried: Option<&Arc<Backend>>,
    ) -> Option<&Arc<Backend>> {
        let now = Instant::now();
        let is_tried = |at: &usize| tried.is_some_and(|tried| Arc::ptr_eq(tried, &self.all[*at]));
        if let Affinity::Backend(at) = affinity
            && !is_tried(&at)
        {
            // Also when it was not ready a moment ago: another one would answer something else.
            return self.all.get(at);
        }
        let untried: Vec<usize> = (0..self.all.len()).filter(|at| !is_tried(at)).collect();
        let is_available = |at: &&usize| self.all[**at].is_available(now);
        let available: Vec<usize> = untried.iter().filter(is_available).copied().collect();
        let candidates = if available.is_empty() {
            untried
        } else {
            available
        };
        let is_sure = |at: &&usize| !self.all[**at].is_in_doubt();
        let sure: Vec<usize> = candidates.iter().filter(is_sure).copied().collect();
        // A session is known to its backend alone, which may have closed a connection and live on.
        let is_free = matches!(affinity, Affinity::None | Affinity::Owner(_));
        let candidates = if is_free && !sure.is_empty() {
            sure
        } else {
            candidates
        };
        let chosen = match affinity {
            Affinity::Session(session) => self.in_order(session, &candidates).next(),
            Affinity::Owner(question) => self.owner(question, &candidates),
            Affinity::Backend(_) | Affinity::None => self.least_loaded_of_two(&candidates, now),
        };
        chosen.map(|at| &self.all[at])
    }

    /// Power of two choices: two at random, of which the less loaded one (Mitzenmacher, 2001).
    fn least_loaded_of_two(&self, candidates: &[usize], now: Instant) -> Option<usize> {
        let two: Vec<usize> = match candidates {
            [] | [_] | [_, _] => candidates.to_vec(),
            many => rand::seq::index::sample(&mut rand::rng(), many.len(), 2)
                .iter()
                .map(|at| many[at])
                .collect(),
        };
        let load = |at: &usize| self.all[*at].load(now);
        // Equal loads must not all go to the first.
        let is_swapped = rand::random::<bool>();
        let ordered: Vec<usize> = if is_swapped {
            two.into_iter().rev().collect()
        } else {
            two
        };
        ordered
            .into_iter()
            .min_by(|a, b| load(a).total_cmp(&load(b)))
    }

    /// Returns the candidates in the order of a session or a question.
    fn in_order<'a>(
        &'a self,
        key: &[u8],
        candidates: &'a [usize],
    ) -> impl Iterator<Item = usize> + use<'a> {
        let order = order_for_session(key, &self.names).into_iter();
        order.filter(move |at| candidates.contains(at))
    }

    /// Returns the first backend in the order of the question that has at most its share of the open requests.
    fn owner(&self, question: &[u8], candidates: &[usize]) -> Option<usize> {
        let mut own = self.in_order(question, candidates).peekable();
        let first = own.peek().copied();
        let num_open: usize = candidates.iter().map(|at| self.all[*at].num_open()).sum();
        let share = (num_open + 1) as f64 / candidates.len().max(1) as f64;
        let bound = ((BOUND * share).ceil() as usize).max(FLOOR);
        own.find(|at| self.all[*at].num_open() < bound).or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(number: usize) -> Backends {
        let urls: Vec<BackendUrl> = (0..number)
            .map(|at| {
                format!("http://10.0.0.{at}:9200")
                    .parse()
                    .expect("an address")
            })
            .collect();
        Backends::new(&urls)
    }

    #[tokio::test]
    async fn open_requests_even_out() {
        let backends = backends(4);
        let open: Vec<_> = (0..400)
            .map(|_| backends.choose(Affinity::None, None).expect("one").open())
            .collect();
        for backend in backends.all() {
            assert!((80..=120).contains(&backend.num_open()), "{backend:?}");
        }
        drop(open);
        assert!(backends.all().iter().all(|backend| backend.num_open() == 0));
    }

    #[tokio::test]
    async fn a_session_stays_while_its_backend_is_ready_however_much_it_has_to_do() {
        let backends = backends(4);
        let session = Affinity::Session(b"a session");
        let own = Arc::clone(backends.choose(session, None).expect("one"));
        let choose = || backends.choose(session, None).expect("one");
        let open: Vec<_> = (0..1_000)
            .map(|_| {
                assert!(Arc::ptr_eq(choose(), &own), "{}", own.num_open());
                own.open()
            })
            .collect();
        drop(open);
        own.note_probe(Err("stopped"), Instant::now());
        let other = Arc::clone(choose());
        assert!(!Arc::ptr_eq(&other, &own));
        for backend in backends.all() {
            backend.note_probe(Err("stopped"), Instant::now());
        }
        assert!(Arc::ptr_eq(choose(), &own), "one all the same");
        own.note_probe(Ok(()), Instant::now());
        assert!(Arc::ptr_eq(choose(), &own), "it is back");
        let second = backends.choose(session, Some(&own)).expect("another");
        assert!(!Arc::ptr_eq(second, &own));
    }

    #[tokio::test]
    async fn a_backend_in_doubt_is_asked_only_by_its_sessions_and_where_there_is_no_other() {
        let backends = backends(2);
        let [first, second] = backends.all() else {
            panic!("two were made");
        };
        first.note_break();
        for affinity in [Affinity::None, Affinity::Owner(b"a question")] {
            for _ in 0..20 {
                let chosen = backends.choose(affinity, None).expect("one");
                assert!(Arc::ptr_eq(chosen, second), "{affinity:?}");
            }
        }
        let sessions: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let of_first = sessions.iter().filter(|session| {
            let chosen = backends.choose(Affinity::Session(session.as_bytes()), None);
            Arc::ptr_eq(chosen.expect("one"), first)
        });
        assert!(of_first.count() > 0);
        second.note_break();
        assert!(backends.choose(Affinity::None, None).is_some());
        let only = backends.choose(Affinity::None, Some(second));
        assert!(Arc::ptr_eq(only.expect("one"), first));
    }

    #[tokio::test]
    async fn a_question_stays_with_its_owner_until_that_has_far_more_to_do_than_others() {
        let backends = backends(4);
        let question = Affinity::Owner(b"a question");
        let choose = || Arc::clone(backends.choose(question, None).expect("one"));
        let own = choose();
        let mut open = Vec::new();
        for number in 0..FLOOR {
            assert!(Arc::ptr_eq(&choose(), &own), "{number}");
            open.push(own.open());
        }
        assert!(!Arc::ptr_eq(&choose(), &own), "others have nothing to do");
        open.extend((0..400).map(|_| choose().open()));
        for backend in backends.all() {
            assert!(backend.num_open() <= 132, "{backend:?}");
        }
        assert!(own.num_open() >= 100, "{own:?}");
    }

    #[tokio::test]
    async fn the_backend_that_alone_can_answer_is_asked_first() {
        let backends = backends(4);
        let own = &backends.all()[2];
        let choose = |tried| Arc::clone(backends.choose(Affinity::Backend(2), tried).expect("one"));
        assert!((0..20).all(|_| Arc::ptr_eq(&choose(None), own)));
        own.note_probe(Err("stopped"), Instant::now());
        assert!((0..20).all(|_| Arc::ptr_eq(&choose(None), own)));
        assert!((0..20).all(|_| !Arc::ptr_eq(&choose(Some(own)), own)));
    }
}
