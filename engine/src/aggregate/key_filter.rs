//! Which keys `terms` wants: `include` and `exclude`.

use std::collections::HashSet;
use std::sync::Arc;

use gleaner_query::aggregation::TermsFilter;
use gleaner_query::resolved::Pattern;
use roaring::RoaringTreemap;
use tantivy::columnar::Dictionary;
use tantivy_fst::Automaton;

use super::partition;
use super::term_keys::parse_key;
use crate::control::Control;
use crate::error::EngineError;
use crate::expand::{self, TermAutomaton};
use crate::partial::key::{Key, ValueFormat, ValueKind};

/// Terms of a dictionary that are walked over in the time that one takes to be looked up, roughly.
const LOOKUP_TERMS: usize = 64;
/// Terms walked over between two looks at the request's control: less than a millisecond.
const TERMS_A_CHECK: usize = 4_096;

/// Which keys a request wants.
pub(super) struct KeyFilter {
    include: Option<KeySet>,
    exclude: Option<KeySet>,
}

enum KeySet {
    Values(HashSet<Key>),
    Matching(Arc<TermAutomaton>),
    Part { partition: u32, num_partitions: u32 },
}

impl KeyFilter {
    /// Reads `include` and `exclude`; `None` where all keys are wanted. Without a `control` patterns are
    /// not built: the filter says nothing then.
    pub(super) fn new(
        include: Option<&TermsFilter>,
        exclude: Option<&TermsFilter>,
        format: &ValueFormat,
        now_ms: i64,
        control: Option<&Control>,
    ) -> Result<Option<Self>, EngineError> {
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
    pub(super) fn accepts(&self, key: &Key) -> bool {
        self.include.as_ref().is_none_or(|set| set.holds(key))
            && !self.exclude.as_ref().is_some_and(|set| set.holds(key))
    }

    /// Returns which terms of a dictionary are wanted: found once, instead of reading each term by
    /// itself when a document has it.
    ///
    /// # Errors
    /// When terms cannot be read, or `control` stops.
    pub(super) fn ordinals(
        &self,
        dictionary: &Dictionary,
        control: &Control,
    ) -> Result<Ordinals, EngineError> {
        let of = |set: &KeySet| set.ordinals(dictionary, control);
        Ok(Ordinals {
            included: self.include.as_ref().map(of).transpose()?,
            excluded: self
                .exclude
                .as_ref()
                .map(of)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// Which terms of a dictionary are wanted, by their numbers.
pub(super) struct Ordinals {
    included: Option<RoaringTreemap>,
    excluded: RoaringTreemap,
}

impl Ordinals {
    /// Returns whether the term numbered `ordinal` is wanted.
    pub(super) fn holds(&self, ordinal: u64) -> bool {
        self.included
            .as_ref()
            .is_none_or(|included| included.contains(ordinal))
            && !self.excluded.contains(ordinal)
    }
}

impl KeySet {
    fn new(
        filter: &TermsFilter,
        format: &ValueFormat,
        now_ms: i64,
        control: Option<&Control>,
    ) -> Result<Self, EngineError> {
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
                    return Err(EngineError::Query(
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
                Ok(Self::Matching(expand::automaton(&pattern, control)?))
            }
        }
    }

    fn ordinals(
        &self,
        dictionary: &Dictionary,
        control: &Control,
    ) -> Result<RoaringTreemap, EngineError> {
        let unread = || EngineError::io("reading terms");
        let mut found = RoaringTreemap::new();
        match self {
            Self::Values(keys) if keys.len() < dictionary.num_terms() / LOOKUP_TERMS => {
                for key in keys {
                    if let Key::Text(text) = key {
                        found.extend(dictionary.term_ord(text).map_err(unread())?);
                    }
                }
            }
            Self::Values(keys) => {
                let texts: HashSet<&[u8]> = keys.iter().filter_map(text).collect();
                let mut terms = dictionary.stream().map_err(unread())?;
                let mut num_terms = 0_usize;
                while terms.advance() {
                    if texts.contains(terms.key()) {
                        found.insert(terms.term_ord());
                    }
                    pace(&mut num_terms, control)?;
                }
            }
            Self::Part {
                partition,
                num_partitions,
            } => {
                let mut terms = dictionary.stream().map_err(unread())?;
                let mut num_terms = 0_usize;
                while terms.advance() {
                    if partition::of_text(terms.key(), *num_partitions) == *partition {
                        found.insert(terms.term_ord());
                    }
                    pace(&mut num_terms, control)?;
                }
            }
            Self::Matching(automaton) => {
                let terms = dictionary.search(&**automaton).into_stream();
                let mut terms = terms.map_err(unread())?;
                let mut num_terms = 0_usize;
                while terms.advance() {
                    found.insert(terms.term_ord());
                    pace(&mut num_terms, control)?;
                }
            }
        }
        Ok(found)
    }

    fn holds(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Values(keys), key) => keys.contains(key),
            (Self::Matching(automaton), Key::Text(text)) => matches(automaton, text),
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
pub(super) fn check_patterns(
    name: &str,
    filters: [&Option<TermsFilter>; 2],
    kind: ValueKind,
) -> Result<(), EngineError> {
    let is_pattern = |filter: &&Option<TermsFilter>| matches!(filter, Some(TermsFilter::Regex(_)));
    let is_text = matches!(kind, ValueKind::Keyword | ValueKind::Unmapped);
    if is_text || !filters.iter().any(is_pattern) {
        return Ok(());
    }
    Err(EngineError::Query(format!(
        "Aggregation [{name}] cannot support regular expression style include/exclude settings as they can \
         only be applied to string fields. Use an array of values for include/exclude clauses"
    )))
}

/// Counts a term read; looks at `control` at the first and then now and again.
fn pace(num_terms: &mut usize, control: &Control) -> Result<(), EngineError> {
    if num_terms.is_multiple_of(TERMS_A_CHECK) {
        control.check()?;
    }
    *num_terms += 1;
    Ok(())
}

/// Returns whether an automaton accepts a whole term.
pub(crate) fn matches(automaton: &TermAutomaton, term: &str) -> bool {
    let mut state = automaton.start();
    for byte in term.bytes() {
        if !automaton.can_match(&state) {
            return false;
        }
        state = automaton.accept(&state, byte);
    }
    automaton.is_match(&state)
}

fn text(key: &Key) -> Option<&[u8]> {
    match key {
        Key::Text(text) => Some(text.as_bytes()),
        _ => None,
    }
}
