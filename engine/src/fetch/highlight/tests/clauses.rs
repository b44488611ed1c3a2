//! Clauses that a document does not match are not marked.

use super::*;

fn both(clauses: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: clauses,
        should: vec![],
        filter: vec![],
        must_not: vec![],
        minimum_should_match: 0,
    }
}

fn words(words: &[&str]) -> Vec<Clause> {
    words.iter().map(|word| term("body", word)).collect()
}

/// `brown` alone is marked.
const BROWN: &str = "The quick <em>brown</em> fox";

#[test]
fn words_of_a_conjunction_are_marked_only_when_all_are_there() {
    let either = |clause| should(vec![clause, term("body", "brown")]);
    for (query, expected) in [
        (either(both(words(&["quick", "cat"]))), BROWN),
        (
            either(both(words(&["quick", "fox"]))),
            "The <em>quick</em> <em>brown</em> <em>fox</em>",
        ),
        (
            either(both(vec![
                phrase(&["quick", "fox"], 0),
                term("body", "the"),
            ])),
            BROWN,
        ),
        // Whether the other field has it, the text does not tell.
        (
            both(vec![term("body", "brown"), term("title", "cat")]),
            BROWN,
        ),
    ] {
        let found = body("The quick brown fox", &query, HighlightOptions::default());
        assert_eq!(found, [expected], "{query:?}");
    }
}

#[test]
fn words_can_be_marked_by_themselves_whatever_matches() {
    let options = HighlightOptions {
        marks_words: true,
        ..HighlightOptions::default()
    };
    let query = should(vec![
        both(words(&["quick", "cat"])),
        phrase(&["brown", "fox"], 0),
    ]);
    let found = body("The quick brown fox", &query, options);
    assert_eq!(found, ["The <em>quick</em> <em>brown</em> <em>fox</em>"]);
}

#[test]
fn nothing_is_marked_of_too_few_alternatives_or_beside_what_must_not_match() {
    let some = |least: u32, excluded: &str| Clause::Bool {
        must: vec![],
        should: words(&["quick", "fox", "cat"]),
        filter: vec![],
        must_not: vec![term("body", excluded)],
        minimum_should_match: least,
    };
    let all = "The <em>quick</em> brown <em>fox</em>";
    for (query, expected) in [
        (some(2, "cow"), vec![all]),
        (some(3, "cow"), vec![]),
        (some(2, "brown"), vec![]),
    ] {
        let found = body("The quick brown fox", &query, HighlightOptions::default());
        assert_eq!(found, expected, "{query:?}");
    }
}

#[test]
fn all_values_are_looked_at_together() {
    let query = both(words(&["quick", "fox"]));
    let source = json!({"body": ["quick", "a fox"]});
    let found = highlighted("body", &source, &query, HighlightOptions::default());
    assert_eq!(found, ["<em>quick</em>", "a <em>fox</em>"]);
}

#[test]
fn without_field_match_each_word_of_every_clause_is_marked() {
    let query = should(vec![
        both(words(&["the", "cat"])),
        phrase(&["quick", "brown"], 0),
    ]);
    let options = HighlightOptions {
        require_field_match: Some(false),
        ..HighlightOptions::default()
    };
    assert_eq!(
        body("The quick brown fox", &query, options),
        ["<em>The</em> <em>quick</em> <em>brown</em> fox"]
    );
}
