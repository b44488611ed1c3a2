//! Stemmers out of settings, and what belongs to them.

use super::{
    super::{
        Filter,
        stem::{self, Stem},
    },
    Built,
};
use crate::{
    error::AnalysisError,
    language::Language,
    settings::Params,
    stemmer::{Algorithm, is_unsupported},
};

/// Stemmers and what belongs to them.
pub(super) fn stemmers(kind: &str, params: &Params<'_>) -> Built {
    let stemmer = |algorithm| Some(Filter::word(Stem::new(algorithm)));
    Ok(match kind {
        "porter_stem" => stemmer(Algorithm::Porter),
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
            .map(Algorithm::Language)
            .and_then(stemmer),
    })
}

/// Reads `language` (or `name`) of `stemmer` and `snowball`.
fn named_stemmer(params: &Params<'_>) -> Result<Filter, AnalysisError> {
    let name = params.text("name")?;
    let (key, name) = match (params.text("language")?, name) {
        (Some(language), _) => ("language", language),
        (None, Some(name)) => ("name", name),
        (None, None) => ("language", "english".to_owned()),
    };
    match name.to_ascii_lowercase().as_str() {
        "possessive_english" | "possessiveenglish" => Ok(Filter::word(stem::PossessiveEnglish)),
        _ => Ok(Filter::word(Stem::new(algorithm(params, key, &name)?))),
    }
}

/// Returns the algorithm that a setting names.
///
/// # Errors
/// There is none of that name, or Elasticsearch has it and Gleaner does not.
pub(crate) fn algorithm(
    params: &Params<'_>,
    key: &str,
    name: &str,
) -> Result<Algorithm, AnalysisError> {
    let lowered = name.to_ascii_lowercase();
    match Algorithm::from_name(&lowered) {
        Some(algorithm) => Ok(algorithm),
        None if is_unsupported(&lowered) => Err(params.bad(
            key,
            format!("names a stemmer that is not supported by gleaner: [{name}]"),
        )),
        None => Err(AnalysisError::IllegalArgument(format!(
            "Invalid stemmer class specified: {name}"
        ))),
    }
}
