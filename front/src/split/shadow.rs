//! A copy of some requests to another service, whose answers nobody sees.
//!
//! The user's answer goes out as without it: what passes by is noted, and when the last of it has gone the copy is put into
//! a queue, if there is room. It is sent over connections of its own, a few at once, each within a deadline; a shadow that
//! stands still costs nothing but what the queue holds.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::SHADOW;
use super::compare::{MOST_BYTES, Ranking};
use super::report::{Comparison, ShadowReport, Side};
use super::share::Share;
use crate::body::RequestBody;
use crate::connect::Connect;
use crate::options::BackendUrl;

/// Copies that wait.
const MOST_WAITING: usize = 1_000;

/// Bytes of requests and answers of all copies that wait, or are compared.
const MOST_HELD_BYTES: usize = 64 << 20;

/// Largest answer that is compared.
const MOST_ANSWER_BYTES: usize = 256 << 10;

/// Copies that are sent at once.
const MOST_AT_ONCE: usize = 8;

/// How long a shadow may take for its answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Where copies go, and of how many requests.
#[derive(Debug, Clone)]
pub struct ShadowOptions {
    /// The service.
    pub to: BackendUrl,
    /// The share of requests that are copied: of requests, not of users.
    pub share: Share,
    /// Are the texts of the queries that differ most kept, for people to see? Default no: they are users' own.
    pub keeps_bodies: bool,
    /// Is a hit another one when its index has another name? Default yes.
    pub compares_index: bool,
}

/// Copies requests.
pub(crate) struct Shadow {
    options: ShadowOptions,
    is_read: fn(&Method, &str) -> bool,
    queue: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    report: Arc<ShadowReport>,
    /// What sends copies; it ends with the front.
    _sending: JoinSet<()>,
}

/// A request that will be copied once it has been answered.
pub(crate) struct ShadowCopy {
    head: CopiedHead,
    body: Bytes,
    begun: Instant,
    queue: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    report: Arc<ShadowReport>,
}

/// What is sent of a head.
struct CopiedHead {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
}

/// A request and the answer that its user had.
struct Job {
    head: CopiedHead,
    body: Bytes,
    main: MainAnswer,
    _room: OwnedSemaphorePermit,
}

struct MainAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    took: Duration,
}

impl Shadow {
    /// Starts to send copies.
    pub(crate) fn start(
        options: ShadowOptions,
        connect: Connect,
        is_read: fn(&Method, &str) -> bool,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let to = options.to.to_string();
        let report = Arc::new(ShadowReport::new(to, options.share.to_string()));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connect);
        let sender = Sender {
            client,
            options: options.clone(),
            report: Arc::clone(&report),
        };
        let mut sending = JoinSet::new();
        sending.spawn(send_all(Arc::new(sender), waiting));
        Self {
            options,
            is_read,
            queue,
            room: Arc::new(Semaphore::new(MOST_HELD_BYTES)),
            report,
            _sending: sending,
        }
    }

    pub(crate) fn report(&self) -> &Arc<ShadowReport> {
        &self.report
    }

    /// Returns what is needed to copy a request, if it is one of the share: reads alone, whose bodies are at hand.
    pub(crate) fn begin(&self, head: &Parts, body: &RequestBody) -> Option<ShadowCopy> {
        let is_copied = (self.is_read)(&head.method, head.uri.path())
            && self.options.share.holds(rand::random_range(0..10_000));
        let RequestBody::Whole(body) = body else {
            return None;
        };
        if !is_copied {
            return None;
        }
        let mut headers = head.headers.clone();
        for name in [header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::HOST] {
            headers.remove(name);
        }
        headers.insert(SHADOW.0, SHADOW.1);
        Some(ShadowCopy {
            head: CopiedHead {
                method: head.method.clone(),
                path: head.uri.path_and_query().cloned()?,
                headers,
            },
            body: body.clone(),
            begun: Instant::now(),
            queue: self.queue.clone(),
            room: Arc::clone(&self.room),
            report: Arc::clone(&self.report),
        })
    }
}

