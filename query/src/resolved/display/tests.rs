//! Clauses read as Lucene writes them.

use gleaner_model::DocumentId;

use super::*;

fn field(name: &str) -> FieldPath {
    FieldPath::new(name)
}

fn term(text: &str) -> Clause {
    Clause::Term {
        field: field("t"),
        term: text.to_owned(),
    }
}

fn boolean(must: &[Clause], should: &[Clause], minimum_should_match: u32) -> Clause {
    Clause::Bool {
        must: must.to_vec(),
        should: should.to_vec(),
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn range(lower: Bound<Scalar>, upper: Bound<Scalar>) -> Clause {
    Clause::Range {
        field: field("n"),
        lower,
        upper,
    }
}

#[test]
fn a_match_is_its_terms() {
    let any = boolean(&[], &[term("quick"), term("fox")], 1);
    assert_eq!(any.to_string(), "t:quick t:fox");
    let all = boolean(&[term("quick"), term("fox")], &[], 0);
    assert_eq!(all.to_string(), "+t:quick +t:fox");
    let two = boolean(&[], &[term("a"), term("b"), term("c")], 2);
    assert_eq!(two.to_string(), "(t:a t:b t:c)~2");
    let one_too = boolean(&[term("a")], &[term("b")], 1);
    assert_eq!(one_too.to_string(), "(+t:a t:b)~1");
}

#[test]
fn clauses_inside_each_other_stay_apart() {
    let any = boolean(&[], &[term("a"), term("b")], 1);
    let nested = Clause::Bool {
        must: vec![any.clone()],
        should: vec![any.clone()],
        filter: vec![Clause::Exists {
            fields: vec![field("k")],
        }],
        must_not: vec![Clause::Constant(Box::new(any.clone()))],
        minimum_should_match: 0,
    };
    assert_eq!(
        nested.to_string(),
        "+(t:a t:b) (t:a t:b) #FieldExistsQuery [field=k] -ConstantScore(t:a t:b)"
    );
    let best = Clause::DisMax {
        clauses: vec![any.clone(), term("c")],
        tie_breaker: 0.3,
    };
    assert_eq!(best.to_string(), "((t:a t:b) | t:c)~0.3");
    let boosted = Clause::Boost {
        clause: Box::new(any),
        factor: 2.0,
    };
    assert_eq!(boosted.to_string(), "(t:a t:b)^2.0");
}

#[test]
fn phrases_show_gaps_alternatives_and_slop() {
    let phrase = |positions: &[(u32, &[&str])], slop| Clause::Phrase {
        field: field("t"),
        positions: positions.iter().map(|(at, t)| (*at, words(t))).collect(),
        slop,
    };
    let shown = |positions: &[(u32, &[&str])], slop| phrase(positions, slop).to_string();
    assert_eq!(shown(&[(0, &["a"]), (1, &["b"])], 0), r#"t:"a b""#);
    let gaps: &[(u32, &[&str])] = &[(1, &["a"]), (3, &["b", "c"]), (4, &["d"])];
    assert_eq!(shown(gaps, 2), r#"t:"? a ? (b c) d"~2"#);
}

#[test]
fn values_and_bounds_are_of_their_type() {
    let exact = |value| Clause::Exact {
        field: field("n"),
        value,
    };
    assert_eq!(exact(Scalar::I64(5)).to_string(), "n:[5 TO 5]");
    assert_eq!(exact(Scalar::Bool(true)).to_string(), "n:true");
    let address = crate::address::parse_ip("10.0.0.1").expect("an address");
    assert_eq!(
        exact(Scalar::Ip(address)).to_string(),
        "n:[10.0.0.1 TO 10.0.0.1]"
    );
    let half_open = range(
        Bound::Included(Scalar::F64(1.0)),
        Bound::Excluded(Scalar::F64(2.5)),
    );
    assert_eq!(half_open.to_string(), "n:[1.0 TO 2.5}");
    let above = range(Bound::Excluded(Scalar::Date(-1)), Bound::Unbounded);
    assert_eq!(above.to_string(), "n:{-1 TO *]");
    let any = Clause::AnyOf {
        field: field("k"),
        values: words(&["a", "b"]).into_iter().map(Scalar::Text).collect(),
    };
    assert_eq!(any.to_string(), "k:(a b)");
    let ids = Clause::Ids {
        ids: vec![DocumentId::parse("7").expect("an id")],
    };
    assert_eq!(ids.to_string(), "_id:(7)");
}

#[test]
fn patterns_and_what_they_became() {
    let pattern = |pattern| {
        let field = field("k");
        Clause::Pattern { field, pattern }.to_string()
    };
    let prefix = |ignore_case| Pattern::Prefix {
        prefix: "ab".into(),
        ignore_case,
    };
    assert_eq!(pattern(prefix(false)), "k:ab*");
    assert_eq!(pattern(prefix(true)), "k:ab* [case_insensitive]");
    let expression = "a.c".into();
    let regexp = Pattern::Regexp {
        expression,
        ignore_case: false,
    };
    assert_eq!(pattern(regexp), "k:/a.c/");
    let blended = Clause::Blended {
        field: field("t"),
        terms: vec![("fox".into(), 1.0), ("box".into(), 0.5)],
    };
    assert_eq!(blended.to_string(), "t:fox (t:box)^0.5");
    let inside = boolean(&[blended], &[], 0);
    assert_eq!(inside.to_string(), "+(t:fox (t:box)^0.5)");
    let synonyms = Clause::Synonyms {
        field: field("t"),
        terms: words(&["a", "b"]),
    };
    assert_eq!(synonyms.to_string(), "Synonym(t:a t:b)");
}
