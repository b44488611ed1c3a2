//! Memory of many small things, reserved in batches.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{MemoryAccount, Reservation};
use crate::error::EvaluationError;

/// Bytes that a meter gathers before it goes to the account.
const BATCH: u64 = 64 * 1024;

/// What all meters of one piece of work hold: buckets of a shard, the content of hits.
#[derive(Debug)]
pub struct Ledger {
    account: Arc<MemoryAccount>,
    held: Mutex<Reservation>,
}

impl Ledger {
    /// Opens a ledger of what `account` allows.
    ///
    /// # Errors
    /// [`EvaluationError::CircuitBreaking`] when the account is overdrawn.
    pub fn open(account: &Arc<MemoryAccount>) -> Result<Self, EvaluationError> {
        Ok(Self {
            account: Arc::clone(account),
            held: Mutex::new(account.reserve(0)?),
        })
    }

    /// Returns the account that it draws on.
    pub fn account(&self) -> &Arc<MemoryAccount> {
        &self.account
    }

    /// Returns what counts the bytes of one collector.
    pub fn meter(&self) -> Meter<'_> {
        Meter {
            ledger: self,
            pending: 0,
        }
    }
}

/// Counts the bytes of one collector; they are held until the ledger is dropped.
#[derive(Debug)]
pub struct Meter<'a> {
    ledger: &'a Ledger,
    pending: u64,
}

impl Meter<'_> {
    /// Notes bytes taken; goes to the account once per 64 KiB.
    ///
    /// # Errors
    /// [`EvaluationError::CircuitBreaking`] when there is no room for them.
    pub fn charge(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.pending += bytes as u64;
        if self.pending >= BATCH {
            let bytes = std::mem::take(&mut self.pending);
            self.ledger.held.lock().grow(bytes)?;
        }
        Ok(())
    }

    /// Reserves bytes that are taken for a moment only.
    ///
    /// # Errors
    /// As [`Meter::charge`].
    pub fn borrow(&self, bytes: usize) -> Result<Reservation, EvaluationError> {
        self.ledger.account.reserve(bytes as u64)
    }
}
