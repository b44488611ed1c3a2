//! Automata that have been built: one for all shards, segments and searches of a node.
//!
//! Does: build an automaton once, however many ask for it at the same time, and keep it, or why it is
//! refused, while there is room. Does not: run it.
//! Called by whatever evaluates a pattern. Read [`automaton`] first.

use std::sync::{Arc, LazyLock};

use gleaner_query::resolved::Pattern;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::TermAutomaton;
use crate::EvaluationError;
use crate::control::Control;

/// Bytes of all that is kept: some dozens of the largest, thousands of usual ones.
const BUDGET_BYTES: u64 = 32 << 20;
/// Bytes of an entry beside its tables and texts, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 512;

/// An automaton, or why there is none.
type Built = Result<Arc<TermAutomaton>, Arc<str>>;

static BUILT: LazyLock<Cache<Pattern, Built>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(BUDGET_BYTES)
        .weigher(weight_of)
        // What the shards of one search are about to ask for again must not be turned away.
        .eviction_policy(EvictionPolicy::lru())
        .build()
});

/// Returns the automaton of `pattern`, built now if it is not known. Who asks for one that is being
/// built waits for it, which is some 50 ms at most.
///
/// # Errors
/// As [`TermAutomaton::new`], and when `control` stops before it is looked for.
pub fn automaton(
    pattern: &Pattern,
    control: &Control,
) -> Result<Arc<TermAutomaton>, EvaluationError> {
    control.check()?;
    let build = || -> Built {
        let built = TermAutomaton::new(pattern).map(Arc::new);
        built.map_err(|error| Arc::from(error.to_string()))
    };
    BUILT
        .get_with_by_ref(pattern, build)
        .map_err(|reason| EvaluationError::Clause(reason.to_string()))
}

fn weight_of(pattern: &Pattern, built: &Built) -> u32 {
    let text = match pattern {
        Pattern::Prefix { prefix: text, .. }
        | Pattern::Wildcard { pattern: text, .. }
        | Pattern::Regexp {
            expression: text, ..
        }
        | Pattern::Fuzzy { term: text, .. } => text.len(),
        Pattern::Between { lower, upper } => lower.term.len() + upper.term.len(),
        // They are not built.
        Pattern::Spans { .. } | Pattern::Points(_) => 0,
    };
    let value = match built {
        Ok(automaton) => automaton.size_bytes(),
        Err(reason) => reason.len(),
    };
    u32::try_from(text + value + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn regexp(expression: &str) -> Pattern {
        Pattern::Regexp {
            expression: expression.to_owned(),
            ignore_case: false,
        }
    }

    #[test]
    fn all_who_ask_for_a_pattern_share_one_automaton() {
        let pattern = regexp("[a-z]{1,20}-[0-9]{4}");
        let ask = || automaton(&pattern, &Control::unlimited()).unwrap();
        let first = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            let got: Vec<_> = asking.into_iter().map(|it| it.join().unwrap()).collect();
            assert!(got.iter().all(|one| Arc::ptr_eq(one, &got[0])));
            Arc::clone(&got[0])
        });
        assert!(Arc::ptr_eq(&first, &ask()));
        let ignoring_case = Pattern::Regexp {
            expression: "[a-z]{1,20}-[0-9]{4}".to_owned(),
            ignore_case: true,
        };
        let other = automaton(&ignoring_case, &Control::unlimited()).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
    }

    #[test]
    fn a_refusal_is_kept_in_its_words() {
        let pattern = regexp("(a|b)*a(a|b){61}");
        let refused = || automaton(&pattern, &Control::unlimited()).err().unwrap();
        let before = refused().to_string();
        assert!(BUILT.contains_key(&pattern));
        let again = refused();
        assert!(matches!(again, EvaluationError::Clause(_)));
        assert_eq!(again.to_string(), before);
    }

    #[test]
    fn nothing_is_built_once_the_deadline_has_passed() {
        let pattern = regexp("late[0-9]+");
        let stopped = automaton(&pattern, &Control::until(Instant::now()));
        assert!(matches!(
            stopped.err(),
            Some(EvaluationError::DeadlineExceeded)
        ));
        assert!(!BUILT.contains_key(&pattern));
    }
}
