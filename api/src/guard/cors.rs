//! Cross-origin resource sharing, as Elasticsearch's `http.cors.*` have it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, header};
use regex::Regex;

/// Which other origins may send requests, and what of the answers they see. The default allows none.
#[derive(Debug, Clone, Default)]
pub struct Cors(Option<Arc<AllowedOrigins>>);

/// What other origins may do; lists are separated by commas.
#[derive(Debug, Clone, Copy)]
pub struct CorsSettings<'a> {
    /// Origins that are allowed: a list, `*`, or a regular expression between slashes.
    pub allow_origin: &'a str,
    /// Methods that pages may use.
    pub allow_methods: &'a str,
    /// Headers that pages may send.
    pub allow_headers: &'a str,
    /// Headers of answers that pages may read.
    pub expose_headers: &'a str,
    /// May requests carry credentials?
    pub allow_credentials: bool,
    /// Seconds for which browsers may remember the answer to a preflight.
    pub max_age_seconds: u64,
}

/// A setting that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum CorsError {
    /// The regular expression of origins is none.
    #[error("`http_cors_allow_origin` is no regular expression: {0}")]
    Expression(#[source] regex::Error),
    /// A list has characters that no header can have.
    #[error("`{0}` has characters that no header can have")]
    Header(&'static str),
}

#[derive(Debug)]
struct AllowedOrigins {
    origins: Origins,
    methods: HeaderValue,
    headers: HeaderValue,
    exposed: HeaderValue,
    with_credentials: bool,
    max_age: HeaderValue,
}

#[derive(Debug)]
enum Origins {
    All,
    Matching(Regex),
    Listed(Vec<String>),
}

impl Cors {
    /// Returns what `settings` allow.
    ///
    /// # Errors
    /// [`CorsError`] for what cannot be matched or sent.
    pub fn new(settings: CorsSettings<'_>) -> Result<Self, CorsError> {
        let list = |text: &str, name| {
            let words: Vec<&str> = text.split(',').map(str::trim).collect();
            HeaderValue::from_str(&words.join(",")).map_err(|_| CorsError::Header(name))
        };
        Ok(Self(Some(Arc::new(AllowedOrigins {
            origins: Origins::new(settings.allow_origin)?,
            methods: list(settings.allow_methods, "http_cors_allow_methods")?,
            headers: list(settings.allow_headers, "http_cors_allow_headers")?,
            exposed: list(settings.expose_headers, "http_cors_expose_headers")?,
            with_credentials: settings.allow_credentials,
            max_age: HeaderValue::from(settings.max_age_seconds),
        }))))
    }

    /// Are all origins allowed?
    pub(super) fn allows_all(&self) -> bool {
        let allowed = self.0.as_ref();
        allowed.is_some_and(|allowed| matches!(allowed.origins, Origins::All))
    }

    /// Do answers depend on the origin? They do not where all are allowed, or none.
    pub(super) fn varies(&self) -> bool {
        self.0.is_some() && !self.allows_all()
    }

    /// Returns what an answer to `origin` must carry, where that is allowed.
    pub(super) fn allow(&self, origin: &HeaderValue) -> Option<Grant> {
        let allowed = self.0.as_ref()?;
        let origin = match &allowed.origins {
            Origins::All => HeaderValue::from_static("*"),
            Origins::Matching(expression) => {
                let is_match = expression.is_match(origin.to_str().ok()?);
                is_match.then(|| origin.clone())?
            }
            Origins::Listed(origins) => {
                let asked = origin.to_str().ok()?;
                let mut origins = origins.iter();
                let is_listed = origins.any(|known| known.eq_ignore_ascii_case(asked));
                is_listed.then(|| origin.clone())?
            }
        };
        let allowed = Arc::clone(allowed);
        Some(Grant { origin, allowed })
    }
}

impl Origins {
    fn new(text: &str) -> Result<Self, CorsError> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::All);
        }
        let between = text
            .strip_prefix('/')
            .and_then(|text| text.strip_suffix('/'));
        if let Some(expression) = between {
            let whole = Regex::new(&format!("^(?:{expression})$"));
            return Ok(Self::Matching(whole.map_err(CorsError::Expression)?));
        }
        let origins = text.split(',').map(|origin| origin.trim().to_owned());
        Ok(Self::Listed(
            origins.filter(|origin| !origin.is_empty()).collect(),
        ))
    }
}

/// An origin that is allowed.
#[derive(Debug)]
pub(crate) struct Grant {
    /// As it is sent back.
    origin: HeaderValue,
    allowed: Arc<AllowedOrigins>,
}

impl Grant {
    /// Adds the headers of an answer.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        self.add_origin(headers);
        let exposed = &self.allowed.exposed;
        if !exposed.is_empty() {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    /// Adds the headers of the answer to a preflight.
    pub(super) fn add_to_preflight(&self, headers: &mut HeaderMap) {
        self.add_origin(headers);
        let allowed = &self.allowed;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &allowed.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &allowed.headers),
            (header::ACCESS_CONTROL_MAX_AGE, &allowed.max_age),
        ] {
            headers.insert(name, value.clone());
        }
    }

    fn add_origin(&self, headers: &mut HeaderMap) {
        let is_any = self.origin.as_bytes() == b"*";
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if !is_any {
            vary(headers);
        }
        // Credentials for all origins would be none of any.
        if self.allowed.with_credentials && !is_any {
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }
}

/// Says that an answer depends on the origin.
pub(super) fn vary(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

/// Does a browser ask whether it may send another request?
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
