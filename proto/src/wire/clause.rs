//! Clauses, written in post-order.

mod decode;
mod function;
mod intervals;
mod pattern;

use gleaner_query::resolved::{Blend, Clause};

use super::ids::{field_text, id_texts};
use super::scalar::bound_message;
use super::v1::clause_node as node;
use super::v1::clause_node::Kind;
use super::{DecodeError, Wire, messages, v1};

/// Levels of a clause. Queries are parsed to at most 30 levels, query strings in them to 30 groups
/// more (`query::limits`); each level becomes two or three clauses: about 200.
pub(super) const MAX_DEPTH: usize = 256;

impl Wire for Clause {
    type Message = v1::Clause;

    fn to_message(&self) -> v1::Clause {
        let mut nodes = Vec::new();
        push(self, &mut nodes);
        v1::Clause { nodes }
    }

    fn from_message(message: v1::Clause) -> Result<Self, DecodeError> {
        decode::clause(message)
    }
}

fn push(clause: &Clause, nodes: &mut Vec<v1::ClauseNode>) {
    let kind = match clause {
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } => Kind::Bool(node::Bool {
            num_must: push_all(must, nodes),
            num_should: push_all(should, nodes),
            num_filter: push_all(filter, nodes),
            num_must_not: push_all(must_not, nodes),
            minimum_should_match: *minimum_should_match,
        }),
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => Kind::DisMax(node::DisMax {
            num_clauses: push_all(clauses, nodes),
            tie_breaker: *tie_breaker,
        }),
        Clause::Across {
            clauses,
            weights,
            blend,
        } => Kind::Across(node::Across {
            num_clauses: push_all(clauses, nodes),
            weights: weights.clone(),
            tie_breaker: match blend {
                Blend::OneField => None,
                Blend::Best(tie_breaker) => Some(*tie_breaker),
            },
        }),
        Clause::AtLeast { clauses, field } => Kind::AtLeast(node::AtLeast {
            num_clauses: push_all(clauses, nodes),
            field: field_text(field),
        }),
        Clause::Constant(inner) => {
            push(inner, nodes);
            Kind::Constant(v1::Unit {})
        }
        Clause::Demote {
            positive,
            negative,
            factor,
        } => {
            push(positive, nodes);
            push(negative, nodes);
            Kind::Demote(*factor)
        }
        Clause::Functions(scored) => {
            push(&scored.query, nodes);
            push_all(&scored.filters, nodes);
            Kind::Functions(function::message(scored))
        }
        Clause::Boost { clause, factor } => {
            push(clause, nodes);
            Kind::Boost(*factor)
        }
        leaf => leaf_kind(leaf),
    };
    nodes.push(v1::ClauseNode { kind: Some(kind) });
}

fn push_all(clauses: &[Clause], nodes: &mut Vec<v1::ClauseNode>) -> u32 {
    clauses.iter().for_each(|clause| push(clause, nodes));
    clauses.len() as u32
}

/// Returns the node of a clause that holds no other.
fn leaf_kind(clause: &Clause) -> Kind {
    match clause {
        Clause::MatchAll => Kind::MatchAll(v1::Unit {}),
        Clause::MatchNone => Kind::MatchNone(v1::Unit {}),
        Clause::Term { field, term } => Kind::Term(node::Term {
            field: field_text(field),
            term: term.clone(),
        }),
        Clause::Synonyms { field, terms } => Kind::Synonyms(node::Synonyms {
            field: field_text(field),
            terms: terms.clone(),
        }),
        Clause::Blended { field, terms } => Kind::Blended(node::Blended {
            field: field_text(field),
            terms: terms.iter().map(|(term, _)| term.clone()).collect(),
            factors: terms.iter().map(|(_, factor)| *factor).collect(),
        }),
        Clause::Exact { field, value } => Kind::Exact(node::Exact {
            field: field_text(field),
            value: Some(value.to_message()),
        }),
        Clause::AnyOf { field, values } => Kind::AnyOf(node::AnyOf {
            field: field_text(field),
            values: messages(values),
        }),
        Clause::Phrase {
            field,
            positions,
            slop,
        } => Kind::Phrase(node::Phrase {
            field: field_text(field),
            positions: positions.iter().map(position_message).collect(),
            slop: *slop,
        }),
        Clause::Range {
            field,
            lower,
            upper,
        } => Kind::Range(node::Range {
            field: field_text(field),
            lower: bound_message(lower),
            upper: bound_message(upper),
        }),
        Clause::Exists { fields } => Kind::Exists(node::Texts {
            texts: fields.iter().map(field_text).collect(),
        }),
        Clause::Ids { ids } => Kind::Ids(node::Texts {
            texts: id_texts(ids),
        }),
        Clause::Slice { id, max } => Kind::Slice(node::Slice { id: *id, max: *max }),
        Clause::Pattern { field, pattern } => Kind::Pattern(node::Matching {
            field: field_text(field),
            pattern: Some(pattern.to_message()),
        }),
        Clause::Intervals(intervals) => Kind::Intervals(intervals.to_message()),
        Clause::Bool { .. }
        | Clause::DisMax { .. }
        | Clause::Across { .. }
        | Clause::AtLeast { .. }
        | Clause::Constant(_)
        | Clause::Demote { .. }
        | Clause::Functions(_)
        | Clause::Boost { .. } => unreachable!("clauses that hold others are written before"),
    }
}

fn position_message((position, terms): &(u32, Vec<String>)) -> node::Position {
    node::Position {
        position: *position,
        terms: terms.clone(),
    }
}
