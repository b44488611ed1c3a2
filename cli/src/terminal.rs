//! Whether there is a terminal, and its colours.

use std::{
    ffi::OsStr,
    io::{IsTerminal, stdout},
};

pub(crate) use gleaner_client::text::{cut, grouped, one_line, say};

/// Colours for output on a terminal; all empty where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    /// What was searched for.
    pub(crate) highlight: &'static str,
    /// Headings and names.
    pub(crate) strong: &'static str,
    /// Scores, places, what is read last.
    pub(crate) faint: &'static str,
    /// All is well.
    pub(crate) good: &'static str,
    /// Something is not as it should be.
    pub(crate) doubtful: &'static str,
    /// Something is wrong.
    pub(crate) bad: &'static str,
    /// Back to normal.
    pub(crate) reset: &'static str,
}

impl Palette {
    const COLOURED: Self = Self {
        highlight: "\x1b[1;33m",
        strong: "\x1b[1m",
        faint: "\x1b[2m",
        good: "\x1b[32m",
        doubtful: "\x1b[33m",
        bad: "\x1b[31m",
        reset: "\x1b[0m",
    };
    /// No colours at all.
    pub(crate) const PLAIN: Self = Self {
        highlight: "",
        strong: "",
        faint: "",
        good: "",
        doubtful: "",
        bad: "",
        reset: "",
    };

    /// Returns the colour of a cluster's health.
    pub(crate) fn of_health(self, status: &str) -> &'static str {
        match status {
            "green" => self.good,
            "yellow" => self.doubtful,
            _ => self.bad,
        }
    }

    /// Returns colours when standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of_stdout() -> Self {
        if is_coloured(stdout().is_terminal()) {
            Self::COLOURED
        } else {
            Self::PLAIN
        }
    }
}

/// May there be colours? Only on a terminal, and not where `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn is_coloured(is_terminal: bool) -> bool {
    is_terminal && !forbids_colour(std::env::var_os("NO_COLOR").as_deref())
}

fn forbids_colour(no_color: Option<&OsStr>) -> bool {
    no_color.is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_forbids_colours_unless_it_is_empty() {
        let forbidden =
            [None, Some(""), Some("1")].map(|value| forbids_colour(value.map(OsStr::new)));
        assert_eq!(forbidden, [false, false, true]);
        assert!(!is_coloured(false));
    }
}
