//! Settings that make much of little, and texts that some settings make much of: refused, or ended while they work.

use gleaner_analysis::{Analyzer, AnalyzerRegistry, CustomAnalysis, Limits, Meter, TooMuch};
use serde_json::{Value, json};

/// An analysis that makes too much: parts, and a text.
struct Case {
    char_filters: Value,
    tokenizer: Value,
    filters: Value,
    text: String,
}

impl Case {
    fn of(char_filters: Value, tokenizer: Value, filters: Value, text: impl Into<String>) -> Self {
        Self {
            char_filters,
            tokenizer,
            filters,
            text: text.into(),
        }
    }

    fn settings(&self) -> Value {
        let named = |prefix: &str, parts: &Value| -> Value {
            let parts = parts.as_array().expect("a list").iter().enumerate();
            parts
                .map(|(at, part)| {
                    let part = match part {
                        Value::String(kind) => json!({ "type": kind }),
                        part => part.clone(),
                    };
                    (format!("{prefix}{at}"), part)
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let (chars, filters) = (named("c", &self.char_filters), named("f", &self.filters));
        let names = |parts: &Value| {
            let parts = parts.as_object().expect("an object");
            parts.keys().cloned().collect::<Vec<_>>()
        };
        json!({
            "analyzer": {"a": {
                "tokenizer": "t", "char_filter": names(&chars), "filter": names(&filters),
            }},
            "tokenizer": {"t": self.tokenizer},
            "char_filter": chars,
            "filter": filters,
        })
    }

    /// The analyzer of an index that has it: bounds of new definitions do not hold.
    fn of_old_index(&self) -> Analyzer {
        let limits = Limits {
            max_ngram_diff: 2_000,
            max_shingle_diff: 2_000,
            ..Limits::default()
        };
        let registry = AnalyzerRegistry::with_limits(&self.settings(), limits);
        let registry = registry.unwrap_or_else(|error| panic!("{}: {error}", self.settings()));
        registry.analyzer("a").expect("it is defined")
    }
}

fn times(number: usize, part: &Value) -> Value {
    vec![part.clone(); number].into()
}

fn lengthening() -> Vec<Case> {
    let keyword = json!({"type": "keyword"});
    let mapping = |length: usize| {
        let rule = format!("a=>{}", "a".repeat(length));
        json!({"type": "mapping", "mappings": [rule]})
    };
    let replace =
        json!({"type": "pattern_replace", "pattern": "(.+)", "replacement": "$1".repeat(30)});
    let each = json!({"type": "pattern_replace", "pattern": "", "replacement": "ab".repeat(200)});
    vec![
        Case::of(times(5, &mapping(200)), keyword.clone(), json!([]), "a"),
        Case::of(times(6, &mapping(40)), keyword.clone(), json!([]), "a"),
        Case::of(times(7, &replace), keyword.clone(), json!([]), "a"),
        Case::of(json!([]), keyword.clone(), times(7, &replace), "a"),
        Case::of(times(3, &each), keyword.clone(), json!([]), "abc"),
        Case::of(json!([]), keyword, times(4, &each), "abc"),
    ]
}

fn multiplying() -> Vec<Case> {
    let words = "w ".repeat(200);
    let whitespace = json!({"type": "whitespace"});
    let keyword = json!({"type": "keyword"});
    let shingle = json!({"type": "shingle", "min_shingle_size": 2, "max_shingle_size": 4});
    let edge = json!({"type": "edge_ngram", "min_gram": 1, "max_gram": 1_000});
    let ngram = json!({"type": "ngram", "min_gram": 1, "max_gram": 1_000});
    let wide = json!({"type": "shingle", "min_shingle_size": 900, "max_shingle_size": 1_000, "output_unigrams": false,
        "token_separator": "-".repeat(10_000)});
    let groups = json!({"type": "pattern_capture", "patterns": times(100, &json!(format!("{}.{}", "(".repeat(50), ")".repeat(50))))});
    let synonyms: Vec<String> = (0..250)
        .map(|n| format!("{n}-{}", "s".repeat(100)))
        .collect();
    let synonyms = json!({"type": "synonym", "synonyms": [format!("w, {}", synonyms.join(", "))]});
    let twice =
        json!({"type": "word_delimiter_graph", "catenate_all": true, "preserve_original": true});
    let many = json!({"type": "edge_ngram", "min_gram": 1, "max_gram": 1_000});
    let long = "x".repeat(20_000);
    vec![
        Case::of(
            json!([]),
            whitespace.clone(),
            times(10, &shingle),
            words.clone(),
        ),
        Case::of(
            json!([]),
            whitespace.clone(),
            times(5, &edge),
            "y".repeat(1_000),
        ),
        Case::of(json!([]), keyword.clone(), times(2, &ngram), long.clone()),
        Case::of(json!([]), ngram.clone(), json!([]), long.clone()),
        Case::of(
            json!([]),
            json!({"type": "path_hierarchy"}),
            json!(["uppercase"]),
            "/a".repeat(1 << 17),
        ),
        Case::of(
            json!([]),
            json!({"type": "path_hierarchy", "reverse": true}),
            json!([]),
            "/a".repeat(1 << 17),
        ),
        Case::of(
            json!([]),
            json!({"type": "path_hierarchy", "replacement": "-"}),
            json!([]),
            "/a".repeat(1 << 17),
        ),
        Case::of(
            json!([]),
            whitespace.clone(),
            json!([wide]),
            "w ".repeat(20_000),
        ),
        Case::of(json!([]), keyword.clone(), json!([groups]), long.clone()),
        Case::of(
            json!([]),
            whitespace.clone(),
            json!([synonyms]),
            "w ".repeat(10_000),
        ),
        Case::of(
            json!([]),
            whitespace,
            times(30, &json!("keyword_repeat")),
            words,
        ),
        Case::of(
            json!([]),
            keyword.clone(),
            times(20, &twice),
            "aB1-cD2".repeat(100),
        ),
        Case::of(json!([]), keyword, times(3, &many), "z".repeat(1_000)),
    ]
}

/// Work that makes little: large programs over long texts, and words that are looked up at each place.
fn slow() -> Vec<Case> {
    let keyword = json!({"type": "keyword"});
    let pattern = "(x|y|[a-q]){0,900}z";
    let replace = json!({"type": "pattern_replace", "pattern": pattern, "replacement": ""});
    let word = "q".repeat(5_000);
    let compound = json!({"type": "dictionary_decompounder", "word_list": [word], "max_subword_size": 100_000});
    let marker = json!({"type": "keyword_marker", "keywords_pattern": pattern});
    let text = "x".repeat(1 << 20);
    vec![
        Case::of(json!([replace]), keyword.clone(), json!([]), text.clone()),
        Case::of(json!([]), keyword.clone(), json!([replace]), text.clone()),
        Case::of(
            json!([]),
            json!({"type": "pattern", "pattern": pattern}),
            json!([]),
            text.clone(),
        ),
        Case::of(json!([]), keyword.clone(), json!([marker]), text.clone()),
        Case::of(json!([]), keyword, json!([compound]), text),
    ]
}

fn ends(case: &Case, meter: &Meter<'_>) -> Result<(), TooMuch> {
    let analyzer = case.of_old_index();
    let mut num_bytes = 0;
    let analyzed = analyzer.analyze_into(&case.text, meter, &mut |token| {
        num_bytes += token.text.len() as u64;
    });
    let most = meter.limit_for(case.text.len() as u64);
    assert!(
        num_bytes <= most,
        "{}: {num_bytes} of {most}",
        case.settings()
    );
    analyzed.map(drop)
}

#[test]
fn analysis_that_makes_too_much_ends_while_it_makes_it() {
    for case in lengthening().into_iter().chain(multiplying()).chain(slow()) {
        for meter in [Meter::for_request(), Meter::for_document()] {
            let ended = ends(&case, &meter);
            assert!(
                ended.is_err(),
                "{} of {} bytes",
                case.settings(),
                case.text.len()
            );
            assert_eq!(meter.check(), ended);
        }
    }
}

#[test]
fn queries_normalize_within_the_same_bounds() {
    for case in lengthening().into_iter().take(3) {
        let analyzer = case.of_old_index();
        let meter = Meter::for_request();
        assert!(
            analyzer.normalize(&case.text, &meter).is_err(),
            "{}",
            case.settings()
        );
        let meter = Meter::for_request();
        assert!(analyzer.end_of(&case.text, &meter).is_err());
        let meter = Meter::for_request();
        assert!(analyzer.explain(&[&case.text], 10, &meter).is_err());
    }
}

#[test]
fn new_chains_that_can_only_explode_are_refused_by_name() {
    let limits = Limits {
        max_ngram_diff: 2_000,
        max_shingle_diff: 2_000,
        ..Limits::default()
    };
    for case in lengthening().into_iter().take(4) {
        let refused = AnalyzerRegistry::with_limits(&case.settings(), limits.of_new());
        let refused = refused.expect_err("it makes a gigabyte of a page");
        assert!(
            refused.to_string().starts_with("analyzer [a] can make"),
            "{refused}"
        );
    }
    let filters = times(101, &json!("lowercase"));
    let filters = filters.as_array().expect("a list");
    let parts = CustomAnalysis {
        filters,
        ..CustomAnalysis::default()
    };
    let refused = AnalyzerRegistry::builtin().custom(parts).err();
    let refused = refused.expect("too many filters").to_string();
    assert_eq!(
        refused,
        "the analysis of this request has 101 filters, at most 100 are allowed"
    );
}

#[test]
fn synonyms_that_make_too_many_pairs_are_refused() {
    let terms = |line: usize| -> String {
        let terms: Vec<String> = (0..250).map(|n| format!("w{line}x{n}")).collect();
        terms.join(",")
    };
    let lines: Vec<String> = (0..20).map(terms).collect();
    let settings =
        json!({"filter": {"f": {"type": "synonym", "lenient": true, "synonyms": lines}}});
    let refused = AnalyzerRegistry::from_settings(&settings).expect_err("1,245,000 pairs");
    assert!(
        refused.to_string().contains("more than 1000000 pairs"),
        "{refused}"
    );
}

#[test]
fn honest_chains_over_long_texts_are_within_the_bounds() {
    let prose = "The quick brown fox jumps over the lazy dog, 12 times. ".repeat(100_000);
    let registry = AnalyzerRegistry::builtin();
    for name in [
        "standard",
        "english",
        "german",
        "simple",
        "whitespace",
        "stop",
        "cjk",
    ] {
        let analyzer = registry.analyzer(name).expect("it is built in");
        let meter = Meter::for_document();
        let analyzed = analyzer.analyze_into(&prose, &meter, &mut |_| {});
        assert!(analyzed.is_ok(), "{name}: {analyzed:?}");
        // What costs nothing is not tried before it is kept.
        assert_eq!(analyzer.cost_per_byte() == 0, name != "cjk", "{name}");
    }
    let page = &prose[..100_000];
    for (tokenizer, filters) in [
        (
            json!({"type": "edge_ngram", "min_gram": 1, "max_gram": 20, "token_chars": ["letter"]}),
            json!(["lowercase"]),
        ),
        (
            json!({"type": "standard"}),
            json!(["lowercase", {"type": "shingle"}]),
        ),
        (
            json!({"type": "standard"}),
            json!([{"type": "synonym_graph", "synonyms": ["fox, vixen", "dog => hound"]}]),
        ),
        (
            json!({"type": "ngram", "min_gram": 3, "max_gram": 4}),
            json!(["lowercase"]),
        ),
        (
            json!({"type": "standard"}),
            json!([{"type": "edge_ngram", "min_gram": 1, "max_gram": 20}]),
        ),
    ] {
        let case = Case::of(json!(["html_strip"]), tokenizer, filters, page);
        assert_eq!(
            ends(&case, &Meter::for_document()),
            Ok(()),
            "{}",
            case.settings()
        );
    }
}
