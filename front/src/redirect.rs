//! Sends clients that came without encryption to the address with it.
//!
//! A redirect goes to the host that the client asked for: what another host stands for, only its owner knows. The status
//! is 308, so that a POST stays one (RFC 9110, 15.4.9). What such a client has sent was readable on its way, so the
//! answer asks it to close.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::Body;
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tower::Service;

use crate::hygiene;
use crate::refusal::Refusal;

/// The usual port of encrypted connections, which addresses leave out.
const HTTPS: u16 = 443;

/// A service that answers each request with where it is answered encrypted: `https://HOST:PORT` and the request's own path
/// and query, 308. What can't be read in one way is refused with 400, CONNECT and TRACE with 405.
#[derive(Debug, Clone, Copy)]
pub struct RedirectToHttps {
    /// The port at which clients reach the encrypted listener.
    pub port: u16,
}

impl Service<Request<Incoming>> for RedirectToHttps {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let mut answer = self
            .location(&parts)
            .map_or_else(Refusal::into_response, |location| {
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
                answer.headers_mut().insert(header::LOCATION, location);
                answer
            });
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        ready(Ok(answer))
    }
}

impl RedirectToHttps {
    fn location(self, parts: &http::request::Parts) -> Result<HeaderValue, Refusal> {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::method(&parts.method));
        }
        let path = parts.uri.path_and_query().map(PathAndQuery::as_str);
        let path = path.filter(|path| path.starts_with('/'));
        let path =
            path.ok_or_else(|| Refusal::bad_request("the target of the request is no path"))?;
        let asked = hygiene::authority(parts)?;
        let asked = asked.ok_or_else(|| Refusal::bad_request("the request has no Host field"))?;
        let no_host = || Refusal::bad_request("the Host field of the request names no host");
        let asked = Authority::try_from(asked.as_bytes()).map_err(|_| no_host())?;
        let location = match self.port {
            HTTPS => format!("https://{}{path}", asked.host()),
            port => format!("https://{}:{port}{path}", asked.host()),
        };
        HeaderValue::try_from(location).map_err(|_| no_host())
    }
}
