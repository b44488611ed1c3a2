//! Query sets in the form of the search-benchmark-game: a query and its tags, one JSON a line.

use serde::Deserialize;

use crate::{DatasetError, Input, read::lines_of};

/// A query with the tags that say what kind it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaggedQuery {
    /// In query-string syntax: `+all +of +these`, `any of these`, `"a phrase"`, `-not`.
    pub query: String,
    /// As the set has them, the class among them.
    pub tags: Vec<String>,
}

/// The class by which results of a set are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// One term.
    Term,
    /// All of several terms.
    Intersection,
    /// Any of several terms.
    Union,
    /// Terms next to each other.
    Phrase,
    /// Some terms required, others not.
    IntersectionUnion,
    /// Some terms excluded.
    Negated,
    /// A tag of none of these kinds only.
    Other,
}

impl Class {
    const TAGS: &[(&str, Self)] = &[
        ("term", Self::Term),
        ("intersection", Self::Intersection),
        ("union", Self::Union),
        ("phrase", Self::Phrase),
        ("intersection_union", Self::IntersectionUnion),
        ("negated", Self::Negated),
    ];

    /// Returns the tag that stands for it.
    pub fn name(self) -> &'static str {
        Self::TAGS
            .iter()
            .find(|(_, class)| *class == self)
            .map_or("other", |(name, _)| name)
    }
}

impl TaggedQuery {
    /// Returns the class its first known tag names.
    pub fn class(&self) -> Class {
        let known = |tag: &String| Class::TAGS.iter().find(|(name, _)| name == tag);
        self.tags
            .iter()
            .find_map(known)
            .map_or(Class::Other, |(_, class)| *class)
    }
}

/// Reads a whole set.
///
/// # Errors
/// The first line that is not a query, or what keeps the input from being read.
pub fn read(input: Input) -> Result<Vec<TaggedQuery>, DatasetError> {
    let mut queries = Vec::new();
    lines_of(input, |text, place| {
        let query = serde_json::from_str(text);
        queries.push(query.map_err(|fault| DatasetError::json(place, fault, text))?);
        Ok(())
    })?;
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    fn input(text: &'static str) -> Input {
        Input::from_reader("in", Size::Unknown, text.as_bytes()).expect("memory can be read")
    }

    #[test]
    fn queries_are_read_with_their_class() {
        let text = "{\"query\": \"+a +b\", \"tags\": [\"global\", \"intersection\", \"intersection:num_tokens_2\"]}\n\n{\"query\": \"a\", \"tags\": [\"two-phase-critic\"]}\n";
        let queries = read(input(text)).expect("two queries");
        assert_eq!(queries[0].query, "+a +b");
        assert_eq!(queries[0].class(), Class::Intersection);
        assert_eq!(
            (queries[0].class().name(), queries[1].class().name()),
            ("intersection", "other")
        );
    }

    #[test]
    fn a_line_that_is_no_query_is_named() {
        let error = read(input("{\"query\": \"a\", \"tags\": []}\n{}\n")).expect_err("no query");
        assert!(error.to_string().starts_with("in:2:"), "{error}");
    }
}
