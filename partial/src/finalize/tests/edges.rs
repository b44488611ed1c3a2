//! Buckets of nothing, rare keys, and bounds of shards that do not know the field.

use super::*;

#[test]
fn the_least_and_the_greatest_of_nothing_stand_at_the_ends() {
    let buckets: [(&str, &[&[f64]]); 2] = [("a", &[&[]]), ("b", &[&[1.0]])];
    for (metric, direction, expected) in [
        ("min", "asc", "ba"),
        ("min", "desc", "ab"),
        ("max", "asc", "ab"),
        ("max", "desc", "ba"),
        ("avg", "asc", "ba"),
        ("avg", "desc", "ba"),
    ] {
        let sub = json!({"m": {metric: {"field": "g"}}});
        let found = ordered(&buckets, "m", direction, &sub);
        assert_eq!(found, expected, "{metric} {direction}");
    }
}

#[test]
fn rare_keys_count_with_the_others() {
    let counts = [(text("a"), 5), (text("b"), 1), (text("c"), 1)];
    let request = json!({"terms": {"field": "f", "size": 1, "min_doc_count": 2}});
    let result = finalized(terms(ValueKind::Keyword, &counts), &request).expect("it is good");
    let AggregationValue::Buckets { terms, .. } = &result.value else {
        panic!("not terms: {result:?}");
    };
    assert_eq!(terms.as_ref().map(|totals| totals.sum_other), Some(2));
}

/// The type and the keys that `kind` shows of two indices which have a field as different types.
fn mixed(kind: &str, first: Partial, second: Partial) -> (&'static str, Vec<BucketKey>) {
    let mut merged = Aggregations(vec![first]);
    merged
        .merge(Aggregations(vec![second]))
        .expect("of one request");
    let request = json!({kind: {"field": "f"}});
    let result = finalized(merged.0.remove(0), &request).expect("it is good");
    let type_name = result.type_name;
    let keys = buckets(result).into_iter().map(|bucket| bucket.key);
    (type_name, keys.collect())
}

#[test]
fn a_type_is_named_that_all_keys_have() {
    let long = || terms(ValueKind::Long, &[(Key::I64(5), 1)]);
    let unsigned = || terms(ValueKind::UnsignedLong, &[(Key::U64(7), 1)]);
    let keyword = |key: &str| terms(ValueKind::Keyword, &[(text(key), 1)]);
    let date = || terms(ValueKind::Date, &[(Key::I64(0), 1)]);
    let words = |key: &str| BucketKey::Text(key.to_owned());
    for (kind, first, second, expected) in [
        (
            "terms",
            long(),
            keyword("7"),
            ("lterms", vec![BucketKey::I64(5), BucketKey::I64(7)]),
        ),
        (
            "terms",
            long(),
            keyword("a"),
            ("sterms", vec![BucketKey::I64(5), words("a")]),
        ),
        (
            "terms",
            keyword("a"),
            long(),
            ("sterms", vec![BucketKey::I64(5), words("a")]),
        ),
        (
            "terms",
            long(),
            unsigned(),
            ("dterms", vec![BucketKey::F64(5.0), BucketKey::F64(7.0)]),
        ),
        (
            "terms",
            date(),
            unsigned(),
            ("lterms", vec![BucketKey::I64(0), BucketKey::I64(7)]),
        ),
        (
            "rare_terms",
            long(),
            keyword("a"),
            ("srareterms", vec![words("5"), words("a")]),
        ),
        (
            "rare_terms",
            date(),
            keyword("a"),
            (
                "srareterms",
                vec![words("1970-01-01T00:00:00.000Z"), words("a")],
            ),
        ),
        (
            "rare_terms",
            long(),
            unsigned(),
            ("lrareterms", vec![BucketKey::I64(5), BucketKey::I64(7)]),
        ),
    ] {
        assert_eq!(mixed(kind, first, second), expected, "{kind}");
    }
}

