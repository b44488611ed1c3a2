//! A server of the dialect, reached over HTTP: address, identity, answers and faults.

mod indices;
mod words;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION},
    redirect::Policy,
};
use serde_json::Value;

use crate::http::http_client;
pub(crate) use words::fault;
pub use words::{cause, reason, unanswered};

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which server, and who asks.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Address of the server; `http` where it names no scheme. It may hold a name and a password.
    pub url: String,
    /// `NAME:PASSWORD` of basic authentication.
    pub user: Option<String>,
    /// API key: base64 of `id:key`.
    pub api_key: Option<String>,
    /// Authority whose certificate an `https` server must show, in PEM; `None` believes those of the system.
    pub cacert: Option<PathBuf>,
    /// Further headers on each request, `NAME: VALUE`.
    pub headers: Vec<String>,
    /// After how long a request is given up.
    pub timeout: Duration,
    /// Is no proxy asked, whatever the environment says?
    pub is_own: bool,
}

impl RemoteOptions {
    /// Returns options for a server of our own at `url` that asks for nothing.
    pub fn at(url: String) -> Self {
        Self {
            url,
            user: None,
            api_key: None,
            cacert: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(120),
            is_own: true,
        }
    }
}

/// A server that can be asked. Cheap to clone; connections are shared.
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client,
    base: Url,
}

impl Remote {
    /// Checks the address and the headers; nothing is sent yet.
    pub fn new(options: &RemoteOptions) -> Result<Self> {
        let (base, user) = address(&options.url)?;
        let mut headers = HeaderMap::new();
        for header in &options.headers {
            // What stands behind the name may be secret.
            let shown = header.split(':').next().unwrap_or_default();
            let wanted = || format!("`--header {shown}`: wanted `NAME: VALUE`");
            let (name, value) = header.split_once(':').with_context(wanted)?;
            let name: HeaderName = name.trim().parse().with_context(wanted)?;
            headers.insert(name, value.trim().parse().with_context(wanted)?);
        }
        if let Some(value) = authorization(options, user)? {
            headers.insert(AUTHORIZATION, value);
        }
        let mut client = http_client(base.scheme() == "https", options.cacert.as_deref())?;
        if options.is_own || is_here(&base) {
            client = client.no_proxy();
        }
        let client = client
            .default_headers(headers)
            // A request that is sent elsewhere may lose its body, and would take our headers there.
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.timeout)
            .build()
            .context("cannot prepare the HTTP client")?;
        Ok(Self { client, base })
    }

    /// Begins a request; `path` is given in segments, which are escaped here.
    pub fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("`address` only lets http and https in, which have a path")
            .pop_if_empty()
            .extend(path);
        self.client.request(method, url)
    }

    /// Words that nobody answers there, and why.
    pub fn unanswered(&self, error: &reqwest::Error) -> anyhow::Error {
        unanswered(&self.base, error)
    }

    /// Returns the address without a password, for messages and checkpoints.
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// Asks who is there, so that a wrong address fails before a load begins.
    pub async fn greet(&self) -> Result<()> {
        let answer = self.request(Method::GET, &[]).send().await;
        let answer = answer.map_err(|error| unanswered(&self.base, &error))?;
        // Overload is a matter for the load's own patience.
        if answer.status() != StatusCode::TOO_MANY_REQUESTS && !answer.status().is_server_error() {
            let greeted = json(answer).await.map(drop);
            greeted.with_context(|| format!("asked `{}`", self.base))?;
        }
        Ok(())
    }
}

/// Returns the answer's body, or the server's reason as an error.
pub async fn json(answer: Response) -> Result<Value> {
    let body = body(answer).await?;
    serde_json::from_slice(&body).context("the server answered something else than JSON")
}

