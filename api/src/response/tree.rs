//! JSON whose scalars stay as they are written: a `_source` may have numbers and texts that no `Value` holds.
//!
//! Does: read what was rendered ([`Tree::read`]), write it again, compact or pretty ([`Tree::write`]).
//! Does not: check that it is JSON.

use std::borrow::Cow;

/// Most levels that are entered: a document has 127, and an answer some more around it.
const MAX_LEVELS: usize = 512;

/// A value. Keys and scalars are as written, with their quotes.
#[derive(Debug)]
pub(super) enum Tree<'a> {
    Object(Vec<(&'a str, Tree<'a>)>),
    Array(Vec<Tree<'a>>),
    Scalar(&'a str),
}

impl<'a> Tree<'a> {
    /// Reads a value; `None` where it is none, or too deep.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let tree = reader.value(MAX_LEVELS)?;
        reader.peek().is_none().then_some(tree)
    }

    /// Writes the value: over several lines where it stands on a level, else without white space.
    pub(super) fn write(&self, level: Option<usize>, out: &mut String) {
        let below = level.map(|level| level + 1);
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    separate(i, below, out);
                    item.write(below, out);
                }
                close(items.is_empty(), level, out);
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    separate(i, below, out);
                    out.push_str(key);
                    out.push_str(if level.is_some() { ": " } else { ":" });
                    value.write(below, out);
                }
                close(entries.is_empty(), level, out);
                out.push('}');
            }
        }
    }
}

/// Returns the name that a key stands for; what is no text stands for itself.
pub(super) fn name(key: &str) -> Cow<'_, str> {
    let inside = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    let inside = inside.unwrap_or(key);
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    serde_json::from_str(key).map_or(Cow::Borrowed(inside), Cow::Owned)
}

fn separate(number: usize, level: Option<usize>, out: &mut String) {
    if number > 0 {
        out.push(',');
    }
    start_line(level, out);
}

fn close(is_empty: bool, level: Option<usize>, out: &mut String) {
    if !is_empty {
        start_line(level, out);
    }
}

fn start_line(level: Option<usize>, out: &mut String) {
    if let Some(level) = level {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns the next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Passes over `byte` where it is next; returns whether it was.
    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, levels: usize) -> Option<Tree<'a>> {
        let levels = levels.checked_sub(1)?;
        match self.peek()? {
            b'{' => self.object(levels),
            b'[' => self.array(levels),
            b'"' => self.quoted().map(Tree::Scalar),
            _ => self.word().map(Tree::Scalar),
        }
    }

    fn object(&mut self, levels: usize) -> Option<Tree<'a>> {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.takes(b'}') {
            if !entries.is_empty() && !self.takes(b',') {
                return None;
            }
            let key = self.quoted()?;
            if !self.takes(b':') {
                return None;
            }
            entries.push((key, self.value(levels)?));
        }
        Some(Tree::Object(entries))
    }

    fn array(&mut self, levels: usize) -> Option<Tree<'a>> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.takes(b']') {
            if !items.is_empty() && !self.takes(b',') {
                return None;
            }
            items.push(self.value(levels)?);
        }
        Some(Tree::Array(items))
    }

    /// Passes over a text, with its quotes.
    fn quoted(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let text = self.text;
        let mut end = self.at + 1;
        loop {
            match text.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let start = std::mem::replace(&mut self.at, end + 1);
        text.get(start..=end)
    }

    /// Passes over a number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<&'a str> {
        let text = self.text;
        let rest = text.get(self.at..)?;
        let is_end =
            |letter: char| matches!(letter, ',' | ']' | '}') || letter.is_ascii_whitespace();
        let word = rest.split(is_end).next().filter(|word| !word.is_empty())?;
        self.at += word.len();
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn written(text: &str, level: Option<usize>) -> Option<String> {
        let mut out = String::new();
        Tree::read(text)?.write(level, &mut out);
        Some(out)
    }

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let text = r#"{"a":[1.10,-1e400,12345678901234567890123],"b":{},"a":[],"\"":["\ud800","\\",null]}"#;
        assert_eq!(written(text, None).as_deref(), Some(text));
        let spaced = " { \"a\" : [ 1 ,\n2 ] , \"b\":\ttrue } ";
        let compact = r#"{"a":[1,2],"b":true}"#;
        assert_eq!(written(spaced, None).as_deref(), Some(compact));
    }

    #[test]
    fn pretty_is_what_others_take_for_it() {
        let text = r#"{"a":[1,{"b":"x, y"}],"c":[],"d":{},"e":{"f":null}}"#;
        let value: Value = serde_json::from_str(text).expect("JSON");
        let pretty = serde_json::to_string_pretty(&value).expect("it is written");
        assert_eq!(written(text, Some(0)), Some(pretty));
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_not_read() {
        for text in [
            "", "{", "[1", "{\"a\"}", "{a:1}", "[1 2]", "1 2", "\"a", "[1]]",
        ] {
            assert!(Tree::read(text).is_none(), "{text}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Tree::read(&nested(MAX_LEVELS)).is_some());
        assert!(Tree::read(&nested(MAX_LEVELS + 1)).is_none());
    }

    #[test]
    fn keys_have_names() {
        for (key, expected) in [
            (r#""a""#, "a"),
            (r#""a\"""#, "a\""),
            (r#""\u0061""#, "a"),
            (r#""\ud800""#, "\\ud800"),
        ] {
            assert_eq!(name(key), expected);
        }
    }
}
