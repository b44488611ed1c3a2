//! Strategies for values, clauses and statistics.

use std::ops::Bound;

use gleaner_model::{DocumentId, FieldPath};
use gleaner_query::dsl::{BoostMode, DecayShape, FeatureCurve, Modifier, ScoreMode};
use gleaner_query::encoded::{GeoPoint, GeoShape, Relation};
use gleaner_query::resolved::{
    Clause, Decay, ExpansionCandidate, ExpansionRequest, Extent, FieldStatistics, FieldTotals,
    Function, FunctionScore, Origin, Pattern, Scalar, Span, Statistics, StatisticsRequest,
    TermEdge, Unmatched, WeightedFunction,
};
use gleaner_query::search::SortMode;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::num::{f32, f64};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Value;

pub(super) fn text() -> impl Strategy<Value = String> {
    "[a-zé. ]{0,6}"
}

pub(super) fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

pub(super) fn id() -> impl Strategy<Value = DocumentId> {
    "[a-zé]{1,6}".prop_map(|text| DocumentId::parse(&text).expect("short, not empty"))
}

pub(super) fn field() -> impl Strategy<Value = FieldPath> {
    text().prop_map(FieldPath::new)
}

/// A factor or score; NaN has no place in any of them.
pub(super) fn factor() -> impl Strategy<Value = f32> {
    f32::NORMAL | f32::ZERO | f32::SUBNORMAL | f32::INFINITE
}

pub(super) fn fraction() -> impl Strategy<Value = f64> {
    f64::NORMAL | f64::ZERO | f64::SUBNORMAL
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        fraction().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|parts| Value::Object(parts.into_iter().collect())),
        ]
    })
}

pub(super) fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<i64>().prop_map(Scalar::I64),
        any::<u64>().prop_map(Scalar::U64),
        fraction().prop_map(Scalar::F64),
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Date),
        any::<u128>().prop_map(Scalar::Ip),
        text().prop_map(Scalar::Text),
    ]
}

pub(super) fn unmatched() -> impl Strategy<Value = Unmatched> {
    let span = prop_oneof![
        Just(Span::Nowhere),
        (scalar(), scalar()).prop_map(|(least, greatest)| Span::Within(least, greatest)),
    ];
    let absent = vec((field(), scalar()), 0..6);
    let facts = (any::<bool>(), absent, vec((field(), span), 0..3));
    (facts, any::<u64>()).prop_map(|((is_empty, absent, spans), lease_us)| {
        let mut extent = Extent::of(is_empty);
        for (field, value) in absent {
            extent.note_absent(&field, value);
        }
        for (field, span) in spans {
            extent.note_span(field, span);
        }
        let lease = std::time::Duration::from_micros(lease_us);
        Unmatched { extent, lease }
    })
}

fn bound() -> impl Strategy<Value = Bound<Scalar>> {
    prop_oneof![
        Just(Bound::Unbounded),
        scalar().prop_map(Bound::Included),
        scalar().prop_map(Bound::Excluded),
    ]
}

fn shape() -> impl Strategy<Value = GeoShape> {
    let point = || {
        any::<[i32; 2]>().prop_map(|[latitude, longitude]| GeoPoint {
            latitude,
            longitude,
        })
    };
    prop_oneof![
        (point(), any::<u64>())
            .prop_map(|(center, radius_mm)| GeoShape::Circle { center, radius_mm }),
        (point(), point()).prop_map(|(top_left, bottom_right)| GeoShape::Box {
            top_left,
            bottom_right,
        }),
        vec(point(), 3..6).prop_map(GeoShape::Polygon),
    ]
}

fn term_edge() -> impl Strategy<Value = TermEdge> {
    (text(), any::<bool>()).prop_map(|(term, is_included)| TermEdge { term, is_included })
}

