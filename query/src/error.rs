//! Why a request body was refused.

/// A request that cannot be understood; rendered by `api` in the dialect's error shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct QueryError {
    /// The dialect's error type, for example `parsing_exception`.
    pub kind: ErrorType,
    /// What was seen, what was wanted, at which key.
    pub reason: String,
    /// Where in the body, when known.
    pub place: Option<Place>,
}

/// The dialect's error types that parsing and name resolution can yield; [`ErrorType::status`]
/// gives the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The body is not what the endpoint reads, or a key is unknown or misplaced.
    Parsing,
    /// A nested part of the body is not what is wanted there (`x_content_parse_exception`).
    XContentParse,
    /// An argument has a value it cannot have.
    IllegalArgument,
    /// The query is understood but cannot be asked of this index.
    QueryShard,
    /// The mapping cannot be read.
    MapperParsing,
    /// A document asks of the mapping what it does not have.
    DocumentParsing,
    /// A mapping, or one with the fields that a document brings, would have more fields than its index takes.
    TooManyFields,
    /// Too many clauses, too deep, too many expansions.
    TooManyClauses,
    /// Index-level settings are wrong.
    Settings,
    /// A limit on request size or validity (`action_request_validation_exception`).
    Validation,
    /// Text of a date cannot be read.
    DateParse,
    /// Text of a number cannot be read.
    NumberFormat,
    /// A document brings a field that the mapping forbids.
    StrictDynamicMapping,
    /// A name that no index or alias bears.
    IndexNotFound,
    /// An alias that no index bears.
    AliasesNotFound,
    /// An index that is closed to reads and writes.
    IndexClosed,
    /// A name that no index can bear.
    InvalidIndexName,
    /// A name that no alias can bear.
    InvalidAliasName,
    /// More shards than the cluster takes (`validation_exception`).
    ShardLimit,
}

/// Position in a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl QueryError {
    /// Returns an error of `kind` with `reason` and no known place.
    pub fn new(kind: ErrorType, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            place: None,
        }
    }

    /// Returns a `parsing_exception`.
    pub fn parsing(reason: impl Into<String>) -> Self {
        Self::new(ErrorType::Parsing, reason)
    }

    /// Returns an `illegal_argument_exception`.
    pub fn illegal(reason: impl Into<String>) -> Self {
        Self::new(ErrorType::IllegalArgument, reason)
    }
}

impl ErrorType {
    /// Returns the name the dialect gives the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parsing => "parsing_exception",
            Self::XContentParse => "x_content_parse_exception",
            Self::IllegalArgument | Self::Settings | Self::TooManyFields => {
                "illegal_argument_exception"
            }
            Self::QueryShard => "query_shard_exception",
            Self::MapperParsing => "mapper_parsing_exception",
            Self::DocumentParsing => "document_parsing_exception",
            Self::TooManyClauses => "too_many_clauses",
            Self::Validation => "action_request_validation_exception",
            Self::DateParse => "parse_exception",
            Self::NumberFormat => "number_format_exception",
            Self::StrictDynamicMapping => "strict_dynamic_mapping_exception",
            Self::IndexNotFound => "index_not_found_exception",
            Self::AliasesNotFound => "aliases_not_found_exception",
            Self::IndexClosed => "index_closed_exception",
            Self::InvalidIndexName => "invalid_index_name_exception",
            Self::InvalidAliasName => "invalid_alias_name_exception",
            Self::ShardLimit => "validation_exception",
        }
    }

    /// Returns the HTTP status: 404 for names that nothing bears, else 400.
    pub fn status(self) -> u16 {
        match self {
            Self::IndexNotFound | Self::AliasesNotFound => 404,
            _ => 400,
        }
    }
}
