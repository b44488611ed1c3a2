//! Tables of texts, queries and fragments.

mod clauses;
mod cuts;
mod limits;

use std::ops::Bound;
use std::sync::Arc;

use gleaner_query::resolved::{Clause, Pattern, Scalar};
use gleaner_query::search::Highlight;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::aggregate::testing::{Index, Layout, mapping};

const LAYOUT: Layout = Layout {
    shards: 1,
    segments: 1,
    has_deletes: false,
};

fn view() -> Arc<View> {
    let mapping = mapping(&json!({
        "body": {"type": "text", "fields": {"english": {"type": "text", "analyzer": "english"}, "raw": {"type": "keyword"}}},
        "title": {"type": "text"},
        "tag": {"type": "keyword", "ignore_above": 8},
        "from": {"type": "text", "copy_to": "all"},
        "all": {"type": "text", "fields": {"english": {"type": "text", "analyzer": "english"}}},
    }));
    let documents = vec![(
        "d".to_owned(),
        json!({"body": "x", "title": "x", "tag": "x"}),
    )];
    Index::new(&mapping, &documents, LAYOUT).views().remove(0)
}

fn term(field: &str, term: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new(field),
        term: term.to_owned(),
    }
}

fn should(clauses: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: vec![],
        should: clauses,
        filter: vec![],
        must_not: vec![term("body", "cow")],
        minimum_should_match: 1,
    }
}

/// Highlights one field of a document.
fn highlighted(
    field: &str,
    source: &Value,
    query: &Clause,
    options: HighlightOptions,
) -> Vec<String> {
    highlighted_under(&Control::unlimited(), field, source, query, options)
        .expect("nothing stops it")
}

fn highlighted_under(
    control: &Control,
    field: &str,
    source: &Value,
    query: &Clause,
    options: HighlightOptions,
) -> Result<Vec<String>, EngineError> {
    let highlight = Highlight {
        fields: vec![(field.to_owned(), options)],
        require_field_match: true,
        query: None,
    };
    let spec = HighlightSpec {
        highlight: &highlight,
        query,
        field_queries: &[],
    };
    let highlighter = Highlighter::new(&view(), &spec, control)?;
    let mut found = highlighter.fragments(source, control, None)?;
    Ok(found.shift_remove(field).unwrap_or_default())
}

fn body(text: &str, query: &Clause, options: HighlightOptions) -> Vec<String> {
    highlighted("body", &json!({ "body": text }), query, options)
}

#[test]
fn terms_patterns_and_groups_are_marked() {
    let text = "The quick brown fox is brown";
    let field = FieldPath::new("body");
    let prefix = Pattern::Prefix {
        prefix: "qu".to_owned(),
        ignore_case: false,
    };
    let fuzzy = Pattern::Fuzzy {
        term: "fax".to_owned(),
        distance: 1,
        prefix_length: 0,
        transpositions: true,
    };
    for (query, expected) in [
        (
            term("body", "brown"),
            "The quick <em>brown</em> fox is <em>brown</em>",
        ),
        (
            should(vec![term("body", "fox")]),
            "The quick brown <em>fox</em> is brown",
        ),
        (
            Clause::Pattern {
                field: field.clone(),
                pattern: prefix,
            },
            "The <em>quick</em> brown fox is brown",
        ),
        (
            Clause::Pattern {
                field: field.clone(),
                pattern: fuzzy,
            },
            "The quick brown <em>fox</em> is brown",
        ),
        (
            Clause::Synonyms {
                field: field.clone(),
                terms: vec!["fast".to_owned(), "quick".to_owned()],
            },
            "The <em>quick</em> brown fox is brown",
        ),
        (
            Clause::Constant(Box::new(Clause::Boost {
                clause: Box::new(term("body", "is")),
                factor: 2.0,
            })),
            "The quick brown fox <em>is</em> brown",
        ),
    ] {
        assert_eq!(body(text, &query, HighlightOptions::default()), [expected]);
    }
}

fn phrase(terms: &[&str], slop: u32) -> Clause {
    let slots = terms
        .iter()
        .enumerate()
        .map(|(i, term)| (i as u32, vec![(*term).to_owned()]));
    Clause::Phrase {
        field: FieldPath::new("body"),
        positions: slots.collect(),
        slop,
    }
}

