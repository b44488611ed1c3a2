//! Which of the two products of the dialect the server says it is.

/// Whose dialect the server says it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// Elasticsearch 8.19.
    #[default]
    Elasticsearch,
    /// OpenSearch 2.19: `version.distribution` is set.
    OpenSearch,
}

impl Distribution {
    /// Returns the version that answers name.
    pub fn version(self) -> &'static str {
        match self {
            Self::Elasticsearch => "8.19.0",
            Self::OpenSearch => "2.19.0",
        }
    }
}
