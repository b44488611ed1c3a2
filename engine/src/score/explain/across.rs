//! Scores of one text over several fields: `combined_fields` and `cross_fields`.

use gleaner_query::answer::Explanation;
use gleaner_query::resolved::{Blend, Clause};

use super::{Explainer, factors, idf_of, tf_of};
use crate::EngineError;
use crate::score::across::{Combined, alike, common};

impl Explainer<'_> {
    /// Explains a [`Clause::Across`] that matches.
    pub(super) fn across(
        &self,
        clause: &Clause,
        boost: f64,
    ) -> Result<(String, Vec<Explanation>), EngineError> {
        let Clause::Across {
            clauses,
            weights,
            blend,
        } = clause
        else {
            return Err(EngineError::internal("not of several fields"));
        };
        let share = match blend {
            Blend::OneField => return self.as_one_field(clause, clauses, weights, boost),
            Blend::Best(share) => share,
        };
        let idf = idf_of(common(&self.scope, clauses)?);
        let cursors = alike(&self.scope, self.reader, clauses, weights, boost)?;
        let mut details = Vec::with_capacity(clauses.len());
        for ((clause, weight), mut cursor) in clauses.iter().zip(weights).zip(cursors) {
            let (Some(score), Some((field, terms))) = (cursor.score(self.doc), clause.terms())
            else {
                continue;
            };
            let factors = factors(boost * f64::from(*weight), [idf.clone()]);
            let frequency = cursor.frequency(self.doc);
            let (description, details_of_field) =
                self.weight(field, &terms.join(" "), factors, frequency);
            details.push(Explanation {
                value: score as f32,
                description,
                details: details_of_field,
            });
        }
        Ok((format!("max plus {share} times others of:"), details))
    }

    /// Explains fields that score as if they were one.
    fn as_one_field(
        &self,
        clause: &Clause,
        clauses: &[Clause],
        weights: &[f32],
        boost: f64,
    ) -> Result<(String, Vec<Explanation>), EngineError> {
        let mut details = factors(boost, [idf_of(common(&self.scope, clauses)?)]);
        let combined = Combined::open(&self.scope, self.reader, clauses, weights, boost)?;
        let mut gain = 1.0;
        if let Some(mut combined) = combined {
            let (similarity, average) = combined.parameters();
            let (frequency, length) = combined.numbers(self.doc);
            details.push(tf_of(frequency, length, similarity, average));
            gain = similarity.gain();
        }
        let description =
            format!("weight({clause}) [BM25 of the fields as one], boost * idf * {gain} * tf of:");
        Ok((description, details))
    }
}
