//! Filters that cut or join words out of settings.

use hashbrown::HashMap;

use super::{
    super::{
        Filter, common_grams, flatten, pieces,
        stop::WordSet,
        word_delimiter::{CharKind, Outputs, Splitting, WordDelimiter},
    },
    Built,
};
use crate::{
    error::AnalysisError,
    pattern,
    settings::{Params, unescape},
};

/// Most patterns of `pattern_capture`.
const MAX_PATTERNS: usize = 100;

/// Filters that cut or join words.
pub(super) fn pieces(kind: &str, params: &Params<'_>) -> Built {
    Ok(Some(match kind {
        "word_delimiter" => Filter::list(word_delimiter(params, false)?),
        "word_delimiter_graph" => Filter::list(word_delimiter(params, true)?),
        "pattern_capture" => Filter::list(pattern_capture(params)?),
        "dictionary_decompounder" => Filter::list(decompounder(params)?),
        "common_grams" => Filter::list(common_grams::CommonGrams {
            words: WordSet::new(
                required(params, "common_words", "common_grams")?,
                params.flag("ignore_case", false)?,
            ),
            is_for_queries: params.flag("query_mode", false)?,
        }),
        "keyword_repeat" => Filter::list(pieces::KeywordRepeat),
        "flatten_graph" => Filter::list(flatten::FlattenGraph),
        "delimited_payload" => Filter::word(delimited_payload(params)?),
        _ => return Ok(None),
    }))
}

fn required(params: &Params<'_>, key: &str, kind: &str) -> Result<Vec<String>, AnalysisError> {
    params.list(key)?.ok_or_else(|| {
        AnalysisError::IllegalArgument(format!(
            "{kind} requires either `{key}` or `{key}_path` to be configured"
        ))
    })
}

fn word_delimiter(params: &Params<'_>, is_graph: bool) -> Result<WordDelimiter, AnalysisError> {
    let outputs = Outputs {
        words: params.flag("generate_word_parts", true)?,
        numbers: params.flag("generate_number_parts", true)?,
        joined_words: params.flag("catenate_words", false)?,
        joined_numbers: params.flag("catenate_numbers", false)?,
        joined_all: params.flag("catenate_all", false)?,
        original: params.flag("preserve_original", false)?,
    };
    let splitting = Splitting {
        on_case_change: params.flag("split_on_case_change", true)?,
        on_numerics: params.flag("split_on_numerics", true)?,
        drops_possessive: params.flag("stem_english_possessive", true)?,
        kinds: type_table(params)?,
    };
    let protected = params.list("protected_words")?.unwrap_or_default();
    Ok(WordDelimiter {
        outputs,
        splitting,
        protected: WordSet::new(protected, false),
        ignores_keywords: is_graph && params.flag("ignore_keywords", false)?,
        adjusts_offsets: !is_graph || params.flag("adjust_offsets", true)?,
        is_graph,
    })
}

/// Reads lines such as `$ => DIGIT`.
fn type_table(params: &Params<'_>) -> Result<HashMap<char, CharKind>, AnalysisError> {
    let lines = params.lines("type_table")?.unwrap_or_default();
    let mut kinds = HashMap::new();
    for line in lines {
        let bad = |what: &str| params.bad("type_table", format!("has {what}: [{line}]"));
        let (left, right) = line
            .rsplit_once("=>")
            .ok_or_else(|| bad("a rule without [=>]"))?;
        let kind = CharKind::named(right.trim()).ok_or_else(|| bad("an unknown type"))?;
        let left = unescape(left.trim()).ok_or_else(|| bad("an escape that is none"))?;
        let mut chars = left.chars();
        let (Some(c), None) = (chars.next(), chars.next()) else {
            return Err(bad("a rule of more or less than one character"));
        };
        kinds.insert(c, kind);
    }
    Ok(kinds)
}

fn pattern_capture(params: &Params<'_>) -> Result<pieces::PatternCapture, AnalysisError> {
    let Some(patterns) = params.lines("patterns")? else {
        return Err(AnalysisError::IllegalArgument(
            "required setting 'patterns' is missing for token filter [pattern_capture]".to_owned(),
        ));
    };
    if patterns.len() > MAX_PATTERNS {
        let reason = format!(
            "has {} patterns, at most {MAX_PATTERNS} are allowed",
            patterns.len()
        );
        return Err(params.bad("patterns", reason));
    }
    let compiled = patterns
        .iter()
        .map(|text| pattern::compile(text, "").map_err(|reason| params.bad("patterns", reason)));
    Ok(pieces::PatternCapture {
        patterns: compiled.collect::<Result<_, _>>()?,
        preserves_original: params.flag("preserve_original", true)?,
    })
}

fn decompounder(params: &Params<'_>) -> Result<pieces::Decompounder, AnalysisError> {
    let Some(words) = params.list("word_list")? else {
        return Err(AnalysisError::IllegalArgument(format!(
            "word_list must be provided for [{}], either as a path to a file, or directly",
            params.name
        )));
    };
    Ok(pieces::Decompounder {
        words: WordSet::new(words, params.flag("word_list_case", false)?),
        min_word_size: params.count("min_word_size", 5)?,
        min_subword_size: params.positive("min_subword_size", 2)?,
        max_subword_size: params.positive("max_subword_size", 15)?,
        only_longest_match: params.flag("only_longest_match", false)?,
    })
}

/// Payloads are read by nobody: how they are written matters as far as it is no way at all.
fn delimited_payload(params: &Params<'_>) -> Result<pieces::DelimitedPayload, AnalysisError> {
    match params.text("encoding")?.as_deref() {
        None | Some("float" | "int" | "identity") => {}
        Some(other) => {
            let reason = format!("can be [float], [int] or [identity], but was [{other}]");
            return Err(params.bad("encoding", reason));
        }
    }
    let delimiter = params.text("delimiter")?.unwrap_or_else(|| "|".to_owned());
    let mut chars = delimiter.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(pieces::DelimitedPayload(c)),
        _ => Err(params.bad(
            "delimiter",
            "must be a single, non-null character".to_owned(),
        )),
    }
}
