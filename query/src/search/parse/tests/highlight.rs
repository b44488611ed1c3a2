//! Options of highlighting.

use super::*;

#[test]
fn highlight_options_of_fields_lie_over_global_ones() {
    let request = parse(&json!({"highlight": {
        "pre_tags": ["<b>"], "post_tags": ["</b>"], "fragment_size": 50, "type": "fvh",
        "require_field_match": false, "order": "score", "encoder": "html",
        "highlight_query": {"match_all": {}}, "boundary_scanner": "SENTENCE",
        "fields": {
            "title": {"number_of_fragments": 0, "type": "plain", "require_field_match": true},
            "body": {"matched_fields": ["body", "body.plain"], "no_match_size": 9,
                "tags_schema": "styled"}
        }
    }}));
    let highlight = request.highlight.expect("highlight");
    assert!(!highlight.require_field_match);
    assert!(highlight.query.is_some());
    let (name, title) = &highlight.fields[0];
    assert_eq!(name, "title");
    assert_eq!((title.fragment_size, title.number_of_fragments), (50, 0));
    assert!(title.order_by_score && title.encode_html);
    assert_eq!(title.require_field_match, Some(true));
    assert_eq!(title.pre_tags, ["<b>"]);
    let body = &highlight.fields[1].1;
    assert_eq!((body.no_match_size, body.matched_fields.len()), (9, 2));
    assert_eq!(body.require_field_match, Some(false));
    assert_eq!(body.pre_tags.len(), 10);
    let listed = parse(&json!({"highlight": {"fields": [{"a": {}}, {"b": {}}]}}));
    let listed = listed.highlight.expect("highlight");
    assert_eq!(listed.fields.len(), 2);
    assert!(listed.require_field_match);
    assert_eq!(listed.fields[0].1.require_field_match, None);
    for (wrong, expected) in [
        (
            json!({"type": "semantic"}),
            "unknown highlighter type [semantic]",
        ),
        (
            json!({"fragment_sise": 1}),
            "[fragment_sise] did you mean any of [fragment_size",
        ),
        (
            json!({"fields": {"a": {"foo": 1}}}),
            "[highlight_field] unknown field [foo]",
        ),
        (json!({"pre_tags": ["<b>"]}), "post_tags are not set"),
        (
            json!({"pre_tags": [], "post_tags": []}),
            "pre_tags or post_tags must not be empty",
        ),
        (
            json!({"fields": {"a": {"post_tags": []}}}),
            "pre_tags or post_tags must not be empty",
        ),
        (
            json!({"max_analyzed_offset": 0}),
            "[max_analyzed_offset] must be a positive integer, or -1",
        ),
        (
            json!({"fields": {"a": {"max_analyzed_offset": -2}}}),
            "[max_analyzed_offset] must be a positive integer, or -1",
        ),
    ] {
        assert!(
            fault(&json!({"highlight": wrong})).contains(expected),
            "{expected}"
        );
    }
}

#[test]
fn the_limit_of_highlighted_text_may_be_that_of_the_index() {
    let request = parse(&json!({"highlight": {
        "max_analyzed_offset": 10, "fields": {"a": {}, "b": {"max_analyzed_offset": -1}}
    }}));
    let fields = request.highlight.expect("highlight").fields;
    let limits = fields
        .iter()
        .map(|(_, options)| options.max_analyzed_offset);
    assert_eq!(limits.collect::<Vec<_>>(), [10, 1_000_000]);
}

#[test]
fn matched_fields_need_the_field_to_match() {
    let of = |global: bool, own: Value| json!({"highlight": {"require_field_match": global, "fields": {"a": own}}});
    let expected = "Matched fields are not supported when [require_field_match] is set to [false]";
    for (global, own) in [
        (false, json!({"matched_fields": "b"})),
        (
            true,
            json!({"matched_fields": ["b"], "require_field_match": false}),
        ),
    ] {
        assert_eq!(fault(&of(global, own.clone())), expected, "{own}");
    }
    for (global, own) in [
        (false, json!({"matched_fields": []})),
        (false, json!({"matched_fields": "b", "type": "fvh"})),
        (
            false,
            json!({"matched_fields": "b", "require_field_match": true}),
        ),
    ] {
        parse(&of(global, own));
    }
}

#[test]
fn fragments_are_cut_at_sentences_and_in_no_other_way() {
    let of = |global: Value, own: Value| {
        let mut highlight = global;
        highlight["fields"] = json!({"a": own});
        json!({"highlight": highlight})
    };
    for (global, own, option) in [
        (
            json!({"boundary_scanner": "word"}),
            json!({}),
            "boundary_scanner",
        ),
        (
            json!({}),
            json!({"boundary_scanner": "chars"}),
            "boundary_scanner",
        ),
        (
            json!({"type": "fvh"}),
            json!({"boundary_scanner": "line"}),
            "boundary_scanner",
        ),
        (
            json!({"fragmenter": "whole"}),
            json!({"type": "plain"}),
            "fragmenter",
        ),
        (
            json!({"type": "fvh"}),
            json!({"fragment_offset": 3}),
            "fragment_offset",
        ),
    ] {
        let fault = fault(&of(global, own));
        assert!(fault.contains(&format!("[{option}] of [")), "{fault}");
        assert!(fault.ends_with("fragments are cut at sentences"), "{fault}");
    }
    for (global, own) in [
        (json!({"boundary_scanner": "sentence"}), json!({})),
        (
            json!({"boundary_scanner": "word"}),
            json!({"type": "plain"}),
        ),
        (
            json!({"boundary_scanner": "word"}),
            json!({"number_of_fragments": 0}),
        ),
        (
            json!({"fragmenter": "simple", "fragment_offset": 3}),
            json!({}),
        ),
        (json!({"type": "plain"}), json!({"fragmenter": "span"})),
        (json!({"fragmenter": "simple"}), json!({"type": "plain"})),
        (json!({"boundary_scanner": "WORD"}), json!({"type": "fvh"})),
        (json!({"type": "fvh"}), json!({"boundary_scanner": "chars"})),
        (json!({"type": "fvh"}), json!({"fragment_offset": 0})),
    ] {
        parse(&of(global, own));
    }
}
