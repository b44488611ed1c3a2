//! Token filters out of settings.

use regex::Regex;

use super::{
    Filter, case, cjk, folding, gram, sequence, shape, shingle,
    stem::{self, Stem},
    stop::{self, WordSet},
    synonym,
};
use crate::{
    analyzer::Chain,
    error::AnalysisError,
    language::Language,
    pattern::{self, Replacement},
    registry::Limits,
    settings::Params,
    token::TokenKind,
    tokenizer::check_ngram_limits,
};

/// What a filter may need to know beside its own settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterContext<'a> {
    pub(crate) limits: &'a Limits,
    /// The parts before the filter: synonym rules are analyzed with them.
    pub(crate) preceding: &'a Chain,
}

/// Filter types of the dialect that Gleaner does not have.
const UNSUPPORTED: [&str; 24] = [
    "kstem",
    "word_delimiter",
    "word_delimiter_graph",
    "flatten_graph",
    "common_grams",
    "condition",
    "predicate_token_filter",
    "delimited_payload",
    "dictionary_decompounder",
    "hyphenation_decompounder",
    "hunspell",
    "min_hash",
    "multiplexer",
    "pattern_capture",
    "phonetic",
    "icu_folding",
    "icu_normalizer",
    "icu_collation",
    "icu_transform",
    "minhash",
    "bengali_normalization",
    "hindi_normalization",
    "indic_normalization",
    "persian_normalization",
];

type Built = Result<Option<Filter>, AnalysisError>;

/// Returns the filter of a type, or `None` when there is no such type in the dialect.
///
/// # Errors
/// A setting is refused, or the dialect has the type and Gleaner does not.
pub(crate) fn build(kind: &str, params: &Params<'_>, context: FilterContext<'_>) -> Built {
    if UNSUPPORTED.contains(&kind) {
        return Err(params.unsupported(kind));
    }
    for family in [characters, words, stemmers] {
        if let Some(filter) = family(kind, params)? {
            return Ok(Some(filter));
        }
    }
    several(kind, params, context)
}

/// Filters on characters.
fn characters(kind: &str, params: &Params<'_>) -> Built {
    Ok(Some(match kind {
        "lowercase" => Filter::word(lowercase(params)?),
        "uppercase" => Filter::word(case::Uppercase),
        "asciifolding" if params.flag("preserve_original", false)? => {
            Filter::list(folding::AsciiFoldingBeside)
        }
        "asciifolding" => Filter::word(folding::AsciiFolding),
        "decimal_digit" => Filter::word(folding::DecimalDigit),
        "cjk_width" => Filter::word(folding::CjkWidth),
        "trim" => Filter::word(shape::Trim),
        "reverse" => Filter::word(shape::Reverse),
        "apostrophe" => Filter::word(shape::Apostrophe),
        "elision" => Filter::word(elision(params)?),
        "pattern_replace" => Filter::word(pattern_replace(params)?),
        _ => return Ok(None),
    }))
}

/// Filters that know words or lengths.
fn words(kind: &str, params: &Params<'_>) -> Built {
    Ok(Some(match kind {
        "stop" => Filter::word(stop::Stop(stop_words(params, Some(Language::English))?)),
        "keep" => Filter::word(stop::Keep(keep_words(params)?)),
        "keep_types" => Filter::word(stop::KeepTypes {
            types: required_list(params, "types", "keep_types")?,
            is_exclude: match params.text("mode")?.as_deref() {
                None | Some("include") => false,
                Some("exclude") => true,
                Some(other) => {
                    return Err(params.bad(
                        "mode",
                        format!("can be [include] or [exclude], but was [{other}]"),
                    ));
                }
            },
        }),
        "keyword_marker" => Filter::word(keyword_marker(params)?),
        "length" => Filter::word(shape::Length {
            min: params.count("min", 0)?,
            max: params.count("max", usize::MAX)?,
        }),
        "truncate" => Filter::word(shape::Truncate {
            length: params.positive("length", 10)?,
        }),
        _ => return Ok(None),
    }))
}

