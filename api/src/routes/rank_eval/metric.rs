//! The metrics of `_rank_eval`.
//!
//! Precision and recall at k; mean reciprocal rank; discounted cumulative gain with exponential gain (Burges et al.,
//! 2005), normalized by the best order of the rated documents; expected reciprocal rank (Chapelle et al., 2009).

use gleaner_query::json::ObjectReader;
use serde_json::{Value, json};

use crate::error::ApiError;

/// Documents that are looked at unless `k` says otherwise.
const DEFAULT_K: u64 = 10;

/// Largest rating whose gain is computed: 2^1,000 still is a number.
const MAX_RATING: i64 = 1_000;

/// A metric with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Metric {
    Precision {
        k: u64,
        relevant_from: i64,
        ignore_unlabeled: bool,
    },
    Recall {
        k: u64,
        relevant_from: i64,
    },
    ReciprocalRank {
        k: u64,
        relevant_from: i64,
    },
    Dcg {
        k: u64,
        normalize: bool,
        unknown: Option<i64>,
    },
    ExpectedReciprocalRank {
        k: u64,
        maximum: i64,
        unknown: Option<i64>,
    },
}

/// The hits of a search with what they are worth.
#[derive(Debug)]
pub(super) struct Judged {
    /// The rating of each hit, in their order; `None` where nobody judged it.
    pub(super) ranks: Vec<Option<i64>>,
    /// All ratings of the search.
    pub(super) ratings: Vec<i64>,
}

/// What a metric says of one search.
#[derive(Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) score: f64,
    pub(super) details: Value,
}

impl Metric {
    /// Reads `{"precision": {"k": 20}}`.
    ///
    /// # Errors
    /// Not one metric; one that is not known; parameters out of their ranges.
    pub(super) fn parse(value: &Value) -> Result<Self, ApiError> {
        let entries = value.as_object().filter(|entries| entries.len() == 1);
        let Some((name, value)) = entries.and_then(|entries| entries.iter().next()) else {
            return Err(ApiError::parse(
                "[metric] must be an object with one metric",
            ));
        };
        let mut reader = ObjectReader::part(name, value)?;
        let k = reader.count("k")?.unwrap_or(DEFAULT_K);
        if k == 0 {
            return Err(ApiError::illegal(format!(
                "[{name}] [k] must be larger than 0"
            )));
        }
        let metric = match name.as_str() {
            "precision" => Self::Precision {
                k,
                relevant_from: relevant_from(&mut reader)?,
                ignore_unlabeled: reader.boolean("ignore_unlabeled")?.unwrap_or(false),
            },
            "recall" => Self::Recall {
                k,
                relevant_from: relevant_from(&mut reader)?,
            },
            "mean_reciprocal_rank" => Self::ReciprocalRank {
                k,
                relevant_from: relevant_from(&mut reader)?,
            },
            "dcg" => Self::Dcg {
                k,
                normalize: reader.boolean("normalize")?.unwrap_or(false),
                unknown: reader.integer("unknown_doc_rating")?,
            },
            "expected_reciprocal_rank" => {
                let maximum = reader.integer("maximum_relevance")?;
                let maximum = maximum.filter(|maximum| (0..=MAX_RATING).contains(maximum));
                Self::ExpectedReciprocalRank {
                    k,
                    maximum: maximum.ok_or_else(|| {
                        ApiError::illegal(format!(
                            "[{name}] needs [maximum_relevance], from 0 to {MAX_RATING}"
                        ))
                    })?,
                    unknown: reader.integer("unknown_doc_rating")?,
                }
            }
            other => return Err(ApiError::parse(format!("[metric] unknown field [{other}]"))),
        };
        match reader.rest().next() {
            Some((key, _)) => Err(ApiError::parse(format!("[{name}] unknown field [{key}]"))),
            None => Ok(metric),
        }
    }

