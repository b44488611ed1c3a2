//! Which keys `terms` wants: `include` and `exclude`.

use std::collections::HashSet;
use std::sync::Arc;

use gleaner_query::aggregation::TermsFilter;
use gleaner_query::resolved::Pattern;

use super::keys::parse_key;
use super::partition;
use crate::control::Control;
use crate::error::EvaluationError;
use crate::key::{Key, ValueFormat, ValueKind};
use crate::pattern::{self, TermAutomaton};

/// Which keys a request wants.
pub struct KeyFilter {
    /// Keys that are wanted; all where there is none.
    pub include: Option<KeySet>,
    /// Keys that are not wanted all the same.
    pub exclude: Option<KeySet>,
}

/// A set of keys.
pub enum KeySet {
    /// Those listed.
    Values(HashSet<Key>),
    /// Terms that a pattern accepts.
    Matching(Arc<TermAutomaton>),
    /// One part of all keys, see [`partition`].
    Part {
        /// Which part, from 0.
        partition: u32,
        /// How many parts there are.
        num_partitions: u32,
    },
}

impl KeyFilter {
    /// Reads `include` and `exclude`; `None` where all keys are wanted. Without a `control` patterns are
    /// not built: the filter says nothing then.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for values that are not of the type, and patterns that are refused; when
    /// `control` stops.
    pub fn new(
        include: Option<&TermsFilter>,
        exclude: Option<&TermsFilter>,
        format: &ValueFormat,
        now_ms: i64,
        control: Option<&Control>,
    ) -> Result<Option<Self>, EvaluationError> {
        if include.is_none() && exclude.is_none() {
            return Ok(None);
        }
        let set = |filter: Option<&TermsFilter>| {
            filter
                .map(|filter| KeySet::new(filter, format, now_ms, control))
                .transpose()
        };
        Ok(Some(Self {
            include: set(include)?,
            exclude: set(exclude)?,
        }))
    }

    /// Returns whether a key is wanted.
    pub fn accepts(&self, key: &Key) -> bool {
        self.include.as_ref().is_none_or(|set| set.holds(key))
            && !self.exclude.as_ref().is_some_and(|set| set.holds(key))
    }
}

impl KeySet {
    fn new(
        filter: &TermsFilter,
        format: &ValueFormat,
        now_ms: i64,
        control: Option<&Control>,
    ) -> Result<Self, EvaluationError> {
        match filter {
            TermsFilter::Values(values) => {
                let keys = values.iter().map(|value| parse_key(value, format, now_ms));
                keys.collect::<Result<_, _>>().map(Self::Values)
            }
            TermsFilter::Partition {
                partition,
                num_partitions,
            } => Ok(Self::Part {
                partition: *partition,
                num_partitions: *num_partitions,
            }),
            TermsFilter::Regex(expression) => {
                if !matches!(format.kind, ValueKind::Keyword | ValueKind::Unmapped) {
                    return Err(EvaluationError::Query(
                        "Aggregation cannot support regular expression style include/exclude \
                         settings as they can only be applied to string fields. Use an array of \
                         values for include/exclude clauses"
                            .to_owned(),
                    ));
                }
                let Some(control) = control else {
                    return Ok(Self::Values(HashSet::new()));
                };
                let expression = expression.clone();
                let pattern = Pattern::Regexp {
                    expression,
                    ignore_case: false,
                };
                Ok(Self::Matching(pattern::automaton(&pattern, control)?))
            }
        }
    }

    fn holds(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Values(keys), key) => keys.contains(key),
            (Self::Matching(automaton), Key::Text(text)) => automaton.accepts(text),
            (Self::Matching(_), _) => false,
            (
                Self::Part {
                    partition,
                    num_partitions,
                },
                key,
            ) => partition::of(key, *num_partitions) == *partition,
        }
    }
}

/// Refuses patterns of keys that are no texts, in aggregation `name`.
///
/// # Errors
/// [`EvaluationError::Query`].
pub fn check_patterns(
    name: &str,
    filters: [&Option<TermsFilter>; 2],
    kind: ValueKind,
) -> Result<(), EvaluationError> {
    let is_pattern = |filter: &&Option<TermsFilter>| matches!(filter, Some(TermsFilter::Regex(_)));
    let is_text = matches!(kind, ValueKind::Keyword | ValueKind::Unmapped);
    if is_text || !filters.iter().any(is_pattern) {
        return Ok(());
    }
    Err(EvaluationError::Query(format!(
        "Aggregation [{name}] cannot support regular expression style include/exclude settings as they can \
         only be applied to string fields. Use an array of values for include/exclude clauses"
    )))
}
