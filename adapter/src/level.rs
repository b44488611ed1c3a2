//! How bad a record is, by the many words for it.

/// How bad a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of the program.
    Trace,
    /// For those who look for a fault.
    Debug,
    /// What happens.
    Info,
    /// What may become a fault.
    Warn,
    /// A fault.
    Error,
    /// The end of the program, or of its service.
    Fatal,
}

impl Level {
    /// Reads a word such as `WARNING` or `err`, or a number of bunyan and pino (10 to 60).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let level = match word.to_ascii_lowercase().as_str() {
            "trace" | "finest" | "finer" | "10" => Self::Trace,
            "debug" | "fine" | "dbg" | "20" => Self::Debug,
            "info" | "information" | "informational" | "notice" | "note" | "config" | "inf"
            | "30" => Self::Info,
            "warn" | "warning" | "wrn" | "40" => Self::Warn,
            "error" | "err" | "severe" | "eror" | "50" => Self::Error,
            "fatal" | "critical" | "crit" | "alert" | "emerg" | "emergency" | "panic" | "ftl"
            | "60" => Self::Fatal,
            _ => return None,
        };
        Some(level)
    }

    /// Returns the word that records have.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}
