//! The request's numbers as scoring needs them, made once for all shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{FieldStatistics, Statistics};

use super::bm25::{self, LengthNorms};
use crate::EngineError;

/// Statistics of a request with what is derived from them.
pub(crate) struct Model {
    statistics: Arc<Statistics>,
    norms: BTreeMap<FieldPath, Arc<LengthNorms>>,
}

/// A weight with what it was made of, for explanations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TermNumbers {
    /// Documents that have the field.
    pub(crate) documents: u64,
    /// Documents that hold the term.
    pub(crate) matching: u64,
    /// Inverse document frequency.
    pub(crate) idf: f64,
}

impl Model {
    /// Tabulates `statistics`.
    pub(crate) fn new(statistics: Arc<Statistics>) -> Self {
        let tabulated = |numbers: &FieldStatistics| {
            let average = numbers.total_length as f64 / numbers.documents as f64;
            let is_usable = numbers.documents > 0 && numbers.total_length > 0;
            is_usable.then(|| LengthNorms::shared(average))
        };
        let norms = statistics
            .fields
            .iter()
            .filter_map(|(field, numbers)| Some((field.clone(), tabulated(numbers)?)))
            .collect();
        Self { statistics, norms }
    }

    /// Returns the numbers of a field.
    ///
    /// # Errors
    /// [`EngineError::MissingStatistics`] when the root did not send them.
    pub(crate) fn field(&self, field: &FieldPath) -> Result<FieldStatistics, EngineError> {
        let known = self.statistics.fields.get(field).copied();
        known.ok_or_else(|| EngineError::MissingStatistics {
            what: field.to_string(),
        })
    }

    /// Returns the length norms of a text field; `None` when no document has it.
    pub(crate) fn norms(&self, field: &FieldPath) -> Option<&Arc<LengthNorms>> {
        self.norms.get(field)
    }

    /// Returns the numbers of a term.
    ///
    /// # Errors
    /// [`EngineError::MissingStatistics`] when the root did not send them: a look at local numbers
    /// would make scores depend on the shard.
    pub(crate) fn term(&self, field: &FieldPath, term: &str) -> Result<TermNumbers, EngineError> {
        let documents = self.field(field)?.documents;
        let known = self
            .statistics
            .terms
            .get(field)
            .and_then(|terms| terms.get(term));
        let matching = *known.ok_or_else(|| EngineError::MissingStatistics {
            what: format!("{field}:{term}"),
        })?;
        Ok(TermNumbers {
            documents,
            matching,
            idf: bm25::idf(matching, documents),
        })
    }

    /// Returns the numbers of a group of terms that count as one: the largest document frequency.
    ///
    /// # Errors
    /// As [`Model::term`].
    pub(crate) fn group<'t>(
        &self,
        field: &FieldPath,
        terms: impl IntoIterator<Item = &'t String>,
    ) -> Result<TermNumbers, EngineError> {
        let documents = self.field(field)?.documents;
        let mut matching = 0;
        for term in terms {
            matching = matching.max(self.term(field, term)?.matching);
        }
        Ok(TermNumbers {
            documents,
            matching,
            idf: bm25::idf(matching, documents),
        })
    }
}
