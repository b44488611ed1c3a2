//! The request's numbers as scoring needs them, made once for all shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{FieldStatistics, Scalar, Similarities, Statistics};

use super::bm25::{self, LengthNorms};
use crate::EvaluationError;

/// Statistics of a request with what is derived from them.
pub struct Model {
    statistics: Arc<Statistics>,
    norms: BTreeMap<FieldPath, Arc<LengthNorms>>,
}

/// A weight with what it was made of, for explanations.
#[derive(Debug, Clone, Copy)]
pub struct TermNumbers {
    /// Documents that have the field.
    pub documents: u64,
    /// Documents that hold the term.
    pub matching: u64,
    /// Inverse document frequency.
    pub idf: f64,
}

impl Model {
    /// Tabulates `statistics` by the `similarities` of an index.
    pub fn new(statistics: Arc<Statistics>, similarities: &Similarities) -> Self {
        let tabulated = |(field, numbers): (&FieldPath, &FieldStatistics)| {
            let average = numbers.total_length as f64 / numbers.documents as f64;
            let is_usable = numbers.documents > 0 && numbers.total_length > 0;
            let norms = is_usable.then(|| LengthNorms::shared(similarities.of(field), average));
            Some((field.clone(), norms?))
        };
        let norms = statistics.fields.iter().filter_map(tabulated).collect();
        Self { statistics, norms }
    }

    /// Returns the numbers of a field.
    ///
    /// # Errors
    /// [`EvaluationError::MissingStatistics`] when the root did not send them.
    pub fn field(&self, field: &FieldPath) -> Result<FieldStatistics, EvaluationError> {
        let known = self.statistics.fields.get(field).copied();
        known.ok_or_else(|| EvaluationError::MissingStatistics {
            what: field.to_string(),
        })
    }

    /// Returns the length norms of a text field; `None` when no document has it.
    pub fn norms(&self, field: &FieldPath) -> Option<&Arc<LengthNorms>> {
        self.norms.get(field)
    }

    /// Returns the numbers of a term.
    ///
    /// # Errors
    /// [`EvaluationError::MissingStatistics`] when the root did not send them: a look at local numbers
    /// would make scores depend on the shard.
    pub fn term(&self, field: &FieldPath, term: &str) -> Result<TermNumbers, EvaluationError> {
        let documents = self.field(field)?.documents;
        let known = self
            .statistics
            .terms
            .get(field)
            .and_then(|terms| terms.get(term));
        let matching = *known.ok_or_else(|| EvaluationError::MissingStatistics {
            what: format!("{field}:{term}"),
        })?;
        Ok(TermNumbers {
            documents,
            matching,
            idf: bm25::idf(matching, documents),
        })
    }

    /// Returns what a value scores before any boost: the inverse document frequency of the term that
    /// a boolean is, 1 for others.
    ///
    /// # Errors
    /// As [`Model::term`].
    pub fn value(&self, field: &FieldPath, value: &Scalar) -> Result<f64, EvaluationError> {
        match value.scored_term() {
            Some(term) => Ok(self.term(field, term)?.idf),
            None => Ok(1.0),
        }
    }

    /// Returns the numbers of those terms of a phrase that it weighs by: alternatives that no document
    /// holds add nothing (Lucene, `MultiPhraseQuery.createWeight`).
    ///
    /// Each is an error as of [`Model::term`].
    pub fn phrase(
        &self,
        field: &FieldPath,
        positions: &[(u32, Vec<String>)],
    ) -> impl Iterator<Item = Result<TermNumbers, EvaluationError>> {
        let terms = positions.iter().flat_map(|(_, terms)| terms);
        let numbers = terms.map(move |term| self.term(field, term));
        numbers.filter(|numbers| !matches!(numbers, Ok(numbers) if numbers.matching == 0))
    }

    /// Returns the inverse document frequency of a phrase: the sum of [`Model::phrase`]'s, in order.
    ///
    /// # Errors
    /// As [`Model::term`].
    pub fn phrase_idf(
        &self,
        field: &FieldPath,
        positions: &[(u32, Vec<String>)],
    ) -> Result<f64, EvaluationError> {
        let mut idf = 0.0;
        for numbers in self.phrase(field, positions) {
            idf += numbers?.idf;
        }
        Ok(idf)
    }

    /// Returns the numbers of a group of terms that count as one: the largest document frequency.
    ///
    /// # Errors
    /// As [`Model::term`].
    pub fn group<'t>(
        &self,
        field: &FieldPath,
        terms: impl IntoIterator<Item = &'t String>,
    ) -> Result<TermNumbers, EvaluationError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_weighs_by_the_terms_that_documents_hold() {
        let field = FieldPath::new("text");
        let numbers = FieldStatistics {
            documents: 10,
            total_length: 50,
        };
        let terms = [("red", 3), ("car", 2), ("auto", 0)];
        let terms = terms.map(|(term, matching)| (term.to_owned(), matching));
        let statistics = Arc::new(Statistics {
            fields: BTreeMap::from([(field.clone(), numbers)]),
            terms: BTreeMap::from([(field.clone(), BTreeMap::from(terms))]),
            totals: BTreeMap::new(),
        });
        let model = Model::new(statistics, &Similarities::default());
        let phrase = |second: &[&str]| {
            let second = second.iter().map(|&term| term.to_owned()).collect();
            model.phrase_idf(&field, &[(0, vec!["red".to_owned()]), (1, second)])
        };
        let alone = bm25::idf(3, 10) + bm25::idf(2, 10);
        assert_eq!(phrase(&["car"]).unwrap(), alone);
        assert_eq!(phrase(&["auto", "car"]).unwrap(), alone);
        assert!(phrase(&["car", "unknown"]).is_err());
    }
}
