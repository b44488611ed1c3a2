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
//! Whether a part is missing may not be known at once: it is looked for beyond memory first. The call is made when it is
//! known of all. A part that has to look again (its flight ended at another edition) is fetched by a later call. A call goes
//! on while anybody waits for one of its answers, also when the request that made it is gone.
//!
//! Does: gather what is missing, call once for it, hand out the answers. Does not: know how several requests are put
//! into one. Read first: [`Cache::answer_each`].

use std::future::{Future, poll_fn};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use futures::task::AtomicWaker;
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
struct Missing {
    parts: Mutex<MissingParts>,
    /// The request, which makes the calls.
    caller: AtomicWaker,
}

#[derive(Default)]
struct MissingParts {
    /// Parts that may be missing, or lie beyond memory.
    num_open: usize,
    /// Those that are missing, by place, and who waits for each.
    wanted: Vec<(usize, oneshot::Sender<Part>)>,
    /// The request is gone: nobody makes another call.
    is_over: bool,
}

impl Missing {
    /// Notes that nobody here has the answer of the part at `at`. What is returned fetches it once it is polled; dropped
    /// before that, the part was found elsewhere.
    fn note(self: &Arc<Self>, at: usize) -> impl Future<Output = Answer> + Send + 'static {
        self.parts.lock().num_open += 1;
        let open = OpenPart(Arc::clone(self));
        async move {
            let (called, call) = oneshot::channel();
            open.want(at, called);
            match call.await {
                Ok((call, place)) => call.await.get(place).cloned().unwrap_or_else(none),
                Err(_) => none(),
            }
        }
    }

    /// Returns what is to be fetched by a call now: nothing while it is not known of all parts whether they are missing.
    fn to_call(&self) -> Vec<(usize, oneshot::Sender<Part>)> {
        let mut parts = self.parts.lock();
        match parts.num_open {
            0 => std::mem::take(&mut parts.wanted),
            _ => Vec::new(),
        }
    }

    /// Ends the calls; returns what was to be fetched by the next.
    fn end(&self) -> Vec<(usize, oneshot::Sender<Part>)> {
        let mut parts = self.parts.lock();
        parts.is_over = true;
        std::mem::take(&mut parts.wanted)
    }
}

/// A part of which it is not known whether it is missing.
struct OpenPart(Arc<Missing>);

impl OpenPart {
    /// Notes that it is missing.
    fn want(self, at: usize, called: oneshot::Sender<Part>) {
        let mut parts = self.0.parts.lock();
        if !parts.is_over {
            parts.wanted.push((at, called));
        }
    }
}

impl Drop for OpenPart {
    fn drop(&mut self) {
        self.0.parts.lock().num_open -= 1;
        self.0.caller.wake();
    }
}

/// Makes the calls of a request.
struct Caller<'a, F, C>
where
    F: Fn(Vec<usize>) -> C,
    C: Future<Output = Vec<Answer>> + Send + 'static,
{
    missing: Arc<Missing>,
    fetch: &'a F,
}

impl<F, C> Caller<'_, F, C>
where
    F: Fn(Vec<usize>) -> C,
    C: Future<Output = Vec<Answer>> + Send + 'static,
{
    /// Makes one call for all that is missing, if something is, in the order of the request.
    fn call(&self, mut missing: Vec<(usize, oneshot::Sender<Part>)>) {
        if missing.is_empty() {
            return;
        }
        missing.sort_unstable_by_key(|(at, _)| *at);
        let wanted = missing.iter().map(|(at, _)| *at).collect();
        let call: Call = (self.fetch)(wanted).map(Arc::from).boxed().shared();
        for (place, (_, called)) in missing.into_iter().enumerate() {
            // Where nobody waits any more the part is fetched in vain.
            drop(called.send((call.clone(), place)));
        }
    }
}

impl<F, C> Drop for Caller<'_, F, C>
where
    F: Fn(Vec<usize>) -> C,
    C: Future<Output = Vec<Answer>> + Send + 'static,
{
    /// Others may wait for what is missing: the call for it is made yet.
    fn drop(&mut self) {
        self.call(self.missing.end());
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
        let missing = Arc::<Missing>::default();
        let caller = Caller {
            missing: Arc::clone(&missing),
            fetch: &fetch,
        };
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
            // Before the parts are looked at: one that is found later wakes this.
            caller.missing.caller.register(context.waker());
            let polled = answered.as_mut().poll(context);
            // Every part has been looked at by now, so this call is for all that are missing.
            caller.call(caller.missing.to_call());
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests;
