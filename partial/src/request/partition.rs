//! Which part of all keys a key is in: `include` with `partition`.
//!
//! Source: A. Appleby, *MurmurHash3* (public domain), of 32 bits for texts; the finalizer of D. Stafford's kind
//! that hppc mixes whole numbers with, so that parts are those of Elasticsearch.

use crate::key::Key;

/// Seed of texts.
const SEED: u32 = 31;

/// Returns the part of a key.
pub fn of(key: &Key, num_partitions: u32) -> u32 {
    match key {
        Key::Text(text) => of_text(text.as_bytes(), num_partitions),
        Key::Ip(address) => of_text(&address.to_be_bytes(), num_partitions),
        Key::I64(value) => of_whole(*value, num_partitions),
        Key::U64(value) => of_whole(*value as i64, num_partitions),
        Key::F64(value) => {
            let bits = value.get().to_bits() as i64;
            of_whole(bits ^ ((bits >> 63) & i64::MAX), num_partitions)
        }
    }
}

/// Returns the part of a term.
pub fn of_text(term: &[u8], num_partitions: u32) -> u32 {
    let hash = i64::from(murmur3(term) as i32);
    hash.rem_euclid(i64::from(num_partitions.max(1))) as u32
}

fn of_whole(value: i64, num_partitions: u32) -> u32 {
    mix(value as u64)
        .cast_signed()
        .rem_euclid(i64::from(num_partitions.max(1))) as u32
}

fn mix(value: u64) -> u64 {
    let mixed = (value ^ (value >> 32)).wrapping_mul(0x4cd6_944c_5cc2_0b6d);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xfc12_c5b1_9d32_59e9);
    mixed ^ (mixed >> 32)
}

fn murmur3(bytes: &[u8]) -> u32 {
    let scrambled = |word: u32| {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15);
        word.wrapping_mul(0x1b87_3593)
    };
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = SEED;
    for word in words {
        hash = (hash ^ scrambled(u32::from_le_bytes(*word))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    if !rest.is_empty() {
        hash ^= scrambled(u32::from_le_bytes(last));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_parts_that_they_have_elsewhere() {
        for (key, part) in [
            (Key::Text("abc".to_owned()), 1),
            (Key::Text("bcd".to_owned()), 0),
            (Key::I64(1_234), 1),
            (Key::I64(5_678), 0),
        ] {
            assert_eq!(of(&key, 2), part, "{key:?}");
        }
    }
}
