//! Clauses, read from post-order.

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Blend, Clause};

use super::super::field::{all, known, one};
use super::super::ids::ids;
use super::super::scalar::bound;
use super::super::tree::{Forest, take, take_box};
use super::super::v1::clause_node as node;
use super::super::v1::clause_node::Kind;
use super::super::{DecodeError, Wire, v1};
use super::MAX_DEPTH;

/// Reads one clause.
pub(super) fn clause(message: v1::Clause) -> Result<Clause, DecodeError> {
    let mut clauses = Forest::new("Clause", MAX_DEPTH);
    for v1::ClauseNode { kind } in message.nodes {
        add(&mut clauses, known(kind, "Clause")?)?;
    }
    clauses.into_one()
}

fn add(clauses: &mut Forest<Clause>, kind: Kind) -> Result<(), DecodeError> {
    match kind {
        Kind::Bool(node) => clauses.add(num_parts(&node)?, |parts| Ok(combined(&node, parts))),
        Kind::DisMax(node::DisMax {
            num_clauses,
            tie_breaker,
        }) => clauses.add(num_clauses as usize, |clauses| {
            Ok(Clause::DisMax {
                clauses,
                tie_breaker,
            })
        }),
        Kind::Across(node) => clauses.add(node.num_clauses as usize, |parts| across(node, parts)),
        Kind::AtLeast(node::AtLeast { num_clauses, field }) => {
            clauses.add(num_clauses as usize, |clauses| {
                Ok(Clause::AtLeast {
                    clauses,
                    field: FieldPath::new(field),
                })
            })
        }
        Kind::Constant(v1::Unit {}) => clauses.add(1, |parts| {
            let inner = take_box(&mut parts.into_iter(), "Clause.constant")?;
            Ok(Clause::Constant(inner))
        }),
        Kind::Demote(factor) => clauses.add(2, |parts| {
            let mut parts = parts.into_iter();
            Ok(Clause::Demote {
                positive: take_box(&mut parts, "Clause.demote")?,
                negative: take_box(&mut parts, "Clause.demote")?,
                factor,
            })
        }),
        Kind::Functions(node) => clauses.add(node.functions.len().saturating_add(1), |parts| {
            let scored = super::function::functions(node, parts)?;
            Ok(Clause::Functions(Box::new(scored)))
        }),
        Kind::Boost(factor) => clauses.add(1, |parts| {
            let clause = take_box(&mut parts.into_iter(), "Clause.boost")?;
            Ok(Clause::Boost { clause, factor })
        }),
        leaf => clauses.add(0, |_| leaf_clause(leaf)),
    }
}

fn num_parts(node: &node::Bool) -> Result<usize, DecodeError> {
    let node::Bool {
        num_must,
        num_should,
        num_filter,
        num_must_not,
        minimum_should_match: _,
    } = *node;
    let counts = [num_must, num_should, num_filter, num_must_not];
    let sum: u64 = counts.into_iter().map(u64::from).sum();
    super::super::field::size(sum, "Bool")
}

/// Returns a `bool` of as many parts as it says.
fn combined(node: &node::Bool, parts: Vec<Clause>) -> Clause {
    let mut parts = parts.into_iter();
    Clause::Bool {
        must: take(&mut parts, node.num_must),
        should: take(&mut parts, node.num_should),
        filter: take(&mut parts, node.num_filter),
        must_not: take(&mut parts, node.num_must_not),
        minimum_should_match: node.minimum_should_match,
    }
}

/// Returns a text over as many fields as there are factors.
fn across(node: node::Across, clauses: Vec<Clause>) -> Result<Clause, DecodeError> {
    let node::Across {
        num_clauses: _,
        weights,
        tie_breaker,
    } = node;
    if clauses.len() != weights.len() {
        let reason = format!("{} factors for {} fields", weights.len(), clauses.len());
        return Err(DecodeError::field("Across", reason));
    }
    let is_words =
        |clause: &Clause| matches!(clause, Clause::Term { .. } | Clause::Synonyms { .. });
    if !clauses.iter().all(is_words) {
        let reason = "a field is asked for something else than words".to_owned();
        return Err(DecodeError::field("Across", reason));
    }
    Ok(Clause::Across {
        clauses,
        weights,
        blend: tie_breaker.map_or(Blend::OneField, Blend::Best),
    })
}

fn leaf_clause(kind: Kind) -> Result<Clause, DecodeError> {
    Ok(match kind {
        Kind::MatchAll(v1::Unit {}) => Clause::MatchAll,
        Kind::MatchNone(v1::Unit {}) => Clause::MatchNone,
        Kind::Term(node::Term { field, term }) => Clause::Term {
            field: FieldPath::new(field),
            term,
        },
        Kind::Synonyms(node::Synonyms { field, terms }) => Clause::Synonyms {
            field: FieldPath::new(field),
            terms,
        },
        Kind::Blended(node) => blended(node)?,
        Kind::Exact(node::Exact { field, value }) => Clause::Exact {
            field: FieldPath::new(field),
            value: one(value, "Exact.value")?,
        },
        Kind::AnyOf(node::AnyOf { field, values }) => Clause::AnyOf {
            field: FieldPath::new(field),
            values: all(values)?,
        },
        Kind::Phrase(node::Phrase {
            field,
            positions,
            slop,
        }) => Clause::Phrase {
            field: FieldPath::new(field),
            positions: positions.into_iter().map(position).collect(),
            slop,
        },
        Kind::Range(node::Range {
            field,
            lower,
            upper,
        }) => Clause::Range {
            field: FieldPath::new(field),
            lower: bound(lower)?,
            upper: bound(upper)?,
        },
        Kind::Exists(node::Texts { texts }) => Clause::Exists {
            fields: texts.into_iter().map(FieldPath::new).collect(),
        },
        Kind::Ids(node::Texts { texts }) => Clause::Ids { ids: ids(&texts)? },
        Kind::Slice(node::Slice { id, max }) => Clause::Slice { id, max },
        Kind::Pattern(node::Matching { field, pattern }) => Clause::Pattern {
            field: FieldPath::new(field),
            pattern: one(pattern, "Matching.pattern")?,
        },
        Kind::Intervals(intervals) => {
            let intervals = Wire::from_message(intervals)?;
            Clause::Intervals(Box::new(intervals))
        }
        Kind::Bool(_)
        | Kind::DisMax(_)
        | Kind::Across(_)
        | Kind::AtLeast(_)
        | Kind::Constant(_)
        | Kind::Demote(_)
        | Kind::Functions(_)
        | Kind::Boost(_) => {
            unreachable!("clauses that hold others are read before")
        }
    })
}

fn position(node: node::Position) -> (u32, Vec<String>) {
    let node::Position { position, terms } = node;
    (position, terms)
}

fn blended(node: node::Blended) -> Result<Clause, DecodeError> {
    let node::Blended {
        field,
        terms,
        factors,
    } = node;
    if terms.len() != factors.len() {
        let reason = format!("{} factors for {} terms", factors.len(), terms.len());
        return Err(DecodeError::field("Blended", reason));
    }
    Ok(Clause::Blended {
        field: FieldPath::new(field),
        terms: terms.into_iter().zip(factors).collect(),
    })
}
