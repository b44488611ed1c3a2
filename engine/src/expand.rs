//! The terms that prefixes, wildcards, regular expressions and fuzzy terms stand for.
//!
//! Expansion is a step of the root: each shard returns its candidates in one order (distance, then
//! term), the root merges them, cuts, and sends the same list to all. So the cut never depends on
//! how documents lie in segments and shards.

use std::collections::BTreeSet;

use gleaner_partial::control::{Control, Reservation};
use gleaner_partial::pattern::{self, TermAutomaton};
use gleaner_query::limits::Limits;
use gleaner_query::resolved::{ExpansionCandidate, ExpansionRequest};
use tantivy::schema::Field as Column;

use crate::automaton::walk;
use crate::length::{Length, building};
use crate::{EngineError, View, statistics};

/// Bytes of a candidate beside its term, in the set and in the answer.
const CANDIDATE_BYTES: usize = 160;
/// Bytes that are charged for candidates at a time.
const CHARGED_AT_ONCE: u64 = 64 << 10;
/// Most candidates a request may ask for.
const LIMIT: usize = Limits::MAX_EXPANSIONS;
/// What counting a candidate's live documents takes, in postings that are looked at: some 5 µs.
const COUNTING: u64 = 1_024;

/// Estimates how long it takes to expand all `requests` in each of the views, by numbers that are at hand: nothing is read.
pub fn length<'v>(views: impl Iterator<Item = &'v View>, requests: &[ExpansionRequest]) -> Length {
    let in_view = |view: &View| {
        let documents = view.num_documents();
        let works = requests.iter().map(|request| work(documents, request));
        works.fold(0, u64::saturating_add)
    };
    Length::of_work(views.map(in_view).fold(0, u64::saturating_add))
}

/// Returns what an expansion among so many documents takes, in postings that are looked at.
fn work(documents: u64, request: &ExpansionRequest) -> u64 {
    let num_candidates = documents.min(request.limit as u64);
    building(&request.pattern).saturating_add(num_candidates.saturating_mul(COUNTING))
}

/// Returns the first `limit` terms of the shard that `request` stands for, in order of (distance,
/// term), each held by a live document.
///
/// What they take is charged to `held`.
///
/// # Errors
/// `EvaluationError::Query` for a pattern that is refused; `EvaluationError::CircuitBreaking` when there is no
/// room for the terms; when the index cannot be read, or `control` stops the walk.
pub fn expand(
    view: &View,
    request: &ExpansionRequest,
    control: &Control,
    held: &mut Reservation,
) -> Result<Vec<ExpansionCandidate>, EngineError> {
    if request.limit > LIMIT {
        let limit = request.limit;
        return Err(EngineError::clause(format!(
            "[{limit}] expansions are more than {LIMIT}"
        )));
    }
    let automaton = pattern::automaton(&request.pattern, control)?;
    let Some(handle) = view.field(request.field.as_str()) else {
        return Ok(Vec::new());
    };
    if !handle.kind.is_indexed() {
        return Ok(Vec::new());
    }
    let mut candidates = Vec::new();
    // A term without live documents is found out only by counting: if some of the first `limit`
    // turn out dead, the walk goes on after the last of them.
    let mut after: Option<(u8, Vec<u8>)> = None;
    loop {
        let wanted = request.limit - candidates.len();
        let first = First {
            automaton: &automaton,
            wanted,
            after: after.as_ref(),
        };
        let found = first.terms(view, handle.column, control, held)?;
        let is_last = found.len() < wanted;
        after = found.last().cloned();
        for (distance, term) in found {
            let Ok(term) = String::from_utf8(term) else {
                continue;
            };
            let documents = statistics::live_frequency(view, handle, &term, control)?;
            if documents > 0 {
                candidates.push(ExpansionCandidate {
                    distance,
                    term,
                    documents,
                });
            }
        }
        if is_last || candidates.len() == request.limit {
            return Ok(candidates);
        }
    }
}

/// Which terms of a shard are looked for.
struct First<'a> {
    automaton: &'a TermAutomaton,
    /// How many.
    wanted: usize,
    /// Those that come after this one.
    after: Option<&'a (u8, Vec<u8>)>,
}

impl First<'_> {
    /// Returns the first matching terms of all segments, in order; charges each that is kept.
    fn terms(
        &self,
        view: &View,
        column: Column,
        control: &Control,
        held: &mut Reservation,
    ) -> Result<Vec<(u8, Vec<u8>)>, EngineError> {
        let automaton = self.automaton;
        let mut first: BTreeSet<(u8, Vec<u8>)> = BTreeSet::new();
        let (mut bytes, mut charged) = (0, 0);
        for segment in view.segments() {
            walk(segment.reader(), column, automaton, control, |terms| {
                let found = (automaton.distance(terms.key()), terms.key());
                let comes_after = |(d, t): &(u8, Vec<u8>)| found > (*d, t.as_slice());
                if self.after.is_some_and(|after| !comes_after(after)) {
                    return Ok(true);
                }
                if first.len() == self.wanted && first.last().is_none_or(comes_after) {
                    // Without edits all terms come in order: none of the rest is among the first.
                    return Ok(matches!(automaton, TermAutomaton::Fuzzy { .. }));
                }
                if first.insert((found.0, found.1.to_vec())) {
                    bytes += CANDIDATE_BYTES + found.1.len();
                }
                if first.len() > self.wanted
                    && let Some((_, last)) = first.pop_last()
                {
                    bytes -= CANDIDATE_BYTES + last.len();
                }
                if bytes > charged {
                    held.grow(CHARGED_AT_ONCE)?;
                    charged += CHARGED_AT_ONCE as usize;
                }
                Ok(true)
            })?;
        }
        Ok(first.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::FieldPath;
    use gleaner_query::resolved::Pattern;

    use super::*;

    #[test]
    fn what_builds_an_automaton_or_counts_many_terms_takes_long() {
        let length = |documents, pattern, limit| {
            let field = FieldPath::new("f");
            let request = ExpansionRequest {
                field,
                pattern,
                limit,
            };
            Length::of_work(work(documents, &request))
        };
        let prefix = || Pattern::Prefix {
            prefix: "er".to_owned(),
            ignore_case: false,
        };
        let wildcard = Pattern::Wildcard {
            pattern: "*er".to_owned(),
            ignore_case: false,
        };
        assert_eq!(length(1_000_000, prefix(), 50), Length::Short);
        assert_eq!(length(1_000_000, prefix(), 1_000), Length::Long);
        assert_eq!(length(100, prefix(), 1_000), Length::Short);
        assert_eq!(length(100, wildcard, 1), Length::Long);
    }
}
