//! Values of `completion` fields: a text, or inputs with a weight.
//!
//! Does: check them as Elasticsearch does. Does not: keep them anywhere but in `_source`; there are no suggesters yet.
//! Source: Elasticsearch reference, *Completion suggester*; `CompletionFieldMapper`.

use serde_json::Value;

use super::FieldValue;
use super::convert::Scalar;
use super::mismatch::Mismatch;

/// Characters that an input cannot have: suggesters separate its parts by them.
const RESERVED: [char; 3] = ['\0', '\u{1e}', '\u{1f}'];

/// Keys of an object.
const KEYS: [&str; 2] = ["input", "weight"];

/// Returns an input; `None` for white space, which is ignored.
pub(super) fn read_input<'a>(scalar: &Scalar<'a>) -> Result<Option<FieldValue<'a>>, Mismatch> {
    let Scalar::Text(text) = scalar else {
        return malformed(format!(
            "failed to parse: expected text or object, but got [{}]",
            scalar.text()
        ));
    };
    if let Some((at, found)) = text.chars().enumerate().find(|(_, c)| RESERVED.contains(c)) {
        return malformed(format!(
            "Illegal input [{text}] UTF-16 codepoint [0x{:x}] at position {at} is a reserved character",
            u32::from(found)
        ));
    }
    let is_blank = text.trim().is_empty();
    Ok((!is_blank).then(|| FieldValue::Text(text.clone())))
}

/// Returns the inputs of an object.
pub(super) fn inputs(object: &Value) -> Result<Vec<String>, Mismatch> {
    let entries = object.as_object().into_iter().flatten();
    let mut inputs = Vec::new();
    for (key, value) in entries {
        match key.as_str() {
            "input" => inputs = read_inputs(value)?,
            "weight" => check_weight(value)?,
            "contexts" => {
                return malformed("contexts field is not supported for this field".to_owned());
            }
            _ => {
                return malformed(format!(
                    "unknown field name [{key}], must be one of [{}]",
                    KEYS.join(", ")
                ));
            }
        }
    }
    Ok(inputs)
}

fn read_inputs(value: &Value) -> Result<Vec<String>, Mismatch> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                other => malformed(format!(
                    "input array must have string values, but was [{other}]"
                )),
            })
            .collect(),
        other => malformed(format!(
            "input must be a string or array, but was [{other}]"
        )),
    }
}

fn check_weight(value: &Value) -> Result<(), Mismatch> {
    let whole = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        other => {
            return malformed(format!(
                "weight must be a number or string, but was [{other}]"
            ));
        }
    };
    let shown = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match whole {
        None => malformed(format!("weight must be an integer, but was [{shown}]")),
        Some(weight) if !(0..=i64::from(i32::MAX)).contains(&weight) => malformed(format!(
            "weight must be in the interval [0..2147483647], but was [{weight}]"
        )),
        Some(_) => Ok(()),
    }
}

fn malformed<T>(reason: String) -> Result<T, Mismatch> {
    Err(Mismatch::Malformed(reason))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reason<T>(read: Result<T, Mismatch>) -> String {
        match read {
            Err(Mismatch::Malformed(reason)) => reason,
            _ => String::new(),
        }
    }

    #[test]
    fn objects_have_inputs_and_a_weight() {
        for (object, expected) in [
            (json!({"input": "a"}), vec!["a"]),
            (json!({"input": ["a", "b"], "weight": 3}), vec!["a", "b"]),
            (json!({"weight": "12", "input": []}), vec![]),
            (json!({}), vec![]),
        ] {
            assert_eq!(inputs(&object).expect("good"), expected, "{object}");
        }
        for (object, expected) in [
            (
                json!({"inputs": "a"}),
                "unknown field name [inputs], must be one of [input, weight]",
            ),
            (
                json!({"input": 5}),
                "input must be a string or array, but was [5]",
            ),
            (
                json!({"input": ["a", 5]}),
                "input array must have string values, but was [5]",
            ),
            (
                json!({"weight": 1.5}),
                "weight must be an integer, but was [1.5]",
            ),
            (
                json!({"weight": "x"}),
                "weight must be an integer, but was [x]",
            ),
            (
                json!({"weight": true}),
                "weight must be a number or string, but was [true]",
            ),
            (
                json!({"weight": -1}),
                "weight must be in the interval [0..2147483647], but was [-1]",
            ),
            (
                json!({"weight": 2_147_483_648_u64}),
                "weight must be in the interval [0..2147483647], but was [2147483648]",
            ),
            (
                json!({"contexts": {}}),
                "contexts field is not supported for this field",
            ),
        ] {
            assert_eq!(reason(inputs(&object)), expected);
        }
    }

    #[test]
    fn an_input_is_text_without_separators() {
        let text = |text: &'static str| read_input(&Scalar::Text(text.into()));
        assert_eq!(text("  "), Ok(None));
        assert_eq!(text("a b"), Ok(Some(FieldValue::Text("a b".into()))));
        let refused = reason(text("a\u{1f}b"));
        assert!(refused.contains("[0x1f] at position 1"), "{refused}");
        let refused = reason(read_input(&Scalar::I64(7)));
        assert!(
            refused.ends_with("expected text or object, but got [7]"),
            "{refused}"
        );
    }
}
