//! Which queries are counted by a tally. That it counts right is compared with a walk over every match in
//! `search::prune::tests`.

use gleaner_model::FieldPath;
use gleaner_query::resolved::Clause;

use super::{Rule, Shape, Tally};

fn term(text: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new("text"),
        term: text.to_owned(),
    }
}

fn phrase(slop: u32) -> Clause {
    let slot = |(offset, text): (u32, &str)| (offset, vec![text.to_owned()]);
    Clause::Phrase {
        field: FieldPath::new("text"),
        positions: [(0, "a"), (1, "b"), (2, "a")].map(slot).to_vec(),
        slop,
    }
}

fn bool_of(must: Vec<Clause>, should: Vec<Clause>, minimum_should_match: u32) -> Clause {
    Clause::Bool {
        must,
        should,
        filter: vec![],
        must_not: vec![],
        minimum_should_match,
    }
}

/// Returns the rule and the number of words; `None` where the tally declines.
fn known(clause: &Clause) -> Option<(Rule, usize)> {
    let shape = Shape::of(clause, 1.0)?;
    let tally = Tally::of(&shape)?;
    Some((tally.rule, tally.words.len()))
}

fn words() -> Vec<Clause> {
    vec![term("a"), term("b"), term("c")]
}

#[test]
fn words_and_phrases_that_must_all_match_are_known() {
    assert_eq!(known(&bool_of(words(), vec![], 0)), Some((Rule::All, 3)));
    assert_eq!(known(&bool_of(vec![], words(), 3)), Some((Rule::All, 3)));
    assert_eq!(known(&phrase(0)), Some((Rule::All, 2)), "`a` once");
    let both = bool_of(vec![term("c"), phrase(0)], vec![], 0);
    assert_eq!(known(&both), Some((Rule::All, 3)));
    let preferred = bool_of(words(), vec![phrase(0), term("d")], 0);
    assert_eq!(
        known(&preferred),
        Some((Rule::All, 3)),
        "`d` need not match"
    );
}

#[test]
fn words_of_which_some_must_match_are_known() {
    let any = bool_of(vec![], words(), 1);
    assert_eq!(known(&any), Some((Rule::AtLeast(1), 3)));
    let best = Clause::DisMax {
        clauses: vec![any.clone(), term("d")],
        tie_breaker: 0.3,
    };
    assert_eq!(known(&best), Some((Rule::AtLeast(1), 4)));
    let preferred = bool_of(vec![any], vec![phrase(0)], 0);
    assert_eq!(known(&preferred), Some((Rule::AtLeast(1), 3)));
    let twice = bool_of(vec![], vec![term("a"), term("a"), term("b")], 2);
    assert_eq!(
        known(&twice),
        Some((Rule::AtLeast(2), 3)),
        "`a` counts twice"
    );
    let too_many = bool_of(vec![], words(), 4);
    assert_eq!(known(&too_many), Some((Rule::AtLeast(4), 3)));
}

#[test]
fn what_it_does_not_know_it_declines() {
    let with = |change: fn(&mut Vec<Clause>, &mut Vec<Clause>)| {
        let mut clause = bool_of(words(), vec![], 0);
        if let Clause::Bool {
            filter, must_not, ..
        } = &mut clause
        {
            change(filter, must_not);
        }
        clause
    };
    let any = || bool_of(vec![], words(), 1);
    let many = (0..65).map(|n| term(&n.to_string()));
    for declined in [
        Clause::MatchAll,
        bool_of(vec![], vec![], 0),
        phrase(1),
        with(|filter, _| filter.push(term("d"))),
        with(|_, must_not| must_not.push(term("d"))),
        bool_of(vec![], vec![phrase(0), term("c")], 1),
        bool_of(vec![any(), any()], vec![], 0),
        bool_of(words(), vec![term("d"), term("e")], 1),
        bool_of(vec![], vec![any(), term("d"), term("e")], 2),
        bool_of(many.collect(), vec![], 0),
    ] {
        assert_eq!(known(&declined), None, "{declined:?}");
    }
}
