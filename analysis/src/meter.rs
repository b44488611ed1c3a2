//! How much analysis may make: bytes of text and of tokens, counted while they are made.
//!
//! A short setting can make a long text of a short one (`a` → 200 × `a`, five times), and a short text many
//! tokens. Each part of a chain asks the [`Meter`] before it makes something, and makes nothing more once that is
//! spent. The caller then gets [`TooMuch`] instead of tokens.

use std::cell::Cell;

use crate::token::Token;

const MIB: u64 = 1 << 20;

/// What a token costs that is passed on, beside its text: its place in a [`crate::TokenBuffer`].
pub(crate) const PASSED_TOKEN: u64 = 24;

/// Analysis that would make more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "analysis of [{text_bytes}] bytes of text makes more than [{limit_bytes}] bytes of text and tokens"
)]
pub struct TooMuch {
    /// Bytes of text that were read.
    pub text_bytes: u64,
    /// Bytes that could be made of them.
    pub limit_bytes: u64,
}

/// Bytes that are made between two looks at whether the caller still waits: some milliseconds of work.
const LOOK_EVERY: u64 = MIB;

/// The limit of one document or request, and how much of it is used. It is shared by all texts of that.
pub struct Meter<'a> {
    bounds: Bounds,
    /// Whether somebody still waits for what is made; asked for every MiB.
    is_awaited: Option<&'a (dyn Fn() -> bool + Sync)>,
    /// What had been made when that was last asked.
    looked_at: Cell<u64>,
    text_bytes: Cell<u64>,
    /// What may be made of them.
    limit_bytes: Cell<u64>,
    made_bytes: Cell<u64>,
    is_spent: Cell<bool>,
}

/// The lesser of two lines over the bytes of text that were read: the first bounds what is made of a short
/// text, the second memory.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    short: Line,
    long: Line,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    bytes: u64,
    per_byte: u64,
}

impl Line {
    fn at(self, text_bytes: u64) -> u64 {
        let made = self.per_byte.saturating_mul(text_bytes);
        self.bytes.saturating_add(made)
    }
}

impl<'a> Meter<'a> {
    /// Returns the meter of one document: 16 MiB and 256 bytes for each byte of text, and from some 1 MiB of
    /// text on 256 MiB and 16 bytes for each. n-grams of 1 to 20 characters make some 200 bytes of each.
    pub fn for_document() -> Self {
        Self::new(
            Line {
                bytes: 16 * MIB,
                per_byte: 256,
            },
            Line {
                bytes: 256 * MIB,
                per_byte: 16,
            },
        )
    }

    /// Returns the meter of one request (the texts of its queries, or those of `_analyze`), whose tokens are
    /// kept: 16 MiB and 32 bytes for each byte of text, 128 MiB at most.
    pub fn for_request() -> Self {
        Self::new(
            Line {
                bytes: 16 * MIB,
                per_byte: 32,
            },
            Line {
                bytes: 128 * MIB,
                per_byte: 0,
            },
        )
    }

    /// Returns a meter that is never spent, for texts and settings that the caller chose.
    pub fn unlimited() -> Self {
        let line = Line {
            bytes: u64::MAX,
            per_byte: 0,
        };
        Self::new(line, line)
    }

    /// Returns this meter, which is spent, too, once `is_awaited` says no.
    #[must_use]
    pub fn while_awaited(self, is_awaited: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self {
            is_awaited: Some(is_awaited),
            ..self
        }
    }

    /// Returns the bytes that may be made of `text_bytes` bytes of text.
    pub fn limit_for(&self, text_bytes: u64) -> u64 {
        let Bounds { short, long } = self.bounds;
        short.at(text_bytes).min(long.at(text_bytes))
    }

    fn new(short: Line, long: Line) -> Self {
        Self {
            bounds: Bounds { short, long },
            is_awaited: None,
            looked_at: Cell::new(0),
            text_bytes: Cell::new(0),
            limit_bytes: Cell::new(short.bytes.min(long.bytes)),
            made_bytes: Cell::new(0),
            is_spent: Cell::new(false),
        }
    }

    /// Returns an error when more was to be made than may be.
    ///
    /// # Errors
    /// [`TooMuch`]; then the tokens made so far are not all there are.
    pub fn check(&self) -> Result<(), TooMuch> {
        if !self.is_spent.get() {
            return Ok(());
        }
        Err(TooMuch {
            text_bytes: self.text_bytes.get(),
            limit_bytes: self.limit(),
        })
    }