pub(super) fn pattern() -> impl Strategy<Value = Pattern> {
    let fuzzy = (text(), any::<u8>(), any::<u32>(), any::<bool>());
    prop_oneof![
        (text(), any::<bool>()).prop_map(|(prefix, ignore_case)| Pattern::Prefix {
            prefix,
            ignore_case
        }),
        (text(), any::<bool>()).prop_map(|(pattern, ignore_case)| Pattern::Wildcard {
            pattern,
            ignore_case
        }),
        (text(), any::<bool>()).prop_map(|(expression, ignore_case)| Pattern::Regexp {
            expression,
            ignore_case
        }),
        (text(), text(), 0..3_usize).prop_map(|(lower, upper, relation)| Pattern::Spans {
            relation: [Relation::Intersects, Relation::Contains, Relation::Within][relation],
            lower,
            upper,
        }),
        shape().prop_map(Pattern::Points),
        (term_edge(), term_edge()).prop_map(|(lower, upper)| Pattern::Between { lower, upper }),
        fuzzy.prop_map(|(term, distance, prefix_length, transpositions)| {
            Pattern::Fuzzy {
                term,
                distance,
                prefix_length,
                transpositions,
            }
        }),
    ]
}

fn leaf_clause() -> impl Strategy<Value = Clause> {
    let positions = vec((any::<u32>(), texts()), 0..3);
    prop_oneof![
        Just(Clause::MatchAll),
        Just(Clause::MatchNone),
        (field(), text()).prop_map(|(field, term)| Clause::Term { field, term }),
        (field(), texts()).prop_map(|(field, terms)| Clause::Synonyms { field, terms }),
        (field(), vec((text(), factor()), 0..4))
            .prop_map(|(field, terms)| Clause::Blended { field, terms }),
        (field(), scalar()).prop_map(|(field, value)| Clause::Exact { field, value }),
        (field(), vec(scalar(), 0..4)).prop_map(|(field, values)| Clause::AnyOf { field, values }),
        (field(), positions, any::<u32>()).prop_map(|(field, positions, slop)| Clause::Phrase {
            field,
            positions,
            slop
        }),
        (field(), bound(), bound()).prop_map(|(field, lower, upper)| Clause::Range {
            field,
            lower,
            upper
        }),
        vec(field(), 0..3).prop_map(|fields| Clause::Exists { fields }),
        vec(id(), 0..3).prop_map(|ids| Clause::Ids { ids }),
        (any::<u32>(), any::<u32>()).prop_map(|(id, max)| Clause::Slice { id, max }),
        (field(), pattern()).prop_map(|(field, pattern)| Clause::Pattern { field, pattern }),
        super::intervals::intervals().prop_map(|found| Clause::Intervals(Box::new(found))),
        super::intervals::across(),
    ]
}

fn function() -> impl Strategy<Value = Function> {
    let number = || any::<i32>().prop_map(f64::from);
    prop_oneof![
        Just(Function::One),
        (field(), number(), of(number())).prop_map(|(field, factor, missing)| {
            Function::FieldValue {
                field,
                factor,
                modifier: Modifier::Log2p,
                missing,
            }
        }),
        (any::<u64>(), of(field())).prop_map(|(seed, field)| Function::Random { seed, field }),
        (field(), number(), number()).prop_map(|(field, origin, scale)| {
            Function::Decay(Decay {
                field,
                shape: DecayShape::Exp,
                origin: Origin::Number(origin),
                scale,
                offset: 0.5,
                decay: 0.25,
                mode: SortMode::Avg,
            })
        }),
        (field(), any::<i32>(), any::<i32>()).prop_map(|(field, origin, pivot)| {
            Function::Proximity {
                field,
                origin: Origin::Number(origin.into()),
                pivot: pivot.into(),
            }
        }),
        (field(), any::<i64>(), any::<i32>()).prop_map(|(field, origin, pivot)| {
            Function::Proximity {
                field,
                origin: Origin::Nanos(origin),
                pivot: pivot.into(),
            }
        }),
        (field(), any::<i32>(), any::<i32>(), number()).prop_map(
            |(field, latitude, longitude, pivot)| {
                let point = GeoPoint {
                    latitude,
                    longitude,
                };
                Function::Proximity {
                    field,
                    origin: Origin::Point(point),
                    pivot,
                }
            }
        ),
        (field(), number(), 0..5).prop_map(|(field, pivot, curve)| {
            let curve = match curve {
                0 => FeatureCurve::Saturation { pivot },
                1 => FeatureCurve::Log {
                    scaling_factor: pivot,
                },
                3 => FeatureCurve::Typical { exponent: -1.0 },
                2 => FeatureCurve::Sigmoid {
                    pivot,
                    exponent: 2.0,
                },
                _ => FeatureCurve::Linear,
            };
            Function::Feature { field, curve }
        }),
    ]
}

