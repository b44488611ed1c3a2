//! JSON values as YAML.

use std::fmt::Write as _;

use serde_json::Value;

/// Prints a value as one YAML document; texts are always quoted, so none is taken for another type.
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
        // JSON's scalars, quoted texts included, are YAML's.
        scalar => write!(out, "{scalar}").expect("a string takes all"),
    }
}

fn key_text(key: &str, out: &mut String) {
    let is_word = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        && !key.as_bytes()[0].is_ascii_digit()
        && !matches!(
            key,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if is_word {
        out.push_str(key);
    } else {
        inline(&Value::from(key), out);
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
}
