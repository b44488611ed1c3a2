//! Numbers of JSON as they are written: reading one as a value may round it, and forgets how it was written.
//!
//! Called by: the walk, for objects of which each number is a text; [`crate::growth`], to tell whole numbers from fractions.

use serde::de::DeserializeOwned;

/// Where in JSON a character stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Between,
    Number,
    Text,
    /// Behind the backslash of a text.
    Escape,
}

/// Reads an object with each number as the text that it is written as.
///
/// # Errors
/// What is no JSON.
pub(crate) fn read_as_texts<T: DeserializeOwned>(object: &str) -> Result<T, serde_json::Error> {
    read_with(object, |number, written| {
        written.extend(["\"", number, "\""]);
    })
}

/// Reads an object of which only the types of values count: each whole number is a 0, however long it is.
///
/// # Errors
/// What is no JSON.
pub(crate) fn read_types<T: DeserializeOwned>(object: &str) -> Result<T, serde_json::Error> {
    read_with(object, |number, written| {
        let is_whole = !number.contains(['.', 'e', 'E']);
        written.push_str(if is_whole { "0" } else { number });
    })
}

/// Reads an object with what `write` appends in the place of each number.
fn read_with<T: DeserializeOwned>(
    object: &str,
    write: impl Fn(&str, &mut String),
) -> Result<T, serde_json::Error> {
    let mut written = String::with_capacity(object.len() + 16);
    let (mut part, mut begin) = (Part::Between, 0);
    for (at, c) in object.char_indices() {
        let next = match (part, c) {
            (Part::Text, '\\') => Part::Escape,
            (Part::Text, '"') => Part::Between,
            (Part::Text | Part::Escape, _) | (_, '"') => Part::Text,
            (_, '-' | '+' | '.' | '0'..='9') | (Part::Number, 'e' | 'E') => Part::Number,
            _ => Part::Between,
        };
        match (part, next) {
            (Part::Number, Part::Number) => {}
            (_, Part::Number) => begin = at,
            (Part::Number, _) => write(&object[begin..at], &mut written),
            _ => {}
        }
        if next != Part::Number {
            written.push(c);
        }
        part = next;
    }
    serde_json::from_str(&written)
}
