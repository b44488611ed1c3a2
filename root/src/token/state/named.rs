//! The documents that the queries of a scroll name, as the first page read them.
//!
//! Does: put what the queries ask of them into the id, so that all pages ask the same. Does not: read documents (`api`
//! does). Called by: the scroll. Read first: [`KeptDocuments::of`].

use gleaner_query::QueryError;
use gleaner_query::dsl::LookUp;
use gleaner_query::search::NamedDocuments;
use serde::{Deserialize, Serialize};

use crate::RootError;

/// Bytes of what the documents say and of their names, at most. Each request for a page and each answer carries it, and a root keeps the
/// ids of the scrolls that it began: the room is for some 20,000 values.
const MAX_SAID_BYTES: usize = 256 << 10;

/// What documents say, as an id carries it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptDocuments {
    /// The index of those that are named without one.
    index: Option<String>,
    documents: Vec<KeptDocument>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptDocument {
    name: LookUp,
    /// JSON; `None` where there is no such document.
    source: Option<String>,
}

impl KeptDocuments {
    /// Returns what an id carries of `named`.
    ///
    /// # Errors
    /// `illegal_argument_exception` where that is too long for an id.
    pub(crate) fn of(named: &NamedDocuments) -> Result<Self, RootError> {
        let mut num_bytes = named.index.as_ref().map_or(0, String::len);
        let mut documents = Vec::with_capacity(named.found.len());
        for (name, source) in &named.found {
            let source = source.as_ref().map(ToString::to_string);
            num_bytes += name_bytes(name) + source.as_ref().map_or(0, String::len);
            let name = name.clone();
            documents.push(KeptDocument { name, source });
        }
        if num_bytes > MAX_SAID_BYTES {
            return Err(QueryError::illegal(format!(
                "the documents that the queries name take [{num_bytes}] bytes of the id of the scroll, at most \
                 [{MAX_SAID_BYTES}] are allowed: open a point in time with [_pit] and page with [search_after]"
            ))
            .into());
        }
        let index = named.index.clone();
        Ok(Self { index, documents })
    }

    /// Returns the documents that an id carries.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for what no id says.
    pub(crate) fn read(&self) -> Result<NamedDocuments, RootError> {
        let mut named = NamedDocuments {
            index: self.index.clone(),
            ..NamedDocuments::default()
        };
        for document in &self.documents {
            let source = document.source.as_deref().map(serde_json::from_str);
            let source = source.transpose().map_err(|fault| {
                RootError::BadToken(format!("cannot read a document of the id: {fault}"))
            })?;
            named.found.insert(document.name.clone(), source);
        }
        Ok(named)
    }
}

/// Returns the bytes of a document's name.
fn name_bytes(name: &LookUp) -> usize {
    let routing = name.routing.as_ref().map_or(0, String::len);
    name.index.len() + name.id.len() + routing
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(said: &str) -> NamedDocuments {
        let place = |id: &str| LookUp {
            index: "lists".to_owned(),
            id: id.to_owned(),
            routing: None,
        };
        NamedDocuments {
            index: Some("people".to_owned()),
            found: [
                (place("1"), Some(json!({"names": [said, 7, 1.5]}))),
                (place("2"), None),
            ]
            .into(),
        }
    }

    #[test]
    fn documents_survive_the_id() {
        let kept = KeptDocuments::of(&named("a")).expect("short");
        assert_eq!(kept.read().expect("readable"), named("a"));
        let none = NamedDocuments::default();
        let kept = KeptDocuments::of(&none).expect("short");
        assert_eq!(kept, KeptDocuments::default());
    }

    #[test]
    fn what_is_too_long_for_an_id_is_refused() {
        let long = named(&"x".repeat(MAX_SAID_BYTES));
        let refused = KeptDocuments::of(&long).expect_err("too long");
        assert!(refused.to_string().contains("[search_after]"), "{refused}");
    }

    #[test]
    fn names_count_as_what_the_documents_say() {
        let many = |num_bytes: usize| {
            let place = |n: usize| LookUp {
                index: "lists".to_owned(),
                id: format!("{n:0>512}"),
                routing: Some("r".repeat(num_bytes)),
            };
            NamedDocuments {
                index: None,
                found: (0..200).map(|n| (place(n), None)).collect(),
            }
        };
        assert!(KeptDocuments::of(&many(500)).is_ok());
        let refused = KeptDocuments::of(&many(1_000)).expect_err("too long");
        let num_bytes = 200 * (5 + 512 + 1_000);
        let expected = format!("take [{num_bytes}] bytes");
        assert!(refused.to_string().contains(&expected), "{refused}");
    }
}
