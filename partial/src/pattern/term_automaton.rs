//! Patterns as automata over the bytes of terms, to walk a dictionary of terms with.

use std::error::Error;

use gleaner_query::resolved::Pattern;
use levenshtein_automata::SINK_STATE;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::between::{Between, Place};
use super::edits::Row;
use super::fuzzy::Rest;
use super::regexp::{self, Case};
use crate::EvaluationError;

/// Bytes an automaton's tables may take; 10,000 states of Lucene's limit fit well.
const TABLE_LIMIT_BYTES: usize = 4 << 20;
/// Bytes building it may take, for [`USUAL_CLASSES`] and [`USUAL_JUMPS`]: mostly the steps that each
/// state stands for, all of which are walked for every class of bytes. Nothing looks at the clock
/// meanwhile; what fits takes some 50 ms at most, 4 MiB took 0.3 s.
const BUILD_LIMIT_BYTES: usize = 640 << 10;
/// Steps of an expression of which no state can stand for many: it may take twice as much.
const FEW_STEPS: usize = 256;
/// Classes of bytes that `.` distinguishes; time grows with their number.
const USUAL_CLASSES: usize = 16;
/// Steps without a byte, of optional parts, that are passed through on the way: `.{1,1000}` has as many.
const USUAL_JUMPS: usize = 1_024;
/// Bytes of the automaton it is built from, which repetitions inside repetitions multiply; a state
/// may walk all of it.
const STEPS_LIMIT_BYTES: usize = 512 << 10;
/// The terms a pattern stands for.
pub enum TermAutomaton {
    /// A regular expression over the whole term.
    Regular {
        /// Its tables.
        dfa: Box<dense::DFA<Vec<u32>>>,
        /// Where to start.
        start: StateID,
    },
    /// A fixed start, then an edit distance over the rest.
    Fuzzy {
        /// Bytes that must agree.
        prefix: Vec<u8>,
        /// Distance to the rest of the term.
        rest: Rest,
    },
    /// A range of terms.
    Between(Between),
}

/// A state of [`TermAutomaton`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Of a regular expression.
    Regular(StateID),
    /// So many bytes of the fixed start have agreed.
    Prefix(usize),
    /// Of the edit distance.
    Rest(u32),
    /// Of the edit distance, without a table.
    Row(Row),
    /// In a range.
    Place(Place),
    /// Nothing matches any more.
    Dead,
}

impl TermAutomaton {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// [`EvaluationError::Clause`] for syntax we do not know and for patterns whose automaton exceeds
    /// the limits, naming the pattern.
    pub fn new(pattern: &Pattern) -> Result<Self, EvaluationError> {
        match pattern {
            Pattern::Prefix {
                prefix,
                ignore_case,
            } => {
                let start = regexp::literal(prefix, Case::of(*ignore_case));
                regular(prefix, &format!("{start}(?s:.)*"))
            }
            Pattern::Wildcard {
                pattern,
                ignore_case,
            } => {
                let case = Case::of(*ignore_case);
                regular(pattern, &regexp::from_wildcard(pattern, case))
            }
            Pattern::Regexp {
                expression,
                ignore_case,
            } => {
                let case = Case::of(*ignore_case);
                regular(expression, &regexp::from_lucene(expression, case)?)
            }
            Pattern::Fuzzy {
                term,
                distance,
                prefix_length,
                transpositions,
            } => fuzzy(term, *distance, *prefix_length, *transpositions),
            Pattern::Between { lower, upper } => Ok(Self::Between(Between::new(lower, upper))),
            Pattern::Spans { .. } | Pattern::Points(_) => Err(EvaluationError::Internal(
                "a test of terms is no automaton".to_owned(),
            )),
        }
    }

