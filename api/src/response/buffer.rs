//! Bytes of an answer, reserved before they are made and held until they are written to the client.

use std::io::{self, Write};

use bytes::Bytes;
use gleaner_root::RootError;
use gleaner_root::memory::{AnswerMemory, HeldMemory};

use crate::error::ApiError;

/// Least room that is reserved.
const LEAST_ROOM: usize = 512;

/// Size from which a buffer grows by a quarter: up to there it doubles.
const LARGE: usize = 4 << 20;

/// Unused room that is worth to be given back when a body is written: less costs more than it is worth.
const SPARE_BYTES: usize = 16 << 10;

/// What says whether to go on: an answer may be wanted no more.
pub(crate) type KeepOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// The body of an answer while it is written. What it holds is reserved before it grows, so an answer for
/// which there is no memory ends before it is made.
pub(crate) struct Buffer<'a> {
    bytes: Vec<u8>,
    memory: AnswerMemory,
    held: Option<HeldMemory>,
    keep_on: KeepOn<'a>,
    /// Why no more is written.
    fault: Option<ApiError>,
}

impl<'a> Buffer<'a> {
    /// Returns an empty body of a request; `keep_on` is asked now and then whether it is still wanted.
    pub(crate) fn new(memory: &AnswerMemory, keep_on: KeepOn<'a>) -> Self {
        Self {
            bytes: Vec::new(),
            memory: memory.clone(),
            held: None,
            keep_on,
            fault: None,
        }
    }

    /// Makes room for `more` bytes, which will be all or most of those to come.
    ///
    /// # Errors
    /// When there is no memory for them, or nobody wants them any more.
    pub(crate) fn reserve(&mut self, more: usize) -> io::Result<()> {
        let wanted = self.bytes.len().saturating_add(more);
        let missing = wanted.saturating_sub(self.bytes.capacity());
        if missing == 0 {
            return Ok(());
        }
        self.hold(missing).map_err(|fault| {
            self.fault = Some(fault.into());
            io::Error::other("no room for the answer")
        })?;
        self.bytes.reserve_exact(more);
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), RootError> {
        if !(self.keep_on)() {
            return Err(RootError::Late);
        }
        match &mut self.held {
            Some(held) => held.grow(bytes),
            none => {
                *none = Some(self.memory.reserve(bytes)?);
                Ok(())
            }
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) -> io::Result<()> {
        let capacity = self.bytes.capacity();
        let step = match capacity < LARGE {
            true => capacity.max(LEAST_ROOM),
            false => capacity / 4,
        };
        let rest = capacity - self.bytes.len();
        self.reserve(more.max(rest + step))
    }

    /// Appends text.
    ///
    /// # Errors
    /// As [`Buffer::reserve`].
    pub(crate) fn push_str(&mut self, text: &str) -> io::Result<()> {
        self.write_all(text.as_bytes())
    }

    /// Appends a value as compact JSON.
    ///
    /// # Errors
    /// As [`Buffer::reserve`], and when it cannot be written as JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(self, value).map_err(io::Error::from)
    }

    /// Appends a value as compact JSON, or keeps why there is none.
    ///
    /// # Errors
    /// As [`Buffer::json`], and where there is no value.
    pub(crate) fn try_json(
        &mut self,
        value: Result<impl serde::Serialize, ApiError>,
    ) -> io::Result<()> {
        match value {
            Ok(value) => self.json(&value),
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other("there is nothing to write"))
            }
        }
    }

    /// Returns what says whether the answer is still wanted.
    pub(crate) fn keep_on(&self) -> KeepOn<'a> {
        self.keep_on
    }

    /// Returns how many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Puts `text` in the place of as many bytes from `at` on, which are there.
    pub(crate) fn overwrite(&mut self, at: usize, text: &str) {
        if let Some(place) = self.bytes.get_mut(at..at + text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
    }

    /// Leaves out what stands behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Returns the body after it was `written`.
    ///
    /// # Errors
    /// Why it could not be.
    pub(crate) fn finish(self, written: io::Result<()>) -> Result<Bytes, ApiError> {
        match (written, self.fault) {
            (_, Some(fault)) => Err(fault),
            (Err(error), None) => {
                let reason = format!("the answer could not be written as JSON: {error}");
                let status = http::StatusCode::INTERNAL_SERVER_ERROR;
                Err(ApiError::new(status, "exception", reason))
            }
            (Ok(()), None) => Ok(match self.held {
                Some(held) => kept(self.bytes, held),
                None => Bytes::new(),
            }),
        }
    }
}

