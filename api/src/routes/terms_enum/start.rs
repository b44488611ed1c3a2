//! The text that terms begin with, and where such terms stand in the order of all.

use gleaner_query::limits::Limits;
use serde_json::{Value, json};

/// What terms begin with. Letters of ASCII alone have two cases.
#[derive(Debug)]
pub(super) struct Start {
    /// The spelling that comes first in the order of terms.
    first: String,
    /// The spelling that comes last: another one only where upper and lower case count as the same.
    last: String,
}

impl Start {
    /// Returns the start `text`.
    pub(super) fn new(text: String, ignores_case: bool) -> Self {
        match ignores_case {
            true => Self {
                first: text.to_ascii_uppercase(),
                last: text.to_ascii_lowercase(),
            },
            false => Self {
                first: text.clone(),
                last: text,
            },
        }
    }

    /// Returns whether a term begins so.
    pub(super) fn is_of(&self, term: &str) -> bool {
        let begin = term.get(..self.last.len());
        begin.is_some_and(|begin| match self.first == self.last {
            true => begin == self.last,
            false => begin.eq_ignore_ascii_case(&self.last),
        })
    }

    /// Returns the query for documents with such terms in `field`; `None` where that finds all of them, or the text is
    /// too long for one.
    pub(super) fn query(&self, field: &str, limits: &Limits) -> Option<Value> {
        let length = self.last.chars().count();
        let ignores_case = self.first != self.last;
        let query = json!({"value": self.last, "case_insensitive": ignores_case});
        let is_one = (1..=limits.pattern_chars).contains(&length);
        is_one.then(|| json!({"prefix": {field: query}}))
    }

    /// Returns whether no term from `term` on begins so.
    pub(super) fn is_behind(&self, term: &str) -> bool {
        term > self.last.as_str() && !term.starts_with(&self.last)
    }

    /// Returns a text that all terms which begin so come after, and few others; `None` where all terms do.
    pub(super) fn floor(&self) -> Option<String> {
        let mut floor = self.first.clone();
        let last = floor.pop()?;
        if let Some(before) = ('\0'..last).next_back() {
            floor.extend([before, char::MAX]);
        }
        Some(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_begin_so_stand_between_two_places() {
        let terms = [
            "", "A", "AP", "APPLE", "Apple", "a", "aO", "ap", "apple", "aq", "b", "é",
        ];
        for (text, ignores_case, expected) in [
            ("ap", false, vec!["ap", "apple"]),
            ("AP", true, vec!["AP", "APPLE", "Apple", "ap", "apple"]),
            ("É", true, vec![]),
            ("é", false, vec!["é"]),
            ("\0", false, vec![]),
            ("", true, terms.to_vec()),
        ] {
            let start = Start::new(text.to_owned(), ignores_case);
            let found: Vec<&str> = terms.into_iter().filter(|term| start.is_of(term)).collect();
            assert_eq!(found, expected, "{text}");
            for term in found {
                let is_after = start.floor().is_none_or(|floor| floor.as_str() < term);
                assert!(is_after && !start.is_behind(term), "{text}: {term}");
            }
        }
        let start = Start::new("ap".to_owned(), true);
        assert!(start.is_behind("aq") && start.is_behind("é") && !start.is_behind("Aq"));
        let floor = start.floor().expect("a floor");
        assert!(floor.as_str() > "AO" && floor.as_str() < "AP");
        let empty = Start::new(String::new(), false);
        assert!(empty.floor().is_none() && !empty.is_behind("z"));
    }

    #[test]
    fn documents_are_found_by_their_prefix_where_there_is_one_that_may_be_asked_for() {
        let query = |text: &str, ignores_case| {
            Start::new(text.to_owned(), ignores_case).query("f", &Limits::default())
        };
        let prefix = json!({"prefix": {"f": {"value": "ab", "case_insensitive": true}}});
        assert_eq!(query("Ab", true), Some(prefix));
        let prefix = json!({"prefix": {"f": {"value": "Ab", "case_insensitive": false}}});
        assert_eq!(query("Ab", false), Some(prefix));
        assert_eq!(query("", false), None);
        assert_eq!(query(&"a".repeat(1_001), false), None);
    }
}
