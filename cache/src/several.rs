//! Requests that came together as one: each is looked up by itself, and what is missing is fetched together.
//!
//! ```text
//! request   each of its parts             the fetch
//! 1         kept                          -
//! 2         an equal one is under way     - (waits for that one)
//! 3         nobody has it                 one call for 3 and 4, whose answers land in the flights of both
//! 4         may not be kept               the same call
//! ```
//!
//! A part that has to look again (its flight ended at another edition) is fetched by a later call. A call goes on while
//! anybody waits for one of its answers, also when the request that made it is gone.
//!
//! Does: gather what is missing, call once for it, hand out the answers. Does not: know how several requests are put
//! into one. Read first: [`Cache::answer_each`].

use std::future::{Future, poll_fn};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Answer, Cache, Keep, Lost, Served};

/// The answers of one call, in the order of the parts that it was made for. Whoever waits for one of them drives it.
type Call = Shared<BoxFuture<'static, Arc<[Answer]>>>;

/// The part of a call that one of the missing waits for: its place in the call.
type Part = (Call, usize);

/// What is missing and not asked for yet.
#[derive(Default)]
struct Missing(Mutex<Vec<(usize, oneshot::Sender<Part>)>>);

impl Missing {
    /// Notes that nobody has the answer of the part at `at`; returns what waits for it.
    fn note(&self, at: usize) -> impl Future<Output = Answer> + Send + 'static {
        let (called, call) = oneshot::channel();
        self.0.lock().push((at, called));
        async move {
            match call.await {
                Ok((call, place)) => call.await.get(place).cloned().unwrap_or_else(none),
                Err(_) => none(),
            }
        }
    }

    /// Makes one call for all that is missing now, if something is.
    fn call<F>(&self, fetch: &impl Fn(Vec<usize>) -> F)
    where
        F: Future<Output = Vec<Answer>> + Send + 'static,
    {
        let missing = std::mem::take(&mut *self.0.lock());
        if missing.is_empty() {
            return;
        }
        let wanted = missing.iter().map(|(at, _)| *at).collect();
        let call: Call = fetch(wanted).map(Arc::from).boxed().shared();
        for (place, (_, called)) in missing.into_iter().enumerate() {
            // Where nobody waits any more the part is fetched in vain.
            drop(called.send((call.clone(), place)));
        }
    }
}

/// Stands for an answer that a call did not bring: it is for nobody else, and failed.
fn none() -> Answer {
    Answer {
        status: StatusCode::BAD_GATEWAY,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        edition: None,
    }
}

impl Cache {
    /// Answers parts of one request, each as [`Cache::answer`] does, or by `fetch`, which is given the places of those
    /// that are missing and returns their answers in that order. A part without a [`Keep`] is fetched in any case.
    ///
    /// All that is missing when the request has come is fetched by one call.
    ///
    /// # Errors
    /// As [`Cache::answer`], for each part by itself.
    ///
    /// # Cancel safety
    /// As [`Cache::answer`].
    pub async fn answer_each<F>(
        self: &Arc<Self>,
        keeps: &[Option<Keep>],
        fetch: impl Fn(Vec<usize>) -> F,
    ) -> Vec<Result<Served, Lost>>
    where
        F: Future<Output = Vec<Answer>> + Send + 'static,
    {
        let missing = Missing::default();
        let parts = keeps.iter().enumerate().map(|(at, keep)| {
            let missing = &missing;
            async move {
                match keep {
                    Some(keep) => self.answer(keep, || missing.note(at)).await,
                    None => Ok(Served::Evaluated(missing.note(at).await)),
                }
            }
        });
        let mut answered = std::pin::pin!(join_all(parts));
        poll_fn(|context| {
            let polled = answered.as_mut().poll(context);
            // Every part has been looked at by now, so this call is for all that are missing.
            missing.call(&fetch);
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests;