#[test]
fn types_meet_alike_whichever_shards_are_merged_first() {
    let one = |kind| match kind {
        ValueKind::UnsignedLong => terms(kind, &[(Key::U64(1), 1)]),
        ValueKind::Double => terms(kind, &[(Key::F64(Fraction::from(1.0)), 1)]),
        _ => terms(kind, &[(Key::I64(1), 1)]),
    };
    let kinds = [
        ValueKind::Boolean,
        ValueKind::Long,
        ValueKind::UnsignedLong,
        ValueKind::Double,
        ValueKind::Date,
    ];
    let request = json!({"terms": {"field": "f"}});
    let joined = |of: [ValueKind; 3]| {
        let mut merged = Aggregations(vec![one(of[0])]);
        for kind in &of[1..] {
            let more = Aggregations(vec![one(*kind)]);
            merged.merge(more).expect("of one request");
        }
        let result = finalized(merged.0.remove(0), &request).expect("it is good");
        (result.type_name, keys_and_counts(result))
    };
    for a in kinds {
        for b in kinds {
            for c in kinds {
                let found = joined([a, b, c]);
                assert_eq!(found.1.len(), 1, "{a:?} {b:?} {c:?}: {found:?}");
                for other in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
                    assert_eq!(joined(other), found, "{other:?}");
                }
            }
        }
    }
}

/// All types of keys.
const KINDS: [ValueKind; 8] = [
    ValueKind::Date,
    ValueKind::Double,
    ValueKind::UnsignedLong,
    ValueKind::Long,
    ValueKind::Boolean,
    ValueKind::Ip,
    ValueKind::Keyword,
    ValueKind::Unmapped,
];

/// What a shard that has the field as `kind` sends: small and large numbers, words that say some, addresses.
fn list(kind: ValueKind) -> Aggregations {
    let keys = match kind {
        ValueKind::Double => [1.0, (1_u64 << 60) as f64]
            .map(|key| Key::F64(Fraction::from(key)))
            .to_vec(),
        ValueKind::UnsignedLong => vec![Key::U64(1), Key::U64(1 << 60)],
        ValueKind::Boolean => vec![Key::I64(1)],
        ValueKind::Ip => vec![Key::Ip(1), Key::Ip(2)],
        ValueKind::Keyword => ["1", "5.5", "true", "::1", "2020", "1152921504606846976"]
            .map(text)
            .to_vec(),
        ValueKind::Unmapped => vec![text("2020")],
        ValueKind::Long | ValueKind::Date => vec![Key::I64(1), Key::I64(1 << 60)],
    };
    let counts: Vec<(Key, u64)> = keys.into_iter().map(|key| (key, 1)).collect();
    Aggregations(vec![terms(kind, &counts)])
}

/// Returns the lists of shards, merged in their order; where `parts` is more than 1, that of parts merged before.
fn merged_lists(kinds: &[ValueKind], parts: usize) -> Aggregations {
    let mut merged = Aggregations::default();
    for part in kinds.chunks(kinds.len().div_ceil(parts)) {
        let mut of_part = Aggregations::default();
        for kind in part {
            of_part.merge(list(*kind)).expect("of one request");
        }
        merged.merge(of_part).expect("of one request");
    }
    merged
}

fn shown(mut merged: Aggregations) -> (&'static str, Vec<(String, u64)>) {
    let request = json!({"terms": {"field": "f", "size": 20}});
    let result = finalized(merged.0.remove(0), &request).expect("it is good");
    (result.type_name, keys_and_counts(result))
}

/// Returns all orders of `kinds`.
fn orders(kinds: &[ValueKind]) -> Vec<Vec<ValueKind>> {
    if kinds.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in kinds.iter().enumerate() {
        let mut rest = kinds.to_vec();
        rest.remove(at);
        for order in orders(&rest) {
            all.push([&[*first][..], order.as_slice()].concat());
        }
    }
    all
}

#[test]
fn all_types_meet_alike_whichever_shards_are_merged_first() {
    for set in 0_usize..1 << KINDS.len() {
        let kinds = KINDS.iter().enumerate();
        let kinds = kinds.filter(|(at, _)| set >> at & 1 == 1);
        let kinds: Vec<ValueKind> = kinds.map(|(_, kind)| *kind).collect();
        if !(2..=4).contains(&kinds.len()) {
            continue;
        }
        let expected = shown(merged_lists(&kinds, 1));
        for order in orders(&kinds) {
            for parts in 1..=2 {
                let found = shown(merged_lists(&order, parts));
                assert_eq!(found, expected, "{order:?} in {parts} parts");
            }
        }
    }
}

