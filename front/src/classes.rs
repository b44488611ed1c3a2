//! Places of requests that are being answered by backends, by class: what is urgent does not wait behind what is not.
//!
//! Does: give places, keep a bounded queue per class, leave each class its share. Does not: say which class a request is
//! of. Probes have no class: they never come here. Read first: [`Places::take`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::metric;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// What kind of work a request is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestClass {
    /// Searches and reads of documents.
    Read,
    /// Mappings, settings, tables.
    Metadata,
    /// Bulks and single documents.
    Write,
    /// Scrolls, deletions by query: what goes over everything.
    Scan,
}

impl RequestClass {
    /// All classes, the most urgent first.
    pub(crate) const ALL: [Self; NUM_CLASSES] =
        [Self::Read, Self::Metadata, Self::Write, Self::Scan];

    /// Returns its name in metrics and rules.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Metadata => "metadata",
            Self::Write => "write",
            Self::Scan => "scan",
        }
    }
}

const NUM_CLASSES: usize = 4;

/// Requests of one class that wait at once.
const MOST_WAITING: usize = 1_000;

/// The share of the places that is kept free for each class while it has fewer, and the largest that it may have.
const SHARES: [(f64, f64); NUM_CLASSES] = [(0.5, 1.0), (0.05, 0.5), (0.2, 0.8), (0.05, 0.25)];

/// Places of a front. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    num_places: usize,
    classes: [Class; NUM_CLASSES],
}

#[derive(Debug, Default)]
struct Class {
    floor: usize,
    ceiling: usize,
    num_running: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// The place of a request; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    class: RequestClass,
}

/// A request that waits for a place, in the gauge until this is dropped.
struct Waiting(RequestClass);

impl Waiting {
    fn begin(class: RequestClass) -> Self {
        metrics::gauge!(metric::FRONT_WAITING.name, "class" => class.name()).increment(1.0);
        Self(class)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!(metric::FRONT_WAITING.name, "class" => self.0.name()).decrement(1.0);
    }
}

/// There was no place in time, or too many wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace;

impl Places {
    /// Returns `num_places` of them, at least one for each class.
    pub(crate) fn new(num_places: usize) -> Self {
        let num_places = num_places.max(NUM_CLASSES);
        let share = |share: f64| ((num_places as f64 * share) as usize).max(1);
        let classes = SHARES.map(|(floor, ceiling)| Class {
            floor: share(floor),
            ceiling: share(ceiling),
            ..Class::default()
        });
        Self(Arc::new(Mutex::new(State {
            num_places,
            classes,
        })))
    }

    /// Takes a place, or waits for one for as long as `patience`.
    ///
    /// # Errors
    /// [`NoPlace`].
    ///
    /// # Cancel safety
    /// A place that comes too late is given to the next.
    pub(crate) async fn take(
        &self,
        class: RequestClass,
        patience: Duration,
    ) -> Result<Place, NoPlace> {
        let (give, given) = oneshot::channel();
        {
            let mut state = self.0.lock();
            let waiting = &mut state.classes[class as usize].waiting;
            if waiting.len() >= MOST_WAITING {
                waiting.retain(|give| !give.is_closed());
            }
            let waiting = waiting.len();
            if waiting == 0 && state.has_place(class) {
                state.classes[class as usize].num_running += 1;
                return Ok(self.place(class));
            }
            if waiting >= MOST_WAITING {
                return Err(NoPlace);
            }
            state.classes[class as usize].waiting.push_back(give);
        }
        let _waiting = Waiting::begin(class);
        match tokio::time::timeout(patience, given).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(NoPlace),
        }
    }

    fn place(&self, class: RequestClass) -> Place {
        Place {
            places: self.clone(),
            class,
        }
    }

    /// Gives the places that are free to those who wait, the most urgent first. Those who have gone are passed by.
    fn hand_on(&self) {
        loop {
            let mut state = self.0.lock();
            let Some((class, give)) = state.next() else {
                return;
            };
            if give.is_closed() {
                continue;
            }
            state.classes[class as usize].num_running += 1;
            drop(state);
            // One that has gone just now gives its place back when it is dropped here.
            drop(give.send(self.place(class)));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.lock().classes[self.class as usize].num_running -= 1;
        self.places.hand_on();
    }
}

