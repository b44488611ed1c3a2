//! Registries out of settings, normalizers, explanations.

use gleaner_analysis::{AnalyzerRegistry, CustomAnalysis, Explanation, Meter};
use serde_json::json;

#[test]
fn custom_analyzers_find_their_parts_by_name() {
    let registry = AnalyzerRegistry::from_settings(&json!({
        "analyzer": {"my": {"type": "custom", "char_filter": ["emoticons"], "tokenizer": "punctuation",
            "filter": ["lowercase", "english_stop"], "position_increment_gap": 7}},
        "tokenizer": {"punctuation": {"type": "pattern", "pattern": "[ .,!?]"}},
        "char_filter": {"emoticons": {"type": "mapping", "mappings": [":) => _happy_", ":( => _sad_"]}},
        "filter": {"english_stop": {"type": "stop", "stopwords": "_english_"}},
    }))
    .unwrap();
    let analyzer = registry.analyzer("my").unwrap();
    let terms: Vec<_> = analyzer
        .analyze("I'm a :) person, and you?", &Meter::unlimited())
        .unwrap()
        .into_iter()
        .map(|t| t.text)
        .collect();
    assert_eq!(terms, ["i'm", "_happy_", "person", "you"]);
    assert_eq!(
        (
            analyzer.name(),
            analyzer.is_custom(),
            analyzer.position_increment_gap()
        ),
        ("my", true, 7)
    );
    assert!(registry.analyzer("standard").is_some());
    assert!(registry.analyzer("other").is_none());
}

#[test]
fn the_default_analyzer_can_be_defined() {
    assert_eq!(
        AnalyzerRegistry::builtin().default_analyzer().name(),
        "standard"
    );
    let registry =
        AnalyzerRegistry::from_settings(&json!({"analyzer": {"default": {"type": "whitespace"}}}))
            .unwrap();
    let tokens = registry
        .default_analyzer()
        .analyze("A b", &Meter::unlimited());
    let texts: Vec<_> = tokens
        .unwrap()
        .into_iter()
        .map(|token| token.text)
        .collect();
    assert_eq!(texts, ["A", "b"]);
}

#[test]
fn normalizers_change_characters() {
    let registry = AnalyzerRegistry::from_settings(&json!({
        "normalizer": {"n": {"type": "custom", "char_filter": ["quote"], "filter": ["lowercase", "asciifolding"]}},
        "char_filter": {"quote": {"type": "mapping", "mappings": ["« => \"", "» => \""]}},
    }))
    .unwrap();
    let normalize = |name: &str, text: &str| {
        let normalizer = registry.normalizer(name).unwrap();
        normalizer.normalize(text, &Meter::unlimited()).unwrap()
    };
    assert_eq!(normalize("n", "«Açaí À»"), "\"acai a\"");
    assert_eq!(normalize("lowercase", "ÀB c"), "àb c");
    assert!(registry.normalizer("x").is_none());
}

#[test]
fn explanations_show_each_part() {
    let filters = [
        json!("lowercase"),
        json!({"type": "stop", "stopwords": ["foo", "buzz"]}),
    ];
    let standard = json!("standard");
    let strip = [json!("html_strip")];
    let parts = CustomAnalysis {
        tokenizer: Some(&standard),
        filters: &filters,
        char_filters: &strip,
    };
    let analyzer = AnalyzerRegistry::builtin().custom(parts).unwrap().analyzer;
    let Explanation::Custom {
        char_filters,
        tokenizer,
        filters,
    } = analyzer
        .explain(&["<i>Foo</i> bar", "buzz"], 100, &Meter::unlimited())
        .expect("no bound")
        .expect("few tokens")
    else {
        panic!("custom analyzers are explained in parts");
    };
    assert_eq!(char_filters[0].filtered_text, ["Foo bar", "buzz"]);
    assert_eq!(
        (tokenizer.name.as_str(), tokenizer.tokens.len()),
        ("standard", 3)
    );
    assert_eq!(tokenizer.tokens[2].position, 102);
    assert_eq!(
        (filters[0].name.as_str(), filters[0].tokens[0].text.as_str()),
        ("lowercase", "foo")
    );
    assert_eq!(
        (filters[1].name.as_str(), filters[1].tokens.len()),
        ("__anonymous__stop", 1)
    );
}

#[test]
fn built_in_analyzers_are_explained_as_a_whole() {
    let analyzer = AnalyzerRegistry::builtin().analyzer("standard").unwrap();
    let explained = analyzer.explain(&["This is troubled"], 100, &Meter::unlimited());
    let Ok(Some(Explanation::Analyzer(stage))) = explained else {
        panic!("built-in analyzers have no parts to show");
    };
    assert_eq!((stage.name.as_str(), stage.tokens.len()), ("standard", 3));
}
