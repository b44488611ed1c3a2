//! Numbers that look alike.

use gleaner_model::NumberKind;
use gleaner_model::mapping::round_to;
use proptest::prelude::*;

use super::*;
use crate::resolve::range::{Edge, number_bound};
use crate::resolve::values::{Number, exact_number, number};

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

/// Numbers near which types and doubles change their grain, as JSON.
fn a_number() -> impl Strategy<Value = Value> {
    let edges = [0, 24, 31, 51, 52, 53, 60, 62, 63].map(|bits| (1_i128 << bits) as f64);
    let near_edge = (
        proptest::sample::select(edges.to_vec()),
        -4..5_i32,
        any::<bool>(),
    );
    prop_oneof![
        (-1_000_i64..1_000).prop_map(|n| json!(n)),
        (-1_000_000_i64..1_000_000).prop_map(|cents| json!(cents as f64 / 100.0)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        (-1e18..1e18_f64).prop_map(|n| json!(n)),
        near_edge.prop_map(|(edge, steps, is_negative)| {
            let number = edge + f64::from(steps) * 0.25_f64.max(edge * f64::EPSILON);
            json!(if is_negative { -number } else { number })
        }),
    ]
}

fn number_kinds() -> Vec<NumberKind> {
    let factors = [1.0, 10.0, 100.0, 0.1, 3.0, 1e9];
    let scaled = factors.map(|factor| NumberKind::ScaledFloat { factor });
    let mut kinds = vec![
        NumberKind::Long,
        NumberKind::Integer,
        NumberKind::Short,
        NumberKind::Byte,
        NumberKind::UnsignedLong,
        NumberKind::Double,
        NumberKind::Float,
        NumberKind::HalfFloat,
    ];
    kinds.extend(scaled);
    kinds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_number_is_what_is_between_itself_and_itself(value in a_number()) {
        for kind in number_kinds() {
            let number = number(&value).expect("a number");
            // A `scaled_float` is written as the nearest of its values, but bounds are not moved.
            let is_between_values = match kind {
                NumberKind::ScaledFloat { factor } => {
                    let units = number.as_f64() * factor;
                    units.abs() < (1_u64 << 51) as f64 && round_to(kind, number.as_f64()) != number.as_f64()
                        && units.fract() != 0.0
                }
                _ => false,
            };
            let edge = |is_lower| number_bound(kind, number, Edge::included(is_lower));
            let span = edge(true).zip(edge(false));
            let is_within = |value: &Scalar| span.as_ref().is_some_and(|(lower, upper)| {
                let above = match lower { Bound::Included(lower) => lower <= value, _ => true };
                let below = match upper { Bound::Included(upper) => value <= upper, _ => true };
                above && below
            });
            match exact_number(kind, number) {
                Some(term) => prop_assert!(is_within(&term) != is_between_values, "{kind:?} {value} {span:?} {term:?}"),
                // Nothing can be found.
                None => prop_assert!(match span {
                    Some((Bound::Included(lower), Bound::Included(upper))) => lower > upper,
                    Some(_) => false,
                    None => true,
                }, "{kind:?} {value}"),
            }
        }
    }
}
