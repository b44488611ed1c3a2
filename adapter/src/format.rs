//! Which format a line has.

use std::str::FromStr;

use crate::join::Joined;
use crate::record::Record;
use crate::{access, json, logfmt, plain, programs, syslog};

/// How a program writes its lines. Those of one in a container are read without what the runtime wrote around them,
/// whatever their format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Each line as what it looks like.
    #[default]
    Auto,
    /// An object of JSON.
    Json,
    /// Pairs such as `level=info`.
    Logfmt,
    /// An access log, common or combined.
    Access,
    /// Syslog, new or old.
    Syslog,
    /// Prose.
    Plain,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let format = match text {
            "auto" => Self::Auto,
            "json" => Self::Json,
            "logfmt" => Self::Logfmt,
            "access" | "common" | "combined" => Self::Access,
            "syslog" => Self::Syslog,
            "plain" => Self::Plain,
            _ => {
                return Err(format!(
                    "`{text}`: wanted auto, json, logfmt, common, combined, syslog or plain"
                ));
            }
        };
        Ok(format)
    }
}

impl Format {
    /// Reads a record of one line or more. A line that is not of this format is read as prose. Lines behind the first
    /// are its stack trace.
    #[must_use]
    pub fn read(self, lines: &Joined) -> Record {
        let record = self.read_text(&lines.text);
        match &lines.wrapper {
            Some(wrapper) => wrapper.complete(record),
            None => record,
        }
    }

    /// Reads the lines that a program wrote.
    pub(crate) fn read_text(self, lines: &str) -> Record {
        let (first, rest) = lines.split_once('\n').unwrap_or((lines, ""));
        let read = match self {
            Self::Json => json::read(first),
            Self::Logfmt => logfmt::read(first),
            Self::Access => access::read(first),
            Self::Syslog => syslog::read(first),
            Self::Plain => None,
            Self::Auto => json::read(first)
                .or_else(|| access::read(first))
                .or_else(|| syslog::read(first))
                .or_else(|| logfmt::read(first)),
        };
        if read.is_none()
            && let (second, rest) = rest.split_once('\n').unwrap_or((rest, ""))
            && let Some(mut record) = programs::read_java(first, second)
        {
            record.stack_trace = (!rest.is_empty()).then(|| lines.to_owned());
            return record;
        }
        let read = read.or_else(|| programs::read(first));
        let mut record = read.unwrap_or_else(|| plain::read(first));
        if !rest.is_empty() {
            record.stack_trace = Some(lines.to_owned());
            record.level = record.level.or(Some(crate::Level::Error));
        }
        record
    }
}

#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod tests;
