//! `terms`, `rare_terms`, `range`, `filters`: buckets with keys of their own.

use gleaner_query::aggregation::{
    Aggregation, AggregationKind, BucketOrder, RangeAggregation, RareTermsAggregation,
    TermsAggregation,
};
use gleaner_query::answer::{AggregationValue, Bucket as Answer, BucketKey, TermsTotals};

use super::format::{bound_text, bucket_key, key_of_type, key_text, number_text};
use super::{Finalizer, mismatch, order};
use crate::error::EvaluationError;
use crate::key::{Key, ValueFormat, ValueKind};
use crate::request::bounds;
use crate::terms::Terms;
use crate::{Bucket, RangeBucket, Ranges};

impl Finalizer<'_> {
    pub(super) fn terms(
        &mut self,
        request: &TermsAggregation,
        terms: &Terms,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let terms = &*self.context.live_keys.fill(request, terms)?;
        let enough = |bucket: &Bucket| bucket.doc_count >= request.min_doc_count;
        let pairs = terms.buckets.iter().map(|(key, term)| (key, &term.bucket));
        // Rare keys count with the others: of those that are not listed nobody knows which are rare.
        let rare = pairs.clone().filter(|(_, b)| !enough(b));
        let num_rare: u64 = rare.map(|(_, b)| b.doc_count).sum();
        let mut candidates: Vec<(&Key, &Bucket)> = pairs.filter(|(_, b)| enough(b)).collect();
        let by_count = [(BucketOrder::Count, true)];
        let asked = if request.order.is_empty() {
            &by_count[..]
        } else {
            &request.order
        };
        order::sort(&mut candidates, asked, sub)?;
        let (winners, others) = candidates.split_at(request.size.min(candidates.len()));
        let sum_other = others
            .iter()
            .fold(terms.unlisted + num_rare, |sum, (_, b)| sum + b.doc_count);
        Ok(AggregationValue::Buckets {
            buckets: self.keyed_buckets(&terms.format, winners, sub)?,
            keyed: false,
            terms: Some(TermsTotals {
                // 0 as a rule; else shards could not be asked again.
                error_upper_bound: terms.open_bound(request),
                sum_other,
                show_error: request.show_term_doc_count_error,
            }),
            beside: Vec::new(),
        })
    }

    pub(super) fn rare_terms(
        &mut self,
        request: &RareTermsAggregation,
        terms: &Terms,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let pairs = terms.buckets.iter().map(|(key, term)| (key, &term.bucket));
        let mut rare: Vec<(&Key, &Bucket)> = pairs
            .filter(|(_, bucket)| bucket.doc_count <= request.max_doc_count)
            .collect();
        rare.sort_by_key(|(_, bucket)| bucket.doc_count);
        Ok(AggregationValue::Buckets {
            buckets: self.buckets_of_one_type(terms, &rare, sub)?,
            keyed: false,
            terms: None,
            beside: Vec::new(),
        })
    }

    /// Finishes buckets in the order given, whose keys clients read as one type, whatever the types of the
    /// field are in several indices.
    pub(super) fn buckets_of_one_type(
        &mut self,
        terms: &Terms,
        buckets: &[(&Key, &Bucket)],
        sub: &[Aggregation],
    ) -> Result<Vec<Answer>, EvaluationError> {
        let kind = terms.kind();
        let mut finished = self.keyed_buckets(&terms.format, buckets, sub)?;
        for (answer, (key, _)) in finished.iter_mut().zip(buckets) {
            answer.key = key_of_type(kind, &terms.format, key);
        }
        Ok(finished)
    }

    /// Finishes buckets in the order given.
    pub(super) fn keyed_buckets(
        &mut self,
        format: &ValueFormat,
        buckets: &[(&Key, &Bucket)],
        sub: &[Aggregation],
    ) -> Result<Vec<Answer>, EvaluationError> {
        self.count_buckets(buckets.len())?;
        let mut finished = Vec::with_capacity(buckets.len());
        for (key, bucket) in buckets {
            finished.push(Answer {
                key: bucket_key(key),
                key_as_string: key_text(format, key),
                doc_count: bucket.doc_count,
                beside: Vec::new(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(finished)
    }

    pub(super) fn ranges(
        &mut self,
        request: &RangeAggregation,
        partial: &Ranges,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let mut format = partial.format.clone();
        if request.is_date {
            format.kind = ValueKind::Date;
        }
        let unmapped;
        let ranges = if partial.ranges.is_empty() {
            unmapped = bounds::ranges(request, &format, self.context.now_ms)?;
            &unmapped
        } else {
            &partial.ranges
        };
        if ranges.len() != request.ranges.len() {
            return Err(mismatch());
        }
        self.count_buckets(ranges.len())?;
        let mut keyed: Vec<_> = request
            .ranges
            .iter()
            .map(|r| r.key.as_deref())
            .zip(ranges)
            .collect();
        keyed.sort_by(|(_, a), (_, b)| compare_bounds(a, b));
        let mut buckets = Vec::with_capacity(keyed.len());
        for (key, range) in keyed {
            buckets.push(self.range(&format, key, range, sub)?);
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: request.keyed,
            terms: None,
            beside: Vec::new(),
        })
    }

    fn range(
        &mut self,
        format: &ValueFormat,
        key: Option<&str>,
        range: &RangeBucket,
        sub: &[Aggregation],
    ) -> Result<Answer, EvaluationError> {
        let text = |bound: Option<f64>| match bound {
            Some(bound) => bound_text(format, bound),
            None => "*".to_owned(),
        };
        let shown = |bound: f64| (bound, number_text(format, bound));
        let made = || format!("{}-{}", text(range.from), text(range.to));
        Ok(Answer {
            key: BucketKey::Range {
                key: key.map_or_else(made, str::to_owned),
                from: range.from.map(shown),
                to: range.to.map(shown),
            },
            key_as_string: None,
            doc_count: range.bucket.doc_count,
            beside: Vec::new(),
            sub: self.list(&range.bucket.sub, sub)?,
        })
    }

    pub(super) fn filters(
        &mut self,
        kind: &AggregationKind,
        partials: &[Bucket],
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let AggregationKind::Filters {
            filters,
            is_keyed,
            is_listed,
            other_bucket,
        } = kind
        else {
            return Err(mismatch());
        };
        self.count_buckets(partials.len())?;
        let keys = filters.iter().map(|(key, _)| key).chain(other_bucket);
        let mut buckets = Vec::with_capacity(partials.len());
        for (key, bucket) in keys.zip(partials) {
            buckets.push(Answer {
                key: if *is_keyed {
                    BucketKey::Text(key.clone())
                } else {
                    BucketKey::Unnamed(key.clone())
                },
                key_as_string: None,
                doc_count: bucket.doc_count,
                beside: Vec::new(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: *is_keyed && !*is_listed,
            terms: None,
            beside: Vec::new(),
        })
    }
}

fn compare_bounds(a: &RangeBucket, b: &RangeBucket) -> std::cmp::Ordering {
    let from = |range: &RangeBucket| range.from.unwrap_or(f64::NEG_INFINITY);
    let to = |range: &RangeBucket| range.to.unwrap_or(f64::INFINITY);
    from(a)
        .total_cmp(&from(b))
        .then_with(|| to(a).total_cmp(&to(b)))
}
