//! Laws that hold for any text and any settings.

use gleaner_analysis::{Analyzer, AnalyzerRegistry, CustomAnalysis, Meter};
use proptest::prelude::*;
use serde_json::{Value, json};

const ANALYZERS: [&str; 36] = [
    "standard",
    "simple",
    "whitespace",
    "keyword",
    "stop",
    "pattern",
    "fingerprint",
    "cjk",
    "snowball",
    "arabic",
    "armenian",
    "basque",
    "catalan",
    "danish",
    "dutch",
    "english",
    "estonian",
    "finnish",
    "french",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "indonesian",
    "irish",
    "italian",
    "lithuanian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
];

/// Filters that emit tokens out of place, or many for one place.
fn heavy_filters() -> Vec<Value> {
    vec![
        json!("shingle"),
        json!("cjk_bigram"),
        json!("ngram"),
        json!({"type": "synonym", "synonyms": ["a, b c, d", "b c => e f g", "c"]}),
        json!({"type": "synonym_graph", "synonyms": ["a, b c, d", "b c => e f g", "c"]}),
        json!({"type": "stop", "stopwords": ["c", "の"]}),
        json!("asciifolding"),
        json!("remove_duplicates"),
    ]
}

/// Any text, with a leaning towards what tokenizers and filters treat apart.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[abc ]{0,30}",
        "[a-z' .é1०语のカ한ก😀🇩\u{301}\u{200d}\u{fe0f}I’İßς&;<>/!-]{0,40}",
        "(<[a-z/!]{0,4}[ \"'=]{0,3}>?|&[a-z#x0-9]{0,5};?|[abcä]|<!--|-->){0,20}",
        "\\PC{0,40}",
    ]
}

fn check(analyzer: &Analyzer, text: &str, is_in_order: bool) -> Result<(), TestCaseError> {
    let mut last = (0, 0);
    let mut error = Ok(());
    let num_positions = analyzer.analyze_into(text, &Meter::unlimited(), &mut |token| {
        let is_on_boundaries = text.get(token.start..token.end).is_some();
        let is_ordered = token.position >= last.0 && (!is_in_order || token.start >= last.1);
        if !is_on_boundaries || !is_ordered || token.position_length == 0 {
            error = Err(TestCaseError::fail(format!(
                "{}: {token:?} after {last:?}",
                analyzer.name()
            )));
        }
        last = (token.position, token.start);
    });
    prop_assert!(num_positions.is_ok_and(|num_positions| num_positions >= last.0));
    error
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn built_in_analyzers_keep_offsets_and_positions_in_order(text in texts()) {
        let registry = AnalyzerRegistry::builtin();
        for name in ANALYZERS {
            check(&registry.analyzer(name).expect(name), &text, true)?;
        }
    }

    #[test]
    fn custom_chains_keep_offsets_on_boundaries(
        text in texts(),
        filters in proptest::sample::subsequence(heavy_filters(), 0..4).prop_shuffle(),
        tokenizer in proptest::sample::select(vec![
            "standard", "whitespace", "keyword", "letter", "lowercase", "ngram", "edge_ngram",
            "pattern", "path_hierarchy",
        ]),
    ) {
        let tokenizer = json!(tokenizer);
        let char_filters = [
            json!("html_strip"),
            json!({"type": "mapping", "mappings": ["a => bcd", "ä => ae", "bc => é", ";=>"]}),
        ];
        let parts = CustomAnalysis { tokenizer: Some(&tokenizer), filters: &filters, char_filters: &char_filters };
        // Synonym rules do not pass every chain; a refusal is fine, a panic is not.
        if let Ok(made) = AnalyzerRegistry::builtin().custom(parts) {
            check(&made.analyzer, &text, false)?;
        }
    }

    #[test]
    fn any_settings_are_built_or_refused(
        kind in proptest::sample::select(vec![
            "shingle", "ngram", "edge_ngram", "synonym", "pattern_replace", "length", "truncate",
            "limit", "stop", "stemmer", "elision", "keyword_marker", "fingerprint", "lowercase",
        ]),
        key in proptest::sample::select(vec![
            "min_gram", "max_gram", "synonyms", "pattern", "replacement", "min", "length",
            "stopwords", "language", "articles", "keywords", "separator", "max_shingle_size",
        ]),
        text in ".{0,12}|[()\\[\\]*+?|$\\\\a0-9{},=>]{0,10}",
    ) {
        let settings = json!({"filter": {"f": {"type": kind, (key): text}}});
        let _outcome = AnalyzerRegistry::from_settings(&settings).is_ok();
    }

    #[test]
    fn folding_and_lowercasing_again_change_nothing(text in texts()) {
        let registry = AnalyzerRegistry::from_settings(&json!({
            "normalizer": {"n": {"filter": ["lowercase", "asciifolding", "lowercase"]}}
        })).expect("good settings");
        let normalizer = registry.normalizer("n").expect("it is defined");
        let normalize = |text: &str| normalizer.normalize(text, &Meter::unlimited());
        let once = normalize(&text).expect("no bound");
        prop_assert_eq!(normalize(&once), Ok(once));
    }
}
