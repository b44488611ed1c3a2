//! Queries that score by functions of a document: `function_score`, `distance_feature`, `rank_feature`.
//!
//! Source: Elasticsearch reference, *Function score query*, *Distance feature query*, *Rank feature query*.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Query;
use crate::sort_mode::SortMode;

/// `function_score`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionScoreQuery {
    /// What must match.
    pub query: Box<Query>,
    /// The functions, each of the documents that its filter matches.
    pub functions: Vec<FilteredFunction>,
    /// How the functions are combined.
    pub score_mode: ScoreMode,
    /// How what they give is combined with the query's score.
    pub boost_mode: BoostMode,
    /// The functions give no more than this.
    pub max_boost: f32,
    /// Documents that score less do not match.
    pub min_score: Option<f32>,
    /// Factor on the query's score, which `boost_mode` combines with the functions.
    pub boost: f32,
}

/// One function of `function_score`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilteredFunction {
    /// Which documents it is for; `None` is all.
    pub filter: Option<Query>,
    /// Factor on it; `None` is 1.
    pub weight: Option<f32>,
    /// What it computes; `None` is 1.
    pub function: Option<ScoreFunction>,
}

/// How several functions become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ScoreMode {
    /// Their product.
    #[default]
    Multiply,
    /// Their sum.
    Sum,
    /// Their mean, weighted.
    Avg,
    /// The first whose filter matches.
    First,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// How the functions' number and the query's score become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BoostMode {
    /// Their product.
    #[default]
    Multiply,
    /// The functions' number alone.
    Replace,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

/// A function of a document as the client wrote it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum ScoreFunction {
    /// `field_value_factor`.
    FieldValue(FieldValueFactor),
    /// `random_score`.
    Random {
        /// Documents have equal numbers under equal seeds; `None` draws one for the request.
        seed: Option<u64>,
        /// Documents of equal values have equal numbers; `None` goes by `_id`.
        field: Option<String>,
    },
    /// `gauss`, `exp` and `linear`.
    Decay(DecayFunction),
}

/// `field_value_factor`: modifier(factor × value).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldValueFactor {
    /// A field of numbers.
    pub field: String,
    /// Factor on the value; default 1.
    pub factor: f64,
    /// Applied to the product.
    pub modifier: Modifier,
    /// Value of documents that have none; `None` refuses them.
    pub missing: Option<f64>,
}

/// What is made of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Modifier {
    /// Nothing.
    #[default]
    None,
    /// Common logarithm.
    Log,
    /// Common logarithm of the value + 1.
    Log1p,
    /// Common logarithm of the value + 2.
    Log2p,
    /// Natural logarithm.
    Ln,
    /// Natural logarithm of the value + 1.
    Ln1p,
    /// Natural logarithm of the value + 2.
    Ln2p,
    /// Its square.
    Square,
    /// Its square root.
    Sqrt,
    /// 1 / value.
    Reciprocal,
}

/// `gauss`, `exp` and `linear`: 1 at the origin, less the farther a value is from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecayFunction {
    /// A field of numbers or dates.
    pub field: String,
    /// How the function falls.
    pub shape: DecayShape,
    /// Where it is 1; dates only: `None` is the request's time.
    pub origin: Option<Value>,
    /// At which distance from origin and offset it is `decay`.
    pub scale: Value,
    /// Up to which distance it is 1; `None` is 0.
    pub offset: Option<Value>,
    /// Its value at the scale, above 0 and below 1; default 0.5.
    pub decay: f64,
    /// Which distance of several values counts; default the smallest.
    pub mode: SortMode,
}

/// How a decay function falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecayShape {
    /// As a bell.
    Gauss,
    /// Exponentially.
    Exp,
    /// Along a line, down to 0.
    Linear,
}

/// `distance_feature`: boost × pivot / (pivot + distance).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DistanceFeatureQuery {
    /// A field of dates.
    pub field: String,
    /// From where distances are measured.
    pub origin: Value,
    /// The distance that scores half.
    pub pivot: String,
    /// Factor on the score.
    pub boost: f32,
}

/// `rank_feature`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankFeatureQuery {
    /// A `rank_feature` field.
    pub field: String,
    /// What is made of its value.
    pub curve: FeatureCurve,
    /// Factor on the score.
    pub boost: f32,
}

/// What a feature's value v scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FeatureCurve {
    /// v / (v + pivot).
    Saturation {
        /// The value that scores half, > 0.
        pivot: f64,
    },
    /// v^exponent / (v^exponent + m^exponent), where m is about the geometric mean of the field's values.
    Typical {
        /// 1, or -1 where smaller values score more.
        exponent: f64,
    },
    /// ln(scaling factor + v).
    Log {
        /// At least 1.
        scaling_factor: f64,
    },
    /// v^exponent / (v^exponent + pivot^exponent).
    Sigmoid {
        /// The value that scores half, > 0.
        pivot: f64,
        /// > 0.
        exponent: f64,
    },
    /// v.
    Linear,
}
