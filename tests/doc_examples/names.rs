//! What the reference lists is what the parsers know: no kind or option is missing, none invented.
//!
//! Parsers have no list of all they know, but they refuse what they do not know by name. So every
//! word in quotes of their sources is tried: as a kind, and as a key beside those of an example.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gleaner_analysis::AnalyzerRegistry;
use gleaner_query::Limits;
use gleaner_query::aggregation::{parse_aggregations, parse_pipelines};
use gleaner_query::dsl::parse_query;
use gleaner_query::error::ErrorType;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::search::parse_search_value;
use serde_json::{Value, json};

use crate::page::{Page, Section, Words, assigned, codes};
use crate::root;

/// Queries whose options stand in an object under the field.
const OF_A_FIELD: [&str; 13] = [
    "match",
    "match_phrase",
    "match_phrase_prefix",
    "match_bool_prefix",
    "term",
    "range",
    "prefix",
    "wildcard",
    "regexp",
    "fuzzy",
    "intervals",
    "span_term",
    "terms_set",
];

/// Objects inside aggregations, whose keys stand anywhere in the section.
const INSIDE: [(&str, &str); 9] = [
    ("composite", "sources/0/year/histogram"),
    ("geo_distance", "ranges/0"),
    ("ip_range", "ranges/0"),
    ("significant_terms", "chi_square"),
    ("weighted_avg", "weight"),
    ("range", "ranges/0"),
    ("date_range", "ranges/0"),
    ("histogram", "extended_bounds"),
    ("percentiles", "tdigest"),
];

/// Returns why a body is refused; `None` where it is not.
type Parse = fn(&Value) -> Option<String>;

/// What a parser makes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Refused,
    Known,
}

#[test]
fn the_page_on_queries_lists_what_the_parser_knows() -> Result<()> {
    let page = Page::read("query-dsl.md")?;
    let words = quoted_words("query/src/dsl")?;
    let refused = page.section("Refused")?.words();
    let mut faults = misplaced(&words, (&page.names(), &refused), &|word| {
        verdict(word, query(&json!({word: {}})))
    });
    let common = page.section("Every query")?.options();
    for section in &page.sections {
        let mut known = Words::new();
        for kind in section.names() {
            let mut bodies = section.bodies.iter().map(|body| &body.json["query"]);
            let body = bodies.find(|query| query.get(&kind).is_some());
            let body = body.with_context(|| format!("no example of `{kind}`"))?;
            let field = body[&kind]
                .as_object()
                .and_then(|fields| fields.keys().next());
            let pointer = match field.filter(|_| OF_A_FIELD.contains(&kind.as_str())) {
                Some(field) => format!("/{kind}/{field}"),
                None => format!("/{kind}"),
            };
            let mut keys = known_keys((body, &pointer), &words, section, query)?;
            if let Some(field) = field.filter(|_| kind == "terms") {
                // It stands beside the options.
                keys.remove(field);
            }
            if kind.starts_with("geo_") {
                keys.remove("place");
            }
            known.extend(keys);
        }
        faults.extend(differences(&section.title, &known, section, &common));
    }
    told(&page, &faults)
}

#[test]
fn the_page_on_aggregations_lists_what_the_parser_knows() -> Result<()> {
    let page = Page::read("aggregations.md")?;
    let words = quoted_words("query/src/aggregation")?;
    let refused = page.section("Refused")?.words();
    let mut faults = misplaced(&words, (&page.names(), &refused), &|word| {
        verdict(word, aggregation(&json!({word: {}})))
    });
    let common = page.section("Every aggregation of values")?.options();
    for section in &page.sections {
        let mut known = Words::new();
        // The body of `filter` is a query.
        for kind in section.names().iter().filter(|kind| *kind != "filter") {
            let mut bodies = section.bodies.iter();
            let body = bodies.find_map(|body| found(&body.json["aggs"], kind));
            let body = body.with_context(|| format!("no example of `{kind}`"))?;
            let pointer = format!("/{kind}");
            let keys = known_keys((body, &pointer), &words, section, aggregation)?;
            known.extend(keys);
            for (_, inner) in INSIDE.iter().filter(|(outer, _)| outer == kind) {
                let pointer = format!("/{kind}/{inner}");
                let keys = known_keys((body, &pointer), &words, section, aggregation)?;
                let listed = section.words();
                let missing = keys.difference(&listed);
                faults.extend(missing.map(|word| format!("{pointer}: `{word}` is missing")));
            }
        }
        faults.extend(differences(&section.title, &known, section, &common));
    }
    told(&page, &faults)
}

