//! Which backend a request goes to.

use std::sync::Arc;

use gleaner_shard_router::order_for_session;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::options::BackendUrl;

/// How many times the mean of open requests a backend may have before its sessions go elsewhere (Mirrokni, Thorup and
/// Zadimoghaddam, *Consistent Hashing with Bounded Loads*, 2016).
const BOUND: f64 = 1.25;

/// What a request sticks to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Affinity<'a> {
    /// Nothing: any backend will do.
    None,
    /// The backend of this session.
    Session(&'a [u8]),
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
    /// Where none is available all are: one may have come back since it was looked at.
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
        let chosen = match affinity {
            Affinity::Session(session) => self.of_session(session, &candidates),
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

    /// Returns the first backend in the order of the session that has at most its share of the open requests.
    fn of_session(&self, session: &[u8], candidates: &[usize]) -> Option<usize> {
        let order = order_for_session(session, &self.names);
        let mut own = order
            .into_iter()
            .filter(|at| candidates.contains(at))
            .peekable();
        let first = own.peek().copied();
        let num_open: usize = candidates.iter().map(|at| self.all[*at].num_open()).sum();
        let share = (num_open + 1) as f64 / candidates.len().max(1) as f64;
        let bound = (BOUND * share).ceil() as usize;
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
    async fn a_session_stays_unless_its_backend_is_away_or_has_too_much() {
        let backends = backends(4);
        let session = Affinity::Session(b"a session");
        let own = Arc::clone(backends.choose(session, None).expect("one"));
        for _ in 0..100 {
            assert!(Arc::ptr_eq(
                backends.choose(session, None).expect("one"),
                &own
            ));
        }
        let open: Vec<_> = (0..40)
            .map(|_| backends.choose(session, None).expect("one").open())
            .collect();
        assert!(own.num_open() <= 13, "bounded: {}", own.num_open());
        drop(open);
        own.note_probe(Err("stopped"));
        let other = Arc::clone(backends.choose(session, None).expect("another"));
        assert!(!Arc::ptr_eq(&other, &own));
        for backend in backends.all() {
            backend.note_probe(Err("stopped"));
        }
        assert!(Arc::ptr_eq(
            backends.choose(session, None).expect("one all the same"),
            &own
        ));
        assert!(!Arc::ptr_eq(
            backends.choose(session, Some(&own)).expect("another"),
            &own
        ));
    }

    #[tokio::test]
    async fn the_backend_that_alone_can_answer_is_asked_first() {
        let backends = backends(4);
        let own = &backends.all()[2];
        let choose = |tried| Arc::clone(backends.choose(Affinity::Backend(2), tried).expect("one"));
        assert!((0..20).all(|_| Arc::ptr_eq(&choose(None), own)));
        own.note_probe(Err("stopped"));
        assert!((0..20).all(|_| Arc::ptr_eq(&choose(None), own)));
        assert!((0..20).all(|_| !Arc::ptr_eq(&choose(Some(own)), own)));
    }
}
