//! Tokenizers, by example.

use serde_json::{Value, json};

use crate::{analyze, places, terms};

fn tokens(tokenizer: &Value, text: &str) -> Vec<String> {
    terms(tokenizer, &json!([]), text)
}

#[test]
fn letters_and_white_space_cut_as_documented() {
    let text = "The 2 QUICK Brown-Foxes";
    assert_eq!(
        tokens(&json!("letter"), text),
        ["The", "QUICK", "Brown", "Foxes"]
    );
    assert_eq!(
        tokens(&json!("lowercase"), text),
        ["the", "quick", "brown", "foxes"]
    );
    assert_eq!(
        tokens(&json!("whitespace"), text),
        ["The", "2", "QUICK", "Brown-Foxes"]
    );
    assert_eq!(
        tokens(
            &json!({"type": "whitespace", "max_token_length": 5}),
            "Brown-Foxes"
        ),
        ["Brown", "-Foxe", "s"]
    );
    let group = json!({"type": "char_group", "tokenize_on_chars": ["whitespace", "-", "\n"]});
    assert_eq!(
        tokens(&group, text),
        ["The", "2", "QUICK", "Brown", "Foxes"]
    );
    assert_eq!(tokens(&json!("keyword"), "New York"), ["New York"]);
    assert!(tokens(&json!("keyword"), "").is_empty());
}

#[test]
fn ngrams_slide_over_the_text() {
    let fox = [
        "Q", "Qu", "u", "ui", "i", "ic", "c", "ck", "k", "k ", " ", " F", "F", "Fo", "o", "ox", "x",
    ];
    assert_eq!(tokens(&json!("ngram"), "Quick Fox"), fox);
    let words =
        json!({"type": "ngram", "min_gram": 3, "max_gram": 3, "token_chars": ["letter", "digit"]});
    let text = "2 Quick Foxes.";
    assert_eq!(
        tokens(&words, text),
        ["Qui", "uic", "ick", "Fox", "oxe", "xes"]
    );
    let positions = analyze(&words, &json!([]), text);
    assert_eq!(places(&positions)[3], ("Fox", 3));
    let custom = json!({"type": "ngram", "min_gram": 2, "max_gram": 2,
        "token_chars": "letter,custom", "custom_token_chars": "+-"});
    assert_eq!(tokens(&custom, "a+ b!"), ["a+"]);
}

#[test]
fn edge_ngrams_start_each_word() {
    assert_eq!(tokens(&json!("edge_ngram"), "Quick Fox"), ["Q", "Qu"]);
    let words = json!({"type": "edge_ngram", "min_gram": 2, "max_gram": 10, "token_chars": ["letter", "digit"]});
    assert_eq!(
        tokens(&words, "2 Quick Foxes."),
        ["Qu", "Qui", "Quic", "Quick", "Fo", "Fox", "Foxe", "Foxes"]
    );
}

#[test]
fn patterns_split_or_capture() {
    assert_eq!(
        tokens(&json!("pattern"), "The foo_bar_size's default is 5."),
        ["The", "foo_bar_size", "s", "default", "is", "5"]
    );
    assert_eq!(
        tokens(
            &json!({"type": "pattern", "pattern": ","}),
            "comma,,separated"
        ),
        ["comma", "separated"]
    );
    let quoted =
        json!({"type": "pattern", "pattern": "\"((?:\\\\\"|[^\"]|\\\\\")+)\"", "group": 1});
    assert_eq!(
        tokens(&quoted, "\"value\", \"value with embedded \\\" quote\""),
        ["value", "value with embedded \\\" quote"]
    );
    let threes = json!({"type": "simple_pattern", "pattern": "[0123456789]{3}"});
    assert_eq!(tokens(&threes, "fd-786-335-514-x"), ["786", "335", "514"]);
    let split = json!({"type": "simple_pattern_split", "pattern": "_"});
    assert_eq!(
        tokens(&split, "an_underscored_phrase"),
        ["an", "underscored", "phrase"]
    );
}

#[test]
fn paths_come_with_their_parents() {
    let all = ["/one", "/one/two", "/one/two/three"];
    assert_eq!(tokens(&json!("path_hierarchy"), "/one/two/three"), all);
    let skip = json!({"type": "path_hierarchy", "delimiter": "-", "replacement": "/", "skip": 2});
    let text = "one-two-three-four-five";
    assert_eq!(
        tokens(&skip, text),
        ["/three", "/three/four", "/three/four/five"]
    );
    let reverse = json!({"type": "path_hierarchy", "delimiter": "-", "replacement": "/", "skip": 2,
        "reverse": true});
    assert_eq!(
        tokens(&reverse, text),
        ["one/two/three/", "two/three/", "three/"]
    );
    let positions = analyze(&json!("path_hierarchy"), &json!([]), "/a/b");
    assert_eq!(places(&positions), [("/a", 0), ("/a/b", 0)]);
}
