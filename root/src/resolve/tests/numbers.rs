//! Numbers that look alike.

use super::*;

#[test]
fn zeros_of_both_signs_are_two_values() {
    let query = json!({"terms": {"f": [0.0, -0.0, 0.0]}});
    let expected = Clause::AnyOf {
        field: path("f"),
        values: vec![Scalar::F64(-0.0), Scalar::F64(0.0)],
    };
    assert_eq!(resolve(&query), expected);
}
