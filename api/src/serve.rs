//! The dialect on a listener: what the guard lets pass, answered by the HTTP server.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use futures::future::{BoxFuture, Either};
use gleaner_server::{Answers, Leftover};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::Service;

use crate::guard::Guard;
use crate::options::ApiOptions;
use crate::service::ForProbes;

/// Serves `service` on `listener` until `shutdown` is done, as [`gleaner_server::serve`] does with
/// [`ApiOptions::server`]. Requests that [`ApiOptions::guard`] does not let pass are refused before `service` sees
/// them.
///
/// # Errors
/// As [`gleaner_server::serve`].
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    options: &ApiOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Answers,
{
    let guarded = Guarded::new(service, options);
    gleaner_server::serve(listener, guarded, &options.server, shutdown).await
}

/// Serves the probes of `service`, and nothing else, on a listener and a thread of their own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_probes<S>(
    listener: TcpListener,
    service: S,
    options: &ApiOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Answers,
{
    let guarded = Guarded {
        is_for_probes: true,
        ..Guarded::new(service, options)
    };
    gleaner_server::serve_probes(listener, guarded, &options.server, shutdown).await
}

/// A service behind the guard.
#[derive(Clone)]
struct Guarded<S> {
    service: S,
    guard: Arc<Guard>,
    is_for_probes: bool,
}

impl<S> Guarded<S> {
    fn new(service: S, options: &ApiOptions) -> Self {
        Self {
            service,
            guard: Arc::clone(&options.guard),
            is_for_probes: false,
        }
    }
}

/// An answer of a service, or one that the guard has a part in.
type GuardedAnswer<F> = Either<F, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

impl<S: Answers> Service<Request<Incoming>> for Guarded<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = GuardedAnswer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        if self.is_for_probes {
            request.extensions_mut().insert(ForProbes);
        }
        match self.guard.check(&request) {
            Ok(passed) if passed.is_unmarked() => Either::Left(self.service.call(request)),
            Ok(passed) => {
                let answering = self.service.call(request);
                Either::Right(Box::pin(async move {
                    let Ok(mut response) = answering.await;
                    passed.mark(&mut response);
                    Ok(response)
                }))
            }
            Err(refused) => Either::Right(Box::pin(refuse(request, *refused))),
        }
    }
}

async fn refuse(
    request: Request<Incoming>,
    mut refused: Response<Body>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    let leftover = Leftover::of(&mut request);
    drop(request);
    leftover.settle(&mut refused).await;
    Ok(refused)
}

#[cfg(test)]
mod tests;
