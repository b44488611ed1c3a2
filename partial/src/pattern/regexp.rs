//! Lucene's pattern languages in the syntax of `regex-automata`.
//!
//! Lucene's regular expressions always cover the whole term and know no anchors: `^` and `$` are
//! ordinary characters. `.` matches any character, `@` any string, `#` nothing, `"…"` is literal.
//! `~` (complement), `&` (intersection) and `<m-n>` (number ranges) are refused by name.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use crate::EvaluationError;

/// Whether upper and lower case differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// They do.
    Kept,
    /// They do not, for letters of ASCII; those of other scripts keep theirs, as in Lucene 9.
    Ignored,
}

impl Case {
    /// Returns the case of a pattern.
    pub(super) fn of(ignore_case: bool) -> Self {
        match ignore_case {
            true => Self::Ignored,
            false => Self::Kept,
        }
    }
}

/// Returns an expression that matches `text` alone.
pub(super) fn literal(text: &str, case: Case) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_char(&mut out, c, case));
    out
}

/// Translates `*` (any run), `?` (one character) and `\` (takes the next as it is). Of `*` and `?` that
/// stand together one `*` is left, behind the others: `*?*?` is as many characters as `??*`, and the
/// automaton of the former grows with the square of their number.
pub(super) fn from_wildcard(pattern: &str, case: Case) -> String {
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
            '\\' => push_char(&mut out, chars.next().unwrap_or('\\'), case),
            c => push_char(&mut out, c, case),
        }
    }
    out
}

/// Translates a regular expression of Lucene.
///
/// # Errors
/// [`EvaluationError::Clause`] for operators that are not offered, and unfinished escapes, quotes or
/// classes.
pub(super) fn from_lucene(expression: &str, case: Case) -> Result<String, EvaluationError> {
    let refuse = |what: &str| {
        EvaluationError::Clause(format!(
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
            '[' => class(&mut chars, &mut out, case).ok_or_else(|| refuse("unfinished `[`"))?,
            '"' => loop {
                match chars.next().ok_or_else(|| refuse("unfinished `\"`"))? {
                    '"' => break,
                    quoted => push_char(&mut out, quoted, case),
                }
            },
            '\\' => {
                let escaped = chars.next().ok_or_else(|| refuse("`\\` at the end"))?;
                match set_of(escaped) {
                    Some(set) => out.push_str(set),
                    None => push_char(&mut out, escaped, case),
                }
            }
            '@' => out.push_str("(?:.*)"),
            '#' => out.push_str("[a&&b]"),
            '~' => return Err(refuse("the operator `~` is not offered")),
            '&' => return Err(refuse("the operator `&` is not offered")),
            '<' => return Err(refuse("the operator `<>` is not offered")),
            c => push_char(&mut out, c, case),
        }
    }
    Ok(out)
}

/// Takes a `?` after a quantifier: `a*?` is `(a*)?` in Lucene, which matches what `a*` does, as
/// `a+?` is `a*`; in the other syntax it would say how greedy to be.
fn make_optional(chars: &mut Peekable<Chars<'_>>, out: &mut String, quantifier: char) {
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
fn repetition(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
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
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String, case: Case) -> Option<()> {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    loop {
        let first = match chars.next()? {
            ']' => {
                out.push(']');
                return Some(());
            }
            '\\' => {
                let escaped = chars.next()?;
                if let Some(set) = set_of(escaped) {
                    out.push_str(set);
                    continue;
                }
                escaped
            }
            c => c,
        };
        let mut last = first;
        if chars.next_if_eq(&'-').is_some() {
            match chars.peek()? {
                // There is nothing it could lead to.
                ']' => push_range(out, ('-', '-'), case),
                _ => last = plain_or_escaped(chars)?,
            }
        }
        push_range(out, (first, last), case);
    }
}

fn plain_or_escaped(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '\\' => chars.next(),
        c => Some(c),
    }
}

/// Adds the characters from `first` to `last` to a class.
fn push_range(out: &mut String, (first, last): (char, char), case: Case) {
    let mut push = |first: char, last: char| {
        push_literal(out, first);
        if first != last {
            out.push('-');
            push_literal(out, last);
        }
    };
    push(first, last);
    if case == Case::Kept {
        return;
    }
    for (least, greatest) in [('a', 'z'), ('A', 'Z')] {
        let (first, last) = (first.max(least), last.min(greatest));
        if first <= last {
            push(other_case(first), other_case(last));
        }
    }
}

fn other_case(letter: char) -> char {
    match letter.is_ascii_lowercase() {
        true => letter.to_ascii_uppercase(),
        false => letter.to_ascii_lowercase(),
    }
}

/// Returns the class that an escape stands for; Lucene 9 knows these, of ASCII, as here.
fn set_of(escaped: char) -> Option<&'static str> {
    Some(match escaped {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[A-Za-z0-9_]",
        'W' => "[^A-Za-z0-9_]",
        's' => r"[ \t\n\r]",
        'S' => r"[^ \t\n\r]",
        _ => return None,
    })
}

/// Adds a character outside of a class.
fn push_char(out: &mut String, c: char, case: Case) {
    if case == Case::Ignored && c.is_ascii_alphabetic() {
        out.push('[');
        push_range(out, (c, c), case);
        out.push(']');
    } else {
        push_literal(out, c);
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
        let translated = from_lucene(lucene, Case::Kept).unwrap();
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
            ("[+--]x", ",x", true),
            ("[+--]x", ".x", false),
            ("[a-]x", "-x", true),
            (r"[\d\-a]x", "-x", true),
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
            let translated = from_wildcard(pattern, Case::Kept);
            assert_eq!(translated, expression, "{pattern}");
        }
    }

    #[test]
    fn operators_not_offered_are_refused_by_name() {
        for expression in [
            "(?i)a", "a{2", "a{x}", "~a", "a&b", "<1-5>", "[ab", "\"ab", "a\\",
        ] {
            let refused = from_lucene(expression, Case::Kept);
            assert!(refused.is_err(), "{expression}");
        }
    }
}
