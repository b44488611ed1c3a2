//! By what the requests of a client are kept on one backend.

use std::net::IpAddr;
use std::str::FromStr;

use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Name of the cookie where none is given.
const COOKIE: &str = "gleaner_session";

/// Longest value that is a session; a longer one is cut.
const MAX_BYTES: usize = 256;

/// What a session is known by: `cookie`, `cookie:NAME`, `header:NAME` or `address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKey {
    /// A cookie of this name, which the front sets where there is none.
    Cookie(String),
    /// A header of this name; requests without it have no session.
    Header(HeaderName),
    /// The client's address, as seen through trusted proxies.
    Address,
}

/// The text names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing to know a session by: wanted cookie, cookie:NAME, header:NAME or address"
)]
pub struct BadSessionKey(String);

impl FromStr for SessionKey {
    type Err = BadSessionKey;

    fn from_str(text: &str) -> Result<Self, BadSessionKey> {
        let bad = || BadSessionKey(text.to_owned());
        let is_token = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
        match text.split_once(':').unwrap_or((text, "")) {
            ("address", "") => Ok(Self::Address),
            ("cookie", "") => Ok(Self::Cookie(COOKIE.to_owned())),
            ("cookie", name) if is_token(name) => Ok(Self::Cookie(name.to_owned())),
            ("header", name) => name.parse().map(Self::Header).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

/// The session of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) key: Vec<u8>,
    /// What the answer sets, where the session begins with it.
    pub(crate) new_cookie: Option<HeaderValue>,
}

impl SessionKey {
    /// Returns the session of a request of `client`.
    pub(crate) fn find(
        &self,
        headers: &HeaderMap,
        client: IpAddr,
        is_encrypted: bool,
    ) -> Option<Session> {
        let known = |key: &[u8]| Session {
            key: key[..key.len().min(MAX_BYTES)].to_vec(),
            new_cookie: None,
        };
        match self {
            Self::Address => Some(known(client.to_string().as_bytes())),
            Self::Header(name) => headers.get(name).map(|value| known(value.as_bytes())),
            Self::Cookie(name) => {
                let lines = headers.get_all(header::COOKIE).iter();
                let lines = lines.filter_map(|line| line.to_str().ok());
                let mut cookies = lines.flat_map(Cookie::split_parse).flatten();
                let own =
                    cookies.find(|cookie| cookie.name() == name && !cookie.value().is_empty());
                Some(match own {
                    Some(own) => known(own.value().as_bytes()),
                    None => begin(name, is_encrypted),
                })
            }
        }
    }
}

/// Begins a session with 128 random bits.
fn begin(name: &str, is_encrypted: bool) -> Session {
    let value = format!("{:032x}", rand::random::<u128>());
    let cookie = Cookie::build((name, value.as_str()))
        .path("/")
        .http_only(true)
        .secure(is_encrypted)
        .same_site(SameSite::Lax)
        .build();
    let new_cookie = HeaderValue::from_str(&cookie.to_string()).ok();
    Session {
        key: value.into_bytes(),
        new_cookie,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_known_by_what_is_asked_for() {
        let client: IpAddr = "203.0.113.9".parse().expect("an address");
        let mut headers = HeaderMap::new();
        headers.append("x-user", "me".parse().expect("a value"));
        headers.append(
            "cookie",
            "a=b; gleaner_session=xyz".parse().expect("a value"),
        );
        let find = |text: &str, headers: &HeaderMap| {
            let key: SessionKey = text.parse().expect("a key");
            key.find(headers, client, true)
        };
        let key = |text: &str| find(text, &headers).map(|session| session.key);
        assert_eq!(key("header:X-User").as_deref(), Some(&b"me"[..]));
        assert_eq!(key("header:x-other"), None);
        assert_eq!(key("cookie").as_deref(), Some(&b"xyz"[..]));
        assert_eq!(key("cookie:a").as_deref(), Some(&b"b"[..]));
        assert_eq!(key("address").as_deref(), Some(&b"203.0.113.9"[..]));
        let begun = find("cookie", &HeaderMap::new()).expect("begun");
        let cookie = begun.new_cookie.expect("set");
        let cookie = cookie.to_str().expect("text");
        for part in [
            "gleaner_session=",
            "HttpOnly",
            "Secure",
            "SameSite=Lax",
            "Path=/",
        ] {
            assert!(cookie.contains(part), "{cookie}");
        }
        for bad in [
            "",
            "cookies",
            "header:",
            "header:a b",
            "cookie:a b",
            "address:x",
        ] {
            assert!(bad.parse::<SessionKey>().is_err(), "{bad}");
        }
    }
}