fn functions(inner: BoxedStrategy<Clause>) -> impl Strategy<Value = Clause> {
    let modes = prop_oneof![
        Just((ScoreMode::Multiply, BoostMode::Replace)),
        Just((ScoreMode::First, BoostMode::Multiply)),
        Just((ScoreMode::Avg, BoostMode::Min)),
    ];
    let functions = vec((inner.clone(), factor(), function()), 0..3);
    (inner, functions, modes, of(factor())).prop_map(|(query, functions, modes, min_score)| {
        let (filters, functions) = functions
            .into_iter()
            .map(|(filter, weight, function)| (filter, WeightedFunction { weight, function }))
            .unzip();
        Clause::Functions(Box::new(FunctionScore {
            query,
            filters,
            functions,
            score_mode: modes.0,
            boost_mode: modes.1,
            max_boost: 3.5,
            min_score,
        }))
    })
}

pub(super) fn clause() -> impl Strategy<Value = Clause> {
    leaf_clause().prop_recursive(5, 32, 4, |inner| {
        let some = || vec(inner.clone(), 0..3);
        prop_oneof![
            (some(), some(), some(), some(), any::<u32>()).prop_map(
                |(must, should, filter, must_not, minimum_should_match)| Clause::Bool {
                    must,
                    should,
                    filter,
                    must_not,
                    minimum_should_match,
                }
            ),
            (some(), factor()).prop_map(|(clauses, tie_breaker)| Clause::DisMax {
                clauses,
                tie_breaker
            }),
            inner
                .clone()
                .prop_map(|clause| Clause::Constant(Box::new(clause))),
            (inner.clone(), inner.clone(), factor()).prop_map(|(positive, negative, factor)| {
                Clause::Demote {
                    positive: Box::new(positive),
                    negative: Box::new(negative),
                    factor,
                }
            }),
            functions(inner.clone()),
            (some(), field()).prop_map(|(clauses, field)| Clause::AtLeast { clauses, field }),
            (inner.clone(), factor()).prop_map(|(clause, factor)| Clause::Boost {
                clause: Box::new(clause),
                factor
            }),
        ]
    })
}

pub(super) fn statistics() -> impl Strategy<Value = Statistics> {
    let numbers =
        (any::<u64>(), any::<u64>()).prop_map(|(documents, total_length)| FieldStatistics {
            documents,
            total_length,
        });
    let terms = || btree_map(text(), any::<u64>(), 0..4);
    let totals = (any::<u64>(), any::<u64>(), terms());
    let totals = totals.prop_map(|(postings, occurrences, terms)| FieldTotals {
        postings,
        occurrences,
        terms,
    });
    (
        btree_map(field(), numbers, 0..3),
        btree_map(field(), terms(), 0..3),
        btree_map(field(), totals, 0..3),
    )
        .prop_map(|(fields, terms, totals)| Statistics {
            fields,
            terms,
            totals,
        })
}

pub(super) fn statistics_request() -> impl Strategy<Value = StatisticsRequest> {
    let fields = btree_map(field(), btree_set(text(), 0..4), 0..3);
    (fields, any::<bool>()).prop_map(|(fields, totals)| StatisticsRequest { fields, totals })
}

pub(super) fn expansion_request() -> impl Strategy<Value = ExpansionRequest> {
    (field(), pattern(), any::<usize>()).prop_map(|(field, pattern, limit)| ExpansionRequest {
        field,
        pattern,
        limit,
    })
}

pub(super) fn expansion_candidate() -> impl Strategy<Value = ExpansionCandidate> {
    (any::<u8>(), text(), any::<u64>()).prop_map(|(distance, term, documents)| ExpansionCandidate {
        distance,
        term,
        documents,
    })
}