impl State {
    /// Returns whether a request of the class may begin: it is below its ceiling, and what other classes are due stays
    /// free.
    fn has_place(&self, class: RequestClass) -> bool {
        let own = &self.classes[class as usize];
        if own.num_running >= own.ceiling {
            return false;
        }
        let num_running: usize = self.classes.iter().map(|it| it.num_running).sum();
        let others = self.classes.iter().enumerate();
        let others = others.filter(|(at, _)| *at != class as usize);
        let due: usize = others
            .map(|(_, it)| it.floor.saturating_sub(it.num_running))
            .sum();
        let due = if own.num_running < own.floor { 0 } else { due };
        num_running + due < self.num_places
    }

    fn next(&mut self) -> Option<(RequestClass, oneshot::Sender<Place>)> {
        let ready = RequestClass::ALL.into_iter().find(|class| {
            !self.classes[*class as usize].waiting.is_empty() && self.has_place(*class)
        })?;
        let give = self.classes[ready as usize].waiting.pop_front()?;
        Some((ready, give))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn metrics_and_rules_name_a_class_alike() {
        for class in RequestClass::ALL {
            let written = serde_json::to_value(class).expect("a class");
            assert_eq!(written, class.name());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn scans_leave_the_places_of_others_free() {
        let places = Places::new(20);
        let mut scans = Vec::new();
        while let Ok(place) = places.take(RequestClass::Scan, Duration::ZERO).await {
            scans.push(place);
        }
        assert_eq!(scans.len(), 5, "a quarter");
        let mut reads = Vec::new();
        while let Ok(place) = places.take(RequestClass::Read, Duration::ZERO).await {
            reads.push(place);
        }
        assert!(reads.len() >= 10, "{}", reads.len());
        let write = places.take(RequestClass::Write, Duration::ZERO).await;
        assert!(write.is_ok(), "its floor is free");
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_urgent_who_waits_has_the_next_place() {
        let places = Places::new(4);
        let mut held = Vec::new();
        while let Ok(place) = places.take(RequestClass::Read, Duration::ZERO).await {
            held.push(place);
        }
        for class in [
            RequestClass::Metadata,
            RequestClass::Write,
            RequestClass::Scan,
        ] {
            held.extend(places.take(class, Duration::ZERO).await);
        }
        let waiting = |class| {
            let places = places.clone();
            tokio::spawn(async move { places.take(class, SOON).await })
        };
        let scan = waiting(RequestClass::Scan);
        tokio::task::yield_now().await;
        let read = waiting(RequestClass::Read);
        tokio::task::yield_now().await;
        held.remove(0);
        let place = read.await.expect("no panic");
        assert!(place.is_ok() && !scan.is_finished());
        drop((place, held));
        assert!(scan.await.expect("no panic").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_refused_and_leaves_no_trace() {
        let places = Places::new(4);
        let mut held = Vec::new();
        while let Ok(place) = places.take(RequestClass::Scan, Duration::ZERO).await {
            held.push(place);
        }
        assert!(
            places
                .take(RequestClass::Scan, Duration::from_millis(5))
                .await
                .is_err()
        );
        let mut late = Vec::new();
        for _ in 0..=MOST_WAITING {
            let places = places.clone();
            late.push(tokio::spawn(async move {
                places.take(RequestClass::Scan, SOON).await.is_ok()
            }));
            tokio::task::yield_now().await;
        }
        let last = late.pop().expect("one").await.expect("no panic");
        assert!(!last, "the queue is full");
        late.iter().for_each(tokio::task::JoinHandle::abort);
        drop(held);
        let again = places.take(RequestClass::Scan, SOON).await;
        assert!(again.is_ok());
        drop(again);
        assert_eq!(
            places.0.lock().classes[RequestClass::Scan as usize].num_running,
            0
        );
    }
}
