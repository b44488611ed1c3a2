//! The analyzers and normalizers of an index: those its settings define, and the built-in ones.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    analyzer::{Analyzer, POSITION_INCREMENT_GAP},
    error::AnalysisError,
    filter::{
        Beginnings, Filter,
        shingle::{Shingle, Unigrams},
    },
    limits::Limits,
    normalizer::Normalizer,
};

mod assemble;
mod builtin;
mod part;

use assemble::Assembly;
use part::{NameOrDefinition, Origin};

/// Characters of the longest beginning that `search_as_you_type` keeps.
const MAX_BEGINNING_CHARS: usize = 20;

/// An analysis put together for one `_analyze` request. Each part is a name, or an object with a
/// `type`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CustomAnalysis<'a> {
    /// Default: `keyword`.
    pub tokenizer: Option<&'a Value>,
    /// Token filters in order.
    pub filters: &'a [Value],
    /// Character filters in order.
    pub char_filters: &'a [Value],
}

/// What an index's `analysis` settings define, on top of the built-in analyzers.
#[derive(Debug, Clone, Default)]
pub struct AnalyzerRegistry {
    settings: Value,
    limits: Limits,
    analyzers: BTreeMap<String, Analyzer>,
    normalizers: BTreeMap<String, Normalizer>,
    ignored: Vec<String>,
}

/// An analyzer put together for one request.
#[derive(Debug, Clone)]
pub struct AdHoc {
    /// It.
    pub analyzer: Analyzer,
    /// Settings of its parts that mean nothing, each as a sentence that names it.
    pub ignored: Vec<String>,
}

impl AnalyzerRegistry {
    /// Returns a registry with the built-in analyzers only.
    pub fn builtin() -> Self {
        Self::default()
    }

    /// Builds all that `analysis` defines (`{"analyzer": {..}, "tokenizer": {..}, "filter": {..},
    /// "char_filter": {..}, "normalizer": {..}}`), with the default limits.
    ///
    /// # Errors
    /// The first definition that is refused; building blocks that no analyzer uses are checked too.
    pub fn from_settings(analysis: &Value) -> Result<Self, AnalysisError> {
        Self::with_limits(analysis, Limits::default())
    }

    /// Builds all that `analysis` defines, within the index's limits.
    ///
    /// # Errors
    /// As [`AnalyzerRegistry::from_settings`].
    pub fn with_limits(analysis: &Value, limits: Limits) -> Result<Self, AnalysisError> {
        let assembly = Assembly::new(analysis, &limits)?;
        assembly.check_parts()?;
        let analyzers = assembly.analyzers()?;
        let normalizers = assembly.normalizers()?;
        Ok(Self {
            settings: analysis.clone(),
            limits,
            analyzers,
            normalizers,
            ignored: assembly.ignored(),
        })
    }

    /// Returns the settings of the index that mean nothing to what they are given to, each as a sentence
    /// that names it.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Returns an analyzer of the index, or a built-in one.
    pub fn analyzer(&self, name: &str) -> Option<Analyzer> {
        self.analyzers
            .get(name)
            .cloned()
            .or_else(|| builtin::analyzer(name))
            .or_else(|| self.derived(name))
    }

    /// Returns an analyzer made of another one, as fields of `search_as_you_type` name them:
    /// `NAME#shingle2` joins neighbouring words, `NAME#prefix3` keeps the beginnings of those.
    fn derived(&self, name: &str) -> Option<Analyzer> {
        let (base, what) = name.rsplit_once('#')?;
        let number = |kind: &str| {
            let size: usize = what.strip_prefix(kind)?.parse().ok()?;
            (2..=4).contains(&size).then_some(size)
        };
        let filter = match (number("shingle"), number("prefix")) {
            (Some(size), _) => Filter::list(Shingle {
                min: size,
                max: size,
                unigrams: Unigrams::Never,
                separator: " ".to_owned(),
                filler: "_".to_owned(),
            }),
            (None, Some(words)) => Filter::list(Beginnings {
                words,
                max_chars: MAX_BEGINNING_CHARS,
            }),
            (None, None) => return None,
        };
        Some(self.analyzer(base)?.followed_by(name, filter))
    }

    /// Returns an analyzer of the index, or a built-in one.
    ///
    /// # Errors
    /// [`AnalysisError::UnknownAnalyzer`].
    pub fn require_analyzer(&self, name: &str) -> Result<Analyzer, AnalysisError> {
        self.analyzer(name)
            .ok_or_else(|| AnalysisError::UnknownAnalyzer {
                name: name.to_owned(),
            })
    }

    /// Returns the analyzer of text fields that name none: the index's `default`, or `standard`.
    pub fn default_analyzer(&self) -> Analyzer {
        self.analyzer("default").unwrap_or_else(builtin::standard)
    }

    /// Returns a normalizer of the index, or the built-in `lowercase`.
    pub fn normalizer(&self, name: &str) -> Option<Normalizer> {
        self.normalizers
            .get(name)
            .cloned()
            .or_else(|| builtin::normalizer(name))
    }

    /// Puts an analyzer together for one request; names refer to the index's settings first.
    ///
    /// # Errors
    /// A part is unknown or refused.
    pub fn custom(&self, parts: CustomAnalysis<'_>) -> Result<AdHoc, AnalysisError> {
        let limits = self.limits.of_new();
        let assembly = Assembly::new(&self.settings, &limits)?;
        let tokenizer = match parts.tokenizer {
            None => NameOrDefinition::Name("keyword"),
            Some(value) => NameOrDefinition::parse(value)?,
        };
        let char_filters = NameOrDefinition::parse_all(parts.char_filters)?;
        let filters = NameOrDefinition::parse_all(parts.filters)?;
        let chain = assembly.chain(Origin::AdHoc, tokenizer, &char_filters, &filters)?;
        Ok(AdHoc {
            analyzer: Analyzer::custom("_custom_", chain, POSITION_INCREMENT_GAP),
            ignored: assembly.ignored(),
        })
    }
}