#[test]
fn the_page_on_searches_lists_what_the_parser_knows() -> Result<()> {
    let page = Page::read("search.md")?;
    let words = quoted_words("query/src/search")?;
    let refused = page.section("Refused")?.words();
    let has = page.section("Body")?.options();
    let mut faults = misplaced(&words, (&has, &refused), &|word| {
        // Empty parts ask for nothing, and are not refused.
        verdict(word, search(&json!({word: true})))
    });
    let highlight = json!({"highlight": {"fields": {"a": {}}}});
    let places = [
        ("`sort`", vec![(json!({"sort": [{"a": {}}]}), "/sort/0/a")]),
        (
            "`_geo_distance`",
            vec![(
                json!({"sort": [{"_geo_distance": {"somewhere": [0, 0]}}]}),
                "/sort/0/_geo_distance",
            )],
        ),
        ("`_source`", vec![(json!({"_source": {}}), "/_source")]),
        (
            "`fields`, `docvalue_fields`",
            vec![
                (json!({"fields": [{"field": "a"}]}), "/fields/0"),
                (
                    json!({"docvalue_fields": [{"field": "a"}]}),
                    "/docvalue_fields/0",
                ),
            ],
        ),
        (
            "`highlight`",
            vec![
                (highlight.clone(), "/highlight"),
                (highlight, "/highlight/fields/a"),
            ],
        ),
        ("`pit`", vec![(json!({"pit": {"id": "a"}}), "/pit")]),
        (
            "`slice`",
            vec![(json!({"slice": {"id": 0, "max": 2}}), "/slice")],
        ),
    ];
    for (title, places) in places {
        let section = page.section(title)?;
        let mut known = Words::new();
        for (body, pointer) in &places {
            known.extend(known_keys((body, pointer), &words, section, search)?);
        }
        faults.extend(differences(title, &known, section, &Words::new()));
    }
    told(&page, &faults)
}

#[test]
fn the_page_on_mappings_lists_what_the_parser_knows() -> Result<()> {
    let page = Page::read("mapping.md")?;
    let words = quoted_words("query/src/mapping")?;
    let refused = page.section("Types that are refused")?.words();
    let mut faults = misplaced(&words, (&page.names(), &refused), &|word| {
        verdict(word, mapping(&json!({"properties": {"a": {"type": word}}})))
    });
    let common = page.section("Every field but objects")?.options();
    for section in &page.sections {
        let mut known = Words::new();
        for kind in section.names() {
            let mut field = json!({"type": kind});
            match kind.as_str() {
                "scaled_float" => field["scaling_factor"] = 100.into(),
                "alias" => field["path"] = "b".into(),
                "constant_keyword" => field["value"] = "b".into(),
                "token_count" => field["analyzer"] = "standard".into(),
                _ => {}
            }
            let body = json!({"properties": {"a": field, "b": {"type": "keyword"}}});
            let place = (&body, "/properties/a");
            known.extend(known_keys(place, &words, section, mapping)?);
        }
        if !known.is_empty() {
            faults.extend(differences(&section.title, &known, section, &common));
        }
    }
    let template = json!({"dynamic_templates": [{"a": {"match": "*", "mapping": {}}}]});
    for (title, body, pointer) in [
        ("The mapping", json!({}), ""),
        ("Dynamic templates", template, "/dynamic_templates/0/a"),
    ] {
        let section = page.section(title)?;
        let known = known_keys((&body, pointer), &words, section, mapping)?;
        faults.extend(differences(title, &known, section, &Words::new()));
    }
    told(&page, &faults)
}

#[test]
fn the_page_on_mappings_lists_what_analysis_knows() -> Result<()> {
    let page = Page::read("mapping.md")?;
    let words = quoted_words("analysis/src")?;
    let mut faults = Vec::new();
    for (title, component) in [
        ("Analyzers", "analyzer"),
        ("Tokenizers", "tokenizer"),
        ("Token filters", "filter"),
        ("Character filters", "char_filter"),
        ("Normalizers", "normalizer"),
    ] {
        let section = page.section(title)?;
        faults.extend(misplaced(
            &words,
            (&section.options(), &section.refused()),
            &|word| {
                let definition = json!({"type": word});
                verdict(word, analysis(&json!({component: {"a": definition}})))
            },
        ));
        // A row without a type speaks of all types.
        let is_common = |row: &&Vec<String>| row.first().is_some_and(|cell| codes(cell).is_empty());
        let common = section.rows.iter().filter(is_common);
        let common = common.flat_map(|row| row.iter().flat_map(|cell| assigned(cell)));
        let common: Words = common
            .chain(["type", "version"].map(str::to_owned))
            .collect();
        for row in &section.rows {
            let (Some(kinds), Some(options)) = (row.first(), row.get(1)) else {
                continue;
            };
            let options = assigned(options);
            for kind in codes(kinds) {
                let body = json!({component: {"a": definition(component, &kind)}});
                let pointer = format!("/{component}/a");
                let tried: Words = words.union(&options).cloned().collect();
                let known = known_keys((&body, &pointer), &tried, section, analysis)?;
                let place = format!("{title}, {kind}");
                faults.extend(compared(&place, &known, (&options, &common)));
            }
        }
    }
    told(&page, &faults)
}

