//! What only the shards know and queries are resolved by: the terms that patterns stand for, the numbers of terms.
//!
//! Does: note what is wanted in a first pass, find the answers in a second one. Does not: ask (`expansion` does). Read
//! first: [`Expansions`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{
    ExpansionCandidate, ExpansionRequest, Statistics, StatisticsRequest,
};

/// Terms that scored patterns stand for, asked of the shards between two passes.
#[derive(Debug, Default)]
pub struct Expansions {
    /// Answers by question.
    known: BTreeMap<String, Vec<ExpansionCandidate>>,
    /// Questions ever wanted.
    asked: BTreeSet<String>,
    /// Questions without an answer yet, each once.
    pub wanted: Vec<ExpansionRequest>,
    /// Numbers of terms without an answer yet.
    pub uncounted: StatisticsRequest,
    /// Numbers of terms, once they were asked.
    counted: Option<Arc<Statistics>>,
}

impl Expansions {
    /// Records the merged answer to `request`.
    pub fn answer(&mut self, request: &ExpansionRequest, candidates: Vec<ExpansionCandidate>) {
        self.known.insert(key(request), candidates);
    }

    /// Returns the answer to `request`, of at most `most` terms, or notes it as wanted.
    pub(super) fn look_up(
        &mut self,
        mut request: ExpansionRequest,
        most: usize,
    ) -> Option<&[ExpansionCandidate]> {
        request.limit = request.limit.clamp(1, most);
        let key = key(&request);
        if !self.known.contains_key(&key) {
            if self.asked.insert(key) {
                self.wanted.push(request);
            }
            return None;
        }
        self.known.get(&key).map(Vec::as_slice)
    }

    /// Returns whether anything is to be asked.
    pub fn is_open(&self) -> bool {
        !self.wanted.is_empty() || !self.uncounted.fields.is_empty()
    }

    /// Records the numbers of terms, those of [`Expansions::uncounted`] among them.
    pub fn count(&mut self, counted: Arc<Statistics>) {
        self.uncounted = StatisticsRequest::default();
        self.counted = Some(counted);
    }

    /// Returns whether terms were counted already; notes them as wanted if not.
    pub(super) fn want_counts<'w>(
        &mut self,
        words: impl Iterator<Item = (&'w FieldPath, &'w BTreeMap<String, u64>)>,
    ) -> bool {
        if self.counted.is_some() {
            return true;
        }
        for (path, words) in words {
            let wanted = self.uncounted.fields.entry(path.clone()).or_default();
            wanted.extend(words.keys().cloned());
        }
        false
    }

    /// Returns the documents that have a field, and those that hold each of its terms.
    pub(super) fn counts(&self, path: &FieldPath) -> Option<(u64, &BTreeMap<String, u64>)> {
        let counted = self.counted.as_ref()?;
        let numbers = counted.fields.get(path)?;
        Some((numbers.documents, counted.terms.get(path)?))
    }
}

fn key(request: &ExpansionRequest) -> String {
    format!("{request:?}")
}
