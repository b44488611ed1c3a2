//! Where fragments begin and end, and in which order they come.

use super::*;

#[test]
fn fragments_are_sentences_near_the_size() {
    let text = "First there is one. The fox comes second. A third one follows. The fox ends the story here.";
    let size = |fragment_size, number_of_fragments| HighlightOptions {
        fragment_size,
        number_of_fragments,
        ..HighlightOptions::default()
    };
    let query = term("body", "fox");
    assert_eq!(
        body(text, &query, size(30, 5)),
        [
            "The <em>fox</em> comes second.",
            "The <em>fox</em> ends the story here."
        ],
    );
    assert_eq!(
        body(text, &query, size(50, 5)),
        [
            "The <em>fox</em> comes second. A third one follows.",
            "The <em>fox</em> ends the story here."
        ],
    );
    assert_eq!(body(text, &query, size(30, 1)).len(), 1);
    assert_eq!(
        body(&format!(" {text}\n"), &query, size(30, 0)),
        [format!(" {}\n", text.replace("fox", "<em>fox</em>"))],
        "0 fragments are the whole field as it is"
    );
}

#[test]
fn fragments_of_size_0_are_whole_sentences() {
    let text =
        "First there is one. The fox comes, and the fox goes. A third one. Here a fox ends it.";
    let options = HighlightOptions {
        fragment_size: 0,
        ..HighlightOptions::default()
    };
    assert_eq!(
        body(text, &term("body", "fox"), options),
        [
            "The <em>fox</em> comes, and the <em>fox</em> goes.",
            "Here a <em>fox</em> ends it."
        ],
    );
}

#[test]
fn long_sentences_are_cut_at_words() {
    let text = format!("{} the fox {}", "before ".repeat(40), "after ".repeat(40));
    let options = HighlightOptions {
        fragment_size: 40,
        ..HighlightOptions::default()
    };
    let found = body(&text, &term("body", "fox"), options);
    assert_eq!(found.len(), 1);
    let plain = found[0].replace("<em>", "").replace("</em>", "");
    assert!(
        text.contains(&plain) && plain.chars().count() <= 60,
        "{plain}"
    );
    assert!(
        plain.starts_with("before") && plain.contains("fox"),
        "{plain}"
    );
}

#[test]
fn fragments_are_ordered_by_score_when_asked() {
    let text = "One fox only. Nothing to see in this sentence. A quick fox and another quick fox.";
    let query = should(vec![term("body", "quick"), term("body", "fox")]);
    let by_score = HighlightOptions {
        fragment_size: 40,
        order_by_score: true,
        ..HighlightOptions::default()
    };
    assert!(body(text, &query, by_score)[0].starts_with("A <em>quick</em>"));
    let one = HighlightOptions {
        fragment_size: 40,
        number_of_fragments: 1,
        ..HighlightOptions::default()
    };
    assert!(body(text, &query, one)[0].starts_with("A <em>quick</em>"));
}

#[test]
fn texts_without_a_match_give_their_start_only_when_asked() {
    let query = term("body", "fox");
    let text = "Nothing here matches. Really nothing at all.";
    assert!(body(text, &query, HighlightOptions::default()).is_empty());
    for (no_match_size, expected) in [
        (30, "Nothing here matches. Really nothing"),
        (12, "Nothing here"),
        (7, "Nothing"),
        (10, "Nothing here"),
        (1_000, text),
    ] {
        let options = HighlightOptions {
            no_match_size,
            ..HighlightOptions::default()
        };
        assert_eq!(body(text, &query, options), [expected]);
    }
}

#[test]
fn the_first_value_that_is_not_empty_gives_the_start() {
    let options = HighlightOptions {
        no_match_size: 3,
        ..HighlightOptions::default()
    };
    let source = json!({"body": ["", "Nothing here", "nor here"]});
    let found = highlighted("body", &source, &term("body", "fox"), options);
    assert_eq!(found, ["Nothing"]);
}

#[test]
fn fragments_end_at_the_first_bound_of_a_word_behind_the_size() {
    let text = "The quick brown fox jumps over the lazy dog and runs away";
    for (fragment_size, expected) in [
        (18, "The <em>quick</em> brown fox"),
        (19, "The <em>quick</em> brown fox"),
        (20, "The <em>quick</em> brown fox jumps"),
    ] {
        let options = HighlightOptions {
            fragment_size,
            ..HighlightOptions::default()
        };
        let found = body(text, &term("body", "quick"), options);
        assert_eq!(found, [expected], "{fragment_size}");
    }
}

#[test]
fn line_breaks_end_no_fragment() {
    let text = "A heading\n\nThe fox\nruns. Another one.";
    let size = |fragment_size| HighlightOptions {
        fragment_size,
        ..HighlightOptions::default()
    };
    let expected = "A heading\n\nThe <em>fox</em>\nruns.";
    assert_eq!(body(text, &term("body", "fox"), size(0)), [expected]);
    assert_eq!(body(text, &term("body", "fox"), size(30)), [expected]);
}
