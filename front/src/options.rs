//! What a front forwards to, and how.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_tls::Connector;
use http::Method;
use http::request::Parts;
use http::uri::{Authority, Scheme, Uri};

use crate::address::TrustedProxies;
use crate::control::ControlOptions;
use crate::gather::Join;
use crate::kept::KeptAnswers;
use crate::session::SessionKey;
use crate::split::{ShadowOptions, SplitOptions};

/// Settings of a front; every one but the backends has a default.
#[derive(Debug, Clone)]
pub struct FrontOptions {
    /// Where requests go, at least one.
    pub backends: Vec<BackendUrl>,
    /// What encrypts connections to backends of `https`; default nothing, which refuses such backends.
    pub connector: Option<Connector>,
    /// What encrypts connections to [`Self::backends`], and checks who they are; default [`Self::connector`].
    pub backend_connector: Option<Connector>,
    /// Path at which a backend that is ready answers 200. Default none: one that can be connected to is ready.
    pub ready_path: Option<String>,
    /// How often each backend is looked at; default 1 s.
    pub probe_every: Duration,
    /// By what the requests of a client are kept on one backend; default nothing.
    pub session: Option<SessionKey>,
    /// Proxies whose word about the client's address is believed; default none.
    pub trusted_proxies: TrustedProxies,
    /// Which requests change nothing, so that they may be sent twice; default GET, HEAD and OPTIONS.
    pub is_read: fn(&Method, &str) -> bool,
    /// Which requests that may be sent twice make the same work as others of their method, by a part of their path: reads of
    /// single documents do, whichever they name. Default none, so that only what is the same in all is alike.
    pub same_work: fn(&Parts) -> Option<&str>,
    /// Does the front answer `/_health/live` and `/_health/ready` itself? Default no.
    pub answers_probes: bool,
    /// Which backend alone can answer a request; default any can.
    pub binding: Option<Arc<dyn Binding>>,
    /// Are backends told how much of a request's time is left? Default no: it is a header of Gleaner's.
    pub tells_deadline: bool,
    /// Do backends see the `Host` that the client asked for? Default yes; else it is that of the backend's address, and
    /// the client's is in `X-Forwarded-Host` alone.
    pub keeps_host: bool,
    /// How long browsers use encrypted connections only: `Strict-Transport-Security` (RFC 6797) in answers over such
    /// connections. Default: the field is not sent.
    pub strict_transport: Option<Duration>,
    /// What keeps answers; default nothing.
    pub kept: Option<KeptAnswers>,
    /// How often clients may ask, at what cost, and how many requests are forwarded at once by class; default no limits.
    pub control: Option<ControlOptions>,
    /// Rules that send a share of users another way; default none.
    pub split: SplitOptions,
    /// Where copies of requests go whose answers nobody sees; default nowhere.
    pub shadow: Option<ShadowOptions>,
    /// Requests that are forwarded at once; default 8,192, as many as connections may be open. Beyond it they are refused
    /// with 429: each holds a connection to a backend, and HTTP/2 clients may open a hundred over one of theirs.
    pub max_open_requests: usize,
    /// Largest body of a request in bytes; default 1 GiB, as backends have limits of their own.
    pub max_body_bytes: u64,
    /// Time for the head of an answer; default 300 s.
    pub answer_within: Duration,
    /// Longest pause between two pieces of a request's body or of an answer's; default 60 s.
    pub pause_within: Duration,
    /// Time that may be spent waiting for the body of a request, beside a second for each KiB of it; default 30 s.
    pub body_grace: Duration,
    /// Time for a connection to a backend; default 1 s.
    pub connect_within: Duration,
    /// How long a connection to a backend is kept without a request; default 30 s, which is less than most servers keep
    /// theirs. 0 keeps none.
    pub backend_idle: Duration,
    /// How soon a connection that was kept breaks where its backend had closed it before it read the request; default 1 s. One
    /// that breaks later was lost with the work, and what it was asked is not asked again.
    pub lost_within: Duration,
}

impl Default for FrontOptions {
    fn default() -> Self {
        Self {
            backends: Vec::new(),
            connector: None,
            backend_connector: None,
            ready_path: None,
            probe_every: Duration::from_secs(1),
            session: None,
            trusted_proxies: TrustedProxies::default(),
            is_read: |method, _| matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS),
            same_work: |_| None,
            answers_probes: false,
            tells_deadline: false,
            keeps_host: true,
            strict_transport: None,
            kept: None,
            binding: None,
            control: None,
            split: SplitOptions::default(),
            shadow: None,
            max_open_requests: 8_192,
            max_body_bytes: 1 << 30,
            answer_within: Duration::from_secs(300),
            pause_within: Duration::from_secs(60),
            body_grace: Duration::from_secs(30),
            connect_within: Duration::from_secs(1),
            backend_idle: Duration::from_secs(30),
            lost_within: Duration::from_secs(1),
        }
    }
}

/// Knows which requests one backend alone can answer, and which only all of them together.
pub trait Binding: fmt::Debug + Send + Sync {
    /// Returns the place of that backend among [`FrontOptions::backends`]; `None` where any can. It is asked first, and another
    /// one where it cannot be reached.
    fn backend_of(&self, head: &Parts, body: &Bytes) -> Option<usize>;

    /// Returns what joins the answers to a request that all backends are to be asked; `None` where one can answer it.
    fn join_of(&self, head: &Parts, body: &Bytes) -> Option<Box<dyn Join>>;
}

/// Address of a backend: `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendUrl {
    scheme: Scheme,
    authority: Authority,
}

/// The text is no address of a backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address of a backend: wanted http://HOST:PORT or https://HOST:PORT, without a path"
)]
pub struct BadBackendUrl(String);

impl FromStr for BackendUrl {
    type Err = BadBackendUrl;

    fn from_str(text: &str) -> Result<Self, BadBackendUrl> {
        let read = || {
            let uri: Uri = text.parse().ok()?;
            let parts = uri.into_parts();
            let path = parts
                .path_and_query
                .as_ref()
                .map_or("/", |path| path.as_str());
            let scheme = parts.scheme?;
            let authority = parts.authority?;
            let is_known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
            let is_plain =
                path == "/" && !authority.as_str().contains('@') && !authority.host().is_empty();
            (is_known && is_plain).then_some(Self { scheme, authority })
        };
        read().ok_or_else(|| BadBackendUrl(text.to_owned()))
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl BackendUrl {
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme.clone()
    }

    pub(crate) fn authority(&self) -> Authority {
        self.authority.clone()
    }

    /// Are connections to it encrypted?
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_backends_are_read_and_others_refused() {
        for url in ["http://10.0.0.1:9200", "https://root-1", "http://[::1]:80"] {
            let read: BackendUrl = url.parse().expect(url);
            assert_eq!(read.to_string(), url);
        }
        for bad in [
            "",
            "host:1",
            "ftp://host",
            "http://",
            "http://me@host",
            "http://host/path",
            "/x",
        ] {
            let error = bad.parse::<BackendUrl>().expect_err(bad).to_string();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
    }
}
