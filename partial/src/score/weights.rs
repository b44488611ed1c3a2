//! What a term adds to a document's canonical score, for all who know its frequency and length
//! there: a shard from its index, a root from posting lists.

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Similarities, Statistics};

use super::bm25::LengthNorms;
use super::model::Model;
use crate::EvaluationError;

/// A term of a text field under the request's numbers.
#[derive(Debug, Clone)]
pub struct TextWeight {
    /// boost · idf.
    weight: f64,
    norms: Arc<LengthNorms>,
}

impl TextWeight {
    /// Returns the weight of a term whose boost · idf is `weight`, in a field of these norms.
    pub fn new(weight: f64, norms: Arc<LengthNorms>) -> Self {
        Self { weight, norms }
    }

    /// Returns the score of a document that holds the term `frequency` times and whose field has
    /// this norm id.
    pub fn score(&self, frequency: f64, norm_id: u8) -> f64 {
        self.weight * self.norms.saturated(frequency, norm_id)
    }
}

/// The weights of a request's terms in one index.
pub struct TermWeights(Model);

impl TermWeights {
    /// Tabulates `statistics`, which hold the numbers of every term asked about, by the
    /// `similarities` of the index.
    pub fn new(statistics: Arc<Statistics>, similarities: &Similarities) -> Self {
        Self(Model::new(statistics, similarities))
    }

    /// Returns the weight of a term of a text field, its score multiplied by `boost`; `None` where no
    /// document has the field.
    ///
    /// # Errors
    /// [`EvaluationError::MissingStatistics`].
    pub fn of_text(
        &self,
        field: &FieldPath,
        term: &str,
        boost: f64,
    ) -> Result<Option<TextWeight>, EvaluationError> {
        let weight = boost * self.0.term(field, term)?.idf;
        let norms = self.0.norms(field);
        Ok(norms.map(|norms| TextWeight::new(weight, Arc::clone(norms))))
    }

    /// Returns the score of every document that holds a term of a keyword field, multiplied by
    /// `boost`.
    ///
    /// # Errors
    /// [`EvaluationError::MissingStatistics`].
    pub fn of_keyword(
        &self,
        field: &FieldPath,
        term: &str,
        boost: f64,
    ) -> Result<f64, EvaluationError> {
        Ok(boost * self.0.term(field, term)?.idf)
    }
}
