//! What is excluded is never found.

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::{IndexUuid, Mapping, ShardKey, ShardNumber};
use gleaner_partial::control::MemoryAccount;
use gleaner_query::resolved::{ShardQuery, Statistics, StatisticsRequest};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::aggregate::testing::{self, Index, Layout};
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::search::{SearchEnv, Target, search};
use crate::statistics::statistics;

const WORDS: [&str; 8] = ["ash", "beech", "cedar", "elm", "fir", "oak", "pine", "yew"];

fn mapping() -> Arc<Mapping> {
    testing::mapping(&json!({
        "text": {"type": "text"},
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "f": {"type": "double"},
        "day": {"type": "date"},
        "ip": {"type": "ip"},
        "is": {"type": "boolean"},
        "bare": {"type": "integer", "doc_values": false},
        "never": {"type": "long"},
    }))
}

fn field(name: &str) -> FieldPath {
    FieldPath::new(name)
}

/// Returns a fraction, one in some of which is a zero below the other.
fn fraction(number: i64) -> f64 {
    match number {
        0..4 => -0.0,
        4..8 => 0.0,
        _ => number as f64 / 4.0 - 5.0,
    }
}

fn document() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(WORDS.to_vec());
    let words = prop::collection::vec(word(), 0..4);
    let number = || 0_i64..40;
    (words, word(), number(), number(), any::<bool>()).prop_map(|(words, tag, n, other, is)| {
        let mut document = json!({
            "text": words.join(" "), "n": n, "f": fraction(other), "day": n * 1_000,
            "ip": format!("10.0.0.{other}"), "bare": other,
        });
        if other % 3 == 0 {
            document["tag"] = tag.into();
            document["is"] = is.into();
        }
        document
    })
}

fn leaf() -> impl Strategy<Value = Clause> {
    let word = || prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned);
    let words = || prop::collection::vec(word(), 1..3);
    let numeric = || {
        (
            prop::sample::select(vec!["n", "f", "day", "ip", "bare"]),
            0_i64..44,
        )
            .prop_map(|(name, number)| {
                let value = match name {
                    "f" => Scalar::F64(fraction(number)),
                    "day" => Scalar::Date(number * 1_000),
                    "ip" => Scalar::Ip(0xffff_0a00_0000 + number as u128),
                    _ => Scalar::I64(number),
                };
                (field(name), value)
            })
    };
    prop_oneof![
        Just(Clause::MatchAll),
        word().prop_map(|term| Clause::Term {
            field: field("text"),
            term
        }),
        word().prop_map(|term| Clause::Term {
            field: field("tag"),
            term
        }),
        words().prop_map(|terms| Clause::Synonyms {
            field: field("text"),
            terms: [terms, vec!["none".to_owned()]].concat(),
        }),
        (words(), words()).prop_map(|(first, second)| Clause::Phrase {
            field: field("text"),
            positions: vec![(0, first), (1, second)],
            slop: 1,
        }),
        numeric().prop_map(|(field, value)| Clause::Exact { field, value }),
        any::<bool>().prop_map(|value| Clause::Exact {
            field: field("is"),
            value: Scalar::Bool(value),
        }),
        words().prop_map(|mut words| {
            words.sort();
            words.dedup();
            let values = words.into_iter().map(Scalar::Text).collect();
            Clause::AnyOf {
                field: field("tag"),
                values,
            }
        }),
        (numeric(), any::<[bool; 2]>()).prop_filter_map(
            "ranges need a column",
            |((name, value), [is_lower, is_included])| {
                let bound = match is_included {
                    true => Bound::Included(value),
                    false => Bound::Excluded(value),
                };
                let (lower, upper) = match is_lower {
                    true => (bound, Bound::Unbounded),
                    false => (Bound::Unbounded, bound),
                };
                Some(Clause::Range {
                    field: name,
                    lower,
                    upper,
                })
            },
        ),
        prop::sample::select(vec!["tag", "never", "text", "n", "nowhere"]).prop_map(|name| {
            Clause::Exists {
                fields: vec![field(name)],
            }
        }),
    ]
}

fn clause() -> impl Strategy<Value = Clause> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (some(), some(), some(), some(), 0_u32..3).prop_map(
                |(must, should, filter, must_not, minimum_should_match)| Clause::Bool {
                    must,
                    should,
                    filter,
                    must_not,
                    minimum_should_match,
                }
            ),
            (some(), Just(0.5)).prop_map(|(clauses, tie_breaker)| Clause::DisMax {
                clauses,
                tie_breaker,
            }),
            inner
                .clone()
                .prop_map(|clause| Clause::Constant(Box::new(clause))),
            (inner.clone(), inner).prop_map(|(positive, negative)| Clause::Demote {
                positive: Box::new(positive),
                negative: Box::new(negative),
                factor: 0.5,
            }),
        ]
    })
}

