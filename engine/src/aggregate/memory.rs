//! Memory of buckets, reserved in batches.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::control::{MemoryAccount, Reservation};
use crate::error::EngineError;

/// Bytes that a meter gathers before it goes to the account.
const BATCH: u64 = 64 * 1024;

/// What all collectors of a shard hold.
pub(super) struct Ledger {
    held: Mutex<Reservation>,
}

impl Ledger {
    pub(super) fn open(account: &Arc<MemoryAccount>) -> Result<Self, EngineError> {
        Ok(Self {
            held: Mutex::new(account.reserve(0)?),
        })
    }

    pub(super) fn meter(&self) -> Meter<'_> {
        Meter {
            ledger: self,
            pending: 0,
        }
    }
}

/// Counts the bytes of one collector.
pub(super) struct Meter<'a> {
    ledger: &'a Ledger,
    pending: u64,
}

impl Meter<'_> {
    /// Notes bytes taken; goes to the account once per [`BATCH`].
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), EngineError> {
        self.pending += bytes as u64;
        if self.pending >= BATCH {
            let bytes = std::mem::take(&mut self.pending);
            self.ledger.held.lock().grow(bytes)?;
        }
        Ok(())
    }
}
