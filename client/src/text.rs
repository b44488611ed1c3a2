//! Text for people: clean lines on standard error, numbers with commas.

use std::io::{IsTerminal, Write, stderr};

/// Writes to standard error, lines as they are and without characters that steer: servers and files have
/// their word in it. When nobody reads that any more, the command goes on.
pub fn say(text: &str) {
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
pub fn grouped(number: u64) -> String {
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
pub fn one_line(text: &str) -> String {
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
pub fn cut(text: &str, width: usize) -> String {
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
    fn text_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\n\tb\x1b[31m \u{9b}2Jc"), "a b [31m 2Jc");
        assert_eq!(one_line("a\u{202e}b\u{2069} c\u{2066}"), "a b c");
        assert_eq!(harmless("a\nb\x1b]0;c\u{202e}"), "a\nb ]0;c ");
        assert_eq!(cut("héllo", 5), "héllo");
        assert_eq!(cut("héllo!", 5), "héll…");
    }
}