#[test]
fn large_numbers_words_and_addresses_meet_as_what_all_of_them_are() {
    use ValueKind::{Date, Double, Ip, Keyword, Long, UnsignedLong};
    let of = |kinds: &[ValueKind]| {
        let result = merged_lists(kinds, 1).0.remove(0);
        let request = json!({"rare_terms": {"field": "f", "max_doc_count": 20}});
        let buckets = buckets(finalized(result, &request).expect("it is good")).into_iter();
        let mut counts: Vec<_> = buckets.map(|one| (one.key, one.doc_count)).collect();
        counts.retain(|(_, count)| *count > 1);
        counts
    };
    let (one, large) = (BucketKey::I64(1), BucketKey::I64(1 << 60));
    let whole = [(one.clone(), 4), (large.clone(), 4)];
    assert_eq!(of(&[Long, Double, UnsignedLong, Date]), whole);
    assert_eq!(of(&[Double, Long]), [(one, 2), (large, 2)]);
    let words = |key: &str| BucketKey::Text(key.to_owned());
    assert_eq!(of(&[Keyword, Ip]), [(words("::1"), 2)]);
    let numbers = [(words("1"), 2), (words("1152921504606846976"), 2)];
    let all = [numbers.as_slice(), &[(words("::1"), 2)]].concat();
    assert_eq!(of(&[Keyword, Ip, Long]), all);
}

#[test]
fn numbers_without_sign_that_meet_dates_are_dates() {
    let date = || {
        let Partial::Terms(mut found) = terms(ValueKind::Date, &[(Key::I64(0), 3)]) else {
            panic!("not terms");
        };
        found.format.pattern = Some("strict_date_optional_time||epoch_millis".to_owned());
        Partial::Terms(found)
    };
    let keys = [
        (Key::U64(0), 1),
        (Key::U64(86_400_000), 2),
        (Key::U64(u64::MAX), 1),
    ];
    let unsigned = || terms(ValueKind::UnsignedLong, &keys);
    for (first, second) in [(date(), unsigned()), (unsigned(), date())] {
        let mut merged = Aggregations(vec![first]);
        let second = Aggregations(vec![second]);
        merged.merge(second).expect("of one request");
        let request = json!({"terms": {"field": "f"}});
        let result = finalized(merged.0.remove(0), &request).expect("it is good");
        assert_eq!(result.type_name, "dterms");
        let expected = [
            ("1970-01-01T00:00:00.000Z", 4),
            ("1970-01-02T00:00:00.000Z", 2),
            ("18446744073709551615", 1),
        ];
        let expected = expected.map(|(key, n)| (key.to_owned(), n));
        assert_eq!(keys_and_counts(result), expected);
    }
}

#[test]
fn bounds_are_those_of_who_knows_the_field() {
    let part = |kind, extended| Histogram {
        format: ValueFormat {
            kind,
            ..ValueFormat::default()
        },
        extended: Some(extended),
        buckets: BTreeMap::new(),
    };
    let unknown = || part(ValueKind::Unmapped, (0, 1));
    let known = || part(ValueKind::Date, (5, 6));
    for (first, second) in [(unknown(), known()), (known(), unknown())] {
        let mut merged = Aggregations(vec![Partial::Histogram(first)]);
        let other = Aggregations(vec![Partial::Histogram(second)]);
        merged.merge(other).expect("of one request");
        let Partial::Histogram(merged) = &merged.0[0] else {
            panic!("not a histogram");
        };
        assert_eq!(merged.extended, Some((5, 6)));
    }
}

#[test]
fn what_is_copied_to_join_buckets_is_charged() {
    use crate::control::{Ledger, MemoryAccount};

    let values: Vec<(f64, u64)> = (0..2_000).map(|i| (f64::from(i), 1)).collect();
    let request = json!({"x": {"variable_width_histogram": {"field": "f", "buckets": 2}}});
    let finalize = |limit| {
        let account = MemoryAccount::root("request", limit);
        let names = BTreeMap::new();
        let context = FinalizeContext {
            ledger: Some(Arc::new(Ledger::open(&account).expect("there is memory"))),
            ..FinalizeContext::new(&names)
        };
        Aggregations(vec![histogram(&values)]).finalize(&parse(&request), &context)
    };
    assert!(finalize(1 << 20).is_ok());
    let refused = finalize(100_000);
    assert!(
        matches!(refused, Err(EvaluationError::CircuitBreaking { .. })),
        "{refused:?}"
    );
}
