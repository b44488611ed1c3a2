//! Log lines of many formats, as records of one.
//!
//! Does: unwrap the lines of container runtimes and join those of a stack trace ([`Joiner`]); read JSON, logfmt, access
//! logs (common and combined), syslog (RFC 5424 and RFC 3164) and plain lines ([`Format::read`]); write each record as
//! an object of the Elastic Common Schema ([`Record::to_json`]). Does not: open files, write anything, lose a line:
//! what no format reads is the message of a record. Read first: [`Format`].

mod access;
mod container;
mod format;
mod join;
mod json;
mod level;
mod logfmt;
mod plain;
mod programs;
mod record;
mod syslog;
mod time;

pub use format::Format;
pub use join::{Joined, Joiner};
pub use level::Level;
pub use record::Record;
