//! What Redis' commands do and which of their arguments are keys, as the servers themselves say it (`COMMAND`).

use std::collections::HashMap;

use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};

use super::received::read_whole;
use super::request::Request;

/// What an ambassador has to know of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Arguments with the name of the command; at least that many where it is negative.
    pub(crate) arity: i64,
    /// It changes keys.
    pub(crate) writes: bool,
    /// It may wait for another client.
    pub(crate) blocks: bool,
    /// It is of no key's data: subscriptions, administration, scripts without keys.
    pub(crate) is_administration: bool,
    /// Where its keys stand.
    pub(crate) keys: Keys,
}

/// Where the keys of a command stand among its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It has none.
    None,
    /// At `first`, and each `step` behind it up to `last`; a negative `last` counts from the end.
    At {
        first: usize,
        last: i64,
        step: usize,
    },
    /// Its other arguments decide; a server is asked with `COMMAND GETKEYS`.
    Asked,
}

impl Keys {
    /// Returns where the keys of `request` stand; empty where a server has to be asked.
    pub(crate) fn positions(self, request: &Request) -> Vec<usize> {
        let Self::At { first, last, step } = self else {
            return Vec::new();
        };
        let count = request.arguments.len();
        let last = match usize::try_from(last) {
            Ok(last) => last,
            Err(_) => count.saturating_sub(last.unsigned_abs() as usize),
        };
        (first..=last.min(count.saturating_sub(1)))
            .step_by(step)
            .collect()
    }
}

/// The commands of a server, by their names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Commands(HashMap<String, Command>);

impl Commands {
    /// Reads the answer to `COMMAND`; entries that mean nothing are passed over.
    pub(crate) fn read(answer: &BytesFrame) -> Self {
        let BytesFrame::Array(entries) = answer else {
            return Self::default();
        };
        Self(entries.iter().filter_map(read_entry).collect())
    }

    /// Returns what a command does.
    pub(crate) fn get(&self, name: &str) -> Option<&Command> {
        self.0.get(name)
    }

    /// Are there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns where the keys of a request of `words` stand among them, by `answer`: what a server answers to `COMMAND`, as
/// it comes. Empty where that says nothing of the command, or cannot be read.
pub fn key_positions(answer: &[u8], words: &[&str]) -> Vec<usize> {
    let Some(frame) = read_whole(answer) else {
        return Vec::new();
    };
    let commands = Commands::read(&frame);
    let name = words.first().map(|name| name.to_ascii_lowercase());
    let command = name.and_then(|name| commands.get(&name));
    let positions = command.map(|command| command.keys.positions(&Request::of(words)));
    positions.unwrap_or_default()
}

/// Reads `[name, arity, flags, first key, last key, step, …]`.
fn read_entry(entry: &BytesFrame) -> Option<(String, Command)> {
    let BytesFrame::Array(parts) = entry else {
        return None;
    };
    let name = parts.first()?.as_str()?.to_ascii_lowercase();
    let number = |at: usize| match parts.get(at) {
        Some(BytesFrame::Integer(number)) => Some(*number),
        _ => None,
    };
    let BytesFrame::Array(flags) = parts.get(2)? else {
        return None;
    };
    let has = |wanted: &str| flags.iter().any(|flag| flag.as_str() == Some(wanted));
    let first = usize::try_from(number(3)?).ok()?;
    let keys = if has("movablekeys") {
        Keys::Asked
    } else if first == 0 {
        Keys::None
    } else {
        Keys::At {
            first,
            last: number(4)?,
            step: usize::try_from(number(5)?).ok()?.max(1),
        }
    };
    let command = Command {
        arity: number(1)?,
        writes: has("write"),
        blocks: has("blocking"),
        is_administration: has("admin") || has("pubsub"),
        keys,
    };
    Some((name, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_where_the_server_says() {
        let at = |first, last, step| Keys::At { first, last, step };
        let positions = |keys: Keys, arguments: &[&str]| keys.positions(&Request::of(arguments));
        assert_eq!(positions(at(1, 1, 1), &["GET", "a"]), [1]);
        assert_eq!(positions(at(1, -1, 1), &["DEL", "a", "b"]), [1, 2]);
        assert_eq!(
            positions(at(1, -1, 2), &["MSET", "a", "1", "b", "2"]),
            [1, 3]
        );
        assert_eq!(positions(at(1, -2, 1), &["BLPOP", "a", "b", "0"]), [1, 2]);
        assert_eq!(positions(at(1, 1, 1), &["GET"]), [0_usize; 0]);
        assert_eq!(positions(Keys::None, &["PING"]), [0_usize; 0]);
    }
}
