//! Types of fields and their options.

use serde::{Deserialize, Serialize};

use super::{DateFormat, Dynamic, FieldPath, Included, KeywordKind, NumberKind, Resolution};

/// Type of a field with its options; defaults are the dialect's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Analysed text, ranked by BM25.
    Text {
        /// Analyzer for documents, and for queries unless `search_analyzer` is given.
        analyzer: String,
        /// Analyzer for queries.
        search_analyzer: Option<String>,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated by its tokens.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fielddata: bool,
    },
    /// A term kept whole.
    Keyword {
        /// As which of its types it was declared.
        #[serde(default, skip_serializing_if = "KeywordKind::is_plain")]
        family: KeywordKind,
        /// Longer values (in characters) are neither indexed nor in doc values.
        ignore_above: Option<u32>,
        /// Normalizer applied to values and query terms.
        normalizer: Option<String>,
        /// Stands for an explicit `null`.
        null_value: Option<String>,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// A number.
    Number {
        /// Width and signedness.
        number: NumberKind,
        /// Stands for an explicit `null`. Of types of whole numbers it is one; where it was stored by
        /// earlier versions, it may be a fraction without a rest.
        null_value: Option<serde_json::Number>,
        /// Whether strings and fractions are converted (default true).
        coerce: bool,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// `true` or `false`.
    Boolean {
        /// Stands for an explicit `null`.
        null_value: Option<bool>,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// An instant.
    Date {
        /// What is counted since the epoch, and under which name it was declared.
        #[serde(
            default,
            rename = "nanos",
            skip_serializing_if = "Resolution::is_of_dates"
        )]
        resolution: Resolution,
        /// How text is read and keys are written.
        format: DateFormat,
        /// Stands for an explicit `null`, in the field's format.
        null_value: Option<String>,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// An IPv4 or IPv6 address.
    Ip {
        /// Stands for an explicit `null`.
        null_value: Option<String>,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// A JSON object; its properties are fields of their own.
    Object {
        /// Rule for unknown fields below; `None` inherits.
        dynamic: Option<Dynamic>,
        /// Whether its content is looked at (false: kept in `_source` only).
        enabled: bool,
        /// Whether its content is documents of their own, which ordinary queries do not find: they are kept
        /// in `_source` only.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nested: bool,
        /// Which documents around a nested object have its values too.
        #[serde(default, skip_serializing_if = "Included::is_nowhere")]
        included: Included,
    },
    /// Ranges and points, kept as whole terms whose order is that of the values.
    Encoded {
        /// What they are.
        codec: Codec,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
    },
    /// Another name of a field. It takes no values.
    Alias {
        /// The field, which is no alias.
        path: FieldPath,
    },
    /// What is to be suggested while it is typed, kept in `_source` only.
    Completion,
    /// Bytes in base64, kept in `_source` only.
    Binary {
        /// Whether `exists` finds documents that have it.
        doc_values: bool,
    },
}

/// What the terms of a [`FieldKind::Encoded`] are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// A latitude and a longitude.
    GeoPoint,
    /// From a 32-bit whole number to another.
    IntegerRange,
    /// From a 64-bit whole number to another.
    LongRange,
    /// From a 32-bit fraction to another.
    FloatRange,
    /// From a 64-bit fraction to another.
    DoubleRange,
    /// From an instant to another, read by a format.
    DateRange(DateFormat),
    /// From an address to another.
    IpRange,
}

impl Codec {
    /// Returns the dialect's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::GeoPoint => "geo_point",
            Self::IntegerRange => "integer_range",
            Self::LongRange => "long_range",
            Self::FloatRange => "float_range",
            Self::DoubleRange => "double_range",
            Self::DateRange(_) => "date_range",
            Self::IpRange => "ip_range",
        }
    }
}

impl FieldKind {
    /// Whole terms in a column, without an index.
    pub const COLUMN_OF_TERMS: Self = Self::Keyword {
        family: KeywordKind::Plain,
        ignore_above: None,
        normalizer: None,
        null_value: None,
        index: false,
        doc_values: true,
    };

