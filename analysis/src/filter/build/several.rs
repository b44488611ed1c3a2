//! Filters on several tokens out of settings.

use super::{
    super::{Filter, cjk, gram, sequence, shingle, synonym},
    Built, FilterContext,
};
use crate::{
    error::AnalysisError, limits::Limits, meter::Meter, settings::Params, token::TokenKind,
    tokenizer::check_ngram_limits,
};

/// Filters that need more than one token.
pub(super) fn several(kind: &str, params: &Params<'_>, context: FilterContext<'_>) -> Built {
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
    if params.text("synonyms_path")?.is_some() {
        let reason = "is not supported: there are no files beside the configuration, give the rules \
                      in [synonyms]";
        return Err(params.bad("synonyms_path", reason.to_owned()));
    }
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
    let meter = Meter::for_request();
    let reader = synonym::RuleReader {
        tokens: &|term| context.preceding.tokens(term, &meter),
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