/// Returns the answer's body as it came, or the server's reason as an error.
pub async fn body(answer: Response) -> Result<Vec<u8>> {
    let status = answer.status();
    let elsewhere = answer.headers().get(LOCATION).cloned();
    let body = answer.bytes().await.context("the answer broke off")?;
    if let Some(elsewhere) = elsewhere.filter(|_| status.is_redirection()) {
        let elsewhere = String::from_utf8_lossy(elsewhere.as_bytes());
        bail!(
            "the server answered {status} and names `{elsewhere}`: give the address that answers"
        );
    }
    if !status.is_success() {
        bail!(reason(status, &body));
    }
    Ok(body.into())
}

/// Reads the name of an index, an alias or a pattern; what a path swallows is none.
pub fn index_name(text: &str) -> Result<String, String> {
    match text {
        "" | "." | ".." => Err("wanted the name of an index".to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// Does the address lead to this machine, where a proxy would look for a server on its own?
fn is_here(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let number = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_local = number.is_ok_and(|number| number.is_loopback() || number.is_unspecified());
    is_local || host == "localhost" || host.ends_with(".localhost")
}

/// Splits name and password off the address, so that they stand in no message.
pub fn address(text: &str) -> Result<(Url, Option<(String, String)>)> {
    let has_scheme = text.contains("://");
    let whole = if has_scheme {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let shown = without_user(text);
    let mut url = Url::parse(&whole).with_context(|| format!("`{shown}` is no address"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "`{shown}`: wanted an address of http or https"
    );
    ensure!(
        url.query().is_none() && url.fragment().is_none(),
        "`{shown}`: wanted an address without `?` and `#`"
    );
    let user = (!url.username().is_empty()).then(|| {
        (
            unescaped(url.username()),
            unescaped(url.password().unwrap_or_default()),
        )
    });
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.expect("http addresses with a host can have their user cleared");
    Ok((url, user))
}

/// Returns an address as messages show it, whether or not it is one: without name and password.
fn without_user(text: &str) -> String {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}{host}")
}

/// Returns what an address escapes, `%40` for `@`, as it is meant.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = (*first == b'%').then(|| escaped_byte(after)).flatten();
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads the two hexadecimal digits behind a `%`.
fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..2)?;
    let are_digits = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| are_digits)?;
    u8::from_str_radix(text, 16).ok()
}

fn authorization(
    options: &RemoteOptions,
    in_address: Option<(String, String)>,
) -> Result<Option<HeaderValue>> {
    // A variable that is set to nothing says nothing.
    let filled = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    let (key, user) = (filled(&options.api_key), filled(&options.user));
    ensure!(
        key.is_none() || user.is_none(),
        "`--user` and `--api-key` (GLEANER_USER, GLEANER_API_KEY) are both given: wanted one of them"
    );
    let text = if let Some(key) = key {
        format!("ApiKey {key}")
    } else if let Some(user) = user {
        ensure!(user.contains(':'), "`--user`: wanted NAME:PASSWORD");
        format!("Basic {}", base64(user.as_bytes()))
    } else if let Some((name, password)) = in_address {
        format!("Basic {}", base64(format!("{name}:{password}").as_bytes()))
    } else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(&text).context("the credentials are no header value")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_its_scheme_and_never_shows_a_password() {
        let (url, user) = address("localhost:9200/prefix/").expect("an address");
        assert_eq!(
            (url.as_str(), user),
            ("http://localhost:9200/prefix/", None)
        );
        let (url, user) = address("http://me:secret@host:1").expect("an address");
        assert_eq!(url.as_str(), "http://host:1/");
        assert_eq!(user, Some(("me".to_owned(), "secret".to_owned())));
        let (url, _) = address("https://search.example").expect("an address");
        assert_eq!(url.as_str(), "https://search.example/");
        for wrong in ["ftp://host", "http://", "", "http://host/?q", "host#a"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "ftp://me:secret@host",
            "me:secret@ho st",
            "http://me:se@cret@/",
        ] {
            let error = format!("{:#}", address(wrong).expect_err("no address"));
            assert!(!error.contains("cret"), "{error}");
        }
    }

    #[test]
    fn what_a_password_escapes_is_sent_as_it_is_meant() {
        let (_, user) = address("http://m%C3%A9:p%40ss%2zw%25@host").expect("an address");
        assert_eq!(user, Some(("mé".to_owned(), "p@ss%2zw%".to_owned())));
    }

    #[test]
    fn headers_that_are_none_are_named_without_their_value() {
        for wrong in ["X-Key secret", "X Key: secret", "X-Key: sec\u{1}ret"] {
            let mut options = RemoteOptions::at("host".to_owned());
            options.headers = vec![wrong.to_owned()];
            let error = format!("{:#}", Remote::new(&options).expect_err("no header"));
            assert!(error.contains("--header X"), "{error}");
            assert!(!wrong.contains(':') || !error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn what_a_path_swallows_names_no_index() {
        for wrong in ["", ".", ".."] {
            assert!(index_name(wrong).is_err(), "{wrong}");
        }
        assert_eq!(index_name("a,b*").as_deref(), Ok("a,b*"));
    }

    #[tokio::test]
    async fn an_answer_that_leads_elsewhere_names_the_place() {
        let moved = axum::http::Response::builder()
            .status(301)
            .header("location", "https://host/")
            .body("<html>");
        let answer = Response::from(moved.expect("an answer"));
        let error = json(answer).await.expect_err("no JSON").to_string();
        assert!(
            error.contains("301") && error.contains("`https://host/`"),
            "{error}"
        );
    }

    #[test]
    fn only_servers_elsewhere_are_reached_through_a_proxy() {
        for (text, expected) in [
            ("127.0.0.1:9200", true),
            ("http://localhost:9200/prefix", true),
            ("http://[::1]:9200", true),
            ("0.0.0.0:9200", true),
            ("10.0.0.1:9200", false),
            ("localhost.example:9200", false),
        ] {
            let (base, _) = address(text).expect("an address");
            assert_eq!(is_here(&base), expected, "{text}");
        }
    }

    #[test]
    fn segments_are_escaped_and_follow_a_prefix() {
        let options = RemoteOptions::at("http://host:1/prefix/".to_owned());
        let remote = Remote::new(&options).expect("an address");
        let request = remote
            .request(Method::POST, &["a/b", "_bulk"])
            .build()
            .expect("a request");
        assert_eq!(request.url().as_str(), "http://host:1/prefix/a%2Fb/_bulk");
    }

    #[test]
    fn credentials_become_the_header_of_their_kind() {
        let of = |user: Option<&str>, key: Option<&str>| {
            let mut options = RemoteOptions::at("host".to_owned());
            options.user = user.map(str::to_owned);
            options.api_key = key.map(str::to_owned);
            authorization(&options, None).map(|value| value.expect("credentials"))
        };
        assert_eq!(of(Some("a:b"), None).expect("valid"), "Basic YTpi");
        assert_eq!(of(None, Some("k")).expect("valid"), "ApiKey k");
        assert!(of(Some("only-a-name"), None).is_err());
        assert!(of(Some("a:b"), Some("k")).is_err());
        assert_eq!(of(Some(""), Some("k")).expect("valid"), "ApiKey k");
        let nothing = authorization(
            &RemoteOptions {
                user: Some(String::new()),
                ..RemoteOptions::at("host".to_owned())
            },
            None,
        );
        assert_eq!(nothing.expect("nobody asks"), None);
    }

    #[test]
    fn reasons_name_type_and_cause() {
        let body =
            br#"{"error":{"type":"a","reason":"b","caused_by":{"reason":"c"}},"status":400}"#;
        let told = reason(StatusCode::BAD_REQUEST, body);
        assert_eq!(told, "the server refused with 400: a: b: c");
        let told = reason(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(told, "the server answered 502 Bad Gateway: <html>");
    }
}
