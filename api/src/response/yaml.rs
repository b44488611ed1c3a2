//! JSON values as YAML.

use std::fmt::Write as _;

use serde_json::Value;

/// Prints a value as one YAML document; texts are always quoted, so none is taken for another type. Made
/// for readers of YAML 1.1 too: they take more words for booleans and more characters for line breaks.
pub(super) fn to_yaml(value: &Value) -> String {
    let mut out = String::from("---\n");
    match value {
        Value::Object(entries) if !entries.is_empty() => block(value, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(value, 0, &mut out),
        scalar => {
            inline(scalar, &mut out);
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                pad(indent, out);
                key_text(key, out);
                out.push(':');
                below(value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push('-');
                below(item, indent, out);
            }
        }
        scalar => inline(scalar, out),
    }
}

/// Prints what follows a key or a dash.
fn below(value: &Value, indent: usize, out: &mut String) {
    let is_block = match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        block(value, indent + 2, out);
    } else {
        out.push(' ');
        inline(value, out);
        out.push('\n');
    }
}

fn inline(value: &Value, out: &mut String) {
    match value {
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::String(text) => quoted(text, out),
        // JSON's other scalars are YAML's.
        scalar => write!(out, "{scalar}").expect("a string takes all"),
    }
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

    #[test]
    fn objects_lists_and_scalars_are_printed_as_blocks() {
        let value = json!({"a": 1, "b": {"c": ["x: y", {"d": null}], "e": []}, "2": true});
        let wanted =
            "---\na: 1\nb:\n  c:\n    - \"x: y\"\n    -\n      d: null\n  e: []\n\"2\": true\n";
        assert_eq!(to_yaml(&value), wanted);
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
        assert_eq!(to_yaml(&json!(text)), format!("---\n{shown}\n"));
        assert_eq!(key("\u{7f}"), "\"\\u007f\"");
    }
}
