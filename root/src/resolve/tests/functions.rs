//! Functions of fields: where distances begin.

use gleaner_query::resolved::{Decay, Function, Origin};

use super::*;

/// Returns the only function of a query over a date and a `date_nanos`.
fn function_of(query: &Value) -> Function {
    let mapping = json!({"properties": {"d": {"type": "date"}, "exact": {"type": "date_nanos"}}});
    let (index, limits) = (index(1, &mapping), limits());
    let (analyzers, mut expansions) = (AnalyzerRegistry::builtin(), Expansions::default());
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
    let query = parse_query(query, &limits).expect("a good query");
    match resolver.resolve(&query).expect("it resolves") {
        Clause::Functions(mut scored) => scored.functions.remove(0).function,
        other => panic!("{other}"),
    }
}

#[test]
fn the_origin_of_a_distance_feature_is_the_end_of_what_it_leaves_open() {
    const DAY_MS: i64 = 86_400_000;
    const NANOS: i64 = 1_000_000;
    let origin = |field: &str, origin: &str| {
        let query = json!({"distance_feature": {"field": field, "origin": origin, "pivot": "1d"}});
        match function_of(&query) {
            Function::Proximity { origin, .. } => origin,
            other => panic!("{other:?}"),
        }
    };
    let millis = |ms: i64| Origin::Number(ms as f64);
    assert_eq!(origin("d", "1970-01-02"), millis(2 * DAY_MS - 1));
    assert_eq!(origin("d", "now/d"), millis(NOW_MS + DAY_MS - 1));
    assert_eq!(origin("d", "now"), millis(NOW_MS));
    let end = Origin::Nanos(2 * DAY_MS * NANOS - 1);
    assert_eq!(origin("exact", "1970-01-02"), end);
    let decay =
        json!({"function_score": {"gauss": {"d": {"origin": "1970-01-02", "scale": "1d"}}}});
    let Function::Decay(Decay { origin, .. }) = function_of(&decay) else {
        panic!("no decay");
    };
    assert_eq!(origin, millis(DAY_MS));
}
