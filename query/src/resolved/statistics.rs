//! The numbers that scores stand on, over all shards, and which of them a search asks for.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::{FieldPath, Generation};
use serde::{Deserialize, Serialize};

use super::{ChildRole, Clause, Function, IntervalScoring};

/// Numbers that BM25 needs, over live documents of all shards searched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Per field that is scored.
    pub fields: BTreeMap<FieldPath, FieldStatistics>,
    /// Live documents that hold the term, per field and term.
    pub terms: BTreeMap<FieldPath, BTreeMap<String, u64>>,
    /// Exact numbers, per field, where those are asked for; none from a leaf that does not tell.
    pub totals: BTreeMap<FieldPath, FieldTotals>,
}

/// Exact numbers of a field, over live documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldTotals {
    /// Sum of the documents of each term.
    pub postings: u64,
    /// Sum of the occurrences of each term; of a field that does not count them, of the documents.
    pub occurrences: u64,
    /// Occurrences of the terms that are asked for.
    pub terms: BTreeMap<String, u64>,
}

/// Numbers of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldStatistics {
    /// Live documents that have the field.
    pub documents: u64,
    /// Sum of their lengths in tokens, each quantised as the index keeps it; of a feature, of their [codes](super::feature_code).
    pub total_length: u64,
}

impl FieldStatistics {
    /// Adds the numbers of other documents.
    pub fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.total_length += other.total_length;
    }
}

impl Statistics {
    /// Adds the numbers of another shard.
    pub fn merge(&mut self, other: &Self) {
        for (field, numbers) in &other.fields {
            self.fields.entry(field.clone()).or_default().add(*numbers);
        }
        for (field, terms) in &other.terms {
            let sums = self.terms.entry(field.clone()).or_default();
            for (term, documents) in terms {
                *sums.entry(term.clone()).or_default() += documents;
            }
        }
        for (field, totals) in &other.totals {
            let sum = self.totals.entry(field.clone()).or_default();
            sum.postings += totals.postings;
            sum.occurrences += totals.occurrences;
            for (term, occurrences) in &totals.terms {
                *sum.terms.entry(term.clone()).or_default() += occurrences;
            }
        }
    }
}

/// Which numbers are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsRequest {
    /// Fields and the terms of each.
    pub fields: BTreeMap<FieldPath, BTreeSet<String>>,
    /// Whether the exact numbers of the fields and terms are wanted too: nothing is ranked by them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub totals: bool,
}

impl StatisticsRequest {
    /// Collects every scored field and term of `clause`.
    pub fn collect(&mut self, clause: &Clause) {
        let has_weights = match clause {
            Clause::Intervals(intervals) => intervals.scoring == IntervalScoring::Bm25,
            _ => true,
        };
        if let Some((field, terms)) = clause.terms().filter(|_| has_weights) {
            self.add(field, terms);
        }
        if let Clause::Functions(scored) = clause {
            for function in &scored.functions {
                if let Function::Feature { field, curve } = &function.function
                    && curve.is_typical()
                {
                    self.add(field, []);
                }
            }
        }
        if let Clause::Exact { field, value } = clause
            && let Some(term) = value.scored_term()
        {
            self.add(field, [term]);
        }
        let inside = clause.scored_children();
        inside.for_each(|clause| self.collect(clause));
        let unscored = clause.children();
        let unscored = unscored.filter(|(role, _)| *role != ChildRole::Scored);
        unscored.for_each(|(_, clause)| self.collect_filter(clause));
    }

    /// Collects what decides by scores which documents a filter matches.
    pub fn collect_filter(&mut self, clause: &Clause) {
        match clause {
            Clause::Functions(scored) if scored.min_score.is_some() => self.collect(clause),
            _ => {
                let inside = clause.children();
                inside.for_each(|(_, clause)| self.collect_filter(clause));
            }
        }
    }

    fn add<'a>(&mut self, field: &FieldPath, terms: impl IntoIterator<Item = &'a str>) {
        let wanted = self.fields.entry(field.clone()).or_default();
        wanted.extend(terms.into_iter().map(str::to_owned));
    }
}

/// A shard's numbers with the generation they were taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatistics {
    /// What was counted.
    pub generation: Generation,
    /// The numbers.
    pub statistics: Statistics,
}
