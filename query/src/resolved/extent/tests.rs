//! What excludes a query, and what does not.

use super::*;

fn field(name: &str) -> FieldPath {
    FieldPath::new(name)
}

fn term(text: &str) -> Clause {
    Clause::Term {
        field: field("body"),
        term: text.to_owned(),
    }
}

fn between(lower: Bound<i64>, upper: Bound<i64>) -> Clause {
    Clause::Range {
        field: field("n"),
        lower: lower.map(Scalar::I64),
        upper: upper.map(Scalar::I64),
    }
}

fn exact(value: i64) -> Clause {
    Clause::Exact {
        field: field("n"),
        value: Scalar::I64(value),
    }
}

fn boolean(must: Vec<Clause>, should: Vec<Clause>, minimum_should_match: u32) -> Clause {
    Clause::Bool {
        must,
        should,
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match,
    }
}

/// Knows that nobody has `cat`, that `n` is from 10 to 20 with no 15, and that nobody has `none`.
fn extent() -> Extent {
    let mut extent = Extent::default();
    extent.note_absent(&field("body"), Scalar::Text("cat".to_owned()));
    extent.note_absent(&field("n"), Scalar::I64(15));
    let span = Span::Within(Scalar::I64(10), Scalar::I64(20));
    extent.note_span(field("n"), span);
    extent.note_span(field("none"), Span::Nowhere);
    extent
}

#[test]
fn a_range_beside_all_values_is_excluded_and_one_that_touches_them_is_not() {
    use Bound::{Excluded, Included, Unbounded};
    let excludes = |lower, upper| extent().excludes(&between(lower, upper));
    assert!(excludes(Included(21), Unbounded));
    assert!(excludes(Excluded(20), Unbounded));
    assert!(excludes(Unbounded, Included(9)));
    assert!(excludes(Unbounded, Excluded(10)));
    assert!(!excludes(Included(20), Unbounded));
    assert!(!excludes(Unbounded, Included(10)));
    assert!(!excludes(Excluded(9), Excluded(11)));
    assert!(!excludes(Unbounded, Unbounded));
    // Dates are whole numbers too; values of another type exclude nothing.
    let dates = |bound| Clause::Range {
        field: field("n"),
        lower: Included(bound),
        upper: Unbounded,
    };
    assert!(extent().excludes(&dates(Scalar::Date(21))));
    assert!(!extent().excludes(&dates(Scalar::F64(21.0))));
    assert!(extent().excludes(&Clause::Range {
        field: field("none"),
        lower: Unbounded,
        upper: Unbounded,
    }));
}

#[test]
fn values_are_excluded_that_are_absent_or_outside() {
    let extent = extent();
    assert!(extent.excludes(&exact(9)) && extent.excludes(&exact(15)));
    assert!(!extent.excludes(&exact(10)) && !extent.excludes(&exact(16)));
    let any_of = |values: [i64; 2]| Clause::AnyOf {
        field: field("n"),
        values: values.map(Scalar::I64).into(),
    };
    assert!(extent.excludes(&any_of([9, 15])));
    assert!(!extent.excludes(&any_of([9, 16])));
    assert!(extent.excludes(&Clause::Exact {
        field: field("none"),
        value: Scalar::Bool(true)
    }));
}

#[test]
fn a_query_is_excluded_with_what_it_requires() {
    let extent = extent();
    assert!(extent.excludes(&term("cat")) && !extent.excludes(&term("dog")));
    assert!(extent.excludes(&boolean(vec![term("dog"), term("cat")], vec![], 0)));
    assert!(!extent.excludes(&boolean(vec![], vec![term("dog"), term("cat")], 1)));
    assert!(extent.excludes(&boolean(vec![], vec![term("dog"), term("cat")], 2)));
    assert!(!extent.excludes(&boolean(vec![term("dog")], vec![term("cat")], 0)));
    let without = Clause::Bool {
        must: vec![term("dog")],
        should: vec![],
        filter: vec![],
        must_not: vec![term("cat")],
        minimum_should_match: 0,
    };
    assert!(!extent.excludes(&without));
    let phrase = |other: &str| Clause::Phrase {
        field: field("body"),
        positions: vec![
            (0, vec!["dog".to_owned()]),
            (1, vec!["cat".to_owned(), other.to_owned()]),
        ],
        slop: 0,
    };
    assert!(extent.excludes(&phrase("cat")) && !extent.excludes(&phrase("cats")));
    let best = |clauses| Clause::DisMax {
        clauses,
        tie_breaker: 0.0,
    };
    assert!(extent.excludes(&best(vec![term("cat"), exact(1)])));
    assert!(!extent.excludes(&best(vec![term("cat"), exact(11)])));
    let demoted = Clause::Demote {
        positive: Box::new(term("dog")),
        negative: Box::new(term("cat")),
        factor: 0.5,
    };
    assert!(!extent.excludes(&demoted));
    let exists = |names: &[&str]| Clause::Exists {
        fields: names.iter().map(|name| field(name)).collect(),
    };
    assert!(extent.excludes(&exists(&["none"])) && !extent.excludes(&exists(&["none", "n"])));
}

#[test]
fn an_empty_shard_matches_nothing_and_an_unknown_one_may_match_all() {
    let empty = Extent::of(true);
    assert!(empty.excludes(&Clause::MatchAll));
    let slice = Clause::Slice { id: 0, max: 2 };
    for clause in [Clause::MatchAll, term("cat"), exact(1), slice] {
        assert!(!Extent::default().excludes(&clause));
    }
}

#[test]
fn what_two_answers_know_is_known_together() {
    let mut known = Extent::default();
    known.note_absent(&field("body"), Scalar::Text("dog".to_owned()));
    let before = known.num_bytes();
    known.learn(extent());
    known.learn(extent());
    assert!(known.excludes(&boolean(vec![], vec![term("dog"), term("cat")], 1)));
    assert!(known.excludes(&exact(21)) && known.num_bytes() > before);
}