    fn limit(&self) -> u64 {
        self.limit_bytes.get()
    }

    /// Notes that a text is read, of which something may be made.
    pub(crate) fn read(&self, text: &str) {
        let num_bytes = text.len() as u64;
        self.text_bytes.set(self.text_bytes.get() + num_bytes);
        self.limit_bytes.set(self.limit_for(self.text_bytes.get()));
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    /// Returns the bytes that may still be made.
    pub(crate) fn room(&self) -> usize {
        let left = self.limit().saturating_sub(self.made_bytes.get());
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Takes `num_bytes` for what the caller is about to make; returns whether it may.
    pub(crate) fn take(&self, num_bytes: u64) -> bool {
        let made = self.made_bytes.get().saturating_add(num_bytes);
        if self.is_spent.get() || made > self.limit() || !self.is_awaited_at(made) {
            self.is_spent.set(true);
            return false;
        }
        self.made_bytes.set(made);
        true
    }

    fn is_awaited_at(&self, made: u64) -> bool {
        let Some(is_awaited) = self.is_awaited else {
            return true;
        };
        if made - self.looked_at.get() < LOOK_EVERY {
            return true;
        }
        self.looked_at.set(made);
        is_awaited()
    }

    /// As [`Self::take`], for a text.
    pub(crate) fn take_len(&self, num_bytes: usize) -> bool {
        self.take(num_bytes as u64)
    }

    /// As [`Self::take`], for a token that is passed on.
    pub(crate) fn take_token(&self, text: &str) -> bool {
        self.take(PASSED_TOKEN + text.len() as u64)
    }

    /// Ends the analysis: a part has found that it would make more than there is room for.
    pub(crate) fn spend(&self) {
        self.is_spent.set(true);
    }
}

/// Tokens that a filter makes, within a meter.
pub(crate) struct Made<'m> {
    meter: &'m Meter<'m>,
    tokens: Vec<Token>,
}

impl<'m> Made<'m> {
    pub(crate) fn new(meter: &'m Meter<'_>) -> Self {
        Self {
            meter,
            tokens: Vec::new(),
        }
    }

    /// Keeps a token, unless the meter is spent.
    pub(crate) fn push(&mut self, token: Token) {
        if self.has_room(token.text.len()) {
            self.tokens.push(token);
        }
    }

    /// Takes the room for a token with a text of `num_bytes`, which the caller then keeps by [`Self::put`]: for
    /// texts that are long to make.
    pub(crate) fn has_room(&self, num_bytes: usize) -> bool {
        self.meter.take_len(size_of::<Token>() + num_bytes)
    }

    /// Keeps a token that there was room for.
    pub(crate) fn put(&mut self, token: Token) {
        self.tokens.push(token);
    }

    /// Returns whether nothing more can be kept.
    pub(crate) fn is_spent(&self) -> bool {
        self.meter.is_spent()
    }

    /// Returns the tokens kept so far.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(crate) fn into_tokens(self) -> Vec<Token> {
        self.tokens
    }
}

impl Extend<Token> for Made<'_> {
    fn extend<T: IntoIterator<Item = Token>>(&mut self, tokens: T) {
        for token in tokens {
            if self.is_spent() {
                return;
            }
            self.push(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn nothing_is_made_that_nobody_waits_for() {
        let is_awaited = AtomicBool::new(true);
        let look = || is_awaited.load(Relaxed);
        let meter = Meter::for_request().while_awaited(&look);
        assert!(meter.take(2 * MIB));
        is_awaited.store(false, Relaxed);
        assert!(meter.take(1), "it is asked for every MiB");
        assert!(!meter.take(MIB));
    }

    #[test]
    fn a_meter_that_is_spent_stays_spent() {
        let meter = Meter::for_request();
        assert!(meter.take(16 * MIB));
        assert_eq!(meter.check(), Ok(()));
        assert!(!meter.take(1));
        meter.read("more text, for which more may be made");
        assert!(!meter.take(1));
        assert!(meter.check().is_err());
    }

    #[test]
    fn more_may_be_made_of_more_text_up_to_a_bound() {
        let meter = Meter::for_request();
        meter.read(&"x".repeat(1 << 20));
        assert_eq!(meter.room() as u64, 48 * MIB);
        meter.read(&"x".repeat(10 << 20));
        assert_eq!(meter.room() as u64, 128 * MIB);
    }
}