/// Returns the least definition of a type that is taken, with what makes it read all its settings.
fn definition(component: &str, kind: &str) -> Value {
    let mut definition = match (component, kind) {
        ("analyzer", "custom") => json!({"tokenizer": "standard"}),
        ("tokenizer", "ngram" | "nGram" | "edge_ngram" | "edgeNGram") => {
            json!({"token_chars": ["custom"], "custom_token_chars": "-"})
        }
        ("filter", "common_grams") => json!({"common_words": ["a"]}),
        ("filter", "dictionary_decompounder") => json!({"word_list": ["a"]}),
        ("filter", "elision") => json!({"articles": ["l"]}),
        ("filter", "keep") => json!({"keep_words": ["a"]}),
        ("filter", "keep_types") => json!({"types": ["word"]}),
        ("filter", "keyword_marker") => json!({"keywords": ["a"]}),
        ("filter", "multiplexer") => json!({"filters": ["lowercase"]}),
        ("filter", "pattern_capture") => json!({"patterns": ["(a)"]}),
        ("filter", "stemmer_override") => json!({"rules": ["a => b"]}),
        ("filter", "synonym" | "synonym_graph") => json!({"synonyms": ["a, b"]}),
        ("filter" | "char_filter", "pattern_replace") => json!({"pattern": "a"}),
        ("char_filter", "mapping") => json!({"mappings": ["a => b"]}),
        _ => json!({}),
    };
    definition["type"] = kind.into();
    definition
}

fn query(body: &Value) -> Option<String> {
    let parsed = parse_query(body, &Limits::default());
    parsed.err().map(|error| error.reason)
}

fn aggregation(body: &Value) -> Option<String> {
    let body = json!({"a": body});
    let parsed = parse_aggregations(&body, &Limits::default());
    let parsed = parsed.and_then(|aggregations| parse_pipelines(&body, &aggregations));
    // What a pipeline is made of is not beside it here.
    let error = parsed
        .err()
        .filter(|error| error.kind != ErrorType::Validation);
    error.map(|error| error.reason)
}

fn search(body: &Value) -> Option<String> {
    let parsed = parse_search_value(body, &Limits::default());
    parsed.err().map(|error| error.reason)
}

fn mapping(body: &Value) -> Option<String> {
    let parsed = parse_mapping(body, None, &MappingRules::default());
    parsed.err().map(|error| error.reason)
}

fn analysis(body: &Value) -> Option<String> {
    match AnalyzerRegistry::from_settings(body) {
        Ok(registry) => registry.ignored().first().cloned(),
        Err(error) => Some(error.to_string()),
    }
}

/// Returns the first aggregation of a kind, also one below another.
fn found<'v>(aggregations: &'v Value, kind: &str) -> Option<&'v Value> {
    let mut all = aggregations.as_object()?.values();
    all.find_map(|aggregation| match aggregation.get(kind) {
        Some(_) => Some(aggregation),
        None => found(aggregation.get("aggs")?, kind),
    })
}

/// Reads what a refusal says of `word` as a kind.
fn verdict(word: &str, reason: Option<String>) -> Verdict {
    let reason = reason.unwrap_or_default();
    let is_unknown = [
        "unknown query [",
        "Unknown aggregation type [",
        // `aggs` and `meta` stand beside kinds.
        "Missing definition for aggregation [",
        "Unknown key for a ",
        "No handler for type [",
    ];
    let of_analysis = reason.starts_with("Unknown ") && reason.contains(" type [");
    let is_refused = [
        format!("[{word}] query is not supported"),
        format!("aggregation type [{word}] is not supported"),
        format!("[search] [{word}] is not supported"),
        format!("type [{word}] of field [a] is not supported"),
        format!("type [{word}] for [a] is not supported by gleaner"),
        format!("[{word}] is not supported for new indices"),
    ];
    if of_analysis || is_unknown.iter().any(|start| reason.starts_with(*start)) {
        Verdict::Unknown
    } else if is_refused.iter().any(|text| reason.contains(text.as_str())) {
        Verdict::Refused
    } else {
        Verdict::Known
    }
}

