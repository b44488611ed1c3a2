//! JSON over lines, with every number and every text as it came: read into a tree, long numbers would be
//! rounded.

use serde_json::value::RawValue;

/// What a level is moved to the right by.
const INDENT: &str = "  ";

/// Lays a value over lines.
pub(super) fn over_lines(value: &RawValue) -> String {
    let mut layout = Layout::default();
    value.get().chars().for_each(|c| layout.take(c));
    layout.text
}

/// A value as far as it is laid out.
#[derive(Debug, Default)]
struct Layout {
    text: String,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    /// Has something been opened that holds nothing yet?
    is_empty: bool,
}

impl Layout {
    fn take(&mut self, c: char) {
        if self.is_in_string {
            self.text.push(c);
            self.is_in_string = c != '"' || self.is_escaped;
            self.is_escaped = c == '\\' && !self.is_escaped;
            return;
        }
        if c.is_ascii_whitespace() {
            return;
        }
        let closes = matches!(c, '}' | ']');
        if closes {
            self.depth = self.depth.saturating_sub(1);
        }
        if self.is_empty != closes {
            self.end_line();
        }
        self.is_empty = matches!(c, '{' | '[');
        self.depth += usize::from(self.is_empty);
        self.is_in_string = c == '"';
        self.text.push(c);
        match c {
            ',' => self.end_line(),
            ':' => self.text.push(' '),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        self.text.push('\n');
        self.text.push_str(&INDENT.repeat(self.depth));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn laid(text: &str) -> String {
        over_lines(serde_json::from_str(text).expect("JSON"))
    }

    #[test]
    fn numbers_and_texts_stay_as_they_are() {
        let text = r#"{"n":1.10, "long":12345678901234567890123,"t":"{\"a\": [1,\\","e":[],"o":{ },
            "deep":[[1],{"x":null}]}"#;
        let expected = r#"{
  "n": 1.10,
  "long": 12345678901234567890123,
  "t": "{\"a\": [1,\\",
  "e": [],
  "o": {},
  "deep": [
    [
      1
    ],
    {
      "x": null
    }
  ]
}"#;
        assert_eq!(laid(text), expected);
        assert_eq!(laid(" 7 "), "7");
    }

    proptest! {
        #[test]
        fn it_is_laid_out_as_trees_are(texts in prop::collection::vec("\\PC{0,9}", 0..5)) {
            let value = serde_json::json!({"a": texts, "b": [{}, [], {"c": [texts.clone()]}]});
            prop_assert_eq!(
                laid(&value.to_string()),
                serde_json::to_string_pretty::<Value>(&value).expect("JSON")
            );
        }
    }
}