/// Stemmers and what belongs to them.
fn stemmers(kind: &str, params: &Params<'_>) -> Built {
    let stemmer = |language| Some(Filter::word(Stem::new(language)));
    Ok(match kind {
        "porter_stem" => stemmer(Language::English),
        "stemmer" | "snowball" => Some(named_stemmer(params)?),
        "classic" => Some(Filter::word(stem::Classic)),
        "stemmer_override" => {
            let Some(rules) = params.lines("rules")? else {
                return Err(AnalysisError::IllegalArgument(
                    "stemmer override filter requires either `rules` or `rules_path` to be configured"
                        .to_owned(),
                ));
            };
            let filter = stem::StemmerOverride::parse(&rules).map_err(|rule| {
                AnalysisError::IllegalArgument(format!("Invalid Keyword override Rule:{rule}"))
            })?;
            Some(Filter::word(filter))
        }
        _ => kind
            .strip_suffix("_stem")
            .and_then(Language::from_name)
            .and_then(stemmer),
    })
}

/// Filters that need more than one token.
fn several(kind: &str, params: &Params<'_>, context: FilterContext<'_>) -> Built {
    Ok(Some(match kind {
        "unique" => Filter::list(sequence::Unique {
            is_per_position: params.flag("only_on_same_position", false)?,
        }),
        "remove_duplicates" => Filter::list(sequence::Unique {
            is_per_position: true,
        }),
        "limit" => {
            // Consuming the rest has no effect here: nothing is left half read.
            params.flag("consume_all_tokens", false)?;
            Filter::list(sequence::Limit {
                max_tokens: params.count("max_token_count", 1)?,
            })
        }
        "fingerprint" => Filter::list(sequence::Fingerprint {
            separator: one_char(params, "separator")?.unwrap_or(' '),
            max_output_size: params.positive("max_output_size", 255)?,
        }),
        "ngram" | "nGram" => Filter::list(grams(params, Some(context.limits.max_ngram_diff))?),
        "edge_ngram" | "edgeNGram" => Filter::list(grams(params, None)?),
        "shingle" => Filter::list(shingles(params, context.limits)?),
        "cjk_bigram" => Filter::list(cjk_bigram(params)?),
        "synonym" | "synonym_graph" => Filter::list(synonyms(kind, params, context)?),
        _ => return Ok(None),
    }))
}

fn lowercase(params: &Params<'_>) -> Result<case::Lowercase, AnalysisError> {
    match params.text("language")?.as_deref() {
        None => Ok(case::Lowercase::Plain),
        Some("greek") => Ok(case::Lowercase::Greek),
        Some("turkish") => Ok(case::Lowercase::Turkish),
        Some(other) => Err(AnalysisError::IllegalArgument(format!(
            "language [{other}] not support for lower case"
        ))),
    }
}

fn elision(params: &Params<'_>) -> Result<shape::Elision, AnalysisError> {
    let ignores_case = params.flag("articles_case", false)?;
    match params.list("articles")? {
        Some(articles) => Ok(shape::Elision(WordSet::new(articles, ignores_case))),
        None if !params.has_definition() => Ok(shape::Elision(WordSet::new(
            Language::French.elided_articles(),
            true,
        ))),
        None => Err(AnalysisError::IllegalArgument(
            "elision filter requires [articles] or [articles_path] setting".to_owned(),
        )),
    }
}

fn pattern_replace(params: &Params<'_>) -> Result<shape::PatternReplace, AnalysisError> {
    let pattern = pattern::from_params(params, None)?;
    let text = params.text("replacement")?.unwrap_or_default();
    let replacement =
        Replacement::parse(&text, &pattern).map_err(|reason| params.bad("replacement", reason))?;
    Ok(shape::PatternReplace {
        pattern,
        replacement,
        is_all: params.flag("all", true)?,
    })
}

