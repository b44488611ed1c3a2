//! The conductor: the steps of a request's way, in order.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use gleaner_server::{Encryption, Leftover, PeerAddress};
use gleaner_telemetry::note;
use http::{HeaderValue, Request, Response, StatusCode, header, request};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::Service;

use crate::address::TrustedProxies;
use crate::admin;
use crate::answer::Held;
use crate::balance::{Affinity, Backends};
use crate::body::{BodyLimits, RequestBody};
use crate::classes::Place;
use crate::connect::Connect;
use crate::control::{Control, ExpectedCost};
use crate::forward::{Forward, Forwarder};
use crate::gather::{self, Join};
use crate::hygiene::{self, Caller};
use crate::kept::{KeptAnswers, Lookup};
use crate::limits::Entrant;
use crate::options::{Binding, FrontOptions};
use crate::outcome::{self, Subject};
use crate::probe::Probe;
use crate::refusal::{Refusal, json_response};
use crate::session::SessionKey;
use crate::split::{BadRules, BadSplit, Rules, Shadow, Split, Way, status_of};

/// A front: a service of requests that it forwards. Clones share it.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

pub(crate) struct Shared {
    backends: Backends,
    forwarder: Forwarder,
    session: Option<SessionKey>,
    kept: Option<KeptAnswers>,
    binding: Option<Arc<dyn Binding>>,
    trusted_proxies: TrustedProxies,
    body_limits: BodyLimits,
    max_open_requests: usize,
    places: Arc<Semaphore>,
    control: Option<Control>,
    pub(crate) split: Arc<Split>,
    pub(crate) shadow: Option<Shadow>,
    answers_probes: bool,
    /// The field `Strict-Transport-Security`, where it is wanted.
    strict_transport: Option<HeaderValue>,
    is_draining: AtomicBool,
    /// The looks at the backends, and what keeps which ways were left; they end with the front.
    _looks: JoinSet<()>,
}

/// What goes to a backend beside a head.
struct OnwardRequest {
    body: RequestBody,
    sticks_to: StickyKey,
    bound_to: Option<usize>,
    place: Arc<OwnedSemaphorePermit>,
    entrant: Option<Arc<Entrant>>,
    way: Way,
}

/// What a request sticks to a backend by.
#[derive(Clone)]
enum StickyKey {
    /// Nothing.
    None,
    /// Its session.
    Session(Vec<u8>),
    /// The question that it asks. All fronts ask one backend for an answer, which keeps it for them all.
    Question([u8; 32]),
}

impl OnwardRequest {
    /// Returns what goes with another body of the same request.
    fn with_body(&self, body: Bytes) -> Self {
        Self {
            body: RequestBody::Whole(body),
            sticks_to: self.sticks_to.clone(),
            bound_to: self.bound_to,
            place: Arc::clone(&self.place),
            entrant: self.entrant.clone(),
            way: self.way.clone(),
        }
    }
}

/// What a request that goes to backends has been given; nothing where there are no limits.
#[derive(Default)]
struct Admission {
    /// Held until it is answered whole.
    controlled: Option<(Arc<Entrant>, Place)>,
    cost: Option<ExpectedCost>,
}

fn strict_transport(lasts: Duration) -> HeaderValue {
    let value = HeaderValue::try_from(format!("max-age={}", lasts.as_secs()));
    value.expect("a number is text")
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Front").field(&self.0.backends).finish()
    }
}

impl Front {
    /// Returns a front, which begins to look at its backends.
    ///
    /// # Panics
    /// Outside of a tokio runtime, and with options that [`Self::checked`] refuses.
    #[must_use]
    pub fn start(options: FrontOptions) -> Self {
        Self::checked(options).expect("the options are good")
    }

