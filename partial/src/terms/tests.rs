//! Lists of terms meet, are cut and asked for again.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn request(size: usize) -> TermsAggregation {
    TermsAggregation {
        source: gleaner_query::aggregation::ValueSource {
            field: "tag".to_owned(),
            value_type: None,
            missing: None,
            format: None,
        },
        size,
        shard_size: None,
        min_doc_count: 1,
        order: vec![],
        include: None,
        exclude: None,
        show_term_doc_count_error: false,
    }
}

/// What a shard would send.
fn shard(counts: &BTreeMap<i64, u64>, request: &TermsAggregation) -> Terms {
    let mut terms = Terms::default();
    for (key, count) in counts {
        let is_included = match &request.include {
            Some(TermsFilter::Values(values)) => values.contains(&Value::from(*key)),
            _ => true,
        };
        if is_included {
            let bucket = Bucket {
                doc_count: *count,
                ..Bucket::default()
            };
            terms
                .buckets
                .insert(Key::I64(*key), TermBucket { bucket, error: 0 });
        }
    }
    terms.truncate(request, 0);
    terms
}

fn merged(shards: &[BTreeMap<i64, u64>], request: &TermsAggregation) -> Terms {
    let mut all = Terms::default();
    for counts in shards {
        all.merge(shard(counts, request)).expect("one request");
    }
    all
}

fn best(counts: impl Iterator<Item = (i64, u64)>, size: usize) -> Vec<(i64, u64)> {
    let mut counts: Vec<_> = counts.filter(|(_, n)| *n > 0).collect();
    counts.sort_by_key(|(key, count)| (Reverse(*count), *key));
    counts.truncate(size);
    counts
}

#[test]
fn the_first_keys_of_a_shard_are_all_that_an_order_by_key_needs() {
    let mut request = request(3);
    for (descending, expected) in [(false, [0, 1, 2]), (true, [99, 98, 97])] {
        request.order = vec![(BucketOrder::Key, descending)];
        let mut all = Terms::default();
        for shard in 0..3 {
            let mut terms = Terms::default();
            for key in (shard..100).step_by(1 + shard as usize) {
                let bucket = Bucket {
                    doc_count: 2,
                    ..Bucket::default()
                };
                let term = TermBucket { bucket, error: 0 };
                terms.buckets.insert(Key::I64(key), term);
            }
            let num_docs = 2 * terms.buckets.len() as u64;
            terms.truncate(&request, COMPLETE_KEYS);
            // Three, half of that, and ten.
            assert_eq!(terms.buckets.len(), 14);
            assert_eq!(terms.counts().sum::<u64>() + terms.unlisted, num_docs);
            all.merge(terms).expect("one request");
        }
        assert_eq!(all.bound, 0, "nothing is open");
        let mut keys: Vec<&Key> = all.buckets.keys().collect();
        if descending {
            keys.reverse();
        }
        assert_eq!(keys[..3], expected.map(Key::I64).each_ref());
    }
}

