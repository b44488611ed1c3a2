//! The `SLOWLOG` of a Redis server as log lines.

use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};
use serde::{Deserialize, Serialize};

use super::RedisReport;
use crate::redis::ServerError;

/// Entries that are asked for at once; a server keeps 128 unless it is set otherwise.
const ASKED: &str = "1024";

/// One command that took long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlowEntry {
    /// Its number, ascending while the server runs.
    pub id: i64,
    /// When it ended, in seconds since 1970.
    pub timestamp: i64,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// The name of the command.
    pub command: String,
    /// Its arguments, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// Address of its client.
    pub client: String,
    /// Name of its client, as the client has set it.
    pub client_name: String,
}

impl SlowEntry {
    /// Returns how long it took, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.duration_us as f64 / 1e6
    }
}

/// How far a `SLOWLOG` was read. Numbers begin anew with each run of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowLogPosition {
    /// The run of the server.
    pub run_id: String,
    /// The number of the last entry of it that was read.
    pub last: i64,
}

/// Follows the `SLOWLOG` of a server: each entry is returned once, also when the server begins anew.
#[derive(Debug)]
pub struct SlowLog {
    report: RedisReport,
    with_arguments: bool,
    position: Option<SlowLogPosition>,
}

/// New entries of a server, and whether some may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The run of the server that they are of.
    pub run_id: String,
    /// The entries, oldest first.
    pub entries: Vec<SlowEntry>,
    /// Entries that the server dropped before they were read.
    pub missed: i64,
}

impl SlowLog {
    /// Makes a follower that begins with the entries that the server holds; arguments may be secrets, so they are left
    /// out unless `with_arguments`.
    #[must_use]
    pub fn new(report: RedisReport, with_arguments: bool) -> Self {
        Self {
            report,
            with_arguments,
            position: None,
        }
    }

    /// Goes on behind `position`, where the server is still in that run; `None` begins with what the server holds.
    #[must_use]
    pub fn after(self, position: Option<SlowLogPosition>) -> Self {
        Self { position, ..self }
    }

    /// Returns how far the log was read; `None` where no entry was.
    #[must_use]
    pub fn position(&self) -> Option<&SlowLogPosition> {
        self.position.as_ref()
    }

    /// Returns the entries that are new since the last call.
    ///
    /// # Errors
    /// The server does not answer, or forbids `SLOWLOG` or `INFO`.
    pub async fn news(&mut self) -> Result<News, ServerError> {
        let info = self.report.ask(&["INFO", "server"]).await?;
        let info = super::text_of(&info)?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run_id = run.unwrap_or_default().trim().to_owned();
        let log = self.report.ask(&["SLOWLOG", "GET", ASKED]).await?;
        let mut entries = entries(&log);
        entries.sort_unstable_by_key(|entry| entry.id);
        let position = self.position.as_ref();
        let position = position.filter(|position| position.run_id == run_id);
        let last = position.map(|position| position.last);
        entries.retain(|entry| last.is_none_or(|last| entry.id > last));
        if !self.with_arguments {
            for entry in &mut entries {
                entry.arguments = None;
            }
        }
        let missed = match (last, entries.first()) {
            // The server makes the numbers up: any two of them may come.
            (Some(last), Some(first)) => first.id.saturating_sub(last).saturating_sub(1),
            _ => 0,
        };
        let newest = entries.last().map(|entry| entry.id).or(last);
        self.position = newest.map(|last| SlowLogPosition {
            run_id: run_id.clone(),
            last,
        });
        Ok(News {
            run_id,
            entries,
            missed,
        })
    }
}

/// Reads the answer to `SLOWLOG GET`; what is no entry is passed over.
pub(super) fn entries(log: &BytesFrame) -> Vec<SlowEntry> {
    let BytesFrame::Array(entries) = log else {
        return Vec::new();
    };
    entries.iter().filter_map(entry).collect()
}

fn entry(frame: &BytesFrame) -> Option<SlowEntry> {
    let BytesFrame::Array(parts) = frame else {
        return None;
    };
    let number = |at: usize| match parts.get(at) {
        Some(BytesFrame::Integer(number)) => Some(*number),
        _ => None,
    };
    let text = |frame: &BytesFrame| {
        String::from_utf8_lossy(frame.as_bytes().unwrap_or_default()).into_owned()
    };
    let BytesFrame::Array(words) = parts.get(3)? else {
        return None;
    };
    let mut words = words.iter().map(text);
    Some(SlowEntry {
        id: number(0)?,
        timestamp: number(1)?,
        duration_us: number(2)?,
        command: words.next()?.to_ascii_uppercase(),
        arguments: Some(words.collect()),
        client: parts.get(4).map(text).unwrap_or_default(),
        client_name: parts.get(5).map(text).unwrap_or_default(),
    })
}
