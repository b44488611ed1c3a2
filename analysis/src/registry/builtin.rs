//! The analyzers that need no definition, and the types that definitions may configure.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crate::{
    analyzer::{Analyzer, Chain, NamedBlock},
    error::{AnalysisError, Component},
    filter::{
        self, Filter, FilterContext,
        case::Lowercase,
        stem::{PossessiveEnglish, Stem},
        stop::{KeywordMarker, Stop, WordSet},
    },
    language::Language,
    limits::Limits,
    normalizer::Normalizer,
    settings::Params,
    stemmer::Algorithm,
    tokenizer::{CharTokenizer, Keyword, MAX_TOKEN_LENGTH, PatternTokenizer, Standard, Tokenizer},
};

/// Analyzers beside those of the languages.
const NAMES: [&str; 9] = [
    "standard",
    "simple",
    "whitespace",
    "keyword",
    "stop",
    "pattern",
    "fingerprint",
    "cjk",
    "snowball",
];

/// Analyzer types of the dialect that Gleaner does not have.
const UNSUPPORTED: [&str; 9] = [
    "bengali",
    "brazilian",
    "bulgarian",
    "czech",
    "galician",
    "latvian",
    "persian",
    "sorani",
    "thai",
];

/// All built-in analyzers with default settings.
static ANALYZERS: LazyLock<BTreeMap<&'static str, Analyzer>> = LazyLock::new(|| {
    NAMES
        .into_iter()
        .chain(Language::all().map(Language::name))
        .map(|name| {
            let params = Params::new(Component::Analyzer, name, None);
            let chain = chain(name, &params).ok().flatten();
            let chain = chain.expect("built-in analyzers need no settings");
            (name, Analyzer::built_in(name, chain))
        })
        .collect()
});

/// Returns a built-in analyzer.
pub(super) fn analyzer(name: &str) -> Option<Analyzer> {
    ANALYZERS.get(name).cloned()
}

/// Returns the `standard` analyzer.
pub(super) fn standard() -> Analyzer {
    ANALYZERS["standard"].clone()
}

/// Returns a built-in normalizer.
pub(super) fn normalizer(name: &str) -> Option<Normalizer> {
    (name == "lowercase").then(|| lowercase(name))
}

/// Returns the `lowercase` normalizer under a name.
pub(super) fn lowercase(name: &str) -> Normalizer {
    let filter = NamedBlock {
        name: "lowercase".to_owned(),
        part: Filter::word(Lowercase::Plain),
    };
    Normalizer::new(name, Vec::new(), vec![filter])
}

/// Returns the chain of an analyzer type, or `None` when there is no such type.
pub(super) fn chain(kind: &str, params: &Params<'_>) -> Result<Option<Chain>, AnalysisError> {
    let standard = || -> Result<Standard, AnalysisError> {
        Ok(Standard::new(
            params.positive("max_token_length", MAX_TOKEN_LENGTH)?,
        ))
    };
    let chain = match kind {
        "standard" | "default" => new_chain(standard()?)
            .then(Lowercase::Plain)
            .then_stop(params, None)?,
        "simple" => new_chain(CharTokenizer::lowercase()),
        "whitespace" => new_chain(CharTokenizer::whitespace(MAX_TOKEN_LENGTH)),
        "keyword" => new_chain(Keyword),
        "stop" => {
            new_chain(CharTokenizer::lowercase()).then_stop(params, Some(Language::English))?
        }
        "pattern" => {
            let pattern = crate::pattern::from_params(params, Some(r"\W+"))?;
            let chain = new_chain(PatternTokenizer::splitting(pattern));
            let lowercases = params.flag("lowercase", true)?;
            let chain = if lowercases {
                chain.then(Lowercase::Plain)
            } else {
                chain
            };
            chain.then_stop(params, None)?
        }
        "fingerprint" => new_chain(standard()?)
            .then(Lowercase::Plain)
            .then_named("asciifolding", &Params::new(Component::Filter, kind, None))?
            .then_stop(params, None)?
            .then_named("fingerprint", params)?,
        "cjk" => new_chain(standard()?)
            .then_named("cjk_width", params)?
            .then(Lowercase::Plain)
            .then_named("cjk_bigram", params)?
            .then_stop(params, Some(Language::English))?,
        "snowball" => snowball_chain(params)?,
        _ => match Language::from_name(kind) {
            Some(language) => language_chain(language, params)?,
            None if UNSUPPORTED.contains(&kind) => return Err(params.unsupported(kind)),
            None => return Ok(None),
        },
    };
    Ok(Some(chain))
}

