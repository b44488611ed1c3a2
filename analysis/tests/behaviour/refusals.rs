//! What is refused, and in which words.

use gleaner_analysis::{AnalyzerRegistry, CustomAnalysis, Limits};
use serde_json::{Value, json};

fn refusal(settings: &Value) -> String {
    AnalyzerRegistry::from_settings(settings)
        .expect_err(&settings.to_string())
        .to_string()
}

fn filter_refusal(definition: &Value) -> String {
    refusal(&json!({"filter": {"f": definition}}))
}

#[test]
fn unknown_names_are_named() {
    let table = [
        (
            json!({"tokenizer": {"y": {"type": "x"}}}),
            "Unknown tokenizer type [x] for [y]",
        ),
        (
            json!({"filter": {"y": {"type": "x"}}}),
            "Unknown filter type [x] for [y]",
        ),
        (
            json!({"analyzer": {"y": {"type": "x"}}}),
            "Unknown analyzer type [x] for [y]",
        ),
        (
            json!({"filter": {"y": {}}}),
            "filter [y] must have a type associated with it",
        ),
        (
            json!({"analyzer": {"y": {}}}),
            "analyzer [y] must specify either an analyzer type, or a tokenizer",
        ),
        (
            json!({"analyzer": {"y": {"type": "custom"}}}),
            "Custom Analyzer [y] must be configured with a tokenizer",
        ),
        (
            json!({"analyzer": {"y": {"tokenizer": "x"}}}),
            "Custom Analyzer [y] failed to find tokenizer under name [x]",
        ),
        (
            json!({"analyzer": {"y": {"tokenizer": "standard", "filter": "x"}}}),
            "Custom Analyzer [y] failed to find filter under name [x]",
        ),
        (
            json!({"normalizer": {"y": {"filter": ["stop"]}}}),
            "Custom normalizer [y] may not use filter [stop]",
        ),
        (
            json!({"normalizer": {"y": {"tokenizer": "standard"}}}),
            "Custom normalizer [y] cannot configure a tokenizer",
        ),
        (
            json!({"analyser": {}}),
            "analysis settings: [analyser] is no kind of analysis component",
        ),
        (json!([]), "analysis settings: [analysis] must be an object"),
    ];
    for (settings, wanted) in table {
        assert_eq!(refusal(&settings), wanted);
    }
}

#[test]
fn requests_name_what_is_missing() {
    let registry = AnalyzerRegistry::builtin();
    assert_eq!(
        registry.require_analyzer("x").unwrap_err().to_string(),
        "failed to find global analyzer [x]"
    );
    let refusal = |filter: Value| {
        let parts = CustomAnalysis {
            filters: &[filter],
            ..CustomAnalysis::default()
        };
        registry.custom(parts).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(json!("x")),
        "failed to find global filter under [x]"
    );
    assert_eq!(
        refusal(json!({"type": "x"})),
        "failed to find global filter under [x]"
    );
    assert_eq!(
        refusal(json!({})),
        "Missing [type] setting for anonymous filter: {}"
    );
    assert_eq!(
        refusal(json!("kstem")),
        "filter type [kstem] for [kstem] is not supported by gleaner"
    );
}

#[test]
fn bad_settings_are_refused_with_the_reason() {
    let table = [
        (
            json!({"type": "elision"}),
            "elision filter requires [articles] or [articles_path] setting",
        ),
        (
            json!({"type": "synonym"}),
            "synonym requires either `synonyms` or `synonyms_path` to be configured",
        ),
        (
            json!({"type": "synonym_graph", "synonyms_path": "analysis/synonym.txt"}),
            "filter [f]: setting [synonyms_path] is not supported: there are no files beside the \
             configuration, give the rules in [synonyms]",
        ),
        (
            json!({"type": "stop", "stopwords": "_klingon_"}),
            "filter [f]: setting [stopwords] names no list we have: [_klingon_]",
        ),
        (
            json!({"type": "stop", "stopwords_path": "x"}),
            "filter [f]: setting [stopwords_path] is not supported",
        ),
        (
            json!({"type": "stemmer", "language": "light_french"}),
            "filter [f]: setting [language] names a stemmer that is not supported by gleaner: \
             [light_french]",
        ),
        (
            json!({"type": "stemmer", "name": "minimalGerman"}),
            "filter [f]: setting [name] names a stemmer that is not supported by gleaner: \
             [minimalGerman]",
        ),
        (
            json!({"type": "snowball", "language": "Klingon"}),
            "Invalid stemmer class specified: Klingon",
        ),
        (
            json!({"type": "length", "min": -1}),
            "filter [f]: setting [min] must be a number from 0, but was [-1]",
        ),
        (
            json!({"type": "lowercase", "language": "x"}),
            "language [x] not support for lower case",
        ),
        (
            json!({"type": "min_hash"}),
            "filter type [min_hash] for [f] is not supported by gleaner",
        ),
        (
            json!({"type": "multiplexer"}),
            "multiplexer requires [filters] to be configured",
        ),
        (
            json!({"type": "multiplexer", "filters": ["lowercase", " , "]}),
            "filter [f]: setting [filters] must name a filter in each entry",
        ),
        (
            json!({"type": "multiplexer", "filters": ["lowercase", "f"]}),
            "filter [f]: setting [filters] may not name another multiplexer: [f]",
        ),
    ];
    for (definition, wanted) in table {
        assert_eq!(filter_refusal(&definition), wanted);
    }
    assert_eq!(
        refusal(&json!({"analyzer": {"y": {"type": "czech"}}})),
        "analyzer type [czech] for [y] is not supported by gleaner"
    );
    assert_eq!(
        refusal(&json!({"analyzer": {"y": {"type": "snowball", "language": "kp"}}})),
        "analyzer [y]: setting [language] names a stemmer that is not supported by gleaner: [kp]"
    );
    assert_eq!(
        refusal(&json!({"analyzer": {"y": {"type": "snowball", "language": "Klingon"}}})),
        "Invalid stemmer class specified: Klingon"
    );
    let lookahead = filter_refusal(&json!({"type": "pattern_replace", "pattern": "(?=a)"}));
    assert!(lookahead.contains("look-around"), "{lookahead}");
    let mapping = json!({"char_filter": {"m": {"type": "mapping", "mappings": ["x"]}}});
    assert_eq!(refusal(&mapping), "Invalid Mapping Rule : [x]");
}

