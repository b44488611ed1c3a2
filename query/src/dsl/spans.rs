//! `span_*`: words and how they stand to each other, by spans.
//!
//! Does: name what can be asked. Does not: evaluate it (`resolved/intervals.rs` says what it means). Called by: what
//! reads or resolves queries. Read first: [`SpanRule`].

use serde::Serialize;
use serde_json::Value;

use super::Query;

/// A query of spans, all of one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanQuery {
    /// Which spans there must be.
    pub rule: SpanRule,
    /// Factor on the score.
    pub boost: f32,
}

/// Which spans of a text are meant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum SpanRule {
    /// `span_term`: those of a term as it is.
    Term {
        /// Field.
        field: String,
        /// The term.
        value: Value,
    },
    /// Spans with a `_name` inside others: the same spans.
    Named {
        /// The name by which hits tell that they match.
        name: String,
        /// The spans.
        inner: Box<SpanRule>,
    },
    /// `span_multi`: those of the terms that a `prefix`, `wildcard`, `regexp` or `fuzzy` query matches.
    Multi(Box<Query>),
    /// `span_near`: those made of one of each.
    Near {
        /// The parts.
        clauses: Vec<SpanRule>,
        /// Words between them, at most.
        slop: u32,
        /// Whether they come in this order.
        in_order: bool,
    },
    /// A clause of `span_near` with a `span_gap` behind it: its spans, each with so many words more.
    Spaced {
        /// The clause.
        inner: Box<SpanRule>,
        /// Field of the gap.
        field: String,
        /// Words of the gap.
        width: u32,
    },
    /// `span_or`: those of any.
    Or(Vec<SpanRule>),
    /// `span_first`: those that end within the first words.
    First {
        /// The spans.
        inner: Box<SpanRule>,
        /// So many words.
        end: u32,
    },
    /// `span_not`: those that are not near others.
    Not {
        /// The spans.
        include: Box<SpanRule>,
        /// The others.
        exclude: Box<SpanRule>,
        /// Words before a span that belong to it here.
        pre: u32,
        /// Words behind it that do.
        post: u32,
    },
    /// `span_containing`: large ones that hold small ones.
    Containing {
        /// The large ones.
        big: Box<SpanRule>,
        /// The small ones.
        little: Box<SpanRule>,
    },
    /// `span_within`: small ones that lie in large ones.
    Within {
        /// The large ones.
        big: Box<SpanRule>,
        /// The small ones.
        little: Box<SpanRule>,
    },
}