    /// Returns the dialect's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Keyword { family, .. } => family.type_name(),
            Self::Alias { .. } => "alias",
            Self::Number { number, .. } => number.type_name(),
            Self::Boolean { .. } => "boolean",
            Self::Date { resolution, .. } => resolution.type_name(),
            Self::Ip { .. } => "ip",
            Self::Object { nested: true, .. } => "nested",
            Self::Object { .. } => "object",
            Self::Encoded { codec, .. } => codec.type_name(),
            Self::Completion => "completion",
            Self::Binary { .. } => "binary",
        }
    }

    /// Returns whether it is a `flattened` field, whose keys are no fields.
    pub fn is_flattened(&self) -> bool {
        let Self::Keyword { family, .. } = self else {
            return false;
        };
        matches!(family, KeywordKind::Flattened { .. })
    }

    /// Returns whether it is a `rank_features` field, whose features are no fields.
    pub fn is_of_features(&self) -> bool {
        matches!(
            self,
            Self::Number {
                number: NumberKind::RankFeatures { .. },
                ..
            }
        )
    }

    /// Returns whether it is a `geo_point` field.
    pub fn is_of_points(&self) -> bool {
        let Self::Encoded { codec, .. } = self else {
            return false;
        };
        *codec == Codec::GeoPoint
    }

    /// Returns the value of a `constant_keyword`, which every document has; `None` while nobody has said it.
    pub fn constant(&self) -> Option<&str> {
        match self {
            Self::Keyword {
                family: KeywordKind::Constant(value),
                ..
            } => Some(value),
            _ => None,
        }
    }

    /// Returns whether it is a `constant_keyword`, with its value or without.
    pub fn is_constant(&self) -> bool {
        self.constant().is_some() || self.lacks_value()
    }

    /// Returns whether it is a `constant_keyword` of which no document has said the value yet.
    pub fn lacks_value(&self) -> bool {
        let Self::Keyword { family, .. } = self else {
            return false;
        };
        *family == KeywordKind::Unset
    }

    /// Returns whether it holds the values of a `flattened` field behind their keys: clients do not see it.
    pub fn is_keyed(&self) -> bool {
        let Self::Keyword { family, .. } = self else {
            return false;
        };
        matches!(family, KeywordKind::Keyed { .. })
    }

    /// Returns whether the index keeps how often a document has each term, and how long its field is: of `text`, and of
    /// `keyword` with `index_options` of `freqs`.
    pub fn counts_occurrences(&self) -> bool {
        match self {
            Self::Text { .. } => true,
            Self::Keyword { family, .. } => *family == KeywordKind::Counted,
            _ => false,
        }
    }

    /// Returns whether the field can be searched: by its index, or, more slowly, by the doc values of
    /// numbers, dates and addresses.
    pub fn is_searchable(&self) -> bool {
        let is_numeric = matches!(
            self,
            Self::Number { .. } | Self::Date { .. } | Self::Ip { .. }
        );
        self.is_indexed() || (is_numeric && self.has_doc_values())
    }

    /// Returns whether the field has an index.
    pub fn is_indexed(&self) -> bool {
        match self {
            Self::Text { index, .. }
            | Self::Keyword { index, .. }
            | Self::Number { index, .. }
            | Self::Boolean { index, .. }
            | Self::Date { index, .. }
            | Self::Ip { index, .. }
            | Self::Encoded { index, .. } => *index,
            Self::Object { .. } | Self::Alias { .. } | Self::Completion | Self::Binary { .. } => {
                false
            }
        }
    }

    /// Returns whether the field can be sorted and aggregated: by its doc values, or by the tokens of its text.
    pub fn has_column(&self) -> bool {
        self.has_doc_values() || self.has_fielddata()
    }

    /// Returns whether it is text that can be sorted and aggregated by its tokens.
    pub fn has_fielddata(&self) -> bool {
        matches!(
            self,
            Self::Text {
                fielddata: true,
                ..
            }
        )
    }

    /// Returns whether the field has doc values: what documents hold stands in a column.
    pub fn has_doc_values(&self) -> bool {
        match self {
            Self::Keyword { doc_values, .. }
            | Self::Number { doc_values, .. }
            | Self::Boolean { doc_values, .. }
            | Self::Date { doc_values, .. }
            | Self::Ip { doc_values, .. } => *doc_values,
            Self::Text { .. }
            | Self::Object { .. }
            | Self::Alias { .. }
            | Self::Encoded { .. }
            | Self::Completion
            | Self::Binary { .. } => false,
        }
    }
}
