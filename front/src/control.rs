//! Whether a request may go on now: its sender's limits, then a place among those that are being answered.
//!
//! Does: ask [`Visitors`] who sends a request and what it asks for, and hold it against `limits` and `classes`. Does not:
//! forward. Called by [`crate::front`]. Read first: [`Control::enter`], then [`Control::admit`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use gleaner_model::security::KeyLimits;
use http::request::Parts;
use http::{HeaderName, Response};

use crate::classes::{Place, Places, RequestClass};
use crate::limits::{Charge, Entrant, LimitCode, LimitOptions, Limits, Took};
use crate::refusal::Refusal;

/// Header in which a root says how many microseconds a request took of the processors.
const COST: HeaderName = HeaderName::from_static("x-gleaner-cost-us");

/// Longest wait for a place.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who sends a request, as far as limits go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// Somebody without a key.
    Stranger,
    /// The owner of a valid key.
    Key {
        /// Id of the key.
        id: Arc<str>,
        /// What the key itself says.
        limits: KeyLimits,
    },
    /// Somebody with a key that is not one, as far as is known here.
    Refused,
}

/// What a request asks for, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Its class.
    pub class: RequestClass,
    /// What it has in common with others that cost about the same.
    pub shape: u64,
    /// What it costs at a guess, in milliseconds of search CPU.
    pub guess_ms: f64,
}

/// What a request asks for by its head alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its class: that of its [`Work`].
    pub class: RequestClass,
    /// Name of its route, for the access log; `None` where it has none.
    pub route: Option<&'static str>,
    /// The indices in its path, for the access log.
    pub index: Option<String>,
}

/// Knows who sends a request and what it asks for.
pub trait Visitors: Send + Sync {
    /// Returns who sends it.
    fn visitor(&self, head: &Parts) -> Visitor;

    /// Returns what it asks for by its head. By default it is of no route, and of the class that [`Self::work`] says.
    fn target(&self, head: &Parts) -> Target {
        Target {
            class: self.work(head, &Bytes::new()).class,
            route: None,
            index: None,
        }
    }

    /// Returns what it asks for; the body is empty where it is not at hand.
    fn work(&self, head: &Parts, body: &Bytes) -> Work;
}

/// What lets requests go on.
#[derive(Clone)]
pub struct ControlOptions {
    /// How often, and at what cost.
    pub limits: LimitOptions,
    /// Requests that backends answer at once, by all classes together; at least 4.
    pub num_places: usize,
    /// Knows who sends a request and what it asks for.
    pub visitors: Arc<dyn Visitors>,
}

impl fmt::Debug for ControlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlOptions")
            .field("limits", &self.limits)
            .field("num_places", &self.num_places)
            .finish_non_exhaustive()
    }
}

/// Lets requests go on.
pub(crate) struct Control {
    visitors: Arc<dyn Visitors>,
    limits: Limits,
    places: Places,
}

/// A request that goes on to a backend.
pub(crate) struct Admitted {
    pub(crate) place: Place,
    pub(crate) cost: ExpectedCost,
}

/// What a request that goes on will cost.
pub(crate) struct ExpectedCost {
    shape: u64,
    charge: Option<Charge>,
    begun: Instant,
}

impl Control {
    pub(crate) fn new(options: ControlOptions) -> Self {
        Self {
            visitors: options.visitors,
            limits: Limits::new(options.limits),
            places: Places::new(options.num_places),
        }
    }

    /// Returns what a request asks for by its head.
    pub(crate) fn target(&self, head: &Parts) -> Target {
        self.visitors.target(head)
    }

    /// Lets a request in by its head, of which `target` says what it asks for.
    ///
    /// # Errors
    /// 429 with what is too much and when to come again.
    pub(crate) fn enter(
        &self,
        head: &Parts,
        target: &Target,
        address: IpAddr,
    ) -> Result<Entrant, Refusal> {
        let visitor = self.visitors.visitor(head);
        gleaner_telemetry::note(|facts| {
            if let Visitor::Key { id, .. } = &visitor {
                facts.key_id = Some(Arc::clone(id));
            }
            if let Some(route) = target.route {
                facts.note_target(route, target.index.as_deref());
            }
        });
        self.limits.enter(visitor, address)
    }

    /// Charges a request with so many answers that may be kept.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub(crate) fn charge_kept(&self, entrant: &Entrant, num_answers: usize) -> Result<(), Refusal> {
        self.limits.charge_kept(entrant, num_answers)
    }

    /// Charges a request that is sent to a backend, and waits for a place for it.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub(crate) async fn admit(
        &self,
        entrant: &Entrant,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Admitted, Refusal> {
        let work = self.visitors.work(head, body);
        let charge = self.limits.charge(entrant, work.shape, work.guess_ms)?;
        let Ok(place) = self.places.take(work.class, PATIENCE).await else {
            // It has taken nothing.
            charge
                .into_iter()
                .for_each(|charge| charge.settle(Took::Busy(0.0)));
            let wait = Duration::from_secs(1);
            return Err(Refusal::limited(LimitCode::Concurrency, wait));
        };
        Ok(Admitted {
            place,
            cost: ExpectedCost {
                shape: work.shape,
                charge,
                begun: Instant::now(),
            },
        })
    }

    /// Settles the charge of a request by what its answer says it took, or else by the time until it came. Others of its
    /// shape are expected to take as much, unless it failed: that says nothing of them.
    pub(crate) fn settle(&self, expected: ExpectedCost, answer: Option<&Response<Body>>) {
        let told = answer.and_then(|answer| answer.headers().get(COST));
        let told = told.and_then(|cost| cost.to_str().ok()?.parse::<f64>().ok());
        // A backend may say anything.
        let told = told.filter(|micros| micros.is_finite() && *micros >= 0.0);
        let took_ms = expected.begun.elapsed().as_secs_f64() * 1_000.0;
        let took = told.map_or(Took::Time(took_ms), |micros| Took::Busy(micros / 1_000.0));
        if answer.is_some_and(|answer| answer.status().is_success()) {
            self.limits.learn(expected.shape, took);
        }
        if let Some(charge) = expected.charge {
            charge.settle(took);
        }
    }
}
