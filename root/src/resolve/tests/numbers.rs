//! Numbers that look alike.

use super::*;
use crate::resolve::values::{Number, number};

#[test]
fn zeros_of_both_signs_are_two_values() {
    let query = json!({"terms": {"f": [0.0, -0.0, 0.0]}});
    let expected = Clause::AnyOf {
        field: path("f"),
        values: vec![Scalar::F64(-0.0), Scalar::F64(0.0)],
    };
    assert_eq!(resolve(&query), expected);
}

#[test]
fn decimals_are_read_exactly() {
    let above = |floor, nearest| Number::Above { floor, nearest };
    for (text, expected) in [
        ("1.5", above(1, 1.5)),
        ("-1.5", above(-2, -1.5)),
        ("-0.5", above(-1, -0.5)),
        (".5e-3", above(0, 0.000_5)),
        ("1.00000000000000001", above(1, 1.0)),
        (
            "18446744073709551614.5",
            above(18_446_744_073_709_551_614, 18_446_744_073_709_551_616.0),
        ),
        ("9.007199254740993e15", Number::Whole(9_007_199_254_740_993)),
        ("25e-1", above(2, 2.5)),
        ("200E-2", Number::Whole(2)),
        ("2.", Number::Whole(2)),
        ("-0.0", Number::Double(-0.0)),
        ("0e99999", Number::Double(0.0)),
        ("1e300", Number::Double(1e300)),
    ] {
        assert_eq!(number(&json!(text)), Ok(expected), "{text}");
    }
    assert!(number(&json!("1e999")).is_err() && number(&json!("1.x")).is_err());
}

#[test]
fn bounds_of_long_decimals_are_exact() {
    let over = |bound: &str, value: &str| resolve(&json!({"range": {"n": {bound: value}}}));
    let included = |value: i64| Bound::Included(Scalar::I64(value));
    let text = "9223372036854775806.5";
    for bound in ["lt", "lte"] {
        let expected = range("n", Bound::Unbounded, included(i64::MAX - 1));
        assert_eq!(over(bound, text), expected);
    }
    for bound in ["gt", "gte"] {
        let expected = range("n", included(i64::MAX), Bound::Unbounded);
        assert_eq!(over(bound, text), expected);
    }
    let term = json!({"term": {"n": "9.007199254740993e15"}});
    assert_eq!(
        resolve(&term),
        exact("n", Scalar::I64(9_007_199_254_740_993))
    );
}