#[test]
fn settings_that_nothing_reads_are_ignored_and_named() {
    let settings = json!({
        "tokenizer": {"e": {"type": "edge_ngram", "min_gram": 2, "max_gram": 15, "side": "front"}},
        "filter": {"s": {"type": "stop", "stopwordz": "_english_"}},
        "char_filter": {"h": {"type": "html_strip", "x": 1}},
        "normalizer": {"n": {"type": "lowercase", "y": 1}},
        "analyzer": {
            "a": {"type": "custom", "tokenizer": "e", "filter": ["s"], "z": 1},
            "b": {"type": "english", "w": 1},
        },
    });
    let registry = AnalyzerRegistry::from_settings(&settings).expect("taken");
    assert_eq!(
        registry.ignored(),
        [
            "unknown setting [side] of tokenizer [e] was ignored",
            "unknown setting [stopwordz] of filter [s] was ignored",
            "unknown setting [w] of analyzer [b] was ignored",
            "unknown setting [x] of char_filter [h] was ignored",
            "unknown setting [y] of normalizer [n] was ignored",
            "unknown setting [z] of analyzer [a] was ignored",
        ]
    );
    assert!(AnalyzerRegistry::builtin().ignored().is_empty());
    let parts = CustomAnalysis {
        filters: &[json!({"type": "stop", "v": 1})],
        ..CustomAnalysis::default()
    };
    let made = registry.custom(parts).expect("taken");
    assert_eq!(
        made.ignored,
        ["unknown setting [v] of filter [__anonymous__stop] was ignored"]
    );
}

#[test]
fn sizes_are_limited() {
    let wide = json!({"tokenizer": {"t": {"type": "ngram", "min_gram": 2, "max_gram": 4}}});
    assert_eq!(
        refusal(&wide),
        "The difference between max_gram and min_gram in NGram Tokenizer must be less than or equal \
         to: [1] but was [2]. This limit can be set by changing the [index.max_ngram_diff] index \
         level setting."
    );
    let limits = Limits {
        max_ngram_diff: 2,
        ..Limits::default()
    };
    assert!(AnalyzerRegistry::with_limits(&wide, limits).is_ok());
    let shingles = filter_refusal(&json!({"type": "shingle", "max_shingle_size": 5}));
    assert!(shingles.contains("[index.max_shingle_diff]"), "{shingles}");
    let rules: Vec<String> = (0..10_001).map(|n| format!("a{n}, b{n}")).collect();
    assert!(filter_refusal(&json!({"type": "synonym", "synonyms": rules})).contains("10001 rules"));
    let line: Vec<String> = (0..300).map(|n| format!("a{n}")).collect();
    let long = filter_refusal(&json!({"type": "synonym", "synonyms": [line.join(",")]}));
    assert!(long.contains("at most 256"), "{long}");
}

#[test]
fn synonym_rules_are_refused_by_line() {
    let settings = |rule: &str, is_lenient: bool| {
        json!({"analyzer": {"a": {"tokenizer": "standard", "filter": ["stop", "f"]}},
            "filter": {"f": {"type": "synonym", "lenient": is_lenient, "synonyms": ["x, y", rule]}}})
    };
    assert_eq!(
        refusal(&settings("the, a => b", false)),
        "failed to build synonyms: Invalid synonym rule at line 2: term: the was completely \
         eliminated by analyzer"
    );
    assert!(
        refusal(&settings("b => king of spain", false))
            .contains("position increment != 1 (got: 2)")
    );
    assert!(refusal(&settings("a => b => c", false)).contains("more than one explicit mapping"));
    assert!(AnalyzerRegistry::from_settings(&settings("the, a => b", true)).is_ok());
}
