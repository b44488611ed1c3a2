//! Filters that cut words or join them, by example.

use gleaner_analysis::{AnalyzerRegistry, Meter, TokenRef};
use serde_json::{Value, json};

use crate::{analyze, arcs, filtered, places, terms};

fn delimited(filter: &Value, text: &str) -> Vec<(String, u32, u32)> {
    let tokens = analyze(&json!("whitespace"), &json!([filter]), text);
    let arcs = arcs(&tokens).into_iter();
    arcs.map(|(text, position, length)| (text.to_owned(), position, length))
        .collect()
}

#[test]
fn words_are_cut_where_their_characters_change() {
    let graph = |options: &Value| {
        let mut filter = json!({"type": "word_delimiter_graph"});
        for (key, value) in options.as_object().into_iter().flatten() {
            filter[key] = value.clone();
        }
        filter
    };
    let table = [
        (
            json!({}),
            "Neil's-Super-Duper-XL500--42-AutoCoder",
            "Neil Super Duper XL 500 42 Auto Coder",
        ),
        (
            json!({}),
            "PowerShot wi-fi SD500",
            "Power Shot wi fi SD 500",
        ),
        (
            json!({}),
            "O'Neil's hello---there, 'dude' $hello",
            "O Neil hello there dude hello",
        ),
        (
            json!({}),
            "XMLReader 日本語ABC é1",
            "XMLReader 日本語ABC é 1",
        ),
        (
            json!({"split_on_case_change": false}),
            "PowerShot SD500",
            "PowerShot SD 500",
        ),
        (
            json!({"split_on_numerics": false}),
            "j2se PowerShot",
            "j2se Power Shot",
        ),
        (
            json!({"stem_english_possessive": false}),
            "O'Neil's",
            "O Neil s",
        ),
        (json!({"generate_word_parts": false}), "SD500 wi-fi", "500"),
        (
            json!({"generate_number_parts": false}),
            "SD500 500-42",
            "SD",
        ),
        (
            json!({"protected_words": ["wi-fi"]}),
            "wi-fi SD-500",
            "wi-fi SD 500",
        ),
        (
            json!({"type_table": ["- => ALPHA", "\\u0024 => DIGIT"]}),
            "wi-fi a$1",
            "wi-fi a $1",
        ),
        (
            json!({"catenate_words": true}),
            "wi-fi-500",
            "wifi wi fi 500",
        ),
        (json!({"catenate_numbers": true}), "500-42", "50042 500 42"),
        (
            json!({"catenate_all": true}),
            "wi-fi-4000",
            "wifi4000 wi fi 4000",
        ),
        (
            json!({"preserve_original": true}),
            "wi-fi --",
            "wi-fi wi fi --",
        ),
    ];
    for (options, text, wanted) in table {
        let found = terms(&json!("whitespace"), &json!([graph(&options)]), text);
        assert_eq!(found.join(" "), wanted, "{options} {text}");
    }
}