/// Returns whether a refusal says that there is no key `word`.
fn is_unknown_key(reason: &str, word: &str) -> bool {
    let texts = [
        format!("query does not support [{word}]"),
        format!("unknown field [{word}]"),
        format!("unknown parameter [{word}]"),
        format!("unsupported parameters:  [{word} : "),
        format!("dynamic template parameter: [{word}]"),
        format!("unknown setting [{word}] of "),
        // Any key that `terms` or a query of points does not know is a field.
        "] query does not support multiple fields".to_owned(),
        format!("Trying to reset fieldName to [{word}]"),
    ];
    let is_refused = format!("setting [{word}] is not supported");
    reason.ends_with(&is_refused) || texts.iter().any(|text| reason.contains(text.as_str()))
}

/// Returns which of `words`, and of what `section` lists, are keys of the object at a place.
fn known_keys(
    (body, pointer): (&Value, &str),
    words: &Words,
    section: &Section,
    parse: Parse,
) -> Result<Words> {
    let refused = parse(body);
    ensure!(refused.is_none(), "{body}: {refused:?}");
    let mut known = Words::new();
    for word in words.union(&section.options()) {
        let mut body = body.clone();
        let object = body.pointer_mut(pointer).and_then(Value::as_object_mut);
        let object = object.with_context(|| format!("no object at `{pointer}`"))?;
        let is_there = object.insert(word.clone(), Value::Null).is_some();
        let is_known = || parse(&body).is_none_or(|reason| !is_unknown_key(&reason, word));
        if is_there || is_known() {
            known.insert(word.clone());
        }
    }
    Ok(known)
}

/// Says which kinds are not listed as what they are.
fn misplaced(
    words: &Words,
    (has, refused): (&Words, &Words),
    verdict: &dyn Fn(&str) -> Verdict,
) -> Vec<String> {
    let all: BTreeSet<&String> = words.iter().chain(has).chain(refused).collect();
    let is_stemmer = |word: &str| word.ends_with("_stem");
    let mut faults = Vec::new();
    for word in all {
        let listed = match (has.contains(word), refused.contains(word)) {
            (true, _) => Verdict::Known,
            (false, true) => Verdict::Refused,
            (false, false) if is_stemmer(word) => continue,
            (false, false) => Verdict::Unknown,
        };
        let actual = verdict(word);
        if actual != listed {
            faults.push(format!("`{word}` is {actual:?}, but listed as {listed:?}"));
        }
    }
    faults
}

/// Says what of the keys known to the kinds of a section differs from what it lists.
fn differences(place: &str, known: &Words, section: &Section, common: &Words) -> Vec<String> {
    if known.is_empty() {
        return Vec::new();
    }
    compared(place, known, (&section.options(), common))
}

fn compared(place: &str, known: &Words, (listed, common): (&Words, &Words)) -> Vec<String> {
    let missing = known
        .difference(listed)
        .filter(|word| !common.contains(*word));
    let missing = missing.map(|word| format!("{place}: `{word}` is missing"));
    let invented = listed.difference(known);
    let invented = invented.map(|word| format!("{place}: there is no `{word}`"));
    missing.chain(invented).collect()
}

fn told(page: &Page, faults: &[String]) -> Result<()> {
    ensure!(
        faults.is_empty(),
        "docs/{}:\n{}",
        page.name,
        faults.join("\n")
    );
    Ok(())
}

/// Returns the words in quotes of the sources in `folder`.
fn quoted_words(folder: &str) -> Result<Words> {
    let mut words = Words::new();
    gather(&root().join(folder), &mut words)?;
    ensure!(words.len() > 20, "`{folder}` has no parsers");
    Ok(words)
}

fn gather(path: &Path, words: &mut Words) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            gather(&entry?.path(), words)?;
        }
        return Ok(());
    }
    // Names of characters are no names of the dialect, but many.
    if path.extension().is_none_or(|end| end != "rs") || path.ends_with("entities.rs") {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    let is_word = |part: &&str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !part.is_empty() && part.chars().all(is_letter)
    };
    words.extend(text.split('"').filter(is_word).map(str::to_owned));
    Ok(())
}