    /// As [`Self::start`].
    ///
    /// # Errors
    /// [`BadSplit`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn checked(options: FrontOptions) -> Result<Self, BadSplit> {
        let split = Arc::new(Split::new(&options.split, options.is_read)?);
        outcome::begin();
        let backends = Backends::new(&options.backends);
        let probe = Probe {
            connect: Connect::of(&options),
            path: options.ready_path.clone(),
            every: options.probe_every,
        };
        let mut looks = JoinSet::new();
        let targets = split.targets().flat_map(|target| target.all());
        for backend in backends.all().iter().chain(targets) {
            looks.spawn(probe.clone().watch(Arc::clone(backend)));
        }
        looks.spawn(Arc::clone(&split).keep_stops());
        let shadow = options.shadow.clone();
        let connect = probe.connect.clone();
        let shadow = shadow.map(|shadow| Shadow::start(shadow, connect, options.is_read));
        Ok(Self(Arc::new(Shared {
            split,
            shadow,
            forwarder: Forwarder::new(&options),
            backends,
            session: options.session,
            kept: options.kept,
            binding: options.binding,
            control: options.control.map(Control::new),
            trusted_proxies: options.trusted_proxies,
            max_open_requests: options.max_open_requests,
            places: Arc::new(Semaphore::new(
                options.max_open_requests.min(Semaphore::MAX_PERMITS),
            )),
            body_limits: BodyLimits {
                max_bytes: options.max_body_bytes,
                pause_within: options.pause_within,
                grace: options.body_grace,
            },
            answers_probes: options.answers_probes,
            strict_transport: options.strict_transport.map(strict_transport),
            is_draining: AtomicBool::new(false),
            _looks: looks,
        })))
    }

    /// Returns the service by which those who look after the front see and change what it does: `/_front/rules` and
    /// `/_front/shadow`. It checks nobody, so its listener must be one that only they reach.
    pub fn admin(&self) -> axum::Router {
        admin::router(Arc::clone(&self.0))
    }

    /// Puts other rules in force. A rule that stays as it is keeps what is known of its way: a way that was left stays
    /// so.
    ///
    /// # Errors
    /// [`BadRules`]; those in force stay.
    pub fn reload_rules(&self, rules: &Rules) -> Result<(), BadRules> {
        self.0.split.reload(rules)
    }

    /// Is there a backend to forward to, and no end in sight?
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    /// Says from now on that the front is not ready, and forwards as before.
    pub fn begin_drain(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { Ok(shared.answer(request).await) })
    }
}

