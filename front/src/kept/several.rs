//! A request of several parts: those that are kept are answered by the front, the others go to a backend together.
//!
//! Does: send on what is missing, hand out what comes back, put all answers together. Does not: know what the parts are;
//! [`Several`] does. Read first: [`KeptAnswers::answer_several`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gleaner_cache::respond::{MISS, VARY, X_CACHE, X_EDITION, add_warnings, mark};
use gleaner_cache::{Answer, Lost, Origin, Origins, Served};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use super::{Aside, KeptAnswers, OF_ONE, OPAQUE_ID, Several, length, packed, stand_in};
use crate::refusal::Refusal;

/// Largest answer of a backend that is taken apart. A larger one is fetched whole and handed on as it comes.
const MOST_BYTES: u64 = 8 << 20;

/// Fields of answers to parts that are not those of the answer to all.
const OF_PARTS: [HeaderName; 3] = [header::AGE, header::WARNING, X_CACHE];

/// What is known of the backend's answers beside those to parts.
#[derive(Default)]
struct Beside {
    /// An answer, or a refusal, that is for the request as a whole.
    aside: Option<Aside>,
    /// Whether an answer was too large to be taken apart.
    is_large: bool,
    /// Warnings of answers: they do not say which part they are about.
    warnings: HeaderMap,
}

impl KeptAnswers {
    /// Answers a request of several parts with what is kept, and by `forward`, which gets a head and a body to ask a
    /// backend with: for all that is missing, and again for the whole where that is too large to be taken apart.
    ///
    /// # Errors
    /// Those of `forward`.
    pub(crate) async fn answer_several<F>(
        &self,
        several: Arc<dyn Several>,
        head: Parts,
        body: Bytes,
        forward: impl Fn(Parts, Bytes) -> F,
    ) -> Aside
    where
        F: Future<Output = Aside> + Send + 'static,
    {
        let begun = Instant::now();
        let opaque_id = head.headers.get(OPAQUE_ID).cloned();
        let codings = head.headers.get(header::ACCEPT_ENCODING).cloned();
        let beside = Arc::new(Mutex::new(Beside::default()));
        let mut asking = head.clone();
        for name in OF_ONE {
            asking.headers.remove(name);
        }
        let edition = HeaderValue::from_static("wanted");
        asking.headers.insert(X_EDITION, edition);
        let fetch = |places: Vec<usize>| {
            let forwarded = forward(asking.clone(), several.body_for(&places));
            let fetching = Fetching {
                several: Arc::clone(&several),
                beside: Arc::clone(&beside),
                num_parts: places.len(),
            };
            gleaner_telemetry::carried(async move { fetching.answers(forwarded.await).await })
        };
        let served = self.cache.answer_each(several.keeps(), fetch).await;
        let Beside {
            aside,
            is_large,
            warnings,
        } = std::mem::take(&mut *beside.lock());
        if is_large {
            let mut answer = forward(head, body).await?;
            mark(answer.headers_mut(), MISS);
            return Ok(answer);
        }
        // Where an older answer stands for each part that was asked for in vain, nothing is missing.
        if let Some(aside) = aside
            && served.iter().any(is_fetched)
        {
            let mut answer = aside?;
            mark(answer.headers_mut(), MISS);
            return Ok(answer);
        }
        let served: Result<Vec<Served>, Lost> = served.into_iter().collect();
        let served = served.map_err(|lost| Refusal::failed("none", &lost.to_string()))?;
        let mut answer = joined(&*several, &served, begun.elapsed());
        add_warnings(answer.headers_mut(), &warnings);
        if let Some(opaque_id) = opaque_id {
            answer.headers_mut().insert(OPAQUE_ID, opaque_id);
        }
        Ok(packed(answer, codings).await)
    }
}

/// Is it what a call to a backend brought?
fn is_fetched(served: &Result<Served, Lost>) -> bool {
    match served {
        Ok(Served::Evaluated(_) | Served::Renewed(_)) | Err(Lost) => true,
        Ok(Served::Kept(_) | Served::Stale(_) | Served::Shared(_)) => false,
    }
}

/// What a call to a backend is for.
struct Fetching {
    several: Arc<dyn Several>,
    beside: Arc<Mutex<Beside>>,
    num_parts: usize,
}

impl Fetching {
    /// Returns the answers to the parts of a call.
    async fn answers(self, forwarded: Aside) -> Vec<Answer> {
        let answer = match forwarded {
            Ok(answer) if answer.status() == StatusCode::OK => answer,
            other => return self.put_aside(other),
        };
        if length(answer.headers()).is_none_or(|length| length > MOST_BYTES) {
            self.beside.lock().is_large = true;
            return vec![stand_in(&Ok(Response::default())); self.num_parts];
        }
        let (head, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                let refusal = Refusal::failed("root", &crate::body::innermost(&error));
                return self.put_aside(Err(refusal));
            }
        };
        let answer = Response::from_parts(head, body);
        let Some(answers) = self.several.answers_in(&answer, self.num_parts) else {
            let refusal = Refusal::failed("root", "its answer is not one to each part");
            return self.put_aside(Err(refusal));
        };
        add_warnings(&mut self.beside.lock().warnings, answer.headers());
        answers
    }

    fn put_aside(self, instead: Aside) -> Vec<Answer> {
        let answers = vec![stand_in(&instead); self.num_parts];
        self.beside.lock().aside = Some(instead);
        answers
    }
}

/// Puts the answers to all parts together.
fn joined(several: &dyn Several, served: &[Served], took: Duration) -> Response<Bytes> {
    let mut origins = Origins::default();
    let mut headers = HeaderMap::new();
    let mut answers = Vec::with_capacity(served.len());
    for (served, keep) in served.iter().zip(several.keeps()) {
        origins.add(match keep {
            Some(_) => Origin::of(served),
            None => Origin::Bypass,
        });
        let (status, of_part, body) = match served {
            Served::Kept(entry) | Served::Stale(entry) => {
                (StatusCode::OK, &entry.headers, &entry.body)
            }
            Served::Shared(answer) | Served::Evaluated(answer) | Served::Renewed(answer) => {
                (answer.status, &answer.headers, &answer.body)
            }
        };
        for (name, value) in of_part {
            if !OF_PARTS.contains(name) && !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        add_warnings(&mut headers, of_part);
        answers.push((status, body.clone()));
    }
    let mut answer = Response::new(several.joined(&answers, took));
    *answer.headers_mut() = headers;
    answer.headers_mut().insert(header::VARY, VARY);
    mark(answer.headers_mut(), origins.word());
    if let Some(age) = origins.age() {
        answer
            .headers_mut()
            .insert(header::AGE, HeaderValue::from(age.as_secs()));
    }
    answer
}