    /// Returns the bytes of its tables.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Regular { dfa, .. } => dfa.memory_usage(),
            // A state has its next one for each byte.
            Self::Fuzzy { rest, .. } => rest.size_bytes(),
            Self::Between(range) => range.size_bytes(),
        }
    }

    /// Returns the edits of `term`, which this automaton accepts; 0 for patterns without edits.
    pub fn distance(&self, term: &[u8]) -> u8 {
        match self {
            Self::Regular { .. } | Self::Between(_) => 0,
            Self::Fuzzy { prefix, rest } => {
                let tail = term.get(prefix.len()..).unwrap_or_default();
                rest.distance(tail)
            }
        }
    }

    /// Returns the state before the first byte.
    pub fn start(&self) -> State {
        match self {
            Self::Regular { start, .. } => State::Regular(*start),
            Self::Fuzzy { prefix, rest } if prefix.is_empty() => rest.start(),
            Self::Fuzzy { .. } => State::Prefix(0),
            Self::Between(range) => State::Place(range.start()),
        }
    }

    /// Returns whether a term that ends in `state` matches.
    pub fn is_match(&self, state: &State) -> bool {
        match (self, *state) {
            (Self::Regular { dfa, .. }, State::Regular(id)) => {
                dfa.is_match_state(dfa.next_eoi_state(id))
            }
            (Self::Fuzzy { rest, .. }, State::Rest(_) | State::Row(_)) => rest.is_match(state),
            (Self::Between(range), State::Place(place)) => range.is_match(place),
            _ => false,
        }
    }

    /// Returns whether any term that goes on from `state` may match.
    pub fn can_match(&self, state: &State) -> bool {
        match (self, *state) {
            (_, State::Dead) => false,
            (Self::Regular { dfa, .. }, State::Regular(id)) => !dfa.is_dead_state(id),
            (_, State::Rest(id)) => id != SINK_STATE,
            _ => true,
        }
    }

    /// Returns the state after one more byte.
    pub fn accept(&self, state: &State, byte: u8) -> State {
        match (self, *state) {
            (Self::Regular { dfa, .. }, State::Regular(id)) => {
                State::Regular(dfa.next_state(id, byte))
            }
            (Self::Fuzzy { prefix, rest }, State::Prefix(at)) => {
                if prefix[at] != byte {
                    State::Dead
                } else if at + 1 == prefix.len() {
                    rest.start()
                } else {
                    State::Prefix(at + 1)
                }
            }
            (Self::Fuzzy { rest, .. }, State::Rest(_) | State::Row(_)) => rest.accept(state, byte),
            (Self::Between(range), State::Place(place)) => {
                range.accept(place, byte).map_or(State::Dead, State::Place)
            }
            _ => State::Dead,
        }
    }

    /// Returns whether it accepts a whole term.
    pub fn accepts(&self, term: &str) -> bool {
        let mut state = self.start();
        for byte in term.bytes() {
            if !self.can_match(&state) {
                return false;
            }
            state = self.accept(&state, byte);
        }
        self.is_match(&state)
    }
}

fn regular(shown: &str, expression: &str) -> Result<TermAutomaton, EvaluationError> {
    let refused = |error: &dyn Error| {
        EvaluationError::Clause(format!("pattern [{shown}] is refused: {}", reason(error)))
    };
    let steps = thompson::Compiler::new()
        .syntax(syntax::Config::new().dot_matches_new_line(true))
        .configure(
            thompson::Config::new()
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(STEPS_LIMIT_BYTES)),
        )
        .build(expression)
        .map_err(|error| refused(&error))?;
    let dfa = dense::Builder::new()
        .configure(
            dense::Config::new()
                // The whole term counts, whichever alternative it takes.
                .match_kind(MatchKind::All)
                .start_kind(StartKind::Anchored)
                .dfa_size_limit(Some(TABLE_LIMIT_BYTES))
                .determinize_size_limit(Some(build_limit(&steps))),
        )
        .build_from_nfa(&steps)
        .map_err(|error| refused(&error))?;
    let start = dfa
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .map_err(|error| refused(&error))?;
    Ok(TermAutomaton::Regular {
        dfa: Box::new(dfa),
        start,
    })
}

/// Returns the bytes that building an automaton from `steps` may take: fewer where each of them costs
/// more time.
fn build_limit(steps: &thompson::NFA) -> usize {
    let num_jumps = steps
        .states()
        .iter()
        .filter(|step| step.is_epsilon())
        .count();
    let num_classes = steps.byte_classes().alphabet_len();
    let most = match steps.states().len() <= FEW_STEPS {
        true => 2 * BUILD_LIMIT_BYTES,
        false => BUILD_LIMIT_BYTES,
    };
    let most = most * USUAL_CLASSES / num_classes.max(1);
    most * USUAL_JUMPS / num_jumps.max(USUAL_JUMPS)
}

/// Returns why an automaton cannot be built: what lies at the bottom, in our words where it is a limit.
fn reason(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let shown = cause.to_string();
    match shown.contains("exceed") {
        true => {
            format!("it is too complex to determinize ({shown}); repeat less inside repetitions")
        }
        false => shown,
    }
}

