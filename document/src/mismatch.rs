//! Why a value is not of its field's type, before the field is known by name.

use gleaner_analysis::TooMuch;
use gleaner_query::encoded::TermFault;

/// Why a value is not of its field's type.
#[derive(Debug, PartialEq)]
pub(super) enum Mismatch {
    /// With the dialect's reason.
    Malformed(String),
    /// With what the dialect says behind the name of the field.
    OfField(String),
    /// Longer than [`crate::convert::MAX_TERM_BYTES`].
    Immense,
    /// Its analysis makes more than a document may.
    TooMuch(TooMuch),
    /// Not the value that all documents have in the field.
    OtherConstant {
        /// The value in the mapping.
        constant: String,
        /// What stands in the document.
        given: String,
    },
}

impl From<TooMuch> for Mismatch {
    fn from(fault: TooMuch) -> Self {
        Self::TooMuch(fault)
    }
}

impl From<TermFault> for Mismatch {
    fn from(fault: TermFault) -> Self {
        match fault {
            TermFault::Value(reason) => Self::Malformed(reason),
            TermFault::OfField(reason) => Self::OfField(reason),
        }
    }
}
