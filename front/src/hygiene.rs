//! What a request may say to a backend: nothing that only a next hop may say, nothing in two ways, nothing in our name.
//!
//! RFC 9110, 7.6 (forwarding) and RFC 9112, 3.2 (the target) and 6 (framing). The codec has read the framing; here it is
//! taken off, and the client writes it anew.

use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Response, Version, request};

use crate::address::FORWARDED_FOR;
use crate::refusal::Refusal;

/// Prefixes of fields that only nodes of ours may send.
const OURS: [&str; 2] = ["x-gleaner-", "gleaner-"];

/// Fields by which proxies tell of the client.
const FORWARDING: [&str; 7] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-real-ip",
    "forwarded",
];

/// Fields for the next hop alone.
const HOP_BY_HOP: [&str; 12] = [
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "content-length",
    "upgrade",
];

/// Fields that a backend may take for the ones with dashes.
const GUARDED: [&str; 3] = ["host", "authorization", "cookie"];

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who sent a request, as far as that can be believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) address: IpAddr,
    /// Is the connection that of a proxy that is trusted?
    pub(crate) is_trusted_proxy: bool,
    pub(crate) is_encrypted: bool,
}

/// Checks the head of a request and makes it one that can be forwarded.
///
/// # Errors
/// When its target can be read in two ways, or its method is never forwarded.
pub(crate) fn clean(parts: &mut request::Parts, caller: &Caller) -> Result<(), Refusal> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::method(&parts.method));
    }
    if !parts.uri.path().starts_with('/') {
        return Err(Refusal::bad_request("the target of the request is no path"));
    }
    check_coding(&parts.headers)?;
    let host = authority(parts)?;
    let proto = match parts.headers.get(FORWARDED_PROTO) {
        Some(said) if caller.is_trusted_proxy && (said == "http" || said == "https") => {
            said.clone()
        }
        _ => HeaderValue::from_static(if caller.is_encrypted { "https" } else { "http" }),
    };
    let named = named_by_connection(&parts.headers);
    retain(&mut parts.headers, |name| {
        !(is_ours(name) || FORWARDING.contains(&name) || HOP_BY_HOP.contains(&name))
    });
    remove(&mut parts.headers, &named);
    join_cookies(&mut parts.headers);
    let headers = &mut parts.headers;
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(header::HOST, host);
    }
    headers.insert(FORWARDED_PROTO, proto);
    let address = HeaderValue::from_str(&caller.address.to_string());
    headers.insert(FORWARDED_FOR, address.expect("an address is text"));
    headers.append(header::VIA, via(parts.version));
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    Ok(())
}

/// Takes off the head of an answer what was meant for the front, and makes it one of the front's own version.
pub(crate) fn clean_answer<B>(answer: &mut Response<B>) {
    *answer.version_mut() = Version::HTTP_11;
    let headers = answer.headers_mut();
    let named = named_by_connection(headers);
    let length = length(headers);
    retain(headers, |name| {
        !(is_ours(name) || HOP_BY_HOP.contains(&name))
    });
    remove(headers, &named);
    // It is that of the body which is passed on, and all that a HEAD is answered with.
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length);
    }
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.starts_with(ours))
}

/// Returns the length that the head of an answer tells, where it tells one and the codec went by it.
fn length(headers: &HeaderMap) -> Option<HeaderValue> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lines.next()?;
    let is_number = length.as_bytes().iter().all(u8::is_ascii_digit);
    (is_number && lines.all(|line| line == length)).then(|| length.clone())
}

/// Refuses codings of a body that only the connection to the client is in.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = lines
        .next()
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    match is_plain && lines.next().is_none() {
        true => Ok(()),
        false => Err(Refusal::coding()),
    }
}

/// Names the front among those that passed the request on.
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_10 => "1.0 gleaner",
        Version::HTTP_2 => "2 gleaner",
        _ => "1.1 gleaner",
    })
}

/// Returns the only host that the request is for.
pub(crate) fn authority(parts: &request::Parts) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let of_header = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::bad_request("the request has two Host fields"));
    }
    let of_target = parts.uri.authority().map(Authority::as_str);
    let host = match (of_target, of_header) {
        (None, None) if parts.version == Version::HTTP_10 => return Ok(None),
        (None, None) => return Err(Refusal::bad_request("the request has no Host field")),
        (Some(target), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(target.as_bytes()) => {
            return Err(Refusal::bad_request(
                "the target of the request and its Host field name two hosts",
            ));
        }
        (Some(target), _) => target.as_bytes(),
        (None, Some(host)) => host.as_bytes(),
    };
    let is_host = Authority::try_from(host).is_ok_and(|host| is_host_and_port(&host));
    match HeaderValue::from_bytes(host) {
        Ok(host) if is_host => Ok(Some(host)),
        _ => Err(Refusal::bad_request(
            "the Host field of the request names no host",
        )),
    }
}

/// Is it a host, with a port or without, and nothing else?
fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host).unwrap_or("@");
    let is_port = port.is_empty() || port == ":" || authority.port_u16().is_some();
    !host.is_empty() && is_port && !port.contains('@')
}

/// Returns the fields that `Connection` names: they are for the next hop as well.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    // No request may have its host or its rights taken off by its own word.
    names
        .filter(|name| !GUARDED.contains(&name.as_str()))
        .collect()
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// Keeps the fields that `is_kept` keeps under their name with dashes, which some backends take one with underscores
/// for. One with underscores beside its namesake with dashes would shadow it.
fn retain(headers: &mut HeaderMap, is_kept: impl Fn(&str) -> bool) {
    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            if !name.contains('_') {
                return !is_kept(name);
            }
            let dashed = name.replace('_', "-");
            let is_shadow = headers.contains_key(&dashed) || GUARDED.contains(&dashed.as_str());
            is_shadow || !is_kept(&dashed)
        })
        .cloned()
        .collect();
    remove(headers, &removed);
}

/// Makes one field of those into which HTTP/2 may split the cookies (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests;
