//! Lucene's pattern languages in the syntax of `regex-automata`.
//!
//! Lucene's regular expressions always cover the whole term and know no anchors: `^` and `$` are
//! ordinary characters. `.` matches any character, `@` any string, `#` nothing, `"…"` is literal.
//! `~` (complement), `&` (intersection) and `<m-n>` (number ranges) are refused by name.

use std::fmt::Write as _;

use crate::EngineError;

/// Returns an expression that matches `text` alone.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_literal(&mut out, c));
    out
}

/// Translates `*` (any run), `?` (one character) and `\` (takes the next as it is). Of `*` and `?` that
/// stand together one `*` is left, behind the others: `*?*?` is as many characters as `??*`, and the
/// automaton of the former grows with the square of their number.
pub(super) fn from_wildcard(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => {
                let mut has_run = c == '*';
                if c == '?' {
                    out.push('.');
                }
                while let Some(next) = chars.next_if(|next| matches!(next, '*' | '?')) {
                    has_run |= next == '*';
                    if next == '?' {
                        out.push('.');
                    }
                }
                if has_run {
                    out.push_str(".*");
                }
            }
            '\\' => push_literal(&mut out, chars.next().unwrap_or('\\')),
            c => push_literal(&mut out, c),
        }
    }
    out
}

/// Translates a regular expression of Lucene.
///
/// # Errors
/// [`EngineError::Query`] for operators that are not offered, and unfinished escapes, quotes or
/// classes.
pub(super) fn from_lucene(expression: &str) -> Result<String, EngineError> {
    let refuse = |what: &str| {
        EngineError::Query(format!(
            "regular expression [{expression}] is refused: {what}"
        ))
    };
    let mut out = String::with_capacity(expression.len() + 8);
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '|' | ')' | '.' => out.push(c),
            // `(?` means something else in the other syntax, and nothing in this one.
            '(' if chars.peek() == Some(&'?') => return Err(refuse("`?` after `(`")),
            '(' => out.push('('),
            '*' | '+' | '?' => {
                out.push(c);
                make_optional(&mut chars, &mut out, c);
            }
            '{' => {
                repetition(&mut chars, &mut out).ok_or_else(|| refuse("unfinished `{`"))?;
                make_optional(&mut chars, &mut out, '}');
            }
            '[' => class(&mut chars, &mut out).ok_or_else(|| refuse("unfinished `[`"))?,
            '"' => loop {
                match chars.next().ok_or_else(|| refuse("unfinished `\"`"))? {
                    '"' => break,
                    quoted => push_literal(&mut out, quoted),
                }
            },
            '\\' => {
                let escaped = chars.next().ok_or_else(|| refuse("`\\` at the end"))?;
                push_escape(&mut out, escaped);
            }
            '@' => out.push_str("(?:.*)"),
            '#' => out.push_str("[a&&b]"),
            '~' => return Err(refuse("the operator `~` is not offered")),
            '&' => return Err(refuse("the operator `&` is not offered")),
            '<' => return Err(refuse("the operator `<>` is not offered")),
            c => push_literal(&mut out, c),
        }
    }
    Ok(out)
}

/// Takes a `?` after a quantifier: `a*?` is `(a*)?` in Lucene, which matches what `a*` does, as
/// `a+?` is `a*`; in the other syntax it would say how greedy to be.
fn make_optional(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
    quantifier: char,
) {
    while chars.next_if_eq(&'?').is_some() {
        match quantifier {
            '+' if out.ends_with('+') => {
                out.pop();
                out.push('*');
            }
            '}' if out.ends_with('}') => out.push_str("{0,1}"),
            _ => {}
        }
    }
}

/// Copies the counts of a repetition up to its `}`.
fn repetition(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
) -> Option<()> {
    out.push('{');
    loop {
        match chars.next()? {
            '}' => {
                out.push('}');
                return Some(());
            }
            c if c == ',' || c.is_ascii_digit() => out.push(c),
            _ => return None,
        }
    }
}

/// Copies a class up to its `]`; `^` negates at the start, `-` makes ranges, `\` escapes.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    loop {
        match chars.next()? {
            ']' => {
                out.push(']');
                return Some(());
            }
            '-' => out.push('-'),
            '\\' => push_escape(out, chars.next()?),
            c => push_literal(out, c),
        }
    }
}

fn push_escape(out: &mut String, escaped: char) {
    match escaped {
        // Lucene 9 knows these classes; ASCII, as there.
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[A-Za-z0-9_]"),
        'W' => out.push_str("[^A-Za-z0-9_]"),
        's' => out.push_str(r"[ \t\n\r]"),
        'S' => out.push_str(r"[^ \t\n\r]"),
        c => push_literal(out, c),
    }
}

fn push_literal(out: &mut String, c: char) {
    if c.is_alphanumeric() || c == '_' {
        out.push(c);
    } else {
        // A code point is literal everywhere, in classes too.
        write!(out, r"\x{{{:x}}}", u32::from(c)).expect("a String takes all text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(lucene: &str, term: &str) -> bool {
        let translated = from_lucene(lucene).unwrap();
        let whole = format!("(?s)^(?:{translated})$");
        regex_automata::meta::Regex::new(&whole)
            .unwrap()
            .is_match(term)
    }

    #[test]
    fn anchors_are_ordinary_characters() {
        assert!(is_match("a^b$", "a^b$"));
        assert!(!is_match("^ab", "ab"));
    }

    #[test]
    fn lucenes_operators_mean_what_they_mean_there() {
        for (expression, term, expected) in [
            ("s.*y", "sillily", true),
            ("ab{2,3}", "abbb", true),
            ("ab{2,3}", "ab", false),
            ("[^a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            (r#"a"*."b"#, "a*.b", true),
            ("a@z", "abcz", true),
            ("#|a", "a", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            (r"\d+", "123", true),
            ("a+?b", "b", true),
            ("ab{2}?", "a", true),
            ("ab{2}?", "ab", false),
            ("a|b", "b", true),
        ] {
            assert_eq!(
                is_match(expression, term),
                expected,
                "{expression} on {term}"
            );
        }
    }

    #[test]
    fn wildcards_that_stand_together_become_one_run() {
        for (pattern, expression) in [
            ("a*?*?b", "a...*b"),
            ("***", ".*"),
            ("?*", "..*"),
            (r"*\*?", r".*\x{2a}."),
        ] {
            assert_eq!(from_wildcard(pattern), expression, "{pattern}");
        }
    }

    #[test]
    fn operators_not_offered_are_refused_by_name() {
        for expression in [
            "(?i)a", "a{2", "a{x}", "~a", "a&b", "<1-5>", "[ab", "\"ab", "a\\",
        ] {
            assert!(from_lucene(expression).is_err(), "{expression}");
        }
    }
}
