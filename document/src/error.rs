//! Why a document is refused, in Elasticsearch's words.

use gleaner_analysis::TooMuch;
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;

/// A document that the mapping refuses; the client's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A value is not of its field's type.
    #[error(
        "failed to parse field [{field}] of type [{type_name}] in document with id '{id}'. Preview of field's value: '{preview}'"
    )]
    Malformed {
        /// Full path of the field.
        field: String,
        /// The dialect's name of its type.
        type_name: &'static str,
        /// Id of the document.
        id: String,
        /// The value.
        preview: String,
        /// What is wrong with it (`caused_by.reason`).
        cause: String,
    },
    /// A field that the mapping holds as an object has a plain value.
    #[error(
        "object mapping for [{field}] tried to parse field [{name}] as object, but found a concrete value"
    )]
    NotAnObject {
        /// Full path of the field.
        field: String,
        /// Last part of the path.
        name: String,
    },
    /// A key goes on below a field that is no object.
    #[error(
        "Could not dynamically add mapping for field [{field}]. Existing mapping for [{parent}] must be of type object but found [{type_name}]."
    )]
    BelowField {
        /// Full path of the key.
        field: String,
        /// Full path of the field above it.
        parent: String,
        /// The dialect's name of that field's type.
        type_name: &'static str,
    },
    /// A new field where the mapping is strict.
    #[error(
        "mapping set to strict, dynamic introduction of [{name}] within [{parent}] is not allowed"
    )]
    Strict {
        /// Name of the field.
        name: String,
        /// Path of the object it stands in, `_doc` at the root.
        parent: String,
    },
    /// A key has an empty part.
    #[error("field name cannot contain only whitespace or be empty: [{name}]")]
    EmptyName {
        /// The key.
        name: String,
    },
    /// A key stands twice in one object.
    #[error("Duplicate field '{name}'")]
    Duplicate {
        /// The key.
        name: String,
    },
    /// A term that is longer than an index can hold.
    #[error(
        "Document contains at least one immense term in field=\"{field}\" (whose UTF8 encoding is longer than the max length 32766), all of which were skipped. Please correct the analyzer to not produce such terms."
    )]
    ImmenseTerm {
        /// Full path of the field.
        field: String,
    },
    /// The analysis of its texts makes more than a document may have.
    #[error("field [{field}]: {fault}. Please correct the analyzer to make less.")]
    TooMuch {
        /// Full path of the field whose text was too much.
        field: String,
        /// How much it was.
        fault: TooMuch,
    },
    /// The document has more nested objects than its index takes.
    #[error(
        "The number of nested documents has exceeded the allowed limit of [{limit}]. This limit can be set by changing the [index.mapping.nested_objects.limit] index level setting."
    )]
    TooManyNested {
        /// The setting in force.
        limit: usize,
    },
    /// The document brings more fields than its index takes.
    #[error("failed to parse: {reason}")]
    TooManyFields {
        /// Which limit it is, and how many fields are new.
        reason: String,
    },
    /// The fields of the document have more values than an index takes at once.
    #[error(
        "failed to parse: the fields of the document have more than [{limit}] values in all, those of multi-fields and copies included"
    )]
    TooManyValues {
        /// How many it takes.
        limit: usize,
    },
    /// The mapping cannot take a new field.
    #[error(transparent)]
    Mapping(QueryError),
    /// The document is not a JSON object.
    #[error("failed to parse: {reason}")]
    Json {
        /// What the reader said.
        reason: String,
    },
}

impl From<QueryError> for DocumentError {
    fn from(error: QueryError) -> Self {
        match error.kind {
            ErrorType::TooManyFields => Self::TooManyFields {
                reason: error.reason,
            },
            _ => Self::Mapping(error),
        }
    }
}

impl DocumentError {
    /// Returns the dialect's error type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mapping(error) => error.kind.name(),
            Self::Strict { .. } => "strict_dynamic_mapping_exception",
            Self::ImmenseTerm { .. } | Self::TooMuch { .. } => "illegal_argument_exception",
            Self::Duplicate { .. } => "x_content_parse_exception",
            Self::Malformed { .. }
            | Self::NotAnObject { .. }
            | Self::BelowField { .. }
            | Self::EmptyName { .. }
            | Self::TooManyNested { .. }
            | Self::TooManyFields { .. }
            | Self::TooManyValues { .. }
            | Self::Json { .. } => "document_parsing_exception",
        }
    }

    /// Returns `caused_by`: type and reason.
    pub fn cause(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Malformed { cause, .. } if cause.starts_with("For input string") => {
                Some(("number_format_exception", cause))
            }
            // A name of metadata stands for the field's type.
            Self::Malformed {
                type_name, cause, ..
            } if type_name.starts_with('_') => Some(("mapper_parsing_exception", cause)),
            Self::Malformed { cause: reason, .. } | Self::TooManyFields { reason } => {
                Some(("illegal_argument_exception", reason))
            }
            _ => None,
        }
    }
}
