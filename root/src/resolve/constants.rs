//! Queries on `constant_keyword`, which the mapping alone answers.
//!
//! Every document of the index has the value, also one that was written before it was set, so a query on it matches all
//! documents or none, whatever the shards hold (Elasticsearch, `ConstantFieldType`). Read first: [`Constants::settled`].

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use gleaner_model::{FieldPath, Mapping};
use gleaner_partial::EvaluationError;
use gleaner_partial::pattern::TermAutomaton;
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, Scalar};

/// The constants of an index with their values; `None` where no value is set yet.
pub(super) struct Constants<'a>(BTreeMap<&'a FieldPath, Option<&'a str>>);

impl<'a> Constants<'a> {
    pub(super) fn of(mapping: &'a Mapping) -> Self {
        let fields = mapping.fields.iter();
        let constants = fields.filter(|(_, field)| field.kind.is_constant());
        Self(
            constants
                .map(|(path, field)| (path, field.kind.constant()))
                .collect(),
        )
    }

    /// Returns whether the field at `path` is one.
    pub(super) fn has(&self, path: &FieldPath) -> bool {
        self.0.contains_key(path)
    }

    /// Returns `clause` with all documents, or none, in place of each clause on a constant; every match of those scores 1.
    ///
    /// # Errors
    /// [`QueryError`] for a pattern that cannot be read.
    pub(super) fn settled(&self, clause: Clause) -> Result<Clause, QueryError> {
        if self.0.is_empty() {
            return Ok(clause);
        }
        let all = |clauses: Vec<Clause>| -> Result<Vec<Clause>, QueryError> {
            let clauses = clauses.into_iter();
            clauses.map(|clause| self.settled(clause)).collect()
        };
        Ok(match clause {
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                minimum_should_match,
            } => Clause::Bool {
                must: all(must)?,
                should: all(should)?,
                filter: all(filter)?,
                must_not: all(must_not)?,
                minimum_should_match,
            },
            Clause::DisMax {
                clauses,
                tie_breaker,
            } => Clause::DisMax {
                clauses: all(clauses)?,
                tie_breaker,
            },
            Clause::AtLeast { clauses, field } => Clause::AtLeast {
                clauses: all(clauses)?,
                field,
            },
            Clause::Constant(inner) => Clause::Constant(Box::new(self.settled(*inner)?)),
            Clause::Boost { clause, factor } => Clause::Boost {
                clause: Box::new(self.settled(*clause)?),
                factor,
            },
            Clause::Exists { fields } => self.exists(fields),
            // What else has clauses inside has them from queries, which are settled.
            leaf => match self.matches(&leaf)? {
                None => leaf,
                Some(true) => Clause::MatchAll,
                Some(false) => Clause::MatchNone,
            },
        })
    }

    fn exists(&self, mut fields: Vec<FieldPath>) -> Clause {
        let is_set = |path: &FieldPath| self.0.get(path).is_some_and(Option::is_some);
        if fields.iter().any(is_set) {
            return Clause::MatchAll;
        }
        let num_fields = fields.len();
        fields.retain(|path| !self.has(path));
        // A list without fields says something else.
        match fields.is_empty() && num_fields > 0 {
            true => Clause::MatchNone,
            false => Clause::Exists { fields },
        }
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
        let Some(value) = field.and_then(|field| self.0.get(field)) else {
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
        let scalar = Scalar::Text((*value).to_owned());
        Ok(Some(match (clause, automaton) {
            (_, Some(automaton)) => automaton.accepts(value),
            (Clause::Range { lower, upper, .. }, None) => {
                let bounds = (lower.as_ref(), upper.as_ref());
                RangeBounds::<Scalar>::contains(&bounds, &scalar)
            }
            _ => {
                terms.is_some_and(|(_, terms)| terms.contains(value))
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
            let settled = constants.settled(clause.clone()).expect("it is good");
            assert_eq!(settled, *expected, "{clause}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_refused_also_without_a_value() {
        let index = index(
            1,
            &json!({"properties": {"unset": {"type": "constant_keyword"}}}),
        );
        let clause = Clause::Boost {
            clause: Box::new(Clause::Pattern {
                field: path("unset"),
                pattern: Pattern::Regexp {
                    expression: "(".to_owned(),
                    ignore_case: false,
                },
            }),
            factor: 2.0,
        };
        assert!(Constants::of(&index.mapping).settled(clause).is_err());
    }
}
