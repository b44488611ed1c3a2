//! Patterns over terms.

use gleaner_query::resolved::Pattern;

use super::super::field::{byte, known};
use super::super::v1::pattern::{Fuzzy, Kind, Text};
use super::super::{DecodeError, Wire, v1};

impl Wire for Pattern {
    type Message = v1::Pattern;

    fn to_message(&self) -> v1::Pattern {
        let text = |text: &String, ignore_case: &bool| Text {
            text: text.clone(),
            ignore_case: *ignore_case,
        };
        let kind = match self {
            Self::Prefix {
                prefix,
                ignore_case,
            } => Kind::Prefix(text(prefix, ignore_case)),
            Self::Wildcard {
                pattern,
                ignore_case,
            } => Kind::Wildcard(text(pattern, ignore_case)),
            Self::Regexp {
                expression,
                ignore_case,
            } => Kind::Regexp(text(expression, ignore_case)),
            Self::Fuzzy {
                term,
                distance,
                prefix_length,
                transpositions,
            } => Kind::Fuzzy(Fuzzy {
                term: term.clone(),
                distance: u32::from(*distance),
                prefix_length: *prefix_length,
                transpositions: *transpositions,
            }),
        };
        v1::Pattern { kind: Some(kind) }
    }

    fn from_message(message: v1::Pattern) -> Result<Self, DecodeError> {
        Ok(match known(message.kind, "Pattern")? {
            Kind::Prefix(Text { text, ignore_case }) => Self::Prefix {
                prefix: text,
                ignore_case,
            },
            Kind::Wildcard(Text { text, ignore_case }) => Self::Wildcard {
                pattern: text,
                ignore_case,
            },
            Kind::Regexp(Text { text, ignore_case }) => Self::Regexp {
                expression: text,
                ignore_case,
            },
            Kind::Fuzzy(Fuzzy {
                term,
                distance,
                prefix_length,
                transpositions,
            }) => Self::Fuzzy {
                term,
                distance: byte(distance, "Fuzzy.distance")?,
                prefix_length,
                transpositions,
            },
        })
    }
}
