//! Filters on single words out of settings: characters, sets of words, lengths.

use super::{
    super::{
        Filter, case, folding,
        normalization::Letters,
        script, shape,
        stop::{self, WordSet},
    },
    Built,
};
use crate::{
    error::AnalysisError,
    language::Language,
    pattern::{self, Replacement},
    settings::Params,
};

/// Filters on characters.
pub(super) fn characters(kind: &str, params: &Params<'_>) -> Built {
    Ok(Some(match kind {
        "lowercase" => Filter::word(lowercase(params)?),
        "uppercase" => Filter::word(case::Uppercase),
        "asciifolding" if params.flag("preserve_original", false)? => {
            Filter::list(folding::AsciiFoldingBeside)
        }
        "asciifolding" => Filter::word(folding::AsciiFolding),
        "decimal_digit" => Filter::word(folding::DecimalDigit),
        "cjk_width" => Filter::word(folding::CjkWidth),
        "hindi_normalization" => Filter::word(script::Spelling::Hindi),
        "indic_normalization" => Filter::word(script::Spelling::Indic),
        "serbian_normalization" => Filter::word(script::Spelling::Serbian),
        "arabic_normalization" => Filter::word(Letters::Arabic),
        "persian_normalization" => Filter::word(Letters::Persian),
        "sorani_normalization" => Filter::word(Letters::Sorani),
        "german_normalization" => Filter::word(Letters::German),
        "scandinavian_normalization" => Filter::word(Letters::Scandinavian),
        "scandinavian_folding" => Filter::word(Letters::ScandinavianFolding),
        "trim" => Filter::word(shape::Trim),
        "reverse" => Filter::word(shape::Reverse),
        "apostrophe" => Filter::word(shape::Apostrophe),
        "elision" => Filter::word(elision(params)?),
        "pattern_replace" => Filter::word(pattern_replace(params)?),
        _ => return Ok(None),
    }))
}

/// Filters that know words or lengths.
pub(super) fn words(kind: &str, params: &Params<'_>) -> Built {
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

fn lowercase(params: &Params<'_>) -> Result<case::Lowercase, AnalysisError> {
    match params.text("language")?.as_deref() {
        None => Ok(case::Lowercase::Plain),
        Some("greek") => Ok(case::Lowercase::Greek),
        Some("irish") => Ok(case::Lowercase::Irish),
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
            let pattern = pattern::compile(&format!(r"\A(?:{text})\z"), "")
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
