//! Names of answers that are kept: which request an answer is to, and which state it was made from.
//!
//! Does: hold and print the digests. Does not: compute them (`query::canonical` does), know where answers are kept.

use std::fmt;

/// The state that an answer was evaluated on: 128 bits of a digest over mappings, settings, primary terms and
/// visible generations of every shard that it read.
///
/// Equal editions mean equal answers to one request. An edition has no order: of two, nobody can tell which is newer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edition(pub [u8; 16]);

impl Edition {
    /// Reads 32 hexadecimal digits; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok());
        Some(Self(number??.to_be_bytes()))
    }
}

/// What an answer is the answer to: 256 bits of a digest over the request, the indices that its names stand for, and
/// the form that it is to have.
///
/// Requests that differ in spelling alone have equal keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnswerKey(pub [u8; 32]);

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(&self.0, f)
    }
}

impl fmt::Debug for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(&self.0, f)
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prints two hexadecimal digits for each byte; in one piece, as each `ETag` has both kinds.
fn print(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    f.write_str(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_printed_as_hexadecimal_digits() {
        assert_eq!(Edition([0xa0; 16]).to_string(), "a0".repeat(16));
        assert_eq!(AnswerKey([0x0b; 32]).to_string(), "0b".repeat(32));
    }
}
