//! Heads of requests: what they ask for, who sends them, from where, in which trace, with which ids.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gleaner_api::security::{Caller, caller};
use gleaner_api::{KeyMaker, Moment, parameter_tables, read_task_id};
use gleaner_cache::Memo;
use gleaner_front::TrustedProxies;
use gleaner_model::security::{ApiKey, IndexGrant, KeyHash, KeyLimits, Security};
use gleaner_model::{IndexMeta, IndexName, IndexPrivilege, IndexUuid, Rights};
use gleaner_query::Limits;
use gleaner_query::security::NewApiKey;
use gleaner_root::point_in_time::Context;
use gleaner_telemetry::{TRACEPARENT, TraceContext};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use serde_json::{Value, json};

use super::bodies::{moment, value};

/// The index that the key [`READER`] reaches: that of [`moment`].
const OPEN: IndexUuid = IndexUuid([7; 16]);

/// Another one.
const SECRET: IndexUuid = IndexUuid([8; 16]);

/// The id of a key.
const READER: &str = "reader";

/// `reader:` in base64: the id of the key, and its secret, which is empty.
const READER_SHOWN: &str = "cmVhZGVyOg==";

/// BLAKE3 of no bytes, by the test vectors of its specification.
const HASH_OF_NOTHING: KeyHash = KeyHash([
    0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49,
    0x9b, 0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
]);

/// A cluster of two indices with a key that may search one of them.
fn guarded() -> &'static Moment {
    static GUARDED: OnceLock<Moment> = OnceLock::new();
    GUARDED.get_or_init(|| {
        let plain = moment();
        let mut state = (*plain.state).clone();
        let name = IndexName::parse("secrets").expect("a good name");
        let secret = IndexMeta::new(SECRET, name);
        state.indices.insert(secret.uuid, Arc::new(secret));
        let key = ApiKey {
            name: READER.to_owned(),
            hash: HASH_OF_NOTHING,
            creator: None,
            created_ms: 0,
            expires_ms: None,
            invalidated_ms: None,
            rights: Rights {
                cluster: Vec::new(),
                indices: vec![IndexGrant {
                    names: vec!["books".to_owned()],
                    privileges: vec![IndexPrivilege::Read],
                }],
            },
            limits: KeyLimits::default(),
            role_descriptors: Value::Null,
            metadata: Value::Null,
        };
        state.security = Some(Arc::new(Security {
            api_keys: BTreeMap::from([(READER.to_owned(), Arc::new(key))]),
            seal: KeyHash::default(),
        }));
        Moment {
            state: Arc::new(state),
            now_ms: plain.now_ms,
        }
    })
}

fn keys() -> &'static KeyMaker {
    static KEYS: OnceLock<KeyMaker> = OnceLock::new();
    KEYS.get_or_init(|| KeyMaker::new(parameter_tables(), Limits::default()))
}

/// Writes the parts of a path into one of a route's own, each byte of them escaped.
fn written(path: &str, parts: &[(&'static str, String)]) -> String {
    let escaped = |value: &str| -> String {
        let bytes = value.bytes();
        bytes.map(|byte| format!("%{byte:02X}")).collect()
    };
    parts.iter().fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), &escaped(value))
    })
}

/// The target of a request. Roots and fronts read it by the same tables, so: what was read, written down with every
/// byte escaped, is read as the same again, and no spelling takes a key beyond the index that it may search.
pub(super) fn path_rights(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok();
    let Some(uri) = text.and_then(|text| text.parse::<Uri>().ok()) else {
        return;
    };
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let Some(route) = keys().route_of(&method, &uri) else {
            continue;
        };
        let mut tables = parameter_tables().filter(|table| table.name == route.name);
        let is_read_again = tables.any(|table| {
            table.paths.iter().any(|path| {
                let again = written(path, &route.parts).parse::<Uri>();
                let again = again.ok().and_then(|uri| keys().route_of(&method, &uri));
                again.as_ref() == Some(&route)
            })
        });
        assert!(is_read_again, "{method} {uri}: {route:?}");
    }
    let request = Request::get(uri).header(AUTHORIZATION, format!("ApiKey {READER_SHOWN}"));
    let Ok(request) = request.body(()) else {
        return;
    };
    let (head, ()) = request.into_parts();
    if let Some(keep) = keys().keep(&head, &Bytes::new(), guarded(), &Memo::default()) {
        let mut reached = keep.targets.indices.iter();
        assert!(reached.all(|target| target.uuid == OPEN), "{}", head.uri);
    }
}

