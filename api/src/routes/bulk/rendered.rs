//! [`RenderedItems`]: the answer of a bulk until all of its body is read.
//!
//! Answers are made while the body comes in, but a client may send all of its body before it reads a byte
//! of the answer. Were the answer sent meanwhile, both would wait for ever once the sockets between them are
//! full. So it is kept: some MiB as they are, what comes then packed, to about a tenth, and counted with the
//! bodies that are held.

use std::io::{Cursor, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::error::ApiError;
use crate::request::BodyReservation;

/// Bytes that are kept as they are.
pub(super) const PLAIN_BYTES: usize = 4 << 20;
/// Bytes that are unpacked at a time.
const PIECE_BYTES: usize = 32 << 10;

/// What was rendered so far.
pub(super) struct RenderedItems {
    plain: Vec<u8>,
    packed: Option<DeflateEncoder<Vec<u8>>>,
    may_pack: bool,
    held: BodyReservation,
}

impl RenderedItems {
    /// Keeps what is rendered, packed once there is much unless it `may_pack` not; counts what is packed.
    pub(super) fn new(held: BodyReservation, may_pack: bool) -> Self {
        Self {
            plain: Vec::new(),
            packed: None,
            may_pack,
            held,
        }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// 429 when there is no room for it.
    pub(super) fn put(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        if !self.may_pack || (self.packed.is_none() && self.plain.len() < PLAIN_BYTES) {
            self.plain.extend_from_slice(piece);
            return Ok(());
        }
        let packed = self
            .packed
            .get_or_insert_with(|| DeflateEncoder::new(Vec::new(), Compression::fast()));
        let before = packed.get_ref().len();
        packed.write_all(piece).expect("memory takes every byte");
        let grown = packed.get_ref().len() - before;
        self.held.grow(grown)
    }

    /// Returns everything, where none of it was packed; else itself.
    pub(super) fn into_plain(self) -> Result<Vec<u8>, Self> {
        match self.packed {
            None => Ok(self.plain),
            Some(_) => Err(self),
        }
    }

    /// Returns everything, piece by piece.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = std::io::Result<Bytes>> + Send {
        let packed = self.packed.map(DeflateEncoder::finish);
        let unpacked = |packed| DeflateDecoder::new(Cursor::new(packed));
        let mut unpacked = packed.transpose().map(|packed| packed.map(unpacked));
        // Counted until the last piece is gone.
        let held = self.held;
        let rest = std::iter::from_fn(move || {
            let _held = &held;
            let decoder = match &mut unpacked {
                Ok(Some(decoder)) => decoder,
                Ok(None) => return None,
                Err(error) => return Some(Err(std::io::Error::new(error.kind(), "not packed"))),
            };
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            match decoder.take(PIECE_BYTES as u64).read_to_end(&mut piece) {
                Ok(0) => None,
                Ok(_) => Some(Ok(piece.into())),
                Err(error) => Some(Err(error)),
            }
        });
        std::iter::once(Ok(self.plain.into())).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::BodyRoom;

    fn piece(n: usize) -> Vec<u8> {
        format!(r#",{{"index":{{"_id":"{n}","status":201}}}}"#).into_bytes()
    }

    #[test]
    fn what_is_packed_comes_back_and_its_room_too() {
        let room = BodyRoom::new(8 << 20);
        let mut rendered = RenderedItems::new(room.open(), true);
        let mut whole = Vec::new();
        for n in 0..400_000 {
            rendered.put(&piece(n)).expect("room");
            whole.extend(piece(n));
        }
        assert!(whole.len() > 3 * PLAIN_BYTES);
        assert!(room.open().grow(8 << 20).is_err(), "some of it is taken");
        let rendered = rendered.into_plain().expect_err("packed");
        let pieces = rendered.into_pieces().map(|piece| piece.expect("unpacked"));
        assert!(pieces.flatten().eq(whole));
        room.open().grow(8 << 20).expect("given back");
    }

    #[test]
    fn without_room_it_is_refused() {
        let mut rendered = RenderedItems::new(BodyRoom::new(1_000).open(), true);
        let refused = (0..600_000).find_map(|n| rendered.put(&piece(n)).err());
        assert_eq!(
            refused.expect("no room").kind(),
            "circuit_breaking_exception"
        );
    }

    #[test]
    fn little_stays_as_it_is() {
        for may_pack in [true, false] {
            let mut rendered = RenderedItems::new(BodyRoom::new(0).open(), may_pack);
            rendered.put(&piece(1)).expect("not counted");
            assert_eq!(rendered.into_plain().ok(), Some(piece(1)));
        }
    }
}
