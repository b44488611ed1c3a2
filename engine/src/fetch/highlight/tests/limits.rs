//! Long texts are highlighted within the request's deadline and memory.

use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Ledger, MemoryAccount, Stop};

use super::*;

/// A sentence of 40,000 characters.
fn long_text() -> String {
    "a b ".repeat(10_000)
}

#[test]
fn each_part_of_the_work_on_a_long_text_notices_the_deadline() {
    let whole = HighlightOptions {
        no_match_size: 30_000,
        ..HighlightOptions::default()
    };
    let source = json!({ "body": long_text() });
    for query in [term("body", "b"), term("body", "fox")] {
        let control = Control::until_check(u64::MAX);
        let found = highlighted_under(&control, "body", &source, &query, whole.clone());
        assert!(!found.expect("nothing stops it").is_empty());
        let num_checks = control.num_checks();
        assert!(num_checks > 10, "{num_checks} checks");
        for most_checks in 0..num_checks {
            let late = Control::until_check(most_checks);
            let found = highlighted_under(&late, "body", &source, &query, whole.clone());
            let error = found.expect_err("the deadline has passed");
            let expected = EvaluationError::from(Stop::Deadline);
            assert_eq!(error.to_string(), expected.to_string());
            assert_eq!(late.num_checks(), most_checks + 1);
        }
    }
}

#[test]
fn phrases_are_searched_once_where_other_clauses_decide_whether_they_count() {
    let source = json!({ "body": long_text() });
    let num_checks = |query: &Clause| {
        let control = Control::until_check(u64::MAX);
        let options = HighlightOptions::default();
        let found = highlighted_under(&control, "body", &source, query, options);
        assert!(!found.expect("nothing stops it").is_empty());
        control.num_checks()
    };
    let alone = num_checks(&phrase(&["a", "b"], 3));
    let with_another = num_checks(&Clause::Bool {
        must: vec![phrase(&["a", "b"], 3), term("body", "a")],
        should: vec![],
        filter: vec![],
        must_not: vec![],
        minimum_should_match: 0,
    });
    // The terms are gone through once more, some 5 checks; a second search takes 14 at least.
    assert!(
        with_another < alone + 12,
        "{alone} and {with_another} checks"
    );
}

/// Highlights a text of 200,000 bytes without a match, with `limit` bytes of memory; returns the length of what
/// is shown, and how many bytes are held for it.
fn shown_start(limit: u64) -> Result<(usize, u64), EngineError> {
    let options = HighlightOptions {
        no_match_size: 1_000_000,
        ..HighlightOptions::default()
    };
    let highlight = Highlight {
        fields: vec![("body".to_owned(), options)],
        require_field_match: true,
        query: None,
    };
    let query = term("body", "fox");
    let spec = HighlightSpec {
        highlight: &highlight,
        query: &query,
        field_queries: &[],
    };
    let control = Control::unlimited();
    let highlighter = Highlighter::new(&view(), &spec, &control)?;
    let account = MemoryAccount::root("request", limit);
    let ledger = Ledger::open(&account)?;
    let source = json!({ "body": format!("{} ", "x".repeat(99)).repeat(2_000) });
    let found = highlighter.fragments(&source, &control, Some(&mut ledger.meter()))?;
    Ok((found["body"][0].len(), account.held_bytes()))
}

#[test]
fn texts_are_charged_while_they_are_highlighted_and_what_is_shown_until_it_is_sent() {
    let (length, held) = shown_start(1_500_000).expect("there is room");
    assert_eq!(length, 199_999);
    assert!((200_000..250_000).contains(&held), "{held} bytes");
    let refused = shown_start(400_000).expect_err("there is no room for the tokens");
    let refused = refused.to_string();
    assert!(refused.contains("Data too large"), "{refused}");
}
