//! Calls of other nodes in their traces: what is done for one is below the span of its caller.

use std::task::{Context, Poll};

use futures::future::Either;
use gleaner_telemetry::{Scope, TraceContext};
use http::Request;
use tower::{Layer, Service};

/// Has each call that says its place in a trace be answered there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traced;

impl<S> Layer<S> for Traced {
    type Service = TracedCalls<S>;

    fn layer(&self, calls: S) -> TracedCalls<S> {
        TracedCalls(calls)
    }
}

/// The calls of a node.
#[derive(Debug, Clone)]
pub(super) struct TracedCalls<S>(S);

impl<S, B> Service<Request<B>> for TracedCalls<S>
where
    S: Service<Request<B>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BelowCaller<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = TraceContext::of(request.headers());
        let answering = self.0.call(request);
        match caller {
            None => Either::Left(answering),
            Some(caller) => Either::Right(Box::pin(Scope::of_call(caller).run(answering))),
        }
    }
}

/// A call that is answered in its trace.
type BelowCaller<F> = futures::future::BoxFuture<'static, <F as Future>::Output>;

/// Does `work` below the span of a caller, where it has one.
pub(super) fn below<F: Future>(
    caller: Option<TraceContext>,
    work: F,
) -> impl Future<Output = F::Output> {
    match caller {
        None => Either::Left(work),
        Some(caller) => Either::Right(Box::pin(Scope::of_call(caller).run(work))),
    }
}
