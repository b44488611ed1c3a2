//! The form in which an answer lies beyond memory.
//!
//! ```text
//! value    magic "GLA\x01" · nonce 12 · sealed content · tag 16; sealed about the magic and the key of the answer
//! content  edition 16 · made i64, milliseconds since the epoch · length of the body u32 · number of headers u8 ·
//!          headers: length u8 · name · length u16 · value · body, packed by zstd
//! name     "gleaner:" and 64 hexadecimal digits of a keyed digest over the key: it tells nothing of the request
//! ```
//!
//! All numbers are little-endian. What is not of this form is no answer.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{AnswerKey, Edition};
use gleaner_tls::SealingKey;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::entry::{Entry, KEPT_HEADERS};

/// Begins each value; the last byte is the version of its form.
const MAGIC: &[u8; 4] = b"GLA\x01";

/// How much zstd tries: as little as it can.
const LEVEL: i32 = 1;

/// What a value is about.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) key: AnswerKey,
    /// Milliseconds since the epoch.
    pub(super) now_ms: i64,
}

impl Kept {
    fn about(self) -> Vec<u8> {
        [&MAGIC[..], &self.key.0].concat()
    }
}

/// Returns the name under which the answer to `key` lies.
pub(super) fn name_of(secret: &[u8; 32], key: &AnswerKey) -> String {
    format!("gleaner:{}", blake3::keyed_hash(secret, &key.0).to_hex())
}

/// Returns an entry as it lies beyond; `None` where it does not fit the form.
pub(super) fn sealed(sealing: &SealingKey, kept: Kept, entry: &Entry) -> Option<Vec<u8>> {
    let age_ms = i64::try_from(entry.age().as_millis()).ok()?;
    let mut content = Vec::with_capacity(256 + entry.body.len() / 2);
    content.extend(entry.edition.0);
    content.extend((kept.now_ms - age_ms).to_le_bytes());
    content.extend(u32::try_from(entry.body.len()).ok()?.to_le_bytes());
    content.push(u8::try_from(entry.headers.len()).ok()?);
    for (name, value) in &entry.headers {
        content.push(u8::try_from(name.as_str().len()).ok()?);
        content.extend(name.as_str().as_bytes());
        content.extend(u16::try_from(value.len()).ok()?.to_le_bytes());
        content.extend(value.as_bytes());
    }
    content.extend(zstd::bulk::compress(&entry.body, LEVEL).ok()?);
    let sealed = sealing.seal(&kept.about(), &content)?;
    Some([&MAGIC[..], &sealed].concat())
}

/// Returns the entry that `value` is, with a body of `most_bytes` at most; `None` where it is wrong in any part.
pub(super) fn opened(
    sealing: &SealingKey,
    kept: Kept,
    value: &[u8],
    most_bytes: usize,
) -> Option<Entry> {
    let sealed = value.strip_prefix(MAGIC)?;
    let content = sealing.open(&kept.about(), sealed)?;
    let mut rest = Unread(&content);
    let edition = Edition(rest.array()?);
    let made_ms = i64::from_le_bytes(rest.array()?);
    let num_bytes = usize::try_from(u32::from_le_bytes(rest.array()?)).ok()?;
    let mut headers = HeaderMap::new();
    for _ in 0..rest.array::<1>()?[0] {
        let length = rest.array::<1>()?[0];
        let name = HeaderName::from_bytes(rest.take(usize::from(length))?).ok()?;
        let length = u16::from_le_bytes(rest.array()?);
        let value = HeaderValue::from_bytes(rest.take(usize::from(length))?).ok()?;
        if !KEPT_HEADERS.contains(&name) {
            return None;
        }
        headers.append(name, value);
    }
    if num_bytes > most_bytes {
        return None;
    }
    let body = zstd::bulk::decompress(rest.0, num_bytes).ok()?;
    let age_ms = kept.now_ms.saturating_sub(made_ms);
    let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
    (body.len() == num_bytes).then(|| Entry::aged(edition, headers, Bytes::from(body), age))
}

/// Bytes that are not read yet.
struct Unread<'a>(&'a [u8]);

impl<'a> Unread<'a> {
    fn take(&mut self, num: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(num)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