impl ShadowCopy {
    /// Notes an answer as it passes by, and queues the copy when the last of it has gone.
    pub(crate) fn watch(self, answer: Response<Body>) -> Response<Body> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let took = self.begun.elapsed();
        answer.map(|body| {
            let watched = Watched {
                copy: Some((self, status, headers)),
                took,
                seen: BytesMut::new(),
                body,
            };
            match watched.body.is_end_stream() {
                true => {
                    let mut watched = watched;
                    watched.end();
                    watched.body
                }
                false => Body::new(watched),
            }
        })
    }

    /// Puts the copy into the queue, if there is room.
    fn queue(self, main: MainAnswer) {
        let num_bytes = u32::try_from(self.body.len() + main.body.len() + 1).unwrap_or(u32::MAX);
        let Ok(room) = self.room.try_acquire_many_owned(num_bytes) else {
            return self.report.note_dropped();
        };
        let job = Job {
            head: self.head,
            body: self.body,
            main,
            _room: room,
        };
        if self.queue.try_send(job).is_err() {
            self.report.note_dropped();
        }
    }
}

/// The body of an answer that is noted as it passes by.
struct Watched {
    /// `None` once it has been queued, or is not worth it.
    copy: Option<(ShadowCopy, StatusCode, HeaderMap)>,
    took: Duration,
    seen: BytesMut,
    body: Body,
}

impl Watched {
    fn note(&mut self, data: &Bytes) {
        if self.copy.is_none() {
            return;
        }
        if self.seen.len() + data.len() > MOST_ANSWER_BYTES {
            self.copy = None;
            self.seen = BytesMut::new();
            return;
        }
        self.seen.extend_from_slice(data);
    }

    fn end(&mut self) {
        if let Some((copy, status, headers)) = self.copy.take() {
            copy.queue(MainAnswer {
                status,
                headers,
                body: std::mem::take(&mut self.seen).freeze(),
                took: self.took,
            });
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.note(data);
                }
                // Those who know the length do not ask once more.
                if self.body.is_end_stream() {
                    self.end();
                }
            }
            Poll::Ready(None) => self.end(),
            Poll::Ready(Some(Err(_))) => self.copy = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What sends copies and compares.
struct Sender {
    client: Client<Connect, Body>,
    options: ShadowOptions,
    report: Arc<ShadowReport>,
}

async fn send_all(sender: Arc<Sender>, mut waiting: mpsc::Receiver<Job>) {
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let mut sending = JoinSet::new();
    while let Some(job) = waiting.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while sending.try_join_next().is_some() {}
        let sender = Arc::clone(&sender);
        sending.spawn(async move {
            sender.send(job).await;
            drop(place);
        });
    }
}

impl Sender {
    async fn send(&self, job: Job) {
        let begun = Instant::now();
        let Ok(Some((status, headers, body, took))) = timeout(WITHIN, self.ask(&job, begun)).await
        else {
            return self.report.note_failed();
        };
        let (report, options) = (Arc::clone(&self.report), self.options.clone());
        let compared = spawn_blocking(move || {
            let names_index = options.compares_index;
            let text = || String::from_utf8_lossy(&job.body).into_owned();
            let path = match options.keeps_bodies {
                true => job.head.path.as_str(),
                false => job.head.path.path(),
            };
            report.note(Comparison {
                request: format!("{} {path}", job.head.method),
                body: options.keeps_bodies.then(text),
                main: Side {
                    status: job.main.status.as_u16(),
                    took: job.main.took,
                    ranking: Ranking::of(&job.main.headers, &job.main.body, names_index),
                },
                shadow: Side {
                    status: status.as_u16(),
                    took,
                    ranking: Ranking::of(&headers, &body, names_index),
                },
            });
        });
        // A panic there has been logged, and the next copy comes.
        drop(compared.await);
    }

    /// Returns the answer of the shadow, and the time until its head came; `None` where it has none.
    async fn ask(
        &self,
        job: &Job,
        begun: Instant,
    ) -> Option<(StatusCode, HeaderMap, Bytes, Duration)> {
        let uri = Uri::builder()
            .scheme(self.options.to.scheme())
            .authority(self.options.to.authority())
            .path_and_query(job.head.path.clone());
        let mut request = Request::new(Body::from(job.body.clone()));
        *request.method_mut() = job.head.method.clone();
        *request.uri_mut() = uri.build().ok()?;
        *request.headers_mut() = job.head.headers.clone();
        let answer = self.client.request(request).await.ok()?;
        let took = begun.elapsed();
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await.ok()?;
        Some((head.status, head.headers, body.to_bytes(), took))
    }
}