/// Reads `stopwords` (words, and lists such as `_french_`) and `ignore_case`.
pub(crate) fn stop_words(
    params: &Params<'_>,
    default: Option<Language>,
) -> Result<WordSet, AnalysisError> {
    let ignores_case = params.flag("ignore_case", false)?;
    // Trailing stop words are kept only for suggesters, which come later.
    if !params.flag("remove_trailing", true)? {
        return Err(params.bad("remove_trailing", "must be [true]"));
    }
    let Some(names) = params.list("stopwords")? else {
        let words: Vec<&str> = default.into_iter().flat_map(Language::stop_words).collect();
        return Ok(WordSet::new(words, ignores_case));
    };
    let mut words: Vec<String> = Vec::new();
    for name in names {
        match name
            .strip_prefix('_')
            .and_then(|name| name.strip_suffix('_'))
        {
            Some("none") => {}
            Some(list) => match Language::from_name(list) {
                Some(language) => words.extend(language.stop_words().map(str::to_owned)),
                None => {
                    return Err(params.bad("stopwords", format!("names no list we have: [{name}]")));
                }
            },
            None => words.push(name),
        }
    }
    Ok(WordSet::new(words, ignores_case))
}

fn keep_words(params: &Params<'_>) -> Result<WordSet, AnalysisError> {
    let ignores_case = params.flag("keep_words_case", false)?;
    match params.list("keep_words")? {
        Some(words) => Ok(WordSet::new(words, ignores_case)),
        None => Err(AnalysisError::IllegalArgument(
            "keep requires either `keep_words` or `keep_words_path` to be configured".to_owned(),
        )),
    }
}

fn required_list(params: &Params<'_>, key: &str, kind: &str) -> Result<Vec<String>, AnalysisError> {
    match params.list(key)? {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(AnalysisError::IllegalArgument(format!(
            "{kind} requires `{key}` to be configured"
        ))),
    }
}

fn keyword_marker(params: &Params<'_>) -> Result<stop::KeywordMarker, AnalysisError> {
    let ignores_case = params.flag("ignore_case", false)?;
    match (params.list("keywords")?, params.text("keywords_pattern")?) {
        (Some(_), Some(_)) => Err(AnalysisError::IllegalArgument(
            "cannot specify both `keywords_pattern` and `keywords` or `keywords_path`".to_owned(),
        )),
        (Some(words), None) => Ok(stop::KeywordMarker::Words(WordSet::new(
            words,
            ignores_case,
        ))),
        (None, Some(text)) => {
            let pattern: Regex = pattern::compile(&text, "")
                .map_err(|reason| params.bad("keywords_pattern", reason))?;
            Ok(stop::KeywordMarker::Pattern(pattern))
        }
        (None, None) => Err(AnalysisError::IllegalArgument(
            "keyword filter requires either `keywords`, `keywords_path`, or `keywords_pattern` to \
             be configured"
                .to_owned(),
        )),
    }
}

/// Reads `language` (or `name`) of `stemmer` and `snowball`.
fn named_stemmer(params: &Params<'_>) -> Result<Filter, AnalysisError> {
    let language = params.text("language")?;
    let name = params
        .text("name")?
        .or(language)
        .unwrap_or_else(|| "english".to_owned());
    let lowered = name.to_ascii_lowercase();
    match lowered.as_str() {
        "possessive_english" => Ok(Filter::word(stem::PossessiveEnglish)),
        "porter" | "porter2" => Ok(Filter::word(Stem::new(Language::English))),
        "german2" => Ok(Filter::word(Stem::new(Language::German))),
        _ => match Language::from_name(&lowered) {
            Some(language) => Ok(Filter::word(Stem::new(language))),
            None => Err(AnalysisError::IllegalArgument(format!(
                "Invalid stemmer class specified: {name}"
            ))),
        },
    }
}

fn one_char(params: &Params<'_>, key: &str) -> Result<Option<char>, AnalysisError> {
    let Some(text) = params.text(key)? else {
        return Ok(None);
    };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Some(c)),
        _ => Err(params.bad(
            key,
            format!("must be a single, non-null character, but was [{text}]"),
        )),
    }
}

/// Reads n-gram sizes; `max_diff` is `None` for edge n-grams.
fn grams(params: &Params<'_>, max_diff: Option<usize>) -> Result<gram::Grams, AnalysisError> {
    let min = params.positive("min_gram", 1)?;
    let max = params.positive("max_gram", 2)?;
    check_ngram_limits(params, (min, max), max_diff)?;
    let kind = match (max_diff, params.get("side").and_then(|side| side.as_str())) {
        (Some(_), _) => gram::GramKind::All,
        (None, None | Some("front")) => gram::GramKind::Front,
        (None, Some("back")) => gram::GramKind::Back,
        (None, Some(other)) => {
            return Err(params.bad(
                "side",
                format!("can be [front] or [back], but was [{other}]"),
            ));
        }
    };
    let preserves_original = params.flag("preserve_original", false)?;
    Ok(gram::Grams {
        min,
        max,
        kind,
        preserves_original,
    })
}

