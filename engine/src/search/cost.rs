//! What a query takes in memory before it has found anything, charged before it is made.
//!
//! Does: count the terms that are read side by side, and the automata of patterns. Does not: count what is
//! found. Called by: a request as it is made ready.

use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, Reservation};
use gleaner_partial::pattern;
use gleaner_query::resolved::{Clause, Pattern, ShardQuery};

/// Bytes of a term that is read in one segment: a block of documents and frequencies, its place in the list,
/// its bound, and the scorer around them. 65,536 terms of one fuzzy term took 820 MB, some 12 kB each.
const TERM_BYTES: u64 = 12 << 10;

/// Charges what all clauses of `query` take where `num_at_once` segments are read at the same time.
///
/// # Errors
/// `EvaluationError::CircuitBreaking` when there is no room for it.
pub(super) fn charge(
    query: &ShardQuery,
    num_at_once: usize,
    control: &Control,
    held: &mut Reservation,
) -> Result<(), EvaluationError> {
    let mut charging = FilterCharge {
        bytes_of_term: TERM_BYTES * num_at_once.max(1) as u64,
        control,
        held,
    };
    charging.clause(&query.query)?;
    let filters = query.post_filter.iter();
    let mut filters = filters.chain(query.aggregation_filters.iter());
    filters.try_for_each(|clause| charging.clause(clause))
}

struct FilterCharge<'a> {
    bytes_of_term: u64,
    control: &'a Control,
    held: &'a mut Reservation,
}

impl FilterCharge<'_> {
    fn clause(&mut self, clause: &Clause) -> Result<(), EvaluationError> {
        // What other clauses match is gathered into bitmaps, term by term.
        match clause {
            Clause::Exact { .. } => self.terms(1)?,
            Clause::Pattern { pattern, .. } => self.pattern(pattern)?,
            other => self.terms(other.num_terms())?,
        }
        let mut inside = clause.children();
        inside.try_for_each(|(_, clause)| self.clause(clause))
    }

    fn terms(&mut self, number: usize) -> Result<(), EvaluationError> {
        // All searches of a node share the account that this draws on.
        match number {
            0 => Ok(()),
            _ => self.held.grow(self.bytes_of_term * number as u64),
        }
    }

    /// A search holds the automata of all its patterns.
    fn pattern(&mut self, pattern: &Pattern) -> Result<(), EvaluationError> {
        match pattern::automaton(pattern, self.control) {
            Ok(automaton) => self.held.grow(automaton.size_bytes() as u64),
            // Whatever lowers the clause says what is wrong with it, and for which shard.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::FieldPath;
    use gleaner_partial::control::MemoryAccount;

    use super::*;

    fn charged(query: Clause, num_at_once: usize) -> Result<u64, EvaluationError> {
        let account = MemoryAccount::root("request", 64 << 20);
        let mut held = account.reserve(0)?;
        let query = ShardQuery::best(query, std::sync::Arc::default(), 10);
        charge(&query, num_at_once, &Control::unlimited(), &mut held)?;
        Ok(held.bytes())
    }

    fn blended(num: usize) -> Clause {
        Clause::Blended {
            field: FieldPath::new("title"),
            terms: (0..num).map(|n| (n.to_string(), 1.0)).collect(),
        }
    }

    #[test]
    fn the_terms_of_a_fuzzy_term_are_charged_for_each_segment_read_at_once() {
        let one = charged(blended(50), 1).unwrap();
        assert_eq!(charged(blended(50), 2).unwrap(), 2 * one);
        let nested = Clause::Constant(Box::new(blended(50)));
        assert_eq!(charged(nested, 1).unwrap(), one);
        let refused = charged(blended(65_536), 1).unwrap_err();
        assert!(matches!(refused, EvaluationError::CircuitBreaking { .. }));
    }

    #[test]
    fn the_automata_of_all_patterns_are_charged() {
        let pattern = |n: usize| Clause::Pattern {
            field: FieldPath::new("title"),
            pattern: Pattern::Regexp {
                expression: format!("charged{n}[a-z]{{1,20}}"),
                ignore_case: false,
            },
        };
        let one = charged(pattern(0), 1).unwrap();
        let several = Clause::DisMax {
            clauses: (0..3).map(pattern).collect(),
            tie_breaker: 0.0,
        };
        assert!(charged(several, 1).unwrap() > 2 * one);
    }
}
