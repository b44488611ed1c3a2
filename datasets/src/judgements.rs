//! Queries and what people judged relevant to them.

use std::collections::BTreeMap;

/// A query of a judged collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Its identifier in the collection.
    pub id: String,
    /// What a user would type.
    pub text: String,
}

/// Grades of documents for queries: 0 is irrelevant, a higher grade better. A document without a
/// grade counts as irrelevant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgements(BTreeMap<String, BTreeMap<String, u32>>);

impl Judgements {
    /// Notes the grade of a document for a query; a later one replaces an earlier.
    pub fn insert(&mut self, query: &str, document: &str, grade: u32) {
        self.0
            .entry(query.to_owned())
            .or_default()
            .insert(document.to_owned(), grade);
    }

    /// Returns the grades of one query, by document.
    pub fn of_query(&self, query: &str) -> Option<&BTreeMap<String, u32>> {
        self.0.get(query)
    }

    /// Returns the queries that have at least one relevant document, in order of their ids.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        let is_answerable = |(_, grades): &(&String, &BTreeMap<String, u32>)| {
            grades.values().any(|grade| *grade > 0)
        };
        self.0
            .iter()
            .filter(is_answerable)
            .map(|(query, _)| query.as_str())
    }

    /// Returns how many grades there are.
    pub fn num_grades(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}
