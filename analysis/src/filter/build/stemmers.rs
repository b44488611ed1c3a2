//! Stemmers out of settings, and what belongs to them.

use super::{
    super::{
        Filter,
        stem::{self, Stem},
    },
    Built,
};
use crate::{error::AnalysisError, language::Language, settings::Params};

/// Stemmers and what belongs to them.
pub(super) fn stemmers(kind: &str, params: &Params<'_>) -> Built {
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
