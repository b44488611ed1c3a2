//! Denials, one line of JSON each: who was refused what, from where.
//!
//! Does: write lines on a thread of its own, at most [`MOST_A_SECOND`] a second and address, and count the rest. Does
//! not: write what was sent, or any secret. Read first: [`Audit`].

use std::collections::HashMap;
use std::io::Write;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use gleaner_model::metric;
use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;

use super::Sender;
use crate::error::ApiError;
use crate::render::units::date_text;

/// Lines a second for one address.
const MOST_A_SECOND: u32 = 10;

/// Addresses that have an allowance of their own within a second; those beyond share one.
const MOST_ADDRESSES: usize = 10_000;

/// Lines that wait to be written.
const MOST_WAITING: usize = 1_024;

/// Longest text of a line, in characters: names come from strangers.
const MOST_CHARACTERS: usize = 512;

/// Where denials are written.
#[derive(Debug)]
pub struct Audit {
    lines: SyncSender<String>,
    /// Milliseconds since the epoch.
    clock: fn() -> i64,
    recent: Mutex<Recent>,
}

/// The denials of the second that is now.
#[derive(Debug, Default)]
struct Recent {
    second: i64,
    by_address: HashMap<Option<IpAddr>, u32>,
    /// Denials without a line since the last one with one.
    num_left_out: u64,
}

/// A line, under the names of the access log, which are those of the Elastic Common Schema where it has them. What is
/// not known is left out.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Option<String>,
    #[serde(rename = "event.dataset")]
    dataset: &'static str,
    #[serde(rename = "event.action")]
    event: &'static str,
    #[serde(rename = "client.address", skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(rename = "apikey.id", skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(rename = "user.name", skip_serializing_if = "Option::is_none")]
    key_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indices: Option<String>,
    #[serde(rename = "url.path", skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(rename = "http.status")]
    status: u16,
    /// How many denials before it had no line.
    left_out: u64,
    #[serde(rename = "trace.id", skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl Audit {
    /// Returns one that writes to `out`; `clock` is milliseconds since the epoch.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn to(out: Box<dyn Write + Send>, clock: fn() -> i64) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(MOST_WAITING);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        thread.spawn(move || write_all(&waiting, out))?;
        Ok(Self {
            lines,
            clock,
            recent: Mutex::default(),
        })
    }

    /// Notes a denial; it never waits.
    pub(crate) fn note(&self, sender: &Sender, path: Option<&str>, error: &ApiError) {
        let now_ms = (self.clock)();
        let address = sender.address.map(|address| address.ip().to_canonical());
        let Some(left_out) = self.recent.lock().take(address, now_ms / 1_000) else {
            return;
        };
        let cut = |text: &str| text.chars().take(MOST_CHARACTERS).collect::<String>();
        let holder = sender.principal.holder();
        let line = Line {
            timestamp: date_text(now_ms),
            dataset: "gleaner.audit",
            event: match error.status {
                StatusCode::UNAUTHORIZED => "authentication_failed",
                _ => "access_denied",
            },
            address,
            key_id: holder.map(|holder| &*holder.id),
            key_name: holder.map(|holder| holder.key.name.as_str()),
            action: error.field("action").map(cut),
            indices: error.field("index").map(cut),
            path: path.map(cut),
            status: error.status.as_u16(),
            left_out,
            trace_id: gleaner_telemetry::current()
                .context()
                .map(gleaner_telemetry::TraceContext::trace_hex),
        };
        let line = serde_json::to_string(&line).unwrap_or_default();
        if self.lines.try_send(line).is_err() {
            self.recent.lock().num_left_out += left_out + 1;
        }
    }
}

impl Recent {
    /// Returns how many denials had no line before this one; `None` where this one has none.
    fn take(&mut self, address: Option<IpAddr>, second: i64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.by_address.clear();
        }
        let is_full = self.by_address.len() >= MOST_ADDRESSES;
        let address = address.filter(|_| !is_full || self.by_address.contains_key(&address));
        let noted = self.by_address.entry(address).or_default();
        *noted += 1;
        if *noted > MOST_A_SECOND {
            self.num_left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut self.num_left_out))
    }
}

/// Counts a denial, with a line or without.
pub(super) fn count(error: &ApiError) {
    let kind = match error.status {
        StatusCode::UNAUTHORIZED => "unauthenticated",
        _ => "forbidden",
    };
    metrics::counter!(metric::SECURITY_DENIALS.name, "kind" => kind).increment(1);
}

fn write_all(waiting: &Receiver<String>, mut out: Box<dyn Write + Send>) {
    while let Ok(line) = waiting.recv() {
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            tracing::error!(%error, "a denial could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Hands on what is written.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let sent = self.0.send(bytes.to_vec());
            sent.map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_names_and_the_time_of_the_access_log() {
        let (pipe, written) = sync_channel(MOST_WAITING);
        let audit = Audit::to(Box::new(Pipe(pipe)), || 1_795_903_164_622).expect("a thread");
        let sender = Sender {
            address: Some(([10, 0, 0, 7], 51_112).into()),
            ..Sender::default()
        };
        let error = ApiError::new(StatusCode::UNAUTHORIZED, "security_exception", "no key");
        audit.note(&sender, Some("/notes/_search"), &error);
        drop(audit);
        let line: Vec<u8> = written.into_iter().flatten().collect();
        let line: Value = serde_json::from_slice(&line).expect("JSON");
        let expected = json!({
            "@timestamp": "2026-11-28T21:59:24.622Z",
            "event.dataset": "gleaner.audit",
            "event.action": "authentication_failed",
            "client.address": "10.0.0.7",
            "url.path": "/notes/_search",
            "http.status": 401,
            "left_out": 0,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn one_address_has_ten_lines_a_second_and_the_rest_is_counted() {
        let mut recent = Recent::default();
        let one: Option<IpAddr> = Some([10, 0, 0, 1].into());
        for _ in 0..MOST_A_SECOND {
            assert_eq!(recent.take(one, 7), Some(0));
        }
        assert_eq!((recent.take(one, 7), recent.take(one, 7)), (None, None));
        assert_eq!(recent.take(None, 7), Some(2), "another has a line");
        assert_eq!(recent.take(one, 8), Some(0), "the next second");
        for n in 0..2 * MOST_ADDRESSES as u32 {
            recent.take(Some(std::net::Ipv4Addr::from(n).into()), 9);
        }
        assert!(recent.by_address.len() <= MOST_ADDRESSES + 1);
    }
}
