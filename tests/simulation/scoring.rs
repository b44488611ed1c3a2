//! How documents are scored here: simple, and from the same numbers as BM25, so that an answer tells
//! which numbers it was scored with.

use gleaner_query::resolved::{Clause, FieldStatistics, Statistics, StatisticsRequest};

use crate::documents::{Documents, Stored};

/// Returns the score of a document that `clause` matches; `None` for one that it does not.
pub(crate) fn score(clause: &Clause, stored: &Stored, numbers: &Statistics) -> Option<f32> {
    match clause {
        Clause::MatchAll => Some(1.0),
        Clause::MatchNone => None,
        Clause::Term { field, term } => {
            let frequency = stored.words.iter().filter(|word| *word == term).count();
            let documents = numbers.fields.get(field).map_or(0, |field| field.documents);
            let holding = numbers
                .terms
                .get(field)
                .and_then(|terms| terms.get(term).copied());
            let rarity = (documents + 1) as f32 / (holding.unwrap_or(0) + 1) as f32;
            let frequency = frequency as f32;
            (frequency > 0.0).then(|| rarity * frequency / (frequency + 1.0))
        }
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } => {
            let of = |clause: &Clause| score(clause, stored, numbers);
            if must_not.iter().any(|clause| of(clause).is_some())
                || filter.iter().any(|clause| of(clause).is_none())
            {
                return None;
            }
            let required: Option<Vec<f32>> = must.iter().map(of).collect();
            let optional: Vec<f32> = should.iter().filter_map(of).collect();
            if optional.len() < *minimum_should_match as usize {
                return None;
            }
            Some(required?.into_iter().chain(optional).sum())
        }
        other => panic!("the client asks nothing that becomes {other:?}"),
    }
}

/// Counts what is asked for among the documents of a shard.
pub(crate) fn count(documents: &Documents, request: &StatisticsRequest) -> Statistics {
    let mut numbers = Statistics::default();
    for (field, terms) in &request.fields {
        let total_length = documents.iter().map(|stored| stored.words.len() as u64);
        let of_field = FieldStatistics {
            documents: documents.len() as u64,
            total_length: total_length.sum(),
        };
        numbers.fields.insert(field.clone(), of_field);
        let holding = |term: &String| {
            let holds = |stored: &&_| Stored::words_of(stored).contains(term);
            documents.iter().filter(holds).count() as u64
        };
        let counted = terms.iter().map(|term| (term.clone(), holding(term)));
        numbers.terms.insert(field.clone(), counted.collect());
    }
    numbers
}

impl Stored {
    /// Returns the words of a document.
    pub(crate) fn words_of(stored: &std::sync::Arc<Self>) -> &[String] {
        &stored.words
    }
}
