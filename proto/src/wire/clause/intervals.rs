//! Sources of intervals, written in post-order as clauses are.

use gleaner_model::FieldPath;
use gleaner_query::dsl::IntervalRelation;
use gleaner_query::resolved::{IntervalOrder, IntervalScoring, IntervalSource, Intervals};

use super::super::field::{known, member};
use super::super::ids::field_text;
use super::super::tree::{Forest, take_box};
use super::super::v1::interval_node as node;
use super::super::v1::interval_node::Kind;
use super::super::{DecodeError, Wire, v1};
use super::MAX_DEPTH;

use node::Relation;
use node::all_of::Order;
use v1::intervals::Scoring;

impl Wire for Intervals {
    type Message = v1::Intervals;

    fn to_message(&self) -> v1::Intervals {
        let Self {
            field,
            source,
            scoring,
        } = self;
        let mut nodes = Vec::new();
        push(source, &mut nodes);
        let scoring = match scoring {
            IntervalScoring::Saturated => Scoring::Saturated,
            IntervalScoring::Bm25 => Scoring::Bm25,
        };
        v1::Intervals {
            field: field_text(field),
            nodes,
            scoring: scoring.into(),
        }
    }

    fn from_message(message: v1::Intervals) -> Result<Self, DecodeError> {
        let v1::Intervals {
            field,
            nodes,
            scoring,
        } = message;
        let mut sources = Forest::new("Intervals", MAX_DEPTH);
        for v1::IntervalNode { kind } in nodes {
            add(&mut sources, known(kind, "IntervalNode")?)?;
        }
        Ok(Self {
            field: FieldPath::new(field),
            source: sources.into_one()?,
            scoring: match member(scoring, "Intervals.scoring")? {
                Scoring::Saturated => IntervalScoring::Saturated,
                Scoring::Bm25 => IntervalScoring::Bm25,
            },
        })
    }
}

fn push(source: &IntervalSource, nodes: &mut Vec<v1::IntervalNode>) {
    source
        .children()
        .iter()
        .for_each(|inner| push(inner, nodes));
    let kind = match source {
        IntervalSource::Nothing => Kind::Nothing(v1::Unit {}),
        IntervalSource::Terms { field, terms } => Kind::Terms(node::Terms {
            field: field_text(field),
            terms: terms.clone(),
        }),
        IntervalSource::AnyOf(sources) => Kind::AnyOf(sources.len() as u32),
        IntervalSource::AllOf {
            sources,
            order,
            max_gaps,
        } => Kind::AllOf(node::AllOf {
            num_sources: sources.len() as u32,
            order: order_number(*order).into(),
            max_gaps: *max_gaps,
        }),
        IntervalSource::Repeat { times, .. } => Kind::Repeat(*times),
        IntervalSource::Extend { before, after, .. } => Kind::Extend(node::Extend {
            before: *before,
            after: *after,
        }),
        IntervalSource::First { end, .. } => Kind::First(*end),
        IntervalSource::Filter { relation, by, .. } => {
            push(by, nodes);
            Kind::Filter(relation_number(*relation).into())
        }
    };
    nodes.push(v1::IntervalNode { kind: Some(kind) });
}

fn add(sources: &mut Forest<IntervalSource>, kind: Kind) -> Result<(), DecodeError> {
    match kind {
        Kind::Nothing(v1::Unit {}) => sources.add(0, |_| Ok(IntervalSource::Nothing)),
        Kind::Terms(node::Terms { field, terms }) => sources.add(0, |_| {
            Ok(IntervalSource::Terms {
                field: FieldPath::new(field),
                terms,
            })
        }),
        Kind::AnyOf(number) => {
            sources.add(number as usize, |parts| Ok(IntervalSource::AnyOf(parts)))
        }
        Kind::AllOf(node) => sources.add(node.num_sources as usize, |sources| {
            Ok(IntervalSource::AllOf {
                sources,
                order: order(member(node.order, "Intervals.order")?)?,
                max_gaps: node.max_gaps,
            })
        }),
        Kind::Repeat(times) => sources.add(1, |parts| {
            let source = take_box(&mut parts.into_iter(), "Intervals.repeat")?;
            Ok(IntervalSource::Repeat { source, times })
        }),
        Kind::Extend(node::Extend { before, after }) => sources.add(1, |parts| {
            let source = take_box(&mut parts.into_iter(), "Intervals.extend")?;
            Ok(IntervalSource::Extend {
                source,
                before,
                after,
            })
        }),
        Kind::First(end) => sources.add(1, |parts| {
            let source = take_box(&mut parts.into_iter(), "Intervals.first")?;
            Ok(IntervalSource::First { source, end })
        }),
        Kind::Filter(number) => sources.add(2, |parts| {
            let mut parts = parts.into_iter();
            Ok(IntervalSource::Filter {
                source: take_box(&mut parts, "Intervals.filter")?,
                by: take_box(&mut parts, "Intervals.filter")?,
                relation: relation(member(number, "Intervals.relation")?)?,
            })
        }),
    }
}

fn order_number(order: IntervalOrder) -> Order {
    match order {
        IntervalOrder::Adjacent => Order::Adjacent,
        IntervalOrder::Ordered => Order::Ordered,
        IntervalOrder::Unordered => Order::Unordered,
        IntervalOrder::Separate => Order::Separate,
    }
}

fn order(order: Order) -> Result<IntervalOrder, DecodeError> {
    match order {
        Order::Unspecified => Err(DecodeError::Missing("Intervals.order")),
        Order::Adjacent => Ok(IntervalOrder::Adjacent),
        Order::Ordered => Ok(IntervalOrder::Ordered),
        Order::Unordered => Ok(IntervalOrder::Unordered),
        Order::Separate => Ok(IntervalOrder::Separate),
    }
}

fn relation_number(relation: IntervalRelation) -> Relation {
    match relation {
        IntervalRelation::After => Relation::After,
        IntervalRelation::Before => Relation::Before,
        IntervalRelation::ContainedBy => Relation::ContainedBy,
        IntervalRelation::Containing => Relation::Containing,
        IntervalRelation::Overlapping => Relation::Overlapping,
        IntervalRelation::NotContainedBy => Relation::NotContainedBy,
        IntervalRelation::NotContaining => Relation::NotContaining,
        IntervalRelation::NotOverlapping => Relation::NotOverlapping,
    }
}

fn relation(relation: Relation) -> Result<IntervalRelation, DecodeError> {
    match relation {
        Relation::Unspecified => Err(DecodeError::Missing("Intervals.relation")),
        Relation::After => Ok(IntervalRelation::After),
        Relation::Before => Ok(IntervalRelation::Before),
        Relation::ContainedBy => Ok(IntervalRelation::ContainedBy),
        Relation::Containing => Ok(IntervalRelation::Containing),
        Relation::Overlapping => Ok(IntervalRelation::Overlapping),
        Relation::NotContainedBy => Ok(IntervalRelation::NotContainedBy),
        Relation::NotContaining => Ok(IntervalRelation::NotContaining),
        Relation::NotOverlapping => Ok(IntervalRelation::NotOverlapping),
    }
}
