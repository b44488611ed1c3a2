//! What keeps web pages out: whom a request says it calls, and which page it comes from.
//!
//! A browser sends requests to any address that a page names, those of its user's network too. It keeps the
//! answer from a page of another origin, but a request without an answer can delete documents. And a page whose
//! name is changed to the address of a node (DNS rebinding) is of the node's origin, as the browser sees it. So:
//!
//! - `Host` must be an address, or a name that the node goes by ([`Hosts`]); else 421;
//! - `Origin` must be that of the node, or one that [`Cors`] allows; else 403, whatever the method;
//! - a browser that says in `Sec-Fetch-Site` that the request comes from another site or origin is refused, also
//!   where it sends no `Origin`; where it says that it comes from the same origin, that is believed, since no page
//!   can set the header: behind a proxy that calls the node by another name, `Host` and `Origin` differ.
//!
//! Whoever sends none of them is no browser, and passes. `/_health/live` and `/_health/ready` always do: they tell
//! nothing and change nothing.

mod cors;
mod hosts;

use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};

pub use cors::{Cors, CorsError, CorsSettings};
pub use hosts::Hosts;

use cors::Grant;

use crate::error::ApiError;
use crate::headers::PRODUCT;
use crate::response::Reply;

/// Paths that anybody may ask for.
const OPEN_PATHS: [&str; 2] = ["/_health/live", "/_health/ready"];

/// Which requests pass. The default lets those pass that call an address or `localhost`, and no other origin.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Names of the node.
    pub hosts: Hosts,
    /// Other origins.
    pub cors: Cors,
}

/// A request that may pass.
pub(crate) struct CheckedRequest {
    grant: Option<Grant>,
    /// Would an allowed origin be answered with other headers?
    varies: bool,
}

impl CheckedRequest {
    /// Is the answer to stay as it is?
    pub(crate) fn is_unmarked(&self) -> bool {
        self.grant.is_none() && !self.varies
    }

    /// Adds to the answer what its origin must see, and that it depends on that.
    pub(crate) fn mark(self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        match self.grant {
            Some(grant) => grant.add_to(headers),
            None => cors::vary(headers),
        }
    }
}

impl Guard {
    /// Lets a request pass, or answers it.
    pub(crate) fn check<B>(
        &self,
        request: &Request<B>,
    ) -> Result<CheckedRequest, Box<Response<Body>>> {
        let passed = |grant| {
            let varies = self.cors.varies();
            Ok(CheckedRequest { grant, varies })
        };
        let (uri, headers) = (request.uri(), request.headers());
        if OPEN_PATHS.contains(&uri.path()) {
            return passed(None);
        }
        let checked = self.check_host(uri, headers);
        checked.map_err(|error| refused(&error))?;
        let allowed = self.check_origin(uri, headers);
        let allowed = allowed.map_err(|error| refused(&error))?;
        match allowed {
            Some(grant) if cors::is_preflight(request) => {
                let mut response = Response::new(Body::empty());
                grant.add_to_preflight(response.headers_mut());
                Err(Box::new(response))
            }
            allowed => passed(allowed),
        }
    }

    /// Would a request pass, and its answer stay as it is? So one that was kept may be given instead.
    pub fn passes(&self, head: &Parts) -> bool {
        let (uri, headers) = (&head.uri, &head.headers);
        let is_unmarked = || matches!(self.check_origin(uri, headers), Ok(None));
        self.check_host(uri, headers).is_ok() && is_unmarked()
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let of_uri = uri.authority().map(|name| name.as_str().as_bytes());
        let of_headers = headers.get_all(header::HOST);
        let of_headers = of_headers.iter().map(HeaderValue::as_bytes);
        for host in of_uri.into_iter().chain(of_headers) {
            if !self.hosts.allow(host) {
                let reason = format!(
                    "the request is for [{}], which is no address and no name of this node; set \
                     [allowed_hosts] to the names that clients call it by",
                    String::from_utf8_lossy(host)
                );
                let status = StatusCode::MISDIRECTED_REQUEST;
                return Err(ApiError::new(status, "security_exception", reason));
            }
        }
        Ok(())
    }

    /// Returns what is granted to an origin that CORS allows.
    fn check_origin(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<Grant>, ApiError> {
        let origin = headers.get(header::ORIGIN);
        if let Some(allowed) = origin.and_then(|origin| self.cors.allow(origin)) {
            return Ok(Some(allowed));
        }
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        if origin.is_none() && site.is_none() {
            return Ok(None);
        }
        let may = match (origin, site) {
            (_, Some(b"same-origin")) => true,
            (None, site) => matches!(site, None | Some(b"none")) || self.cors.allows_all(),
            (Some(origin), _) => is_same(origin, uri.authority(), headers),
        };
        if may {
            return Ok(None);
        }
        let from = origin.map_or("another site".into(), |origin| {
            format!("[{}]", String::from_utf8_lossy(origin.as_bytes()))
        });
        let reason = format!(
            "the request comes from a page of {from}, which is not allowed; set [http_cors_enabled] and \
             [http_cors_allow_origin] to allow it"
        );
        let status = StatusCode::FORBIDDEN;
        Err(ApiError::new(status, "security_exception", reason))
    }
}

/// Header in which browsers say how the page and the address are related.
const FETCH_SITE: &str = "sec-fetch-site";

/// Is `origin` the one that the request is sent to?
fn is_same(
    origin: &HeaderValue,
    authority: Option<&http::uri::Authority>,
    headers: &HeaderMap,
) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let name = ["http://", "https://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = authority.map(http::uri::Authority::as_str).or(host);
    matches!((name, host), (Some(name), Some(host)) if name.eq_ignore_ascii_case(host))
}

fn refused(error: &ApiError) -> Box<Response<Body>> {
    let mut response = Reply::error(error).into_unshaped_response();
    let product = HeaderValue::from_static("Elasticsearch");
    response.headers_mut().insert(PRODUCT, product);
    Box::new(response)
}

#[cfg(test)]
mod tests;
