//! What of a pattern stands for itself, as the terms of a field are written.
//!
//! Does: tell operators from literals, normalize the literals stretch by stretch, and write them so that nothing that a
//! normalizer makes is an operator. An escaped character is a literal like any other. Does not: know what operators mean
//! (`partial::pattern` does). Called by: patterns of queries, query strings and intervals.

use std::iter::Peekable;
use std::str::Chars;

/// Returns a wildcard pattern whose literals have passed `normalize`: `*` and `?` stay as they are, also where a character
/// filter would take them away.
pub(in crate::resolve) fn of_wildcard(pattern: &str, normalize: impl Fn(&str) -> String) -> String {
    let mut normalized = String::with_capacity(pattern.len());
    let mut literal = String::new();
    let end = |literal: &mut String, out: &mut String| {
        if !literal.is_empty() {
            out.push_str(&super::escape_wildcard(&normalize(literal)));
            literal.clear();
        }
    };
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => {
                end(&mut literal, &mut normalized);
                normalized.push(c);
            }
            // At the end it escapes nothing.
            '\\' => literal.push(chars.next().unwrap_or('\\')),
            c => literal.push(c),
        }
    }
    end(&mut literal, &mut normalized);
    normalized
}

/// Returns a regular expression of Lucene whose literals have passed `normalize`. One that is not well formed stays so.
pub(in crate::resolve) fn of_regexp(
    expression: &str,
    normalize: impl Fn(&str) -> String,
) -> String {
    let mut writer = Writer {
        normalize,
        literal: String::new(),
        out: String::with_capacity(expression.len()),
    };
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' | '+' | '?' | '{' => {
                writer.repeat_last();
                writer.out.push(c);
                if c == '{' {
                    copy_through(&mut chars, '}', &mut writer.out);
                }
            }
            '<' => {
                writer.end_literal();
                writer.out.push(c);
                copy_through(&mut chars, '>', &mut writer.out);
            }
            '|' | '(' | ')' | '.' | '@' | '#' | '~' | '&' => {
                writer.end_literal();
                writer.out.push(c);
            }
            '[' => {
                writer.end_literal();
                writer.class(&mut chars);
            }
            '"' => {
                writer.end_literal();
                writer.quoted(&mut chars);
            }
            '\\' => match chars.next() {
                Some(set) if is_set(set) => {
                    writer.end_literal();
                    writer.out.extend(['\\', set]);
                }
                Some(escaped) => writer.literal.push(escaped),
                // It escapes nothing, which is refused later.
                None => {
                    writer.end_literal();
                    writer.out.push('\\');
                }
            },
            c => writer.literal.push(c),
        }
    }
    writer.end_literal();
    writer.out
}

/// Returns whether an escaped letter stands for a set of characters.
fn is_set(letter: char) -> bool {
    matches!(letter, 'd' | 'D' | 'w' | 'W' | 's' | 'S')
}

/// Copies up to and with `last`.
fn copy_through(chars: &mut Peekable<Chars<'_>>, last: char, out: &mut String) {
    for c in chars.by_ref() {
        out.push(c);
        if c == last {
            return;
        }
    }
}

/// Writes a regular expression, literals normalized.
struct Writer<F> {
    normalize: F,
    /// Characters read that stand for themselves.
    literal: String,
    out: String,
}

