//! What a person sees: whether there is a terminal, colours, clean text, numbers with commas.

use std::{
    ffi::OsStr,
    io::{IsTerminal, Write, stderr, stdout},
};

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

/// Writes to standard error, lines as they are and without characters that steer: servers and files have
/// their word in it. When nobody reads that any more, the command goes on.
pub(crate) fn say(text: &str) {
    drop(writeln!(stderr(), "{}", harmless(text)));
}

fn harmless(text: &str) -> String {
    let clean = |c| if c != '\n' && is_steering(c) { ' ' } else { c };
    text.chars().map(clean).collect()
}

/// Is somebody watching progress?
pub(crate) fn is_watched() -> bool {
    stderr().is_terminal()
}

/// Writes a number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Makes text of a document safe for one line of a terminal: characters that steer become spaces.
///
/// A document could else move the cursor, change the title, colour what follows or turn its direction.
pub(crate) fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if is_steering(c) { ' ' } else { c });
    clean
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Is it a control character, or one that opens or closes another direction of writing?
fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Cuts to `width` characters, with `…` where something was left out.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn no_color_forbids_colours_unless_it_is_empty() {
        let forbidden =
            [None, Some(""), Some("1")].map(|value| forbids_colour(value.map(OsStr::new)));
        assert_eq!(forbidden, [false, false, true]);
        assert!(!is_coloured(false));
    }

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\n\tb\x1b[31m \u{9b}2Jc"), "a b [31m 2Jc");
        assert_eq!(one_line("a\u{202e}b\u{2069} c\u{2066}"), "a b c");
        assert_eq!(harmless("a\nb\x1b]0;c\u{202e}"), "a\nb ]0;c ");
        assert_eq!(cut("héllo", 5), "héllo");
        assert_eq!(cut("héllo!", 5), "héll…");
    }
}
