//! Why a copy does not go on as it is.

use crate::copy::applier::with_causes;

/// Why a copy does not go on as it is.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It is not wanted any more, or the leaf stops.
    Closed,
    /// Something that may pass: another try may do.
    Later(String),
    /// What it has does not lead to what the primary has: it must begin again from files.
    Files(String),
    /// It is damaged, or this node's disk is.
    Broken(String),
}

impl Halt {
    /// Returns the halt of an error that may pass.
    pub(crate) fn later(error: &dyn std::error::Error) -> Self {
        Self::Later(with_causes(error))
    }

    /// Returns the halt of an error that opening the copy again may cure.
    pub(crate) fn broken(error: &dyn std::error::Error) -> Self {
        Self::Broken(with_causes(error))
    }

    /// Returns why, for people.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Closed => "it is not wanted any more".to_owned(),
            Self::Later(reason) | Self::Files(reason) | Self::Broken(reason) => reason,
        }
    }
}
