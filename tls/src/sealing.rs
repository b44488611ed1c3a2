//! Bytes that others keep for us: nobody without the secret can read them, or change them unnoticed.
//!
//! AES-256-GCM-SIV (RFC 8452) with a nonce by chance: a nonce that comes twice tells no more than that two texts are equal.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

/// Seals bytes, and opens what it sealed.
pub struct SealingKey(RandomizedNonceKey);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

impl SealingKey {
    /// Returns the one of a secret of 256 bits; `None` where the cryptography cannot be used.
    pub fn new(secret: &[u8; 32]) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, secret)
            .ok()
            .map(Self)
    }

    /// Returns `plain` sealed, a nonce before it and a tag behind; `about` must be the same when it is opened.
    pub fn seal(&self, about: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(about), &mut sealed)
            .ok()?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Some(whole)
    }

    /// Returns what was sealed; `None` where it was sealed by another key, about something else, or changed since.
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(about), &mut bytes);
        let num_bytes = opened.ok()?.len();
        bytes.truncate(num_bytes);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> SealingKey {
        SealingKey::new(&[number; 32]).expect("a key")
    }

    #[test]
    fn what_was_sealed_is_opened_by_the_same_key_about_the_same_alone() {
        let sealed = key(1).seal(b"about", b"text").expect("sealed");
        assert_eq!(
            key(1).open(b"about", &sealed).as_deref(),
            Some(&b"text"[..])
        );
        assert_eq!(key(2).open(b"about", &sealed), None);
        assert_eq!(key(1).open(b"other", &sealed), None);
        let again = key(1).seal(b"about", b"text").expect("sealed");
        assert_ne!(again, sealed, "a nonce of its own");
    }

    #[test]
    fn no_bit_of_it_can_be_changed_and_no_byte_taken_off() {
        let sealed = key(1).seal(b"about", b"text").expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key(1).open(b"about", &changed), None, "{at}");
            assert_eq!(key(1).open(b"about", &sealed[..at]), None, "{at}");
        }
    }
}
