//! Strategies for intervals, and for texts over several fields.

use gleaner_query::dsl::IntervalRelation;
use gleaner_query::resolved::{
    Blend, Clause, IntervalOrder, IntervalScoring, IntervalSource, Intervals,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::clauses::{factor, field, text, texts};

pub(super) fn across() -> impl Strategy<Value = Clause> {
    let blend = prop_oneof![Just(Blend::OneField), factor().prop_map(Blend::Best),];
    (vec((field(), text(), factor()), 0..3), blend).prop_map(|(fields, blend)| {
        let (clauses, weights) = fields
            .into_iter()
            .map(|(field, term, weight)| (Clause::Term { field, term }, weight))
            .unzip();
        Clause::Across {
            clauses,
            weights,
            blend,
        }
    })
}

pub(super) fn intervals() -> impl Strategy<Value = Intervals> {
    let scoring = prop_oneof![
        Just(IntervalScoring::Saturated),
        Just(IntervalScoring::Bm25),
    ];
    (field(), source(), scoring).prop_map(|(field, source, scoring)| Intervals {
        field,
        source,
        scoring,
    })
}

fn source() -> impl Strategy<Value = IntervalSource> {
    let leaf = prop_oneof![
        Just(IntervalSource::Nothing),
        (field(), texts()).prop_map(|(field, terms)| IntervalSource::Terms { field, terms }),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let one = || inner.clone().prop_map(Box::new);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(IntervalSource::AnyOf),
            (vec(inner.clone(), 0..3), order(), of(any::<u32>())).prop_map(
                |(sources, order, max_gaps)| IntervalSource::AllOf {
                    sources,
                    order,
                    max_gaps,
                }
            ),
            (one(), any::<u32>())
                .prop_map(|(source, times)| IntervalSource::Repeat { source, times }),
            (one(), any::<u32>(), any::<u32>()).prop_map(|(source, before, after)| {
                IntervalSource::Extend {
                    source,
                    before,
                    after,
                }
            }),
            (one(), any::<u32>()).prop_map(|(source, end)| IntervalSource::First { source, end }),
            (one(), relation(), one()).prop_map(|(source, relation, by)| IntervalSource::Filter {
                source,
                relation,
                by,
            }),
        ]
    })
}

fn order() -> impl Strategy<Value = IntervalOrder> {
    prop_oneof![
        Just(IntervalOrder::Adjacent),
        Just(IntervalOrder::Ordered),
        Just(IntervalOrder::Unordered),
        Just(IntervalOrder::Separate),
    ]
}

fn relation() -> impl Strategy<Value = IntervalRelation> {
    (0..IntervalRelation::ALL.len()).prop_map(|at| IntervalRelation::ALL[at].1)
}