#[test]
fn whole_numbers_and_fractions_meet_as_fractions() {
    let with = |kind, keys: &[Key]| Terms {
        format: ValueFormat {
            kind,
            ..ValueFormat::default()
        },
        buckets: keys
            .iter()
            .map(|key| {
                let bucket = Bucket {
                    doc_count: 1,
                    ..Bucket::default()
                };
                (key.clone(), TermBucket { bucket, error: 0 })
            })
            .collect(),
        ..Terms::default()
    };
    let long = || with(ValueKind::Long, &[Key::I64(10), Key::I64(100)]);
    let fractions = [10.0, 14.6].map(|key| Key::F64(Fraction::from(key)));
    let double = || with(ValueKind::Double, &fractions);
    let (mut one, mut other) = (long(), double());
    one.merge(double()).expect("they fit");
    other.merge(long()).expect("they fit");
    one.settle().expect("they fit");
    other.settle().expect("they fit");
    assert_eq!(one, other);
    assert_eq!(one.counts().collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn what_stands_for_missing_values_where_a_field_is_unknown_is_one_of_its_values() {
    let with = |kind, keys: &[Key]| Terms {
        format: ValueFormat {
            kind,
            ..ValueFormat::default()
        },
        buckets: keys
            .iter()
            .map(|key| (key.clone(), TermBucket::default()))
            .collect(),
        ..Terms::default()
    };
    let text = |text: &str| Key::Text(text.to_owned());
    for (kind, given, key) in [
        (ValueKind::Long, "-1", Key::I64(-1)),
        (ValueKind::Long, "5.0", Key::I64(5)),
        (ValueKind::Long, "5.5", text("5.5")),
        (ValueKind::UnsignedLong, "7", Key::U64(7)),
        (ValueKind::Double, "0.5", Key::F64(Fraction::from(0.5))),
        (ValueKind::Boolean, "true", Key::I64(1)),
        (ValueKind::Ip, "::1", Key::Ip(1)),
        (ValueKind::Date, "1970-01-02", Key::I64(86_400_000)),
        (ValueKind::Date, "2020", Key::I64(2_020)),
        (ValueKind::Keyword, "-1", text("-1")),
    ] {
        let known = || with(kind, std::slice::from_ref(&key));
        let unknown = || with(ValueKind::Unmapped, &[text(given)]);
        let (mut one, mut other) = (known(), unknown());
        one.merge(unknown()).expect("they fit");
        other.merge(known()).expect("they fit");
        one.settle().expect("they fit");
        other.settle().expect("they fit");
        assert_eq!(one, known(), "{given}");
        assert_eq!(other, known(), "{given}");
    }
}

#[test]
fn what_stands_for_missing_values_is_asked_for_again_as_it_was_given() {
    let list = |kind, key: Key, doc_count, bound| {
        let bucket = Bucket {
            doc_count,
            ..Bucket::default()
        };
        Terms {
            format: ValueFormat {
                kind,
                ..ValueFormat::default()
            },
            buckets: BTreeMap::from([(key, TermBucket { bucket, error: 0 })]),
            bound,
            ..Terms::default()
        }
    };
    let given = Key::Text("1970-01-02".to_owned());
    let mut all = list(ValueKind::Date, Key::I64(86_400_000), 5, 1);
    for other in [
        list(ValueKind::Date, Key::I64(0), 5, 1),
        list(ValueKind::Unmapped, given, 3, 0),
    ] {
        all.merge(other).expect("they fit");
    }
    all.settle().expect("they fit");
    let asked = |missing: Value| {
        let mut request = request(1);
        request.source.missing = Some(missing);
        assert!(all.refine(&mut request));
        request.include
    };
    let date = json!({"ms": 86_400_000});
    for (missing, values) in [
        (json!("1970-01-02"), vec![date.clone(), json!("1970-01-02")]),
        (json!(86_400_000), vec![date.clone()]),
        // What is no candidate may have been excluded.
        (json!("1970-01-01"), vec![date.clone()]),
    ] {
        let expected = Some(TermsFilter::Values(values));
        assert_eq!(asked(missing.clone()), expected, "{missing}");
    }
}

proptest! {
    #[test]
    fn refined_counts_are_exact_for_any_spread_over_shards(
        shards in prop::collection::vec(prop::collection::btree_map(0_i64..200, 1_u64..40, 0..120), 1..6),
        size in 1_usize..6,
        shard_size in 1_usize..12,
    ) {
        let mut request = request(size);
        request.shard_size = Some(shard_size);
        let mut terms = merged(&shards, &request);
        let mut passes = 0;
        while terms.refine(&mut request) {
            passes += 1;
            prop_assert!(passes < 8, "it must come to an end");
            terms = terms.refined_by(merged(&shards, &request));
        }
        let mut whole = BTreeMap::<i64, u64>::new();
        for (key, count) in shards.iter().flatten() {
            *whole.entry(*key).or_default() += count;
        }
        let total: u64 = whole.values().sum();
        let found = best(terms.buckets.iter().map(|(key, term)| match key {
            Key::I64(key) => (*key, term.bucket.doc_count),
            other => unreachable!("{other:?}"),
        }), size);
        prop_assert_eq!(&found, &best(whole.into_iter(), size));
        let known: u64 = terms.counts().sum::<u64>() + terms.unlisted;
        prop_assert_eq!(known, total);
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "settled before they are encoded")]
fn lists_of_several_types_are_not_encoded_before_they_are_settled() {
    let of = |kind| Terms {
        format: ValueFormat {
            kind,
            ..ValueFormat::default()
        },
        ..Terms::default()
    };
    let mut all = of(ValueKind::Date);
    all.merge(of(ValueKind::Keyword))
        .expect("they are kept apart");
    drop(crate::Aggregations(vec![crate::Partial::Terms(all)]).encode());
}