/// A header of credentials, and behind a line's end the body that makes a key: nobody is the reader without the secret,
/// and the rights of a key are those of its role descriptors as they are kept.
pub(super) fn credentials(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let shown = parts.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(shown) = HeaderValue::from_bytes(shown) {
        headers.append(AUTHORIZATION, shown);
    }
    let moment = guarded();
    if let Caller::Key(id, _) = caller(&headers, &moment.state, moment.now_ms) {
        let has_secret = shown.trim_ascii().ends_with(READER_SHOWN.as_bytes());
        assert!(&*id == READER && has_secret, "{}", shown.escape_ascii());
    }
    let body = parts.next().and_then(value);
    let Some(key) = body.and_then(|body| NewApiKey::parse(&body).ok()) else {
        return;
    };
    let again = json!({"name": key.name, "role_descriptors": key.role_descriptors});
    let again = NewApiKey::parse(&again).expect("read a moment ago");
    assert_eq!(again.rights, key.rights);
}

/// Lines of `X-Forwarded-For`: what a stranger says counts for nothing; of a proxy, an address that it wrote may count.
pub(super) fn forwarded(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut said = BTreeSet::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(line) = HeaderValue::from_bytes(line) else {
            continue;
        };
        let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
        let is_end = |letter: char| letter.is_whitespace() || ",\"[]%".contains(letter);
        for word in text.split(is_end) {
            let without_port = word.split(':').next().unwrap_or_default();
            let addresses = [word, without_port].map(str::parse::<IpAddr>);
            said.extend(addresses.into_iter().flatten().map(|it| it.to_canonical()));
        }
        headers.append("x-forwarded-for", line);
    }
    let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().expect("a network")]);
    let client = |peer: SocketAddr| trusted.client(peer, &headers);
    let [proxy, stranger] = [[10_u8, 0, 0, 1], [192, 0, 2, 1]].map(|ip| SocketAddr::from((ip, 5)));
    assert_eq!(client(stranger), stranger.ip());
    let found = client(proxy);
    assert!(found == proxy.ip() || said.contains(&found), "{found}");
}

/// A header `traceparent`: what can be read is written so that it reads the same.
pub(super) fn traceparent(bytes: &[u8]) {
    let Ok(header) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(TRACEPARENT, header)]);
    if let Some(context) = TraceContext::of(&headers) {
        assert_eq!(context.to_string().parse(), Ok(context));
        assert!(context.trace_id != 0 && context.span_id != 0);
    }
}

/// Ids of scrolls, points in time and tasks: the bytes as they are, and as the content of an id whose checksum is right,
/// behind its format and kind.
pub(super) fn context_id(bytes: &[u8]) {
    let (kind, body) = bytes.split_at(bytes.len().min(2));
    let checksum = crc32c::crc32c(body).to_le_bytes();
    let whole = [&b"GT"[..], kind, &checksum, body].concat();
    for id in [
        String::from_utf8_lossy(bytes).into_owned(),
        URL_SAFE_NO_PAD.encode(whole),
    ] {
        assert_eq!(Context::of(&id), Context::of(&id));
        if let Some((node, number)) = read_task_id(&id) {
            let again = format!("{node}:{number}");
            assert_eq!(read_task_id(&again), Some((node, number)));
        }
    }
}
