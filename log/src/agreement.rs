//! What the copies of a shard agreed on, as far as one of them knows.

use gleaner_model::SeqNo;
use parking_lot::Mutex;

/// What a copy knows of the agreement with the others; neither part ever falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    /// The agreed point, or less: every record below is durable on all copies that have to have it.
    pub point: SeqNo,
    /// The greatest version of the shard's entry that was seen.
    pub entry_version: u64,
}

impl Agreement {
    /// Returns the greater one of each part.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            point: self.point.max(other.point),
            entry_version: self.entry_version.max(other.entry_version),
        }
    }
}

/// The agreement of a shard as it was last noted, shared by those who note it and its commit thread.
#[derive(Debug, Default)]
pub(crate) struct AgreementCell(Mutex<Agreement>);

impl AgreementCell {
    pub(crate) fn new(agreement: Agreement) -> Self {
        Self(Mutex::new(agreement))
    }

    /// Notes what is new of it.
    pub(crate) fn note(&self, agreement: Agreement) {
        let mut noted = self.0.lock();
        *noted = noted.max(agreement);
    }

    /// Returns it for a log that ends before `end`.
    pub(crate) fn get(&self, end: SeqNo) -> Agreement {
        let noted = *self.0.lock();
        Agreement {
            point: noted.point.min(end),
            ..noted
        }
    }
}