fn fuzzy(
    term: &str,
    distance: u8,
    prefix_length: u32,
    transpositions: bool,
) -> Result<TermAutomaton, EvaluationError> {
    let split = term
        .char_indices()
        .nth(prefix_length as usize)
        .map_or(term.len(), |(at, _)| at);
    let (prefix, rest) = term.split_at(split);
    let rest = Rest::new(rest, distance, transpositions)?;
    Ok(TermAutomaton::Fuzzy {
        prefix: prefix.as_bytes().to_vec(),
        rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &Pattern, yes: &[&str], no: &[&str]) {
        let automaton = TermAutomaton::new(pattern).unwrap();
        for term in yes {
            assert!(automaton.accepts(term), "{pattern:?} {term}");
        }
        for term in no {
            assert!(!automaton.accepts(term), "{pattern:?} {term}");
        }
    }

    #[test]
    fn prefixes_and_wildcards_cover_the_whole_term() {
        let prefix = |ignore_case| Pattern::Prefix {
            prefix: "a.b".to_owned(),
            ignore_case,
        };
        check(
            &prefix(false),
            &["a.b", "a.bc", "a.b\n"],
            &["axb", "A.b", "xa.b"],
        );
        check(&prefix(true), &["A.Bc"], &["axb"]);
        let wildcard = |text: &str| Pattern::Wildcard {
            pattern: text.to_owned(),
            ignore_case: false,
        };
        check(&wildcard("a*c"), &["ac", "abc", "abxc"], &["abcd", "xac"]);
        check(&wildcard("a?c"), &["abc", "aéc"], &["ac", "abbc"]);
        check(&wildcard(r"a\*c"), &["a*c"], &["abc"]);
    }

    #[test]
    fn case_is_ignored_of_ascii_letters_alone() {
        let ignore_case = true;
        let prefix = "Éa".to_owned();
        let prefix = Pattern::Prefix {
            prefix,
            ignore_case,
        };
        check(&prefix, &["Éa", "ÉAb"], &["éa"]);
        let pattern = "Sk?k*".to_owned();
        let wildcard = Pattern::Wildcard {
            pattern,
            ignore_case,
        };
        // The Kelvin sign and the long s fold to `k` and `s` elsewhere.
        check(&wildcard, &["sKxKey"], &["s\u{212a}xk", "\u{17f}kxk"]);
        let expression = r#"[^a-c]x"Y"[Z\d]"#.to_owned();
        let regexp = Pattern::Regexp {
            expression,
            ignore_case,
        };
        check(&regexp, &["DXyz", "dxY7"], &["Axyz", "DXyy"]);
    }

    #[test]
    fn alternatives_that_begin_alike_all_count() {
        let regexp = |text: &str| Pattern::Regexp {
            expression: text.to_owned(),
            ignore_case: false,
        };
        for expression in ["err|error|errors", "errors|error|err", "err(or(s)?)?"] {
            check(
                &regexp(expression),
                &["err", "error", "errors"],
                &["er", "erro", "errorss", "xerr"],
            );
        }
        check(
            &regexp("(a|ab)(c|bcd)?"),
            &["a", "ab", "ac", "abcd", "abbcd"],
            &["abcde"],
        );
    }

    #[test]
    fn fuzzy_terms_count_edits_after_the_fixed_start() {
        let fuzzy = |distance, prefix_length, transpositions| Pattern::Fuzzy {
            term: "search".to_owned(),
            distance,
            prefix_length,
            transpositions,
        };
        check(
            &fuzzy(1, 0, true),
            &["search", "serch", "saerch", "xearch"],
            &["sxxrch"],
        );
        check(&fuzzy(1, 0, false), &["serch"], &["saerch"]);
        check(&fuzzy(2, 3, true), &["search", "seaxxh"], &["xearch"]);
        let automaton = TermAutomaton::new(&fuzzy(2, 1, true)).unwrap();
        assert_eq!(
            (automaton.distance(b"search"), automaton.distance(b"serch")),
            (0, 1)
        );
    }

    #[test]
    fn a_fuzzy_term_of_any_length_takes_little_and_finds_the_same() {
        let long: String = ('一'..).take(1_000).collect();
        let edited: String = long.chars().skip(1).chain(['x']).collect();
        let far: String = long.chars().skip(3).collect();
        for distance in [1, 2] {
            let pattern = Pattern::Fuzzy {
                term: long.clone(),
                distance,
                prefix_length: 0,
                transpositions: true,
            };
            let automaton = TermAutomaton::new(&pattern).unwrap();
            assert!(automaton.size_bytes() <= 2 << 20);
            assert!(automaton.accepts(&long) && !automaton.accepts(&far));
            assert_eq!(automaton.accepts(&edited), distance == 2);
        }
    }

    #[test]
    fn an_explosive_expression_is_refused_by_name() {
        for expression in [
            "(a|b)*a(a|b){60}",
            "((b{1,31}){1,31}){1,31}",
            "(é?){1,9999}",
            r"(\w{1,30}é?){1,30}",
            "(.{0,50}é){0,20}",
            "[^z]{1,1000}.*[a-z]{500}",
        ] {
            let pattern = Pattern::Regexp {
                expression: expression.to_owned(),
                ignore_case: false,
            };
            let error = TermAutomaton::new(&pattern).err().unwrap().to_string();
            assert!(error.contains(expression), "{error}");
            assert!(error.contains("too complex to determinize"), "{error}");
        }
    }

    #[test]
    fn what_is_long_but_simple_is_not_refused() {
        let regexp = |expression: &str| Pattern::Regexp {
            expression: expression.to_owned(),
            ignore_case: false,
        };
        for expression in [
            ".*a.{10}",
            ".{1,1000}",
            "(b{1,30}){1,30}",
            "[a-z0-9]{1,1000}",
            ".*error.*",
            "[a-z]{1,20}-[0-9]{4}",
            "(foo|bar|baz).{0,30}",
            ".*(timeout|refused|unreachable|denied|failed).*",
            r"[^@]+@[a-z0-9.-]+\.(com|org|net)",
        ] {
            assert!(
                TermAutomaton::new(&regexp(expression)).is_ok(),
                "{expression}"
            );
        }
        for pattern in ["?".repeat(1_000), "*?".repeat(300), "ab*".repeat(20)] {
            let pattern = Pattern::Wildcard {
                pattern,
                ignore_case: false,
            };
            assert!(TermAutomaton::new(&pattern).is_ok(), "{pattern:?}");
        }
    }
}