#[test]
fn phrases_are_marked_from_first_to_last_word_where_they_stand() {
    for (query, expected) in [
        (
            phrase(&["brown", "fox"], 0),
            vec!["a brown dog, a <em>brown fox</em>"],
        ),
        (phrase(&["fox", "brown"], 0), vec![]),
        (
            phrase(&["brown", "a"], 1),
            vec!["a <em>brown dog, a</em> brown fox"],
        ),
    ] {
        assert_eq!(
            body(
                "a brown dog, a brown fox",
                &query,
                HighlightOptions::default()
            ),
            expected
        );
    }
}

#[test]
fn a_phrase_over_several_values_is_marked_in_each() {
    let source = json!({"body": ["a quick", "", "fox runs"]});
    let fox = |slop: u32| {
        highlighted(
            "body",
            &source,
            &phrase(&["quick", "fox"], slop),
            Default::default(),
        )
    };
    // A gap of 100 stands behind each value, the empty one too.
    assert_eq!(fox(199), [""; 0]);
    assert_eq!(fox(200), ["a <em>quick</em>", "<em>fox</em> runs"]);
    let over_all = phrase(&["a", "quick"], 400);
    let marked = highlighted("body", &source, &over_all, Default::default());
    assert_eq!(marked, ["<em>a quick</em>"]);
    let whole = phrase(&["a", "runs"], 400);
    let marked = highlighted("body", &source, &whole, Default::default());
    assert_eq!(marked, ["<em>a quick</em>", "<em>fox runs</em>"]);
}

#[test]
fn sloppy_phrases_are_marked_where_they_match() {
    let slot = |at: u32, terms: &[&str]| -> (u32, Vec<String>) {
        (at, terms.iter().map(|term| (*term).to_owned()).collect())
    };
    let synonyms = Clause::Phrase {
        field: FieldPath::new("body"),
        positions: vec![slot(0, &["a", "x"]), slot(2, &["b"])],
        slop: 0,
    };
    for (text, query, expected) in [
        // The nearest "c" is not the one that fits.
        (
            "a c b c",
            phrase(&["a", "b", "c"], 1),
            Some("<em>a c b c</em>"),
        ),
        ("a c b c", phrase(&["a", "b", "c"], 0), None),
        ("b a", phrase(&["a", "b"], 1), None),
        ("b a", phrase(&["a", "b"], 2), Some("<em>b a</em>")),
        // One token is not two words.
        ("b a c", phrase(&["a", "a"], 5), None),
        ("a b a", phrase(&["a", "a"], 1), Some("<em>a b a</em>")),
        ("x a b b", synonyms, Some("<em>x a b b</em>")),
    ] {
        let found = body(text, &query, HighlightOptions::default());
        assert_eq!(
            found.first().map(String::as_str),
            expected,
            "{text} {query:?}"
        );
    }
}

#[test]
fn long_texts_take_time_by_their_length_and_can_be_stopped() {
    let text = "a b ".repeat(10_000);
    let options = || HighlightOptions {
        fragment_size: 1,
        number_of_fragments: 1,
        ..HighlightOptions::default()
    };
    let source = json!({ "body": text });
    for slop in [0, 3] {
        let query = phrase(&["a", "b"], slop);
        let control = Control::until_check(u64::MAX);
        let found = highlighted_under(&control, "body", &source, &query, options());
        assert_eq!(found.expect("it is highlighted"), ["<em>a b</em>"]);
        let checks = control.num_checks();
        assert!((5..50).contains(&checks), "{checks} checks, slop {slop}");
        let stopped = Control::unlimited();
        stopped.cancel();
        let found = highlighted_under(&stopped, "body", &source, &query, options());
        assert_eq!(found.unwrap_err().to_string(), "task cancelled");
    }
}

#[test]
fn values_that_are_copied_to_a_field_are_highlighted_in_it() {
    let source = json!({"from": ["a fox", "no"], "all": "own fox", "body": "fox"});
    for field in ["all", "all.english"] {
        assert_eq!(
            highlighted(
                field,
                &source,
                &term(field, "fox"),
                HighlightOptions::default()
            ),
            ["own <em>fox</em>", "a <em>fox</em>"]
        );
    }
}

