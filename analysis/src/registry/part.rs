//! How a building block is named, and by whom.

use std::fmt;

use serde_json::{Map, Value};

use crate::error::{AnalysisError, Component};

/// Definitions of one kind, by name; or the settings of one definition.
pub(super) type Definitions = Map<String, Value>;

/// A building block as a request or an analyzer names it.
#[derive(Debug, Clone, Copy)]
pub(super) enum NameOrDefinition<'a> {
    Name(&'a str),
    Definition(&'a Definitions),
}

impl<'a> NameOrDefinition<'a> {
    pub(super) fn parse(value: &'a Value) -> Result<Self, AnalysisError> {
        match value {
            Value::String(name) => Ok(Self::Name(name)),
            Value::Object(definition) => Ok(Self::Definition(definition)),
            other => Err(AnalysisError::IllegalArgument(format!(
                "an analysis component must be a name or an object, but was [{other}]"
            ))),
        }
    }

    pub(super) fn parse_all(values: &'a [Value]) -> Result<Vec<Self>, AnalysisError> {
        values.iter().map(Self::parse).collect()
    }
}

/// Who names a building block; decides the wording when there is none of that name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// An analyzer or normalizer of the index.
    Definition(&'a str),
    /// An `_analyze` request.
    AdHoc,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition(name) => write!(f, "analyzer [{name}]"),
            Self::AdHoc => f.write_str("the analysis of this request"),
        }
    }
}

impl Origin<'_> {
    /// Returns the error for a name that stands for nothing.
    pub(super) fn not_found(self, component: Component, name: &str) -> AnalysisError {
        let name = name.to_owned();
        match self {
            Self::Definition(analyzer) => AnalysisError::UnknownReference {
                analyzer: analyzer.to_owned(),
                component,
                name,
            },
            Self::AdHoc => AnalysisError::UnknownGlobal { component, name },
        }
    }
}