impl<F: Fn(&str) -> String> Writer<F> {
    /// Writes the characters read so far.
    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            let normalized = (self.normalize)(&self.literal);
            push_escaped(&mut self.out, &normalized);
            self.literal.clear();
        }
    }

    /// Writes the characters read so far; an operator that follows takes the last of them alone, whatever becomes of it.
    fn repeat_last(&mut self) {
        let Some(last) = self.literal.pop() else {
            return;
        };
        self.end_literal();
        let normalized = (self.normalize)(last.encode_utf8(&mut [0; 4]));
        self.group(&normalized);
    }

    /// Writes a text as one thing.
    fn group(&mut self, text: &str) {
        if text.chars().count() == 1 {
            push_escaped(&mut self.out, text);
            return;
        }
        self.out.push('(');
        push_escaped(&mut self.out, text);
        self.out.push(')');
    }

    fn quoted(&mut self, chars: &mut Peekable<Chars<'_>>) {
        let mut quoted = String::new();
        loop {
            match chars.next() {
                Some('"') => break,
                Some(c) => quoted.push(c),
                // It has no end, which is refused later.
                None => {
                    self.out.push('"');
                    self.out.push_str(&quoted);
                    return;
                }
            }
        }
        let normalized = (self.normalize)(&quoted);
        self.group(&normalized);
    }

    /// Writes a class: each of its characters becomes what the normalizer makes of it, where that is one character.
    fn class(&mut self, chars: &mut Peekable<Chars<'_>>) {
        self.out.push('[');
        if chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        while let Some(c) = chars.next() {
            let first = match c {
                ']' => {
                    self.out.push(']');
                    return;
                }
                '\\' => match chars.next() {
                    Some(set) if is_set(set) => {
                        self.out.extend(['\\', set]);
                        continue;
                    }
                    escaped => escaped.unwrap_or('\\'),
                },
                c => c,
            };
            let is_range = chars.peek() == Some(&'-') && {
                let mut ahead = chars.clone();
                ahead.next();
                ahead.peek().is_some_and(|next| *next != ']')
            };
            if !is_range {
                let normalized = self.one(first);
                push_in_class(&mut self.out, normalized);
                continue;
            }
            chars.next();
            let last = match chars.next() {
                Some('\\') => chars.next().unwrap_or('\\'),
                last => last.unwrap_or(first),
            };
            let (mut from, mut to) = (self.one(first), self.one(last));
            if from > to {
                (from, to) = (first, last);
            }
            push_in_class(&mut self.out, from);
            self.out.push('-');
            push_in_class(&mut self.out, to);
        }
    }

    /// Returns what becomes of one character, where that is one.
    fn one(&self, c: char) -> char {
        let normalized = (self.normalize)(c.encode_utf8(&mut [0; 4]));
        let mut all = normalized.chars();
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => c,
        }
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(
            c,
            '.' | '?'
                | '+'
                | '*'
                | '|'
                | '{'
                | '}'
                | '['
                | ']'
                | '('
                | ')'
                | '"'
                | '\\'
                | '#'
                | '@'
                | '&'
                | '<'
                | '>'
                | '~'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
}

fn push_in_class(out: &mut String, c: char) {
    if matches!(c, ']' | '[' | '\\' | '^' | '-') {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lower case, and characters that become operators, several characters or nothing.
    fn normalize(text: &str) -> String {
        let one = |c: char| match c {
            '＊' => "*".to_owned(),
            '？' => "?".to_owned(),
            '［' => "[".to_owned(),
            'ß' => "ss".to_owned(),
            '-' => String::new(),
            c => c.to_lowercase().collect(),
        };
        text.chars().map(one).collect()
    }

    #[test]
    fn what_a_normalizer_makes_is_no_wildcard_and_escaped_characters_pass_it() {
        for (pattern, expected) in [
            ("A＊B*", r"a\*b*"),
            ("？-?", r"\??"),
            (r"\A\B*", "ab*"),
            (r"A\*B?", r"a\*b?"),
            (r"A\\B", r"a\\b"),
            (r"\ß?", "ss?"),
            ("-", ""),
            ("*-*", "**"),
            (r"A\", r"a\\"),
        ] {
            assert_eq!(of_wildcard(pattern, normalize), expected, "{pattern}");
        }
    }

    #[test]
    fn literals_of_an_expression_pass_the_normalizer_and_operators_do_not() {
        for (expression, expected) in [
            ("Gre.*", "gre.*"),
            ("A＊B", r"a\*b"),
            ("AB*C+", "ab*c+"),
            ("Aß?", "a(ss)?"),
            ("ABß{2,3}X", "ab(ss){2,3}x"),
            (r"A\W\B+", r"a\Wb+"),
            (r"A\.B", r"a\.b"),
            ("[A-Z]ß", "[a-z]ss"),
            ("[^A－B]", "[^a－b]"),
            ("[Z-a]", "[Z-a]"),
            (r"[\]\-Ａ\W]", r"[\]\-ａ\W]"),
            ("[A-]", r"[a\-]"),
            ("\"A.B\"*", r"(a\.b)*"),
            ("A|(B＊)", r"a|(b\*)"),
            ("A-?", "a()?"),
            ("X<1-5>", "x<1-5>"),
            // What is refused stays refused.
            ("A\\", "a\\"),
            ("[AB", "[ab"),
            ("\"AB", "\"AB"),
            ("A{2", "a{2"),
        ] {
            assert_eq!(of_regexp(expression, normalize), expected, "{expression}");
        }
    }
}