#[test]
fn parts_in_a_graph_have_positions_of_their_own() {
    let filter = json!({
        "type": "word_delimiter_graph", "catenate_all": true, "preserve_original": true,
    });
    let found = delimited(&filter, "a PowerShot-2 b");
    let found: Vec<(&str, u32, u32)> = found.iter().map(|(t, p, l)| (t.as_str(), *p, *l)).collect();
    let wanted = [
        ("a", 0, 1),
        ("PowerShot2", 1, 3),
        ("PowerShot-2", 1, 3),
        ("Power", 1, 1),
        ("Shot", 2, 1),
        ("2", 3, 1),
        ("b", 4, 1),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn parts_without_a_graph_stand_one_after_the_other() {
    let filter = json!({"type": "word_delimiter", "catenate_all": true});
    let found = delimited(&filter, "a PowerShot-2 -- b");
    let found: Vec<(&str, u32)> = found.iter().map(|(t, p, _)| (t.as_str(), *p)).collect();
    let wanted = [
        ("a", 0),
        ("Power", 1),
        ("PowerShot2", 1),
        ("Shot", 2),
        ("2", 3),
        ("b", 4),
    ];
    assert_eq!(found, wanted);
    let original = json!({"type": "word_delimiter", "preserve_original": true});
    let tokens = analyze(&json!("whitespace"), &json!([original]), "x wi-fi y");
    let wanted = [("x", 0), ("wi-fi", 1), ("wi", 1), ("fi", 2), ("y", 3)];
    assert_eq!(places(&tokens), wanted);
}

#[test]
fn offsets_of_parts_stay_on_characters() {
    let filters = json!(["asciifolding", "word_delimiter_graph"]);
    // As long as before, and of other characters.
    let tokens = analyze(&json!("whitespace"), &filters, "ß-a ßb-a");
    for token in tokens {
        assert!("ß-a ßb-a".is_char_boundary(token.start), "{token:?}");
        assert!("ß-a ßb-a".is_char_boundary(token.end), "{token:?}");
    }
}

#[test]
fn patterns_capture_pieces() {
    let capture = |patterns: Value, preserves: bool| {
        json!({
            "type": "pattern_capture", "patterns": patterns, "preserve_original": preserves,
        })
    };
    let table = [
        (
            capture(json!(["([^@]+)"]), false),
            "foo@bar.baz",
            "foo|bar.baz",
        ),
        (
            capture(
                json!(["(\\p{Ll}+|\\p{Lu}\\p{Ll}+|\\p{Lu}+)", "(\\d+)"]),
                true,
            ),
            "abc123def456",
            "abc123def456|abc|123|def|456",
        ),
        (
            capture(json!(["([^@]+)", "(\\p{L}+)", "(\\d+)", "@(.+)"]), true),
            "john-smith_123@foo-bar.com",
            "john-smith_123@foo-bar.com|john-smith_123|john|smith|123|foo-bar.com|foo|foo-bar.com|bar|com",
        ),
        (capture(json!(["(x)"]), false), "abc", "abc"),
        (capture(json!(["(.*)"]), true), "abc", "abc"),
    ];
    for (filter, text, wanted) in table {
        assert_eq!(filtered(&filter, text), wanted, "{filter}");
    }
}

#[test]
fn common_words_are_joined_with_their_neighbours() {
    let filter = |is_for_queries: bool| {
        json!({
            "type": "common_grams",
            "common_words": ["the", "in", "a"],
            "query_mode": is_for_queries,
        })
    };
    let text = "the rain in spain falls";
    let tokens = analyze(&json!("whitespace"), &json!([filter(false)]), text);
    let wanted = [
        ("the", 0, 1),
        ("the_rain", 0, 2),
        ("rain", 1, 1),
        ("rain_in", 1, 2),
        ("in", 2, 1),
        ("in_spain", 2, 2),
        ("spain", 3, 1),
        ("falls", 4, 1),
    ];
    assert_eq!(arcs(&tokens), wanted);
    let kinds: Vec<&str> = tokens.iter().map(|token| token.kind.as_str()).collect();
    assert_eq!(kinds[..2], ["word", "gram"]);
    let tokens = analyze(&json!("whitespace"), &json!([filter(true)]), text);
    let wanted = [
        ("the_rain", 0, 1),
        ("rain_in", 1, 1),
        ("in_spain", 2, 1),
        ("spain", 3, 1),
        ("falls", 4, 1),
    ];
    assert_eq!(arcs(&tokens), wanted);
    let last = terms(&json!("whitespace"), &json!([filter(true)]), "dog the");
    assert_eq!(last, ["dog_the"]);
    let alone = terms(&json!("whitespace"), &json!([filter(true)]), "the");
    assert_eq!(alone, ["the"]);
}

#[test]
fn words_of_a_list_are_found_in_words() {
    let words = json!(["Donau", "dampf", "meer", "schiff", "ship", "schif"]);
    let filter = |only_longest: bool| {
        json!({
            "type": "dictionary_decompounder",
            "word_list": words,
            "word_list_case": true,
            "only_longest_match": only_longest,
        })
    };
    let text = "Donaudampfschiff";
    assert_eq!(
        filtered(&filter(false), text),
        "Donaudampfschiff|Donau|dampf|schif|schiff"
    );
    assert_eq!(
        filtered(&filter(true), text),
        "Donaudampfschiff|Donau|dampf|schiff"
    );
    assert_eq!(filtered(&filter(true), "meer"), "meer", "it is too short");
}

#[test]
fn a_word_is_stemmed_beside_itself() {
    let filters = json!(["keyword_repeat", "porter_stem", "remove_duplicates"]);
    let tokens = analyze(&json!("whitespace"), &filters, "jumping fox");
    assert_eq!(places(&tokens), [("jumping", 0), ("jump", 0), ("fox", 1)]);
}

#[test]
fn a_word_is_filtered_in_several_ways_at_one_place() {
    let multiplexer = |filters: Value, preserves: bool| json!({"type": "multiplexer", "filters": filters, "preserve_original": preserves});
    let table = [
        (
            json!(["lowercase", "lowercase, porter_stem"]),
            true,
            vec![("Going", 0), ("going", 0), ("go", 0), ("home", 1)],
        ),
        (json!("lowercase"), false, vec![("going", 0), ("home", 1)]),
    ];
    for (filters, preserves, wanted) in table {
        let tokens = analyze(
            &json!("whitespace"),
            &json!([multiplexer(filters, preserves)]),
            "Going home",
        );
        assert_eq!(places(&tokens), wanted);
    }
    let pieces = multiplexer(json!(["word_delimiter"]), true);
    let tokens = analyze(&json!("whitespace"), &json!([pieces]), "Wi-Fi on");
    assert_eq!(
        places(&tokens),
        [("Wi-Fi", 0), ("Wi", 0), ("Fi", 0), ("on", 1)]
    );
    // Rules are read with the filters before them in the chain.
    let settings = json!({
        "filter": {
            "alike": {"type": "synonym", "synonyms": ["Fast, Quick"]},
            "both": multiplexer(json!(["lowercase, alike"]), false),
        },
        "analyzer": {"a": {"tokenizer": "whitespace", "filter": ["both"]}},
    });
    let registry = AnalyzerRegistry::from_settings(&settings).expect("they are good");
    let analyzer = registry.analyzer("a").expect("it is there");
    let mut words = Vec::new();
    let see = &mut |token: TokenRef<'_>| words.push(token.text.to_owned());
    let analyzed = analyzer.analyze_into("FAST", &Meter::unlimited(), see);
    assert_eq!(analyzed, Ok(1));
    assert_eq!(words, ["fast", "quick"]);
    // A place stays empty where all chains drop the word.
    let stops = multiplexer(json!(["stop", "stop, uppercase"]), false);
    let tokens = analyze(&json!("whitespace"), &json!([stops]), "the end");
    assert_eq!(places(&tokens), [("end", 1), ("END", 1)]);
}

#[test]
fn payloads_are_left_out() {
    assert_eq!(filtered(&json!("delimited_payload"), "foo|5"), "foo");
    let other = json!({"type": "delimited_payload", "delimiter": "^", "encoding": "identity"});
    assert_eq!(filtered(&other, "foo^bar|1"), "foo");
}

#[test]
fn graphs_are_flattened_to_what_an_index_can_hold() {
    let synonyms = json!({
        "type": "synonym_graph", "synonyms": ["automatic teller machine,atm,cash point"],
    });
    let filters = json!([synonyms, "flatten_graph"]);
    let text = "this automatic teller machine is down";
    let tokens = analyze(&json!("whitespace"), &filters, text);
    let wanted = [
        ("this", 0, 1),
        ("atm", 1, 3),
        ("cash", 1, 1),
        ("automatic", 1, 1),
        ("point", 2, 2),
        ("teller", 2, 1),
        ("machine", 3, 1),
        ("is", 4, 1),
        ("down", 5, 1),
    ];
    assert_eq!(arcs(&tokens), wanted);
}

#[test]
fn letters_are_normalized_as_lucene_does() {
    let table = [
        ("arabic_normalization", "آجن", "اجن"),
        ("arabic_normalization", "مُدَرِّسـة", "مدرسه"),
        ("persian_normalization", "های", "هاي"),
        ("persian_normalization", "کتاب", "كتاب"),
        ("sorani_normalization", "ي", "ی"),
        ("sorani_normalization", "ره", "ڕە"),
        ("sorani_normalization", "ه\u{200c}ر", "ەر"),
        ("german_normalization", "weißbier", "weissbier"),
        (
            "german_normalization",
            "bauen mueller quelle äpfel aepfel",
            "bauen muller quelle apfel apfel",
        ),
        (
            "scandinavian_normalization",
            "ö blåbærsyltetøj blaabaersyltetoej",
            "ø blåbærsyltetøj blåbærsyltetøj",
        ),
        (
            "scandinavian_folding",
            "räksmörgås raeksmoergaas",
            "raksmorgas raksmorgas",
        ),
    ];
    for (filter, text, wanted) in table {
        assert_eq!(filtered(&json!(filter), text), wanted, "{filter} {text}");
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let table = [
        (
            json!({"type": "word_delimiter", "type_table": ["a"]}),
            "[type_table]",
        ),
        (
            json!({"type": "word_delimiter", "type_table": ["ab => DIGIT"]}),
            "[type_table]",
        ),
        (
            json!({"type": "word_delimiter", "type_table": ["a => WORD"]}),
            "[type_table]",
        ),
        (json!({"type": "pattern_capture"}), "'patterns'"),
        (
            json!({"type": "pattern_capture", "patterns": ["("]}),
            "[patterns]",
        ),
        (json!({"type": "common_grams"}), "common_words"),
        (json!({"type": "dictionary_decompounder"}), "word_list"),
        (
            json!({"type": "delimited_payload", "delimiter": "||"}),
            "[delimiter]",
        ),
        (json!("delimited_payload_filter"), "use [delimited_payload]"),
    ];
    for (filter, wanted) in table {
        let refused = gleaner_analysis::AnalyzerRegistry::builtin().custom(
            gleaner_analysis::CustomAnalysis {
                tokenizer: Some(&json!("keyword")),
                filters: std::slice::from_ref(&filter),
                char_filters: &[],
            },
        );
        let refused = refused.err().map(|error| error.to_string());
        let refused = refused.unwrap_or_default();
        assert!(refused.contains(wanted), "{filter}: {refused}");
    }
}