    /// Returns the name in the dialect.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Precision { .. } => "precision",
            Self::Recall { .. } => "recall",
            Self::ReciprocalRank { .. } => "mean_reciprocal_rank",
            Self::Dcg { .. } => "dcg",
            Self::ExpectedReciprocalRank { .. } => "expected_reciprocal_rank",
        }
    }

    /// Returns how many hits it looks at.
    pub(super) fn window(&self) -> u64 {
        let (Self::Precision { k, .. }
        | Self::Recall { k, .. }
        | Self::ReciprocalRank { k, .. }
        | Self::Dcg { k, .. }
        | Self::ExpectedReciprocalRank { k, .. }) = self;
        *k
    }

    /// Returns the figure of one search.
    pub(super) fn score(&self, judged: &Judged) -> Figure {
        let is_relevant =
            |from: i64| move |rating: &&Option<i64>| rating.is_some_and(|rating| rating >= from);
        match *self {
            Self::Precision {
                relevant_from,
                ignore_unlabeled,
                ..
            } => {
                let relevant = judged
                    .ranks
                    .iter()
                    .filter(is_relevant(relevant_from))
                    .count();
                let counted = judged
                    .ranks
                    .iter()
                    .filter(|rating| rating.is_some() || !ignore_unlabeled);
                let retrieved = counted.count();
                Figure {
                    score: ratio(relevant, retrieved),
                    details: json!({"relevant_docs_retrieved": relevant, "docs_retrieved": retrieved}),
                }
            }
            Self::Recall { relevant_from, .. } => {
                let found = judged
                    .ranks
                    .iter()
                    .filter(is_relevant(relevant_from))
                    .count();
                let relevant = judged
                    .ratings
                    .iter()
                    .filter(|rating| **rating >= relevant_from)
                    .count();
                Figure {
                    score: ratio(found, relevant),
                    details: json!({"relevant_docs_retrieved": found, "relevant_docs": relevant}),
                }
            }
            Self::ReciprocalRank { relevant_from, .. } => {
                let is_relevant =
                    |rating: &Option<i64>| rating.is_some_and(|rating| rating >= relevant_from);
                let first = judged.ranks.iter().position(is_relevant).map(|at| at + 1);
                Figure {
                    score: first.map_or(0.0, |first| 1.0 / first as f64),
                    details: json!({"first_relevant": first.map_or(-1, |first| first as i64)}),
                }
            }
            Self::Dcg {
                normalize, unknown, ..
            } => dcg(judged, normalize, unknown),
            Self::ExpectedReciprocalRank {
                maximum, unknown, ..
            } => {
                let unrated = unrated(judged);
                Figure {
                    score: expected_reciprocal_rank(judged, maximum, unknown),
                    details: json!({"unrated_docs": unrated}),
                }
            }
        }
    }
}

