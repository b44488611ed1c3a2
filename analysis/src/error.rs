//! What can be wrong with analysis settings. Messages follow the dialect's wording, because users
//! search the web for them; each is an `illegal_argument_exception` (status 400) of the client.

use std::fmt;

/// Which kind of building block an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A whole chain.
    Analyzer,
    /// Text to tokens.
    Tokenizer,
    /// Tokens to tokens.
    Filter,
    /// Text to text.
    CharFilter,
    /// A chain without tokenizer, for keywords.
    Normalizer,
}

impl Component {
    /// Returns the key under which settings hold this kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Analyzer => "analyzer",
            Self::Tokenizer => "tokenizer",
            Self::Filter => "filter",
            Self::CharFilter => "char_filter",
            Self::Normalizer => "normalizer",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why analysis settings, or an ad-hoc analysis, were refused. Always the client's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum AnalysisError {
    /// No analyzer of that name, in the index or built in.
    #[error("failed to find global analyzer [{name}]")]
    UnknownAnalyzer { name: String },
    /// An ad-hoc analysis names a building block that does not exist.
    #[error("failed to find global {component} under [{name}]")]
    UnknownGlobal { component: Component, name: String },
    /// A definition has a `type` that does not exist.
    #[error("Unknown {component} type [{kind}] for [{name}]")]
    UnknownType {
        component: Component,
        kind: String,
        name: String,
    },
    /// An analyzer names a building block that does not exist.
    #[error("Custom Analyzer [{analyzer}] failed to find {component} under name [{name}]")]
    UnknownReference {
        analyzer: String,
        component: Component,
        name: String,
    },
    /// A definition has no `type`.
    #[error("{component} [{name}] must have a type associated with it")]
    MissingType { component: Component, name: String },
    /// An analyzer has neither `type` nor `tokenizer`.
    #[error("analyzer [{name}] must specify either an analyzer type, or a tokenizer")]
    MissingTokenizer { name: String },
    /// A normalizer may only change characters.
    #[error("Custom normalizer [{normalizer}] may not use {component} [{name}]")]
    NotNormalizing {
        normalizer: String,
        component: Component,
        name: String,
    },
    /// Elasticsearch has it, Gleaner does not (yet).
    #[error("{component} type [{kind}] for [{name}] is not supported by gleaner")]
    Unsupported {
        component: Component,
        kind: String,
        name: String,
    },
    /// A setting's value is not of the right form.
    #[error("{component} [{name}]: setting [{key}] {reason}")]
    BadSetting {
        component: Component,
        name: String,
        key: String,
        reason: String,
    },
    /// A setting of the dialect that Gleaner does not have.
    #[error("{component} [{name}]: setting [{key}] is not supported")]
    UnsupportedSetting {
        component: Component,
        name: String,
        key: String,
    },
    /// A refusal whose whole wording the dialect fixes.
    #[error("{0}")]
    IllegalArgument(String),
}

impl AnalysisError {
    /// Returns the dialect's `error.type`.
    pub fn error_type(&self) -> &'static str {
        "illegal_argument_exception"
    }
}
