//! A simplified clause matches and scores as the one it was made of.

use gleaner_model::FieldPath;
use proptest::prelude::*;

use super::*;

fn term(text: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new("f"),
        term: text.to_owned(),
    }
}

fn boolean(must: Vec<Clause>, filter: Vec<Clause>, must_not: Vec<Clause>) -> Clause {
    Clause::Bool {
        must,
        should: Vec::new(),
        filter,
        must_not,
        minimum_should_match: 0,
    }
}

#[test]
fn nested_filters_become_one() {
    let inner = boolean(vec![term("b")], vec![Clause::MatchAll], vec![term("c")]);
    let outer = boolean(vec![term("a")], vec![inner, Clause::MatchAll], vec![]);
    assert_eq!(
        simplify(outer),
        boolean(vec![term("a")], vec![term("b")], vec![term("c")])
    );
}

#[test]
fn what_cannot_match_is_nothing() {
    let none = boolean(vec![term("a"), Clause::MatchNone], vec![], vec![]);
    assert_eq!(simplify(none), Clause::MatchNone);
    let excluded = boolean(vec![term("a")], vec![], vec![Clause::MatchAll]);
    assert_eq!(simplify(excluded), Clause::MatchNone);
    let empty = Clause::AnyOf {
        field: FieldPath::new("f"),
        values: Vec::new(),
    };
    assert_eq!(
        simplify(Clause::Constant(Box::new(empty))),
        Clause::MatchNone
    );
}

#[test]
fn a_bool_without_required_clauses_says_that_it_matches_all() {
    let negative = simplify(boolean(vec![], vec![], vec![term("a")]));
    assert_eq!(
        negative,
        boolean(vec![], vec![Clause::MatchAll], vec![term("a")])
    );
}

#[test]
fn single_clauses_lose_their_bool() {
    let wrapped = boolean(
        vec![boolean(vec![term("a")], vec![], vec![])],
        vec![],
        vec![],
    );
    assert_eq!(simplify(wrapped), term("a"));
}

/// Returns the score of a document that holds the terms whose bits are set.
fn score(clause: &Clause, document: u8) -> Option<f64> {
    match clause {
        Clause::MatchAll => Some(1.0),
        Clause::Term { term, .. } => {
            let bit = term.as_bytes()[0] - b'a';
            (document & (1 << bit) != 0).then(|| 0.1 + f64::from(bit) * 0.37)
        }
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } => {
            let is_alone = must.is_empty() && filter.is_empty() && !should.is_empty();
            let least = (*minimum_should_match as usize).max(usize::from(is_alone));
            let matches = |c: &Clause| score(c, document).is_some();
            let optional: Vec<f64> = should.iter().filter_map(|c| score(c, document)).collect();
            if !filter.iter().all(matches) || must_not.iter().any(matches) || optional.len() < least
            {
                return None;
            }
            let mut sum = 0.0;
            for clause in must {
                sum += score(clause, document)?;
            }
            Some(optional.iter().fold(sum, |sum, score| sum + score))
        }
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => {
            let scores: Vec<f64> = clauses.iter().filter_map(|c| score(c, document)).collect();
            let best = scores.iter().copied().reduce(f64::max)?;
            let others: f64 = scores.iter().sum::<f64>() - best;
            Some(if scores.len() == 1 {
                best
            } else {
                best + f64::from(*tie_breaker) * others
            })
        }
        Clause::Constant(inner) => score(inner, document).map(|_| 1.0),
        Clause::Demote {
            positive,
            negative,
            factor,
        } => score(positive, document).map(|value| match score(negative, document) {
            Some(_) => value * f64::from(*factor),
            None => value,
        }),
        Clause::Boost { clause, factor } => {
            score(clause, document).map(|value| value * f64::from(*factor))
        }
        _ => None,
    }
}

fn any_clause() -> impl Strategy<Value = Clause> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c"]).prop_map(term),
        1 => Just(Clause::MatchAll),
        1 => Just(Clause::MatchNone),
    ];
    leaf.prop_recursive(4, 40, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 0..3);
        let factor = prop::sample::select(vec![1.0_f32, 0.5, 3.0]);
        prop_oneof![
            4 => (some.clone(), some.clone(), some.clone(), some.clone(), 0..3_u32).prop_map(
                |(must, should, filter, must_not, minimum_should_match)| Clause::Bool {
                    must, should, filter, must_not, minimum_should_match,
                }
            ),
            1 => (some, factor.clone()).prop_map(|(clauses, tie_breaker)| Clause::DisMax {
                clauses, tie_breaker,
            }),
            1 => inner.clone().prop_map(|c| Clause::Constant(Box::new(c))),
            1 => (inner.clone(), inner.clone(), factor.clone()).prop_map(|(p, n, factor)| {
                Clause::Demote { positive: Box::new(p), negative: Box::new(n), factor }
            }),
            1 => (inner, factor).prop_map(|(c, factor)| Clause::Boost {
                clause: Box::new(c), factor,
            }),
        ]
    })
}

proptest! {
    #[test]
    fn matches_and_scores_stay(clause in any_clause()) {
        let simple = simplify(clause.clone());
        let filter = simplify_filter(clause.clone());
        for document in 0..8 {
            let expected = score(&clause, document);
            prop_assert_eq!(score(&simple, document), expected);
            prop_assert_eq!(score(&filter, document).is_some(), expected.is_some());
        }
    }

    #[test]
    fn simplifying_twice_changes_nothing(clause in any_clause()) {
        let simple = simplify(clause.clone());
        prop_assert_eq!(simplify(simple.clone()), simple);
        let filter = simplify_filter(clause);
        prop_assert_eq!(simplify_filter(filter.clone()), filter);
    }
}
