//! Golden bytes, newer versions, damage.

use gleaner_model::{DocumentId, IndexUuid, PrimaryTerm, SeqNo, ShardKey, ShardNumber, Version};
use gleaner_query::answer::SortValue;
use gleaner_query::resolved::TieBreak;
use proptest::prelude::*;

use super::*;
use crate::distinct::{Distinct, hash_text, hash_whole};
use crate::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::numbers::Numbers;
use crate::sketch::Sketch;
use crate::terms::{TermBucket, Terms};
use crate::top_hits::{TopHit, TopHitContent, TopHits};
use crate::{Bucket, Histogram, RangeBucket, Ranges};

fn bucket(doc_count: u64, sub: Vec<Partial>) -> Bucket {
    Bucket {
        doc_count,
        sub: Aggregations(sub),
    }
}

fn numbers() -> Partial {
    let mut numbers = Numbers::new(true);
    [0.1, 0.2, 1e17, -3.5]
        .into_iter()
        .for_each(|value| numbers.add(value));
    let format = ValueFormat {
        kind: ValueKind::Double,
        pattern: Some("0.0".to_owned()),
        time_zone: None,
    };
    Partial::Numbers { format, numbers }
}

fn top_hits() -> TopHits {
    let request = serde_json::from_value(
        serde_json::json!({"a": {"top_hits": {"size": 2, "sort": [{"n": "desc"}]}}}),
    );
    let request: serde_json::Value = request.expect("it is JSON");
    let aggregations = crate::testing::parse(&request);
    let gleaner_query::aggregation::AggregationKind::TopHits(request) = &aggregations[0].kind
    else {
        unreachable!("it was asked for");
    };
    let mut hits = TopHits::new(request);
    (hits.total, hits.max_score) = (7, Some(1.5));
    let id = DocumentId::parse("d1").expect("a good id");
    hits.insert(TopHit {
        score: Some(1.5),
        keys: vec![SortValue::I64(-4)],
        tie: TieBreak {
            hash: 99,
            id: Some(id.clone()),
        },
        shard: ShardKey {
            index: IndexUuid([7; 16]),
            shard: ShardNumber(3),
        },
        place: 12,
        content: Some(TopHitContent {
            id,
            routing: Some("r".to_owned()),
            seq_no: SeqNo(5),
            term: PrimaryTerm(2),
            version: Version(3),
            source: Some(Bytes::from_static(b"{\"a\":1}")),
            fields: "{\"n\":[-4]}".to_owned(),
            highlight: vec![("t".to_owned(), vec!["<em>x</em>".to_owned()])],
        }),
    });
    hits
}

/// One of everything.
fn everything() -> Aggregations {
    let mut few = Distinct::new(100);
    let mut many = Distinct::new(0);
    for value in 0..50 {
        few.insert(hash_whole(value));
        many.insert(hash_whole(value));
    }
    few.insert(hash_text("x"));
    let mut sketch = Sketch::default();
    (0..3_000).for_each(|value| sketch.add(f64::from(value % 20) - 5.0));
    let mut short = Sketch::default();
    [3.0, 1.0].into_iter().for_each(|value| short.add(value));
    let date = ValueFormat {
        kind: ValueKind::Date,
        pattern: Some("yyyy".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
    };
    let term = |bucket| TermBucket { bucket, error: 2 };
    let keys = [
        Key::Text("a".to_owned()),
        Key::U64(u64::MAX),
        Key::Ip(1),
        Key::F64(Fraction::from(-0.5)),
    ];
    Aggregations(vec![
        Partial::Terms(Terms {
            format: ValueFormat {
                kind: ValueKind::Keyword,
                ..ValueFormat::default()
            },
            buckets: keys
                .into_iter()
                .map(|key| (key, term(bucket(3, vec![numbers()]))))
                .collect(),
            unlisted: 11,
            bound: 4,
            apart: Vec::new(),
        }),
        Partial::Histogram(Histogram {
            format: date.clone(),
            extended: Some((-5, 5)),
            buckets: [(Key::I64(-86_400_000), bucket(1, vec![]))].into(),
        }),
        Partial::Ranges(Ranges {
            format: date.clone(),
            ranges: vec![RangeBucket {
                from: Some(1.5),
                to: None,
                bucket: bucket(2, vec![]),
            }],
        }),
        Partial::Filters(vec![bucket(1, vec![]), bucket(0, vec![])]),
        Partial::Single(bucket(9, vec![Partial::TopHits(top_hits())])),
        Partial::Distinct(few),
        Partial::Distinct(many),
        Partial::Percentiles {
            format: date,
            sketch,
        },
        Partial::Percentiles {
            format: ValueFormat::default(),
            sketch: short,
        },
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(40)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect()
}

#[test]
fn version_1_is_read_and_written_as_it_was() {
    let encoded = everything().encode().expect("it can be encoded");
    let golden = include_str!("../golden/aggregations-v1.hex");
    if std::env::var_os("GLEANER_WRITE_GOLDEN").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/golden/aggregations-v1.hex"
        );
        std::fs::write(path, hex(&encoded)).expect("the golden file can be written");
        return;
    }
    assert_eq!(hex(&encoded), golden);
    assert_eq!(
        Aggregations::decode(&encoded).expect("it can be read"),
        everything()
    );
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let mut bytes = everything().encode().expect("it can be encoded").to_vec();
    bytes[4] = 2;
    let refused = Aggregations::decode(&bytes).expect_err("it is newer");
    assert_eq!(
        refused.to_string(),
        "partial aggregations has format 2, this version reads up to 1"
    );
}

#[test]
fn deep_nesting_is_refused_before_it_fills_the_stack() {
    let mut nested = Aggregations::default();
    for _ in 0..MAX_DEPTH {
        nested = Aggregations(vec![Partial::Single(Bucket {
            doc_count: 1,
            sub: nested,
        })]);
    }
    let bytes = nested.encode().expect("it can be encoded");
    assert!(matches!(
        Aggregations::decode(&bytes),
        Err(EvaluationError::Unreadable(_))
    ));
    // The level is forgotten after a failure.
    let good = everything().encode().expect("it can be encoded");
    assert!(Aggregations::decode(&good).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"GLAG\x01\x00".to_vec();
        bytes.extend(body);
        if let Ok(mut partials) = Aggregations::decode(&bytes) {
            let other = partials.clone();
            prop_assert!(partials.merge(other).is_ok());
            prop_assert!(partials.encode().is_ok());
        }
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(at in any::<prop::sample::Index>(), flip in 1_u8..=255, cut in any::<prop::sample::Index>()) {
        let mut bytes = everything().encode().expect("it can be encoded").to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        // A damaged count can make a shorter message whole, so both may be read.
        drop(Aggregations::decode(&bytes));
        bytes.truncate(cut.index(bytes.len()));
        drop(Aggregations::decode(&bytes));
    }
}

#[test]
fn bytes_that_end_too_early_are_refused() {
    let bytes = everything().encode().expect("it can be encoded");
    for end in 0..bytes.len() {
        let read = Aggregations::decode(&bytes[..end]);
        assert!(read.is_err(), "{end} of {} bytes", bytes.len());
    }
}
