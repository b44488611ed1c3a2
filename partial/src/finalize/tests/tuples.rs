//! Keys of pages of `composite`, as formats show them.

use super::*;
use crate::tuples::Tuples;

/// Returns how the only key of a page is shown.
fn shown(key: &Key, format: ValueFormat, source: &Value) -> Result<Value, EvaluationError> {
    let mut tuples = Tuples::new(vec![format]);
    tuples.buckets.insert(vec![Some(key.clone())], count(1));
    let request = json!({"composite": {"sources": [{"k": source}]}});
    let result = finalized(Partial::Tuples(tuples), &request)?;
    match buckets(result).remove(0).key {
        BucketKey::Several { mut shown, .. } => Ok(shown["k"].take()),
        other => panic!("not a key of a page: {other:?}"),
    }
}

fn format(kind: ValueKind, pattern: &str) -> ValueFormat {
    ValueFormat {
        kind,
        pattern: Some(pattern.to_owned()),
        time_zone: None,
    }
}

/// 2020-01-01 in milliseconds.
const NEW_YEAR: i64 = 1_577_836_800_000;
const DAY_MS: i64 = 86_400_000;

#[test]
fn dates_that_their_format_does_not_read_back_are_refused() {
    let days = |pattern: &str, zone: &str, ms: i64| {
        let source = json!({"date_histogram": {
            "field": "d", "calendar_interval": "day", "format": pattern, "time_zone": zone,
        }});
        let format = ValueFormat {
            time_zone: Some(zone.to_owned()),
            ..format(ValueKind::Date, pattern)
        };
        shown(&Key::I64(ms), format, &source).map_err(|error| error.to_string())
    };
    assert_eq!(days("yyyy-MM", "UTC", NEW_YEAR), Ok(json!("2020-01")));
    let refused = days("yyyy-MM", "UTC", NEW_YEAR + DAY_MS).expect_err("refused");
    assert_eq!(
        refused,
        "Format [yyyy-MM] created output it couldn't parse for value [1577923200000]. formatted value: [2020-01]"
    );
    assert_eq!(
        days("yyyy-MM-dd", "UTC", NEW_YEAR + DAY_MS),
        Ok(json!("2020-01-02"))
    );
    let in_berlin = days("yyyy-MM-dd", "Europe/Berlin", NEW_YEAR - 3_600_000);
    assert_eq!(in_berlin, Ok(json!("2020-01-01")));
    // Terms of dates are shown and read alike.
    let source = json!({"terms": {"field": "d", "format": "epoch_second"}});
    let of_terms = |ms: i64| {
        shown(
            &Key::I64(ms),
            format(ValueKind::Date, "epoch_second"),
            &source,
        )
    };
    assert_eq!(of_terms(NEW_YEAR).expect("good"), json!("1577836800"));
}

#[test]
fn numbers_that_their_pattern_does_not_read_back_are_refused() {
    let fraction = |number: f64| Key::F64(Fraction::from(number));
    for (kind, pattern, key, expected) in [
        (ValueKind::Long, "#,##0", Key::I64(1_000), Some("1,000")),
        (ValueKind::Long, "$#,##0", Key::I64(-1_000), Some("-$1,000")),
        (ValueKind::Long, "0.0E0", Key::I64(1_234), None),
        (
            ValueKind::UnsignedLong,
            "#,##0",
            Key::U64(u64::MAX),
            Some("18,446,744,073,709,551,615"),
        ),
        (ValueKind::Double, "0.00", fraction(1.25), Some("1.25")),
        (ValueKind::Double, "0%", fraction(0.07), Some("7%")),
        (ValueKind::Double, "0.0", fraction(1.25), None),
    ] {
        let source = json!({"terms": {"field": "n", "format": pattern}});
        let found = shown(&key, format(kind, pattern), &source);
        match expected {
            Some(text) => assert_eq!(found.expect("it is read back"), json!(text), "{pattern}"),
            None => {
                let refused = found.expect_err("rounded").to_string();
                assert!(refused.contains("couldn't parse for value"), "{refused}");
            }
        }
    }
    let source = json!({"histogram": {"field": "n", "interval": 1_000, "format": "#,##0"}});
    let found = shown(
        &fraction(2_000.0),
        format(ValueKind::Double, "#,##0"),
        &source,
    );
    assert_eq!(found.expect("it is read back"), json!("2,000"));
}

#[test]
fn values_that_no_format_changes_are_keys_of_a_page_as_they_are() {
    for (kind, key, expected) in [
        (ValueKind::Keyword, text("a"), json!("a")),
        (ValueKind::Unmapped, text("a"), json!("a")),
        (ValueKind::Boolean, Key::I64(1), json!(true)),
        (ValueKind::Ip, Key::Ip(1), json!("::1")),
    ] {
        let source = json!({"terms": {"field": "f", "format": "0.0"}});
        let pattern = match kind {
            ValueKind::Boolean => ValueFormat {
                kind,
                ..ValueFormat::default()
            },
            _ => format(kind, "0.0"),
        };
        let found = shown(&key, pattern, &source).expect("it is read back");
        assert_eq!(found, expected, "{kind:?}");
    }
}