/// Returns how many documents match.
fn num_matching(view: &Arc<View>, clause: &Clause) -> u64 {
    let control = Arc::new(Control::unlimited());
    let mut wanted = StatisticsRequest::default();
    wanted.collect(clause);
    let numbers: Statistics = statistics(view, &wanted, &control).expect("counted");
    let query = ShardQuery {
        query: clause.clone(),
        statistics: Arc::new(numbers),
        top: 1,
        ..testing::query(vec![], vec![])
    };
    let shard = ShardNumber(0);
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard,
    };
    let target = Target {
        key,
        view: Arc::clone(view),
    };
    let env = SearchEnv {
        control: &control,
        filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
        memory: &MemoryAccount::root("test", 1 << 30),
        pool: None,
    };
    let mut answers = search(&[target], &query, &env);
    answers.remove(0).expect("it can be asked").total
}

fn known(view: &View, clause: &Clause) -> Extent {
    extent(view, clause, &Control::unlimited()).expect("it can be read")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_excluded_query_matches_nothing(
        documents in prop::collection::vec(document(), 0..24),
        clauses in prop::collection::vec(clause(), 24),
        segments in 1_usize..3,
        has_deletes in any::<bool>(),
    ) {
        let named = documents.into_iter().enumerate();
        let documents = named.map(|(i, document)| (format!("d{i}"), document)).collect();
        let layout = Layout { shards: 3, segments, has_deletes };
        let index = Index::new(&mapping(), &documents, layout);
        for view in index.views() {
            // What is known from other queries of the same moment holds as well.
            let mut all = Extent::default();
            for clause in &clauses {
                all.learn(known(&view, clause));
            }
            for clause in &clauses {
                if known(&view, clause).excludes(clause) || all.excludes(clause) {
                    prop_assert_eq!(num_matching(&view, clause), 0, "{:?}", clause);
                }
            }
        }
    }
}

#[test]
fn values_that_no_document_has_and_ranges_beside_all_are_excluded() {
    let document = |n: i64| {
        let document = json!({
            "text": "oak elm", "tag": "tree", "n": n, "f": n as f64, "day": n, "bare": n,
            "ip": format!("10.0.0.{n}"), "is": true,
        });
        (format!("d{n}"), document)
    };
    let layout = Layout {
        shards: 1,
        segments: 2,
        has_deletes: false,
    };
    let index = Index::new(&mapping(), &(10..20).map(document).collect(), layout);
    let view = &index.views()[0];
    let excludes = |clause: &Clause| known(view, clause).excludes(clause);
    let term = |name: &str, term: &str| Clause::Term {
        field: field(name),
        term: term.to_owned(),
    };
    assert!(excludes(&term("text", "ash")) && !excludes(&term("text", "oak")));
    assert!(excludes(&term("tag", "bush")) && !excludes(&term("tag", "tree")));
    assert!(excludes(&term("nowhere", "oak")));
    let exact = |name: &str, value| Clause::Exact {
        field: field(name),
        value,
    };
    assert!(excludes(&exact("bare", Scalar::I64(9))));
    assert!(!excludes(&exact("bare", Scalar::I64(10))));
    assert!(excludes(&exact("is", Scalar::Bool(false))));
    let from = |name: &str, value| Clause::Range {
        field: field(name),
        lower: Bound::Included(value),
        upper: Bound::Unbounded,
    };
    for (name, inside, beyond) in [
        ("n", Scalar::I64(19), Scalar::I64(20)),
        ("f", Scalar::F64(19.0), Scalar::F64(19.5)),
        ("day", Scalar::Date(19), Scalar::Date(20)),
        (
            "ip",
            Scalar::Ip(0xffff_0a00_0013),
            Scalar::Ip(0xffff_0a00_0014),
        ),
    ] {
        assert!(!excludes(&from(name, inside)), "{name}");
        assert!(excludes(&from(name, beyond)), "{name}");
    }
    // Ranges of terms, and columns that are not kept, are not known.
    assert!(!excludes(&from("tag", Scalar::Text("zoo".to_owned()))));
    let exists = |name: &str| Clause::Exists {
        fields: vec![field(name)],
    };
    assert!(excludes(&exists("never")) && !excludes(&exists("n")) && !excludes(&exists("text")));
}

#[test]
fn a_list_of_many_values_is_looked_up_in_part_only() {
    let documents = vec![("d".to_owned(), json!({"tag": "tree"}))];
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let index = Index::new(&mapping(), &documents, layout);
    let view = &index.views()[0];
    let of = |num_values: usize| {
        let values = (0..num_values).map(|n| Scalar::Text(format!("t{n:04}")));
        Clause::AnyOf {
            field: field("tag"),
            values: values.collect(),
        }
    };
    let excludes = |clause: &Clause| known(view, clause).excludes(clause);
    assert!(excludes(&of(MOST_LOOKUPS)) && !excludes(&of(MOST_LOOKUPS + 1)));
}
