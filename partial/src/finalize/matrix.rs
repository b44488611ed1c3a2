//! `matrix_stats`: what exact sums say of each field and of each pair of fields.

use gleaner_query::aggregation::MatrixStatsAggregation;
use gleaner_query::answer::AggregationValue;
use gleaner_query::double::java_text;
use serde_json::{Map, Value, json};

use crate::matrix::{Described, Matrix};

/// Returns the result; it has no `fields` where no document has all of them, as in Elasticsearch.
pub(super) fn value(request: &MatrixStatsAggregation, matrix: &Matrix) -> AggregationValue {
    let mut shown = vec![("doc_count", Value::from(matrix.count()))];
    let fields = matrix.described().and_then(|described| {
        let places = 0..request.sources.len();
        let fields = places.map(|at| field(request, &described, at));
        fields.collect::<Option<Vec<Value>>>()
    });
    if let Some(fields) = fields {
        shown.push(("fields", fields.into()));
    }
    AggregationValue::Shown(shown)
}

fn field(request: &MatrixStatsAggregation, matrix: &Described<'_>, at: usize) -> Option<Value> {
    let moments = matrix.fields().get(at)?;
    let (mut covariance, mut correlation) = (Map::new(), Map::new());
    for (other, source) in request.sources.iter().enumerate() {
        let (together, share) = matrix.dependence(at, other)?;
        covariance.insert(source.field.clone(), double(together));
        correlation.insert(source.field.clone(), double(share));
    }
    Some(json!({
        "name": request.sources[at].field,
        "count": matrix.count(),
        "mean": double(moments.mean),
        "variance": double(moments.variance),
        "skewness": double(moments.skewness),
        "kurtosis": double(moments.kurtosis),
        "covariance": covariance,
        "correlation": correlation,
    }))
}

/// What JSON has no number for stands as text, as in `stats`.
fn double(value: f64) -> Value {
    match value.is_finite() {
        true => value.into(),
        false => java_text(value).into(),
    }
}
