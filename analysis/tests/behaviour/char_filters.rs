//! Character filters, by example, and the way back to the original offsets.

use gleaner_analysis::{AnalyzerRegistry, CustomAnalysis, Meter, Token};
use serde_json::{Value, json};

fn analyze(tokenizer: &str, char_filters: &Value, text: &str) -> Vec<Token> {
    let tokenizer = json!(tokenizer);
    let char_filters = char_filters.as_array().expect("a list");
    let parts = CustomAnalysis {
        tokenizer: Some(&tokenizer),
        char_filters,
        filters: &[],
    };
    AnalyzerRegistry::builtin()
        .custom(parts)
        .expect("good settings")
        .analyzer
        .analyze(text, &Meter::unlimited())
        .expect("no bound")
}

fn filtered(char_filter: &Value, text: &str) -> String {
    analyze("keyword", &json!([char_filter]), text)
        .pop()
        .map_or(String::new(), |token| token.text)
}

#[test]
fn markup_is_stripped() {
    let strip = |text| filtered(&json!("html_strip"), text);
    assert_eq!(
        strip("<p>I&apos;m so <b>happy</b>!</p>"),
        "\nI'm so happy!\n"
    );
    assert_eq!(
        strip("a<!-- <b> -->b<br/>c<script>var x = '<p>';</SCRIPT>d"),
        "ab\nc\nd"
    );
    assert_eq!(
        strip("1 < 2 && 3 > 2 &eacute;&#233;&#xE9;&bogus;&#xD800;"),
        "1 < 2 && 3 > 2 ééé&bogus;&#xD800;"
    );
    assert_eq!(
        strip("<a href='x>y' title=\"<\">z</a> <unclosed"),
        "z <unclosed"
    );
    assert_eq!(strip("<!-- never closed <b>x</b>"), "<!-- never closed x");
    let escaped = json!({"type": "html_strip", "escaped_tags": ["b"]});
    assert_eq!(
        filtered(&escaped, "<p>so <b>happy</b>!</p>"),
        "\nso <b>happy</b>!\n"
    );
}

#[test]
fn mappings_take_the_longest_key() {
    let digits = json!({"type": "mapping", "mappings": ["٠ => 0", "١ => 1", "٢ => 2", "٥ => 5"]});
    assert_eq!(
        filtered(&digits, "My license plate is ٢٥٠١"),
        "My license plate is 2501"
    );
    let smileys = json!({"type": "mapping", "mappings": [":) => _happy_", ":( => _sad_", ":)) => _glad_", "\\u0041 =>"]});
    assert_eq!(filtered(&smileys, "A:) :( :))"), "_happy_ _sad_ _glad_");
}

#[test]
fn patterns_replace_in_text() {
    let dashes = json!({"type": "pattern_replace", "pattern": "(\\d+)-", "replacement": "$1_"});
    assert_eq!(filtered(&dashes, "card 123-456-789"), "card 123_456_789");
}

#[test]
fn offsets_point_into_the_original() {
    let filters = json!([
        "html_strip",
        {"type": "mapping", "mappings": ["ä => ae", "& => and"]},
    ]);
    let text = "<p>Bär&amp;<b>Hund</b> so</p>";
    let tokens = analyze("standard", &filters, text);
    let spans: Vec<_> = tokens
        .iter()
        .map(|t| (t.text.as_str(), &text[t.start..t.end]))
        .collect();
    assert_eq!(spans, [("BaerandHund", "Bär&amp;<b>Hund"), ("so", "so")]);
}