impl Shared {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let begun = Instant::now();
        let mut request = request.map(Body::new);
        if let Some(answer) = self.probed(&request) {
            return answer;
        }
        let leftover = Leftover::of(&mut request);
        let is_encrypted = request.extensions().get::<Encryption>().is_some();
        let mut subject = Subject::default();
        let conducted = self.conduct(request, &mut subject).await;
        subject.count(&conducted, begun.elapsed());
        let mut answer = conducted.unwrap_or_else(Refusal::into_response);
        if let Some(strict) = self.strict_transport.as_ref().filter(|_| is_encrypted) {
            let fields = answer.headers_mut();
            fields.insert(header::STRICT_TRANSPORT_SECURITY, strict.clone());
        }
        leftover.settle(&mut answer).await;
        answer
    }

    /// The way of a request. Who may ask, how often and which way are decided after the head is clean; what an answer
    /// that is kept needs is decided before the body is forwarded.
    async fn conduct(
        self: &Arc<Self>,
        request: Request<Body>,
        subject: &mut Subject,
    ) -> Result<Response<Body>, Refusal> {
        let caller = self.caller(&request);
        note(|facts| facts.client = Some(caller.address));
        let (mut head, body) = request.into_parts();
        hygiene::clean(&mut head, &caller)?;
        let control = self.control.as_ref();
        let target = control.map(|control| control.target(&head));
        let class = self.split.class(&head, target.as_ref());
        subject.class = Some(class);
        let entrant = control
            .zip(target.as_ref())
            .map(|(control, target)| control.enter(&head, target, caller.address));
        let entrant = entrant.transpose()?.map(Arc::new);
        let way = self.split.way(&mut head, caller.address, class);
        let session = self.session.as_ref();
        let session =
            session.and_then(|key| key.find(&head.headers, caller.address, caller.is_encrypted));
        let place = self.place()?;
        let body = RequestBody::read(body, self.body_limits).await;
        let body = body.map_err(|fault| Refusal::body(&fault))?;
        let lookup = match (&self.kept, &body) {
            // What another service answers is not to be taken for what the own backends would.
            (Some(kept), RequestBody::Whole(bytes)) if way.is_main() => kept.look_up(&head, bytes),
            _ => None,
        };
        subject.is_looked_up = lookup.is_some();
        let key = lookup.as_ref().and_then(Lookup::key).copied();
        if let Some(key) = &key {
            note(|facts| facts.note_key(key));
        }
        if let (Some(control), Some(entrant), Some(lookup)) = (control, &entrant, &lookup) {
            control.charge_kept(entrant, lookup.num_kept())?;
        }
        let shadow = self.shadow.as_ref();
        // What another way answers says nothing of the main one.
        let shadow = shadow.filter(|_| way.is_main());
        let copy = shadow.and_then(|shadow| shadow.begin(&head, &body));
        let on = OnwardRequest {
            bound_to: self.bound_to(&head, &body),
            body,
            sticks_to: match (&session, key) {
                (Some(session), _) => StickyKey::Session(session.key.clone()),
                (None, Some(key)) => StickyKey::Question(key),
                (None, None) => StickyKey::None,
            },
            place: Arc::new(place),
            entrant,
            way,
        };
        let mut answer = match (&self.kept, lookup) {
            (Some(kept), Some(lookup)) => self.answer_kept(kept, lookup, head, on).await?,
            _ => match self.join_of(&head, &on) {
                Some(join) => self.gather(head, on, &*join).await?,
                None => self.forward(head, on).await?,
            },
        };
        hygiene::clean_answer(&mut answer);
        if let Some(cookie) = session.and_then(|session| session.new_cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(match copy {
            Some(copy) => copy.watch(answer),
            None => answer,
        })
    }

    /// Answers a request with what is kept, and by a backend what is not.
    async fn answer_kept(
        self: &Arc<Self>,
        kept: &KeptAnswers,
        lookup: Lookup,
        head: request::Parts,
        on: OnwardRequest,
    ) -> Result<Response<Body>, Refusal> {
        let shared = Arc::clone(self);
        match lookup {
            Lookup::One(keep) => {
                let forward = |head| async move { shared.forward(head, on).await };
                kept.answer(&keep, head, forward).await
            }
            Lookup::Several(several) => {
                let whole = on.body.at_hand();
                let forward = |head, body| {
                    let (shared, on) = (Arc::clone(&shared), on.with_body(body));
                    async move { shared.forward(head, on).await }
                };
                kept.answer_several(several, head, whole, forward).await
            }
        }
    }

    /// Returns the backend that alone can answer, where there is one.
    fn bound_to(&self, head: &request::Parts, body: &RequestBody) -> Option<usize> {
        match body {
            RequestBody::Whole(bytes) => self.binding.as_ref()?.backend_of(head, bytes),
            RequestBody::Streamed(_) => None,
        }
    }

    /// Returns what joins the answers of all backends, where they are all to be asked.
    fn join_of(&self, head: &request::Parts, on: &OnwardRequest) -> Option<Box<dyn Join>> {
        match &on.body {
            // Another service is not known to this one's binding.
            RequestBody::Whole(bytes) if on.way.is_main() => {
                self.binding.as_ref()?.join_of(head, bytes)
            }
            RequestBody::Whole(_) | RequestBody::Streamed(_) => None,
        }
    }

    async fn gather(
        &self,
        mut head: request::Parts,
        on: OnwardRequest,
        join: &dyn Join,
    ) -> Result<Response<Body>, Refusal> {
        if let Some(refusal) = join.refusal() {
            return Ok(refusal.map(Body::from));
        }
        gather::ask_plainly(&mut head, join);
        let admission = self.admit(&head, &on).await?;
        let forward = Forward {
            head,
            body: on.body,
            backends: &self.backends,
            affinity: Affinity::None,
            held: Arc::new(Held {
                _place: on.place,
                _controlled: admission.controlled,
            }),
        };
        let answer = self.forwarder.gather(forward, join).await;
        self.settle(admission.cost, Some(&answer));
        Ok(answer)
    }

    async fn forward(
        &self,
        head: request::Parts,
        on: OnwardRequest,
    ) -> Result<Response<Body>, Refusal> {
        let admission = self.admit(&head, &on).await?;
        let forward = Forward {
            head,
            body: on.body,
            backends: on.way.backends.as_deref().unwrap_or(&self.backends),
            affinity: match (on.bound_to, &on.sticks_to) {
                (Some(at), _) if on.way.is_main() => Affinity::Backend(at),
                (_, StickyKey::Session(session)) => Affinity::Session(session),
                (_, StickyKey::Question(key)) => Affinity::Owner(key),
                (_, StickyKey::None) => Affinity::None,
            },
            held: Arc::new(Held {
                _place: on.place,
                _controlled: admission.controlled,
            }),
        };
        let begun = Instant::now();
        let answer = self.forwarder.forward(forward).await;
        on.way.note(status_of(&answer), begun.elapsed());
        self.settle(admission.cost, answer.as_ref().ok());
        answer
    }

    /// Charges a request that goes to backends, and waits for a place for it.
    async fn admit(&self, head: &request::Parts, on: &OnwardRequest) -> Result<Admission, Refusal> {
        let (Some(control), Some(entrant)) = (&self.control, &on.entrant) else {
            return Ok(Admission::default());
        };
        let admitted = control.admit(entrant, head, &on.body.at_hand()).await?;
        Ok(Admission {
            controlled: Some((Arc::clone(entrant), admitted.place)),
            cost: Some(admitted.cost),
        })
    }

    fn settle(&self, expected: Option<ExpectedCost>, answer: Option<&Response<Body>>) {
        if let (Some(control), Some(expected)) = (&self.control, expected) {
            control.settle(expected, answer);
        }
    }

    fn is_ready(&self) -> bool {
        !self.is_draining.load(Ordering::Relaxed) && self.backends.is_any_available()
    }

    /// Takes a place among the requests that are open.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let taken = Arc::clone(&self.places).try_acquire_owned();
        let busy = |_| Refusal::busy(self.max_open_requests);
        taken.map_err(busy)
    }

    fn caller(&self, request: &Request<Body>) -> Caller {
        let extensions = request.extensions();
        let nowhere = PeerAddress(([0, 0, 0, 0], 0).into());
        let PeerAddress(peer) = extensions.get().copied().unwrap_or(nowhere);
        Caller {
            address: self.trusted_proxies.client(peer, request.headers()),
            is_trusted_proxy: self.trusted_proxies.contain(peer.ip().to_canonical()),
            is_encrypted: extensions.get::<Encryption>().is_some(),
        }
    }

    /// Answers probes of the front itself.
    fn probed(&self, request: &Request<Body>) -> Option<Response<Body>> {
        if !self.answers_probes {
            return None;
        }
        match request.uri().path() {
            "/_health/live" => Some(json_response(StatusCode::OK, &json!({"status": "live"}))),
            "/_health/ready" if self.is_ready() => {
                Some(json_response(StatusCode::OK, &json!({"status": "ready"})))
            }
            "/_health/ready" => {
                let body = json!({"status": "not ready", "reason": "no root is ready, or the front stops"});
                Some(json_response(StatusCode::SERVICE_UNAVAILABLE, &body))
            }
            _ => None,
        }
    }
}
