//! Which terms of a dictionary `terms` wants, by its `include` and `exclude`.

use std::collections::HashSet;

use gleaner_partial::control::Control;
use gleaner_partial::key::Key;
use gleaner_partial::request::key_filter::{KeyFilter, KeySet};
use gleaner_partial::request::partition;
use roaring::RoaringTreemap;
use tantivy::columnar::Dictionary;

use crate::automaton::Walked;
use crate::error::EngineError;

/// Terms of a dictionary that are walked over in the time that one takes to be looked up, roughly.
const LOOKUP_TERMS: usize = 64;
/// Terms walked over between two looks at the request's control: less than a millisecond.
const TERMS_A_CHECK: usize = 4_096;

/// Which terms of a dictionary are wanted, by their numbers.
pub(super) struct Ordinals {
    included: Option<RoaringTreemap>,
    excluded: RoaringTreemap,
}

impl Ordinals {
    /// Returns which terms of a dictionary are wanted: found once, instead of reading each term by
    /// itself when a document has it.
    ///
    /// # Errors
    /// When terms cannot be read, or `control` stops.
    pub(super) fn of(
        filter: &KeyFilter,
        dictionary: &Dictionary,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let of = |set: &KeySet| ordinals(set, dictionary, control);
        Ok(Self {
            included: filter.include.as_ref().map(of).transpose()?,
            excluded: filter
                .exclude
                .as_ref()
                .map(of)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// Returns whether the term numbered `ordinal` is wanted.
    pub(super) fn holds(&self, ordinal: u64) -> bool {
        self.included
            .as_ref()
            .is_none_or(|included| included.contains(ordinal))
            && !self.excluded.contains(ordinal)
    }
}

/// Returns the numbers of the terms of a dictionary that are in a set.
fn ordinals(
    set: &KeySet,
    dictionary: &Dictionary,
    control: &Control,
) -> Result<RoaringTreemap, EngineError> {
    let unread = || EngineError::io("reading terms");
    let mut found = RoaringTreemap::new();
    match set {
        KeySet::Values(keys) if keys.len() < dictionary.num_terms() / LOOKUP_TERMS => {
            for key in keys {
                if let Key::Text(text) = key {
                    found.extend(dictionary.term_ord(text).map_err(unread())?);
                }
            }
        }
        KeySet::Values(keys) => {
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
        KeySet::Part {
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
        KeySet::Matching(automaton) => {
            let terms = dictionary.search(Walked(automaton)).into_stream();
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

/// Counts a term read; looks at `control` at the first and then now and again.
fn pace(num_terms: &mut usize, control: &Control) -> Result<(), EngineError> {
    if num_terms.is_multiple_of(TERMS_A_CHECK) {
        control.check()?;
    }
    *num_terms += 1;
    Ok(())
}

fn text(key: &Key) -> Option<&[u8]> {
    match key {
        Key::Text(text) => Some(text.as_bytes()),
        _ => None,
    }
}