fn shingles(params: &Params<'_>, limits: &Limits) -> Result<shingle::Shingle, AnalysisError> {
    let min = params.count("min_shingle_size", 2)?;
    let max = params.count("max_shingle_size", 2)?;
    let outputs_unigrams = params.flag("output_unigrams", true)?;
    let outputs_if_none = params.flag("output_unigrams_if_no_shingles", false)?;
    if min < 2 || max < min {
        let reason = format!("must be at least 2 and at most [max_shingle_size], but was [{min}]");
        return Err(params.bad("min_shingle_size", reason));
    }
    let difference = max - min + usize::from(outputs_unigrams);
    if difference > limits.max_shingle_diff {
        return Err(AnalysisError::IllegalArgument(format!(
            "In Shingle TokenFilter the difference between max_shingle_size and min_shingle_size \
             (and +1 if outputting unigrams) must be less than or equal to: [{}] but was \
             [{difference}]. This limit can be set by changing the [index.max_shingle_diff] index \
             level setting.",
            limits.max_shingle_diff
        )));
    }
    Ok(shingle::Shingle {
        min,
        max,
        unigrams: match (outputs_unigrams, outputs_if_none) {
            (true, _) => shingle::Unigrams::Always,
            (false, true) => shingle::Unigrams::WithoutShingles,
            (false, false) => shingle::Unigrams::Never,
        },
        separator: params
            .text("token_separator")?
            .unwrap_or_else(|| " ".to_owned()),
        filler: params
            .text("filler_token")?
            .unwrap_or_else(|| "_".to_owned()),
    })
}

fn cjk_bigram(params: &Params<'_>) -> Result<cjk::CjkBigram, AnalysisError> {
    let scripts = [
        ("han", TokenKind::Ideographic),
        ("hiragana", TokenKind::Hiragana),
        ("katakana", TokenKind::Katakana),
        ("hangul", TokenKind::Hangul),
    ];
    let ignored = params.list("ignored_scripts")?.unwrap_or_default();
    if let Some(unknown) = ignored
        .iter()
        .find(|name| scripts.iter().all(|(own, _)| own != name))
    {
        return Err(params.bad(
            "ignored_scripts",
            format!("has the unknown script [{unknown}]"),
        ));
    }
    let is_paired = |name: &str| ignored.iter().all(|own| own != name);
    Ok(cjk::CjkBigram {
        kinds: scripts
            .iter()
            .filter(|(name, _)| is_paired(name))
            .map(|(_, kind)| *kind)
            .collect(),
        outputs_unigrams: params.flag("output_unigrams", false)?,
    })
}

fn synonyms(
    kind: &str,
    params: &Params<'_>,
    context: FilterContext<'_>,
) -> Result<synonym::Synonyms, AnalysisError> {
    let Some(lines) = params.lines("synonyms")? else {
        return Err(AnalysisError::IllegalArgument(
            "synonym requires either `synonyms` or `synonyms_path` to be configured".to_owned(),
        ));
    };
    let limit = context.limits.max_synonym_rules;
    if lines.len() > limit {
        return Err(params.bad(
            "synonyms",
            format!("has {} rules, at most {limit} are allowed", lines.len()),
        ));
    }
    if params
        .text("format")?
        .is_some_and(|format| format != "solr")
    {
        return Err(params.bad("format", "must be [solr]"));
    }
    // Reloading search analyzers has no meaning without files.
    params.flag("updateable", false)?;
    let reader = synonym::RuleReader {
        tokens: &|term| context.preceding.tokens(term),
        expands: params.flag("expand", true)?,
        is_lenient: params.flag("lenient", false)?,
    };
    let map = reader.read(&lines).map_err(|error| {
        AnalysisError::IllegalArgument(format!(
            "failed to build synonyms: Invalid synonym rule at line {}: {}",
            error.line, error.reason
        ))
    })?;
    Ok(synonym::Synonyms {
        map,
        is_graph: kind == "synonym_graph",
    })
}
