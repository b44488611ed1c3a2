//! Queries on `constant_keyword`, which the mapping alone answers.
//!
//! Every document of the index has the value, also one that was written before it was set, so a query on it matches all
//! documents or none, whatever the shards hold (Elasticsearch, `ConstantFieldType`). Read first: [`Constants::settle`].

use std::ops::RangeBounds;

use gleaner_model::{FieldPath, Mapping};
use gleaner_partial::EvaluationError;
use gleaner_partial::pattern::TermAutomaton;
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, Scalar};

/// The constants of an index, looked up where a clause names one.
pub(super) struct Constants<'a>(&'a Mapping);

impl<'a> Constants<'a> {
    pub(super) fn of(mapping: &'a Mapping) -> Self {
        Self(mapping)
    }

    /// Returns whether the field at `path` is one.
    pub(super) fn has(&self, path: &FieldPath) -> bool {
        self.value(path).is_some()
    }

    /// Returns the value of a constant, `None` within where none is set yet; `None` for other fields.
    fn value(&self, path: &FieldPath) -> Option<Option<&'a str>> {
        let field = self.0.fields.get(path)?;
        field.kind.is_constant().then(|| field.kind.constant())
    }

    /// Puts all documents, or none, in place of each clause on a constant; every match of those scores 1.
    ///
    /// # Errors
    /// [`QueryError`] for a pattern that cannot be read.
    pub(super) fn settle(&self, clause: &mut Clause) -> Result<(), QueryError> {
        match clause {
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } => [must, should, filter, must_not]
                .into_iter()
                .try_for_each(|clauses| self.settle_all(clauses)),
            Clause::DisMax { clauses, .. } | Clause::AtLeast { clauses, .. } => {
                self.settle_all(clauses)
            }
            Clause::Constant(inner) | Clause::Boost { clause: inner, .. } => self.settle(inner),
            Clause::Exists { fields } => {
                if let Some(settled) = self.exists(fields) {
                    *clause = settled;
                }
                Ok(())
            }
            // What else has clauses inside has them from queries, which are settled.
            leaf => {
                match self.matches(leaf)? {
                    None => {}
                    Some(true) => *leaf = Clause::MatchAll,
                    Some(false) => *leaf = Clause::MatchNone,
                }
                Ok(())
            }
        }
    }

    fn settle_all(&self, clauses: &mut [Clause]) -> Result<(), QueryError> {
        clauses
            .iter_mut()
            .try_for_each(|clause| self.settle(clause))
    }

    /// Leaves constants out of `fields`, one of which a document is to have; returns the clause that says the same where no other
    /// field is to be looked at.
    fn exists(&self, fields: &mut Vec<FieldPath>) -> Option<Clause> {
        let is_set = |path: &FieldPath| self.value(path).flatten().is_some();
        if fields.iter().any(is_set) {
            return Some(Clause::MatchAll);
        }
        let num_fields = fields.len();
        fields.retain(|path| !self.has(path));
        // A list without fields says something else.
        (fields.is_empty() && num_fields > 0).then_some(Clause::MatchNone)
    }

    /// Returns whether the value matches a clause on a constant; `None` for clauses on other fields.
    fn matches(&self, clause: &Clause) -> Result<Option<bool>, QueryError> {
        let (terms, values) = (clause.terms(), clause.values());
        let field = match clause {
            Clause::Pattern { field, .. } | Clause::Range { field, .. } => Some(field),
            _ => {
                let of_terms = terms.as_ref().map(|(field, _)| *field);
                of_terms.or(values.map(|(field, _)| field))
            }
        };
        let Some(value) = field.and_then(|field| self.value(field)) else {
            return Ok(None);
        };
        // Read before it is known whether there is a value: one that cannot be read is refused.
        let automaton = match clause {
            Clause::Pattern { pattern, .. } => {
                let automaton = TermAutomaton::new(pattern);
                let refused = |error: EvaluationError| {
                    QueryError::new(ErrorType::QueryShard, error.to_string())
                };
                Some(automaton.map_err(refused)?)
            }
            _ => None,
        };
        let Some(value) = value else {
            return Ok(Some(false));
        };
        let scalar = Scalar::Text(value.to_owned());
        Ok(Some(match (clause, automaton) {
            (_, Some(automaton)) => automaton.accepts(value),
            (Clause::Range { lower, upper, .. }, None) => {
                let bounds = (lower.as_ref(), upper.as_ref());
                RangeBounds::<Scalar>::contains(&bounds, &scalar)
            }
            _ => {
                terms.is_some_and(|(_, terms)| terms.contains(&value))
                    || values.is_some_and(|(_, values)| values.contains(&scalar))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use gleaner_query::resolved::Pattern;
    use serde_json::json;

    use super::*;
    use crate::testing::index;

    fn path(path: &str) -> FieldPath {
        FieldPath::new(path)
    }

    fn term(field: &str, term: &str) -> Clause {
        Clause::Term {
            field: path(field),
            term: term.to_owned(),
        }
    }

    fn wildcard(field: &str, pattern: &str) -> Clause {
        Clause::Pattern {
            field: path(field),
            pattern: Pattern::Wildcard {
                pattern: pattern.to_owned(),
                ignore_case: false,
            },
        }
    }

    fn exists(fields: &[&str]) -> Clause {
        Clause::Exists {
            fields: fields.iter().map(|field| path(field)).collect(),
        }
    }

    #[test]
    fn the_mapping_alone_answers() {
        let index = index(
            1,
            &json!({"properties": {
                "set": {"type": "constant_keyword", "value": "nginx"},
                "unset": {"type": "constant_keyword"},
                "plain": {"type": "keyword"},
            }}),
        );
        let constants = Constants::of(&index.mapping);
        let below = |bound: &str| Clause::Range {
            field: path("set"),
            lower: Bound::Unbounded,
            upper: Bound::Excluded(Scalar::Text(bound.to_owned())),
        };
        let one_of = |values: &[&str]| Clause::AnyOf {
            field: path("set"),
            values: values
                .iter()
                .map(|value| Scalar::Text((*value).to_owned()))
                .collect(),
        };
        let (all, none) = (Clause::MatchAll, Clause::MatchNone);
        for (clause, expected) in [
            (term("set", "nginx"), &all),
            (term("set", "apache"), &none),
            (term("unset", "nginx"), &none),
            (term("plain", "nginx"), &term("plain", "nginx")),
            (wildcard("set", "ng*x"), &all),
            (wildcard("set", "ng"), &none),
            (wildcard("unset", "*"), &none),
            (one_of(&["apache", "nginx"]), &all),
            (one_of(&["apache"]), &none),
            (below("nginy"), &all),
            (below("nginx"), &none),
            (exists(&["plain", "set"]), &all),
            (exists(&["unset"]), &none),
            (exists(&["plain", "unset"]), &exists(&["plain"])),
            (exists(&[]), &exists(&[])),
        ] {
            let mut settled = clause.clone();
            constants.settle(&mut settled).expect("it is good");
            assert_eq!(settled, *expected, "{clause}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_refused_also_without_a_value() {
        let index = index(
            1,
            &json!({"properties": {"unset": {"type": "constant_keyword"}}}),
        );
        let mut clause = Clause::Boost {
            clause: Box::new(Clause::Pattern {
                field: path("unset"),
                pattern: Pattern::Regexp {
                    expression: "(".to_owned(),
                    ignore_case: false,
                },
            }),
            factor: 2.0,
        };
        assert!(Constants::of(&index.mapping).settle(&mut clause).is_err());
    }
}