/// Standard tokenizer, lowercase, stop words, stemmer, and what the language needs before and after them, in
/// Lucene's order.
fn language_chain(language: Language, params: &Params<'_>) -> Result<Chain, AnalysisError> {
    let bare = Params::new(Component::Filter, language.name(), None);
    let mut chain = new_chain(Standard::new(MAX_TOKEN_LENGTH));
    chain = match language {
        Language::English => chain.then(PossessiveEnglish),
        Language::Catalan | Language::French | Language::Italian => chain.then_elision(language),
        // What is put before a vowel with a hyphen is a word of its own to the tokenizer: `n-athair`.
        Language::Irish => chain
            .then(Stop(WordSet::new(["h", "n", "t"], true)))
            .then_elision(language),
        Language::Turkish => chain.then_named("apostrophe", &bare)?,
        _ => chain,
    };
    chain = match language {
        Language::Greek => chain.then(Lowercase::Greek),
        Language::Irish => chain.then(Lowercase::Irish),
        Language::Turkish => chain.then(Lowercase::Turkish),
        _ => chain.then(Lowercase::Plain),
    };
    if matches!(
        language,
        Language::Arabic | Language::Hindi | Language::Tamil
    ) {
        chain = chain.then_named("decimal_digit", &bare)?;
    }
    let excluded = params.list("stem_exclusion")?.unwrap_or_default();
    chain = if language == Language::Hindi {
        // The words that are not stemmed are compared as they were written.
        chain
            .then_marker(excluded)
            .then_named("indic_normalization", &bare)?
            .then_named("hindi_normalization", &bare)?
            .then_stop(params, Some(language))?
    } else {
        chain
            .then_stop(params, Some(language))?
            .then_marker(excluded)
    };
    chain = chain.then(Stem::new(Algorithm::Language(language)));
    if language == Language::Serbian {
        chain = chain.then_named("serbian_normalization", &bare)?;
    }
    Ok(chain)
}

/// `snowball`: a language's stemmer with less around it than its own analyzer has, as Elasticsearch keeps it for
/// old indices. Only some languages have stop words.
fn snowball_chain(params: &Params<'_>) -> Result<Chain, AnalysisError> {
    let name = params.text("language")?;
    let name = name.as_deref().unwrap_or("english");
    let algorithm = filter::stemmer_algorithm(params, "language", name)?;
    let mut chain = new_chain(Standard::new(MAX_TOKEN_LENGTH));
    chain = match algorithm {
        Algorithm::Language(Language::English) | Algorithm::Porter | Algorithm::Lovins => {
            chain.then(PossessiveEnglish).then(Lowercase::Plain)
        }
        Algorithm::Language(Language::Turkish) => chain.then(Lowercase::Turkish),
        _ => chain.then(Lowercase::Plain),
    };
    let stop_words = match algorithm {
        Algorithm::Language(
            language @ (Language::Dutch | Language::English | Language::French | Language::German),
        ) => Some(language),
        _ => None,
    };
    Ok(chain
        .then_stop(params, stop_words)?
        .then(Stem::new(algorithm)))
}

fn new_chain(tokenizer: impl Tokenizer + 'static) -> Chain {
    let tokenizer = NamedBlock {
        name: String::new(),
        part: Arc::new(tokenizer) as Arc<dyn Tokenizer>,
    };
    Chain {
        char_filters: Vec::new(),
        tokenizer,
        filters: Vec::new(),
    }
}

/// Parts of a built-in analyzer have no names: it is shown as a whole.
impl Chain {
    fn then(mut self, filter: impl filter::WordFilter + 'static) -> Self {
        self.filters.push(NamedBlock {
            name: String::new(),
            part: Filter::word(filter),
        });
        self
    }

    fn then_stop(
        self,
        params: &Params<'_>,
        default: Option<Language>,
    ) -> Result<Self, AnalysisError> {
        let words = filter::stop_words(params, default)?;
        Ok(if words.is_empty() {
            self
        } else {
            self.then(Stop(words))
        })
    }

    /// Marks words that are not stemmed, if there are any.
    fn then_marker(self, words: Vec<String>) -> Self {
        if words.is_empty() {
            return self;
        }
        self.then(KeywordMarker::Words(WordSet::new(words, false)))
    }

    fn then_elision(self, language: Language) -> Self {
        self.then(filter::Elision(WordSet::new(
            language.elided_articles(),
            true,
        )))
    }

    fn then_named(mut self, kind: &str, params: &Params<'_>) -> Result<Self, AnalysisError> {
        let limits = Limits::default();
        let context = FilterContext {
            limits: &limits,
            preceding: &self,
        };
        let filter = filter::build(kind, params, context)?;
        self.filters.extend(filter.map(|part| NamedBlock {
            name: String::new(),
            part,
        }));
        Ok(self)
    }
}