#[test]
fn keywords_between_bounds_are_marked() {
    let source = json!({"tag": ["a", "b", "c", "d"]});
    let text = |text: &str| Scalar::Text(text.to_owned());
    let range = |lower, upper| Clause::Range {
        field: FieldPath::new("tag"),
        lower,
        upper,
    };
    for (query, expected) in [
        (
            range(Bound::Excluded(text("a")), Bound::Included(text("c"))),
            vec!["<em>b</em>", "<em>c</em>"],
        ),
        (
            range(Bound::Unbounded, Bound::Excluded(text("b"))),
            vec!["<em>a</em>"],
        ),
        (range(Bound::Included(text("e")), Bound::Unbounded), vec![]),
        (
            range(Bound::Included(Scalar::I64(1)), Bound::Unbounded),
            vec![],
        ),
    ] {
        let found = highlighted("tag", &source, &query, HighlightOptions::default());
        assert_eq!(found, expected, "{query:?}");
    }
}

#[test]
fn a_query_on_another_field_counts_only_without_field_match() {
    let query = term("title", "fox");
    assert!(body("a fox", &query, HighlightOptions::default()).is_empty());
    let any = HighlightOptions {
        require_field_match: Some(false),
        ..HighlightOptions::default()
    };
    assert_eq!(body("a fox", &query, any), ["a <em>fox</em>"]);
    let matched = HighlightOptions {
        matched_fields: vec!["body.english".to_owned()],
        ..HighlightOptions::default()
    };
    assert_eq!(
        body("two foxes", &term("body.english", "fox"), matched),
        ["two <em>foxes</em>"]
    );
}

#[test]
fn multi_fields_take_their_parents_text_and_keywords_are_marked_whole() {
    let source =
        json!({"body": ["Two foxes", "a fox"], "tag": ["red fox", "much too long a tag", "x"]});
    let default = HighlightOptions::default;
    assert_eq!(
        highlighted(
            "body.english",
            &source,
            &term("body.english", "fox"),
            default()
        ),
        ["Two <em>foxes</em>", "a <em>fox</em>"]
    );
    assert_eq!(
        highlighted("body.raw", &source, &term("body.raw", "a fox"), default()),
        ["<em>a fox</em>"]
    );
    assert_eq!(
        highlighted("tag", &source, &term("tag", "red fox"), default()),
        ["<em>red fox</em>"]
    );
    assert!(
        highlighted(
            "tag",
            &source,
            &term("tag", "much too long a tag"),
            default()
        )
        .is_empty()
    );
}

#[test]
fn the_first_tags_and_html_are_written_as_asked() {
    let options = HighlightOptions {
        pre_tags: vec!["<b>".to_owned(), "<i>".to_owned()],
        post_tags: vec!["</b>".to_owned(), "</i>".to_owned()],
        encode_html: true,
        ..HighlightOptions::default()
    };
    let query = should(vec![
        term("body", "fox"),
        term("body", "dog"),
        term("body", "cat"),
    ]);
    assert_eq!(
        body("fox & dog < cat", &query, options),
        ["<b>fox</b> &amp; <b>dog</b> &lt; <b>cat</b>"]
    );
}

#[test]
fn text_beyond_the_limit_is_not_analysed() {
    let options = HighlightOptions {
        max_analyzed_offset: 10,
        ..HighlightOptions::default()
    };
    assert_eq!(
        body("äö fox and a fox", &term("body", "fox"), options),
        ["äö <em>fox</em> and a fox"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn without_tags_fragments_are_pieces_of_the_text(
        text in "([a-cäß😀]{1,4}[ .!\\n]{1,2}){0,60}",
        size in 0_usize..60,
        fragments in 0_usize..4,
    ) {
        let options = HighlightOptions {
            pre_tags: vec![String::new()],
            post_tags: vec![String::new()],
            fragment_size: size,
            number_of_fragments: fragments,
            no_match_size: size,
            ..HighlightOptions::default()
        };
        let query = should(vec![term("body", "a"), term("body", "ß"), phrase(&["b", "c"], 1)]);
        for fragment in body(&text, &query, options) {
            prop_assert!(text.contains(&fragment), "{fragment:?} in {text:?}");
        }
    }
}
