//! JSON values as YAML.

use std::fmt::Write as _;

use serde_json::Value;

use super::tree::Tree;

/// Prints a value as one YAML document; `None` where it has a text that is none, half a character. Numbers
/// keep their digits. Texts are always quoted, so none is taken for another type. Made for readers
/// of YAML 1.1 too: they take more words for booleans and more characters for line breaks.
pub(super) fn to_yaml(tree: &Tree<'_>) -> Option<String> {
    let mut out = String::from("---\n");
    if is_block(tree) {
        block(tree, 0, &mut out)?;
    } else {
        inline(tree, &mut out)?;
        out.push('\n');
    }
    Some(out)
}

fn is_block(tree: &Tree<'_>) -> bool {
    match tree {
        Tree::Object(entries) => !entries.is_empty(),
        Tree::Array(items) => !items.is_empty(),
        Tree::Scalar(_) => false,
    }
}

fn block(tree: &Tree<'_>, indent: usize, out: &mut String) -> Option<()> {
    match tree {
        Tree::Object(entries) => {
            for (key, value) in entries {
                pad(indent, out);
                key_text(&said(key)?, out);
                out.push(':');
                below(value, indent, out)?;
            }
            Some(())
        }
        Tree::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push('-');
                below(item, indent, out)?;
            }
            Some(())
        }
        Tree::Scalar(_) => inline(tree, out),
    }
}

/// Prints what follows a key or a dash.
fn below(tree: &Tree<'_>, indent: usize, out: &mut String) -> Option<()> {
    if is_block(tree) {
        out.push('\n');
        return block(tree, indent + 2, out);
    }
    out.push(' ');
    inline(tree, out)?;
    out.push('\n');
    Some(())
}

fn inline(tree: &Tree<'_>, out: &mut String) -> Option<()> {
    match tree {
        Tree::Object(_) => out.push_str("{}"),
        Tree::Array(_) => out.push_str("[]"),
        Tree::Scalar(text) if text.starts_with('"') => quoted(&said(text)?, out),
        // JSON's other scalars are YAML's, but for some numbers.
        Tree::Scalar(word) => bare(word, out),
    }
    Some(())
}

/// Prints a number or a word. An exponent has a point before it and a sign: readers of YAML 1.1 take numbers
/// for texts without.
fn bare(word: &str, out: &mut String) {
    let exponent = word.split_once(['e', 'E']);
    // That of `true` is none.
    let exponent =
        exponent.filter(|(digits, _)| digits.ends_with(|last: char| last.is_ascii_digit()));
    let Some((digits, exponent)) = exponent else {
        out.push_str(word);
        return;
    };
    out.push_str(digits);
    if !digits.contains('.') {
        out.push_str(".0");
    }
    out.push('e');
    if !exponent.starts_with(['+', '-']) {
        out.push('+');
    }
    out.push_str(exponent);
}

/// Returns what a text of JSON says, without its quotes and escapes.
fn said(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Prints JSON's form of a text, with escapes also for what YAML forbids or takes for a line break.
fn quoted(text: &str, out: &mut String) {
    for letter in Value::from(text).to_string().chars() {
        match letter {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                write!(out, "\\u{:04x}", u32::from(letter)).expect("a string takes all");
            }
            plain => out.push(plain),
        }
    }
}

/// Words that YAML 1.1 reads as something else than a text, in any case.
const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// Prints a key, without quotes where every reader takes it for a text: what starts with a digit or a dot
/// may be a number.
fn key_text(key: &str, out: &mut String) {
    let starts_a_word = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let is_word = key.as_bytes().first().is_some_and(starts_a_word)
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        && !RESERVED.iter().any(|word| key.eq_ignore_ascii_case(word));
    if is_word {
        out.push_str(key);
    } else {
        quoted(key, out);
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn yaml(text: &str) -> Option<String> {
        to_yaml(&Tree::read(text).expect("JSON"))
    }

    #[test]
    fn objects_lists_and_scalars_are_printed_as_blocks() {
        let value = r#"{"a": 1, "b": {"c": ["x: y", {"d": null}], "e": []}, "2": true, "f": {}}"#;
        let wanted = "---\na: 1\nb:\n  c:\n    - \"x: y\"\n    -\n      d: null\n  e: []\n\"2\": \
                      true\nf: {}\n";
        assert_eq!(yaml(value).as_deref(), Some(wanted));
    }

    #[test]
    fn numbers_are_printed_as_they_are_written() {
        for number in [
            "12345678901234567890123",
            "-9223372036854775809",
            "0.1234567890123456789012345678901",
            "1.10",
            "-0",
            "1.5e+400",
        ] {
            let wanted = format!("---\n{number}\n");
            assert_eq!(yaml(number).as_deref(), Some(&*wanted));
            let wanted = format!("---\na:\n  - {number}\n  - \"{number}\"\n");
            let listed = yaml(&format!(r#"{{"a":[{number},"{number}"]}}"#));
            assert_eq!(listed.as_deref(), Some(&*wanted));
        }
    }

    #[test]
    fn numbers_with_an_exponent_have_a_point_and_a_sign() {
        for (number, expected) in [
            ("1e400", "1.0e+400"),
            ("2E+05", "2.0e+05"),
            ("-1E-7", "-1.0e-7"),
            ("1.50e3", "1.50e+3"),
            ("true", "true"),
            ("false", "false"),
        ] {
            let wanted = format!("---\n{expected}\n");
            assert_eq!(yaml(number).as_deref(), Some(&*wanted));
        }
    }

    #[test]
    fn what_has_half_a_character_is_not_printed() {
        for text in [r#""\ud800""#, r#"{"a":["\udc00"]}"#, r#"{"\ud800":1}"#] {
            assert_eq!(yaml(text), None, "{text}");
        }
    }

    fn key(text: &str) -> String {
        let mut out = String::new();
        key_text(text, &mut out);
        out
    }

    #[test]
    fn keys_that_could_be_taken_for_something_else_are_quoted() {
        for text in [
            "NO", "Yes", "True", "FALSE", "Null", "Off", "oN", "Y", "n", ".inf", ".NaN", ".5", "5",
            "1_0", "0x1f", "12:30", "~", "", "-", "-a", "=", "<<", "a b", "é", "#", "&a", "*", "!",
        ] {
            assert_eq!(key(text), format!("\"{text}\""));
        }
        for text in ["a", "_id", "docs.count", "none", "Nope", "e5", "_5", "inf"] {
            assert_eq!(key(text), text);
        }
    }

    #[test]
    fn characters_that_yaml_forbids_are_escaped() {
        let text = "a\u{7f}\u{80}\u{85}\u{a0}\u{2028}\u{2029}\u{feff}\u{ffff}\u{1f600}\n\"é";
        let shown = "\"a\\u007f\\u0080\\u0085\u{a0}\\u2028\\u2029\\ufeff\\uffff\u{1f600}\\n\\\"é\"";
        let wanted = format!("---\n{shown}\n");
        let printed = yaml(&json!(text).to_string());
        assert_eq!(printed.as_deref(), Some(&*wanted));
        assert_eq!(key("\u{7f}"), "\"\\u007f\"");
    }
}
