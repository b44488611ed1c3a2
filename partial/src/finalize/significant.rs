//! `significant_terms` and `significant_text`: scores of terms by their counts here and elsewhere.

use gleaner_query::aggregation::{Aggregation, Frequencies, SignificantTermsAggregation};
use gleaner_query::answer::AggregationValue;
use serde_json::Value;

use super::{Finalizer, mismatch};
use crate::error::EvaluationError;
use crate::key::{Key, ValueKind};
use crate::terms::{TermBucket, Terms};
use crate::{Bucket, Partial};

/// A term with what it is ordered by.
struct Scored<'a> {
    key: &'a Key,
    bucket: &'a Bucket,
    score: f64,
    /// Documents that it is compared with and that have it.
    superset: u64,
}

impl Finalizer<'_> {
    pub(super) fn significant(
        &mut self,
        request: &SignificantTermsAggregation,
        subset: &Bucket,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let none = Terms::default();
        let terms = match subset.sub.0.as_slice() {
            [Partial::Terms(terms)] => terms,
            [] => &none,
            _ => return Err(mismatch()),
        };
        let background = self.context.live_keys.background(request);
        if background.is_none() && !terms.buckets.is_empty() {
            return Err(EvaluationError::Internal(
                "[significant_terms] has nothing to compare its terms with".to_owned(),
            ));
        }
        let superset_size = background.map_or(0, |all| all.doc_count);
        let everywhere = background.and_then(|all| match all.sub.0.as_slice() {
            [Partial::Terms(terms)] => Some(terms),
            _ => None,
        });
        let mut scored = Vec::new();
        // Of a text only what is frequent enough was compared, and nothing where there was no time for it.
        let is_known = |term: &TermBucket| {
            let is_frequent = term.bucket.doc_count >= request.min_doc_count;
            request.text.is_none() || (is_frequent && everywhere.is_some())
        };
        for (key, term) in terms.buckets.iter().filter(|(_, term)| is_known(term)) {
            let found = everywhere.and_then(|terms| terms.buckets.get(key));
            let superset = found.map_or(0, |term| term.bucket.doc_count);
            let frequencies = Frequencies {
                subset: term.bucket.doc_count,
                subset_size: subset.doc_count,
                superset,
                superset_size,
            };
            let checked = request.significance.check(frequencies);
            checked.map_err(EvaluationError::Query)?;
            let score = request.significance.score(frequencies);
            if score > 0.0 && term.bucket.doc_count >= request.min_doc_count {
                scored.push(Scored {
                    key,
                    bucket: &term.bucket,
                    score,
                    superset,
                });
            }
        }
        // Keys ascend, and stay so where scores are equal.
        scored.sort_by(|a, b| b.score.total_cmp(&a.score));
        scored.truncate(request.size);
        let pairs: Vec<(&Key, &Bucket)> = scored.iter().map(|one| (one.key, one.bucket)).collect();
        let mut buckets = self.buckets_of_one_type(terms, &pairs, sub)?;
        for (bucket, one) in buckets.iter_mut().zip(&scored) {
            bucket.beside = vec![
                ("score", Value::from(one.score)),
                ("bg_count", Value::from(one.superset)),
            ];
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: false,
            terms: None,
            beside: vec![
                ("doc_count", Value::from(subset.doc_count)),
                ("bg_count", Value::from(superset_size)),
            ],
        })
    }
}

/// Returns the prefix for `typed_keys`: that of text where no index has the field, as of `terms`.
pub(super) fn type_name(partial: &Partial) -> &'static str {
    let Partial::Single(subset) = partial else {
        return "sigsterms";
    };
    match subset.sub.0.as_slice() {
        [Partial::Terms(terms)] => match terms.kind() {
            ValueKind::Unmapped | ValueKind::Keyword | ValueKind::Ip => "sigsterms",
            _ => "siglterms",
        },
        _ => "sigsterms",
    }
}
