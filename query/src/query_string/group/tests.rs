//! What is left of a group when some of its members say nothing.

use super::*;
use crate::dsl::QueryStringQuery;
use crate::limits::Limits;
use crate::query_string::{parse, parse_simple};

fn show(joined: BoolClauses<String>) -> String {
    let mut parts: Vec<String> = joined.must.iter().map(|q| format!("+{q}")).collect();
    parts.extend(joined.should);
    parts.extend(joined.must_not.iter().map(|q| format!("-{q}")));
    format!("({})", parts.join(" "))
}

/// Joins the words of `query`, of which those of one letter say nothing.
fn left(query: &Query) -> Option<String> {
    let group = match query {
        Query::Group(group) => group,
        Query::Match(word) => {
            let word = word.query.as_str().expect("a word").to_owned();
            return (word.len() > 1).then_some(word);
        }
        other => panic!("{other:?}"),
    };
    let members = group.members.iter();
    let said: Vec<Vec<String>> = members
        .map(|member| member.query.iter().filter_map(left).collect())
        .collect();
    let build: Build<String> = Build {
        all: || "*".to_owned(),
        joined: show,
    };
    let shape = group.join(said, &build)?;
    Some(build.single(shape))
}

fn asked(text: &str, default_operator: Operator) -> QueryStringQuery {
    QueryStringQuery {
        fields: vec![("d".to_owned(), 1.0)],
        default_operator,
        ..QueryStringQuery::new(text.to_owned())
    }
}

#[test]
fn words_that_say_nothing_are_no_clauses() {
    for (text, expected) in [
        ("t -fox", Some("(-fox)")),
        ("t NOT fox", Some("(-fox)")),
        ("-t", None),
        ("-t -fox", Some("(-fox)")),
        ("fox -t", Some("fox")),
        ("(t) -fox", Some("(-fox)")),
        ("(t -fox) AND dog", Some("(+(-fox) +dog)")),
        ("fox t AND dog", Some("(+fox +dog)")),
        ("fox AND t", Some("fox")),
        ("t OR fox", Some("(fox)")),
        ("+t", None),
    ] {
        let parsed = parse(&asked(text, Operator::Or), &Limits::default()).expect(text);
        assert_eq!(left(&parsed).as_deref(), expected, "{text}");
    }
    let both = parse(&asked("fox OR t", Operator::And), &Limits::default()).expect("text");
    assert_eq!(left(&both).as_deref(), Some("fox"));
}

#[test]
fn simple_words_that_say_nothing_are_no_clauses() {
    for (text, expected) in [
        ("lazy -t", Some("lazy")),
        ("-t", None),
        ("t -fox", Some("(* -fox)")),
        ("t + fox", Some("fox")),
        ("fox + t | dog", Some("(fox dog)")),
        ("fox dog + t hen", Some("(fox dog hen)")),
        ("(t) + -(t)", None),
    ] {
        let parsed = parse_simple(&asked(text, Operator::Or), &Limits::default()).expect(text);
        assert_eq!(left(&parsed).as_deref(), expected, "{text}");
    }
}

#[test]
fn terms_of_a_run_are_clauses_of_the_group() {
    let parsed = parse(&asked("fox dog zebra^2", Operator::Or), &Limits::default());
    let Ok(Query::Group(group)) = parsed else {
        panic!("a group");
    };
    assert!(group.members[0].is_run);
    let said = vec![vec!["fox", "dog"], vec!["zebra"]];
    let build: Build<&str> = Build {
        all: || "*",
        joined: |_| "joined",
    };
    let Some(Shape::BoolClauses(joined)) = group.join(said, &build) else {
        panic!("clauses");
    };
    assert_eq!(joined.should, ["fox", "dog", "zebra"]);
}
