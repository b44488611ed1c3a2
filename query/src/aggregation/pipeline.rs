//! Aggregations made of the results of others, at the root, when all of those are merged.
//!
//! Source: Elasticsearch reference, *Pipeline aggregations*.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{BucketLength, RateUnit};

/// A named pipeline aggregation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// Name under which its result is returned.
    pub name: String,
    /// What it computes.
    pub kind: PipelineKind,
    /// Format of its numbers.
    pub format: Option<String>,
    /// What a bucket without a value counts as.
    pub gaps: GapPolicy,
    /// Returned as given.
    pub meta: Option<Value>,
}

/// What a pipeline aggregation computes: of the buckets beside it (siblings), or in each bucket of the
/// aggregation that it is in (parents).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum PipelineKind {
    /// One result of the numbers in all buckets of an aggregation beside it.
    Buckets {
        /// What of the numbers.
        summary: BucketSummary,
        /// Where they are.
        path: BucketPath,
    },
    /// The number's difference from that in the bucket before.
    Derivative {
        /// Where it is.
        path: BucketPath,
        /// The difference is shown for each of these, too; dates only.
        unit: Option<Duration>,
    },
    /// The sum of the number up to the bucket.
    CumulativeSum {
        /// Where it is.
        path: BucketPath,
    },
    /// A function of the numbers in the buckets around.
    MovingFunction {
        /// Where they are.
        path: BucketPath,
        /// Buckets that count, ≥ 1.
        window: usize,
        /// How far the window is moved towards later buckets; at 0 it ends before the bucket.
        shift: i64,
        /// Numbers that the function needs: of fewer it is 0.
        fewest: usize,
        /// The function.
        function: MovingFunction,
    },
    /// The number's difference from that some buckets before.
    SerialDifference {
        /// Where it is.
        path: BucketPath,
        /// How many buckets before, ≥ 1.
        lag: usize,
    },
    /// The number in relation to those of the other buckets.
    Normalize {
        /// Where it is.
        path: BucketPath,
        /// The relation.
        method: NormalizeMethod,
    },
    /// The number by the time that the bucket takes.
    Rate {
        /// Where it is: the count of documents, or a metric that is not shown.
        path: BucketPath,
        /// The unit of time; `None` is the bucket.
        unit: Option<RateUnit>,
        /// How long buckets are; `None` until their histogram is read.
        length: Option<BucketLength>,
    },
    /// An arithmetic expression of several numbers.
    Script(BucketScript),
    /// Buckets for which an expression does not hold are left out.
    Selector(BucketScript),
    /// Buckets in another order, and some of them.
    Sort {
        /// By which numbers, with whether they descend; empty keeps the order.
        keys: Vec<(BucketPath, bool)>,
        /// Buckets to leave out at the start.
        from: usize,
        /// Buckets to keep; `None` is all.
        size: Option<usize>,
    },
}

/// An expression of the numbers in a bucket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BucketScript {
    /// Names of the numbers, and where they are.
    pub paths: Vec<(String, BucketPath)>,
    /// The expression.
    pub source: String,
    /// Numbers that are the same in all buckets, by name.
    pub params: Vec<(String, f64)>,
    /// Whether it is one of Lucene, where numbers other than 0 hold.
    pub is_lucene: bool,
}

/// What is made of the numbers in several buckets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum BucketSummary {
    /// Their mean.
    Avg,
    /// The largest, with the keys of its buckets.
    Max,
    /// The smallest, with the keys of its buckets.
    Min,
    /// Their sum.
    Sum,
    /// All of these.
    Stats,
    /// These with variance and deviation.
    ExtendedStats {
        /// Deviations between the mean and the bounds.
        sigma: f64,
    },
    /// Percentiles: the nearest of the numbers.
    Percentiles {
        /// Percents, 0 to 100.
        percents: Vec<f64>,
        /// Whether the result is an object.
        keyed: bool,
    },
}

/// What a bucket without a value counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum GapPolicy {
    /// It is left out.
    #[default]
    Skip,
    /// It has 0.
    InsertZeros,
    /// It is left out only if it has no number; a bucket without documents may have one.
    KeepValues,
}

/// Functions of `moving_fn`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum MovingFunction {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The sum.
    Sum,
    /// The standard deviation.
    StdDev,
    /// The mean.
    UnweightedAvg,
    /// The mean, weighted by position.
    LinearWeightedAvg,
    /// Exponentially weighted mean.
    Ewma {
        /// How much a newer value counts, 0 to 1.
        alpha: f64,
    },
    /// Double exponential smoothing.
    Holt {
        /// How much a newer value counts.
        alpha: f64,
        /// How much a newer trend counts.
        beta: f64,
    },
    /// Triple exponential smoothing, of numbers that repeat themselves.
    HoltWinters {
        /// How much a newer value counts.
        alpha: f64,
        /// How much a newer trend counts.
        beta: f64,
        /// How much a newer season counts.
        gamma: f64,
        /// Numbers of a season, ≥ 1.
        period: usize,
        /// Whether seasons multiply the numbers; else they are added.
        is_multiplicative: bool,
    },
}

/// What `normalize` relates a number to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NormalizeMethod {
    /// 0 for the smallest, 1 for the largest.
    Rescale01,
    /// 0 for the smallest, 100 for the largest.
    Rescale0100,
    /// Its share of the sum.
    PercentOfSum,
    /// Its distance from the mean, by the whole range.
    Mean,
    /// Its distance from the mean, by the deviation.
    ZScore,
    /// Its exponential by the sum of all.
    Softmax,
}

/// Where a number is: `by_month>sales.avg`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BucketPath {
    /// As it was written.
    pub text: String,
    /// Aggregations from the outside in, with the key of the one bucket that counts.
    pub steps: Vec<PathStep>,
    /// What of the last one: `avg` of `stats`, a percent, `_count`, `_key`; `None` is its only number.
    pub property: Option<String>,
}

/// One aggregation on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathStep {
    /// Its name.
    pub name: String,
    /// The only bucket that counts: `by_tag['red']`.
    pub bucket: Option<String>,
}

impl PipelineKind {
    /// Returns whether it computes one result of the buckets beside it.
    pub fn is_sibling(&self) -> bool {
        matches!(self, Self::Buckets { .. })
    }

    /// Returns where its numbers are.
    pub fn paths(&self) -> Vec<&BucketPath> {
        match self {
            Self::Buckets { path, .. }
            | Self::Derivative { path, .. }
            | Self::CumulativeSum { path }
            | Self::MovingFunction { path, .. }
            | Self::SerialDifference { path, .. }
            | Self::Rate { path, .. }
            | Self::Normalize { path, .. } => vec![path],
            Self::Script(script) | Self::Selector(script) => {
                script.paths.iter().map(|(_, path)| path).collect()
            }
            Self::Sort { keys, .. } => keys.iter().map(|(path, _)| path).collect(),
        }
    }
}