/// Returns a body that counts until it is written; what it has no use for is given back.
fn kept(mut bytes: Vec<u8>, mut held: HeldMemory) -> Bytes {
    if bytes.capacity() - bytes.len() >= SPARE_BYTES {
        bytes.shrink_to_fit();
        held.shrink_to(bytes.capacity());
    }
    held.keep(bytes)
}

impl Write for Buffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.bytes.capacity() - self.bytes.len() {
            self.grow(bytes.len())?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns `bytes`, which were made without an account, as bytes that count until they are written. Where
/// the account has no room they do not count: they are there, and what they say is done.
pub(crate) fn counted(bytes: Bytes, memory: &AnswerMemory) -> Bytes {
    match memory.reserve(bytes.len()) {
        Ok(held) => held.keep(bytes),
        Err(_) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::making;

    #[tokio::test]
    async fn a_body_counts_until_its_last_slice_is_gone() {
        let memory = making().memory;
        let mut buffer = Buffer::new(&memory, &|| true);
        let written = (0..10_000).try_for_each(|_| buffer.push_str("0123456789"));
        let body = buffer.finish(written).expect("there is room");
        assert_eq!(body.len(), 100_000);
        let held = memory.held_bytes();
        assert!((100_000..300_000).contains(&held), "{held}");
        let slice = body.slice(10..20);
        drop(body);
        assert_eq!(memory.held_bytes(), held);
        drop(slice);
        assert_eq!(memory.held_bytes(), 0);
    }

    #[tokio::test]
    async fn room_that_a_body_has_no_use_for_is_given_back() {
        let memory = making().memory;
        let mut buffer = Buffer::new(&memory, &|| true);
        let written = buffer.reserve(10 << 20);
        assert_eq!(memory.held_bytes(), 10 << 20);
        let written = written.and_then(|()| buffer.push_str("a small answer"));
        let body = buffer.finish(written).expect("there is room");
        assert_eq!(memory.held_bytes(), body.len() as u64);
    }

    #[tokio::test]
    async fn bytes_that_are_there_are_sent_where_there_is_no_room_to_count_them() {
        let memory = making().memory;
        let body = counted(Bytes::from_static(b"done"), &memory);
        assert_eq!((&body[..], memory.held_bytes()), (&b"done"[..], 4));
        let all = memory.reserve((256 << 20) - 4).expect("the rest of it");
        assert_eq!(counted(Bytes::from_static(b"done"), &memory), "done");
        drop((body, all));
        assert_eq!(memory.held_bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_that_has_no_room_ends_before_it_is_made() {
        let memory = making().memory;
        let mut buffer = Buffer::new(&memory, &|| true);
        let written = buffer.reserve(1 << 40);
        assert_eq!(buffer.bytes.capacity(), 0);
        let refused = buffer.finish(written).expect_err("no room");
        assert_eq!(refused.status, http::StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.kind(), "circuit_breaking_exception");
        assert_eq!(memory.held_bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_that_nobody_waits_for_is_not_written_to_its_end() {
        let memory = making().memory;
        let mut buffer = Buffer::new(&memory, &|| false);
        let written = buffer.push_str("text");
        let refused = buffer.finish(written).expect_err("called off");
        assert_eq!(refused.status, http::StatusCode::SERVICE_UNAVAILABLE);
    }
}
