//! JSON whose scalars stay as they are written: a `_source` may have numbers and texts that no `Value` holds.
//!
//! Does: go through what was rendered and write it again, compact or pretty, as it is read ([`Reader`],
//! [`rewrite`]); hold it as a [`Tree`], for YAML only: that takes many times the text.
//! Does not: check that it is JSON.

use std::borrow::Cow;
use std::io;

use super::buffer::Buffer;

/// Most levels that are entered: a document has 127, and an answer some more around it.
pub(super) const MAX_LEVELS: usize = 512;

/// Why a text was not written again.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// It is no JSON, or too deep.
    Unreadable,
    /// There is no room for it.
    Full(io::Error),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Full(error)
    }
}

/// What takes the text that is written.
pub(super) trait Out {
    fn push(&mut self, text: &str) -> io::Result<()>;
    fn len(&self) -> usize;
    fn truncate(&mut self, len: usize);
}

impl Out for Buffer<'_> {
    fn push(&mut self, text: &str) -> io::Result<()> {
        self.push_str(text)
    }

    fn len(&self) -> usize {
        Buffer::len(self)
    }

    fn truncate(&mut self, len: usize) {
        Buffer::truncate(self, len);
    }
}

impl Out for String {
    fn push(&mut self, text: &str) -> io::Result<()> {
        self.push_str(text);
        Ok(())
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn truncate(&mut self, len: usize) {
        Self::truncate(self, len);
    }
}

/// Takes what is left out.
pub(super) struct Nothing;

impl Out for Nothing {
    fn push(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> usize {
        0
    }

    fn truncate(&mut self, _: usize) {}
}

/// Writes JSON again: over several lines where it stands on a level, else without white space.
///
/// # Errors
/// [`Unwritten`]; some of it may have been written.
pub(super) fn rewrite(
    text: &str,
    level: Option<usize>,
    out: &mut impl Out,
) -> Result<(), Unwritten> {
    let mut reader = Reader::new(text);
    reader.copy(MAX_LEVELS, level, out)?;
    reader.end()
}

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
        let mut reader = Reader::new(text);
        let tree = reader.value(MAX_LEVELS)?;
        reader.peek().is_none().then_some(tree)
    }

    /// Returns how many bytes the tree of a text takes, at most.
    pub(super) fn num_bytes(text: &str) -> usize {
        let is_between = |byte: &u8| matches!(byte, b',' | b'[' | b'{');
        let num_values = text.bytes().filter(is_between).count() + 1;
        // Lists grow by doubling.
        num_values * 2 * size_of::<(&str, Self)>()
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

fn start_line(level: Option<usize>, out: &mut impl Out) -> io::Result<()> {
    let Some(level) = level else {
        return Ok(());
    };
    out.push("\n")?;
    (0..level).try_for_each(|_| out.push("  "))
}

/// Goes through a text from its start.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Passes over a value and writes it.
    ///
    /// # Errors
    /// As [`rewrite`].
    pub(super) fn copy(
        &mut self,
        levels: usize,
        level: Option<usize>,
        out: &mut impl Out,
    ) -> Result<(), Unwritten> {
        let brackets = match self.peek() {
            Some(b'{') => ["{", "}"],
            Some(b'[') => ["[", "]"],
            _ => return Ok(out.push(self.scalar()?)?),
        };
        let levels = self.enter(levels)?;
        let below = level.map(|level| level + 1);
        out.push(brackets[0])?;
        let mut is_first = true;
        while self.goes_on(is_first, brackets[1])? {
            if !is_first {
                out.push(",")?;
            }
            is_first = false;
            start_line(below, out)?;
            if brackets[0] == "{" {
                out.push(self.key()?)?;
                out.push(if level.is_some() { ": " } else { ":" })?;
            }
            self.copy(levels, below, out)?;
        }
        if !is_first {
            start_line(level, out)?;
        }
        Ok(out.push(brackets[1])?)
    }

    /// Returns the next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
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

    /// Passes over the bracket of an object or array; returns the levels that are left inside.
    pub(super) fn enter(&mut self, levels: usize) -> Result<usize, Unwritten> {
        self.at += 1;
        levels.checked_sub(1).ok_or(Unwritten::Unreadable)
    }

    /// Returns whether another member follows, and passes over what parts it from the one before; at the
    /// end, over the bracket.
    pub(super) fn goes_on(&mut self, is_first: bool, end: &str) -> Result<bool, Unwritten> {
        if self.takes(end.as_bytes()[0]) {
            return Ok(false);
        }
        match is_first || self.takes(b',') {
            true => Ok(true),
            false => Err(Unwritten::Unreadable),
        }
    }

    /// Passes over a key and its colon; returns it with its quotes.
    pub(super) fn key(&mut self) -> Result<&'a str, Unwritten> {
        let key = self.quoted().ok_or(Unwritten::Unreadable)?;
        match self.takes(b':') {
            true => Ok(key),
            false => Err(Unwritten::Unreadable),
        }
    }

    /// Passes over what is neither object nor array; returns it as it is written.
    pub(super) fn scalar(&mut self) -> Result<&'a str, Unwritten> {
        let scalar = match self.peek() {
            Some(b'"') => self.quoted(),
            _ => self.word(),
        };
        scalar.ok_or(Unwritten::Unreadable)
    }

    /// Sees that nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Unwritten> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Unwritten::Unreadable),
        }
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
        rewrite(text, level, &mut out).ok()?;
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
            assert_eq!(written(text, None), None, "{text}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Tree::read(&nested(MAX_LEVELS)).is_some());
        assert!(Tree::read(&nested(MAX_LEVELS + 1)).is_none());
        assert!(written(&nested(MAX_LEVELS), None).is_some());
        assert!(written(&nested(MAX_LEVELS + 1), None).is_none());
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