fn relevant_from(reader: &mut ObjectReader<'_>) -> Result<i64, ApiError> {
    let from = reader.integer("relevant_rating_threshold")?.unwrap_or(1);
    if from < 0 {
        return Err(ApiError::illegal(
            "Relevant rating threshold for precision must be positive integer.",
        ));
    }
    Ok(from)
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn unrated(judged: &Judged) -> usize {
    judged
        .ranks
        .iter()
        .filter(|rating| rating.is_none())
        .count()
}

/// The gain of a rating.
fn gain(rating: i64) -> f64 {
    2_f64.powi(rating.clamp(-MAX_RATING, MAX_RATING) as i32) - 1.0
}

fn dcg(judged: &Judged, normalize: bool, unknown: Option<i64>) -> Figure {
    let of = |ratings: &mut dyn Iterator<Item = Option<i64>>| -> f64 {
        let gains = ratings.zip(1_u32..).map(|(rating, rank)| {
            let gain = rating.or(unknown).map_or(0.0, gain);
            gain / f64::from(rank + 1).log2()
        });
        // The sum of no fractions is -0.
        gains.sum::<f64>() + 0.0
    };
    let own = of(&mut judged.ranks.iter().copied());
    let unrated = unrated(judged);
    if !normalize {
        return Figure {
            score: own,
            details: json!({"dcg": own, "unrated_docs": unrated}),
        };
    }
    // The best order is one of as many documents as were found (Elasticsearch, `DiscountedCumulativeGain.evaluate`).
    let mut best = judged.ratings.clone();
    best.sort_unstable_by(|a, b| b.cmp(a));
    best.truncate(judged.ranks.len());
    let ideal = of(&mut best.into_iter().map(Some));
    let score = if ideal > 0.0 { own / ideal } else { 0.0 };
    Figure {
        score,
        details: json!({"dcg": own, "ideal_dcg": ideal, "normalized_dcg": score, "unrated_docs": unrated}),
    }
}

fn expected_reciprocal_rank(judged: &Judged, maximum: i64, unknown: Option<i64>) -> f64 {
    let most = 2_f64.powi(maximum as i32);
    let (mut not_yet, mut score) = (1.0, 0.0);
    for (rating, rank) in judged.ranks.iter().zip(1_u32..) {
        let Some(rating) = rating.or(unknown) else {
            continue;
        };
        let satisfies = gain(rating.min(maximum)) / most;
        score += not_yet * satisfies / f64::from(rank);
        not_yet *= 1.0 - satisfies;
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(metric: &Value, ranks: &[Option<i64>], ratings: &[i64]) -> f64 {
        let judged = Judged {
            ranks: ranks.to_vec(),
            ratings: ratings.to_vec(),
        };
        Metric::parse(metric)
            .expect("a metric")
            .score(&judged)
            .score
    }

    fn is_near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found}, not {wanted}");
    }

    #[test]
    fn figures_are_those_of_the_textbooks() {
        let ranks = [Some(3), Some(2), Some(3), None, Some(1), Some(2)];
        let ratings = [3, 2, 3, 1, 2, 0];
        is_near(
            score(
                &json!({"precision": {"relevant_rating_threshold": 2}}),
                &ranks,
                &ratings,
            ),
            4.0 / 6.0,
        );
        is_near(
            score(
                &json!({"precision": {"ignore_unlabeled": true}}),
                &ranks,
                &ratings,
            ),
            1.0,
        );
        is_near(
            score(&json!({"recall": {"k": 2}}), &ranks[..2], &ratings),
            2.0 / 5.0,
        );
        is_near(
            score(
                &json!({"mean_reciprocal_rank": {}}),
                &[None, Some(0), Some(1)],
                &[1],
            ),
            1.0 / 3.0,
        );
        let dcg = 7.0 + 3.0 / 3_f64.log2() + 7.0 / 2.0 + 1.0 / 6_f64.log2() + 3.0 / 7_f64.log2();
        is_near(score(&json!({"dcg": {}}), &ranks, &ratings), dcg);
        let ideal = 7.0 + 7.0 / 3_f64.log2() + 3.0 / 2.0 + 3.0 / 5_f64.log2() + 1.0 / 6_f64.log2();
        is_near(
            score(&json!({"dcg": {"normalize": true}}), &ranks, &ratings),
            dcg / ideal,
        );
        let err = 7.0 / 8.0 + (1.0 / 8.0) * (3.0 / 8.0) / 2.0;
        is_near(
            score(
                &json!({"expected_reciprocal_rank": {"maximum_relevance": 3}}),
                &ranks[..2],
                &ratings,
            ),
            err,
        );
        is_near(
            score(&json!({"dcg": {"normalize": true}}), &[None], &[]),
            0.0,
        );
        let of_nothing = score(&json!({"dcg": {}}), &[], &[]);
        assert_eq!(of_nothing.to_bits(), 0_f64.to_bits());
    }

    #[test]
    fn the_best_order_is_of_rated_documents_alone_and_as_long_as_the_hits() {
        let normalized = json!({"dcg": {"normalize": true}});
        is_near(score(&normalized, &[Some(1)], &[1, 2]), 1.0 / 3.0);
        let (second, third) = (1.0 / 3_f64.log2(), 1.0 / 2.0);
        let ideal = 7.0 + 3.0 * second;
        let unknown = json!({"dcg": {"normalize": true, "unknown_doc_rating": 1}});
        let ranks = [None, Some(2), Some(3)];
        let found = 1.0 + 3.0 * second + 7.0 * third;
        is_near(score(&unknown, &ranks, &[3, 2]), found / ideal);
    }

    #[test]
    fn what_is_no_metric_is_refused() {
        for bad in [
            json!({}),
            json!({"precision": {}, "recall": {}}),
            json!({"best": {}}),
            json!({"precision": {"k": 0}}),
            json!({"precision": {"kk": 1}}),
            json!({"recall": {"relevant_rating_threshold": -1}}),
            json!({"expected_reciprocal_rank": {}}),
        ] {
            assert!(Metric::parse(&bad).is_err(), "{bad}");
        }
    }
}
