//! Requests for tests.

use gleaner_query::Limits;
use gleaner_query::aggregation::Aggregation;
use serde_json::Value;

/// Reads aggregations as the dialect writes them.
pub(crate) fn parse(request: &Value) -> Vec<Aggregation> {
    gleaner_query::aggregation::parse_aggregations(request, &Limits::default())
        .expect("the request is good")
}
