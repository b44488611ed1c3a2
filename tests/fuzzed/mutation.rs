//! Inputs made of others: bits turned, bytes put in and taken out, pieces of two joined.

use rand::Rng as _;
use rand::rngs::StdRng;

/// Largest input.
const MAX_BYTES: usize = 16 << 10;

/// Pieces that mean something to one reader or another.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\r\n\r\n",
    b"\n",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e400",
    b"9223372036854775808",
    b"*",
    b"..",
    b"||",
    b"now-1M/M",
    b"+000001y",
    b":",
    b"\xf0\x9f\x8d\xb5",
    b"\xc3",
    b"$-1\r\n",
    b"Transfer-Encoding: chunked\r\n",
];

/// Makes inputs of seeds.
pub(crate) struct Mutations<'a> {
    seeds: &'a [Vec<u8>],
    random: StdRng,
}

impl<'a> Mutations<'a> {
    /// Makes them of `seeds`, at least one.
    pub(crate) fn of(seeds: &'a [Vec<u8>], random: StdRng) -> Self {
        Self { seeds, random }
    }

    /// Returns the next one.
    pub(crate) fn make(&mut self) -> Vec<u8> {
        let mut bytes = self.any_seed().to_vec();
        for _ in 0..self.random.random_range(1..6) {
            self.change(&mut bytes);
        }
        bytes.truncate(MAX_BYTES);
        bytes
    }

    fn any_seed(&mut self) -> &'a [u8] {
        &self.seeds[self.random.random_range(0..self.seeds.len())]
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.random_range(0..=bytes.len());
        let end = (at + self.random.random_range(0..32)).min(bytes.len());
        match self.random.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = self.random.random(),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = self.any_seed();
                let from = self.random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 => {
                let many = self.random.random_range(1..200);
                let byte = bytes.get(at).copied().unwrap_or(b'[');
                bytes.splice(at..at, std::iter::repeat_n(byte, many));
            }
            _ => {
                let piece = PIECES[self.random.random_range(0..PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}
