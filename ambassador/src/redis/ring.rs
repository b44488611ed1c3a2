//! Which servers hold a key: rendezvous hashing (Thaler and Ravishankar, 1998), so that a server that is added or
//! taken away moves only its own keys.

use twox_hash::XxHash3_64;

/// The servers of an ambassador by the hashes of their names.
#[derive(Debug)]
pub(crate) struct Ring {
    hashes: Vec<u64>,
}

impl Ring {
    /// Makes the ring of servers with these names; the order of the names does not matter to where a key lies.
    pub(crate) fn new<N: AsRef<str>>(names: &[N]) -> Self {
        let hash = |name: &N| XxHash3_64::oneshot(name.as_ref().as_bytes());
        Self {
            hashes: names.iter().map(hash).collect(),
        }
    }

    /// Returns the `copies` servers that hold `key`, the one that is asked first at the head.
    pub(crate) fn holders(&self, key: &[u8], copies: usize) -> Vec<usize> {
        let key = XxHash3_64::oneshot(hashed_part(key));
        let mut ranked: Vec<(u64, usize)> = self
            .hashes
            .iter()
            .enumerate()
            .map(|(server, &hash)| (mix(key ^ hash), server))
            .collect();
        let copies = copies.min(ranked.len());
        if copies < ranked.len() {
            ranked.select_nth_unstable_by(copies, |a, b| b.cmp(a));
            ranked.truncate(copies);
        }
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        ranked.into_iter().map(|(_, server)| server).collect()
    }
}

/// Spreads the bits of a number; the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Returns the part of a key that says where it lies: what stands in its first pair of braces, as in Redis Cluster,
/// or all of it.
fn hashed_part(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else {
        return key;
    };
    let inside = &key[open + 1..];
    match inside.iter().position(|&byte| byte == b'}') {
        None | Some(0) => key,
        Some(close) => &inside[..close],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(names: &[&str]) -> Ring {
        Ring::new(names)
    }

    #[test]
    fn each_server_has_its_share_and_a_new_one_takes_no_more() {
        let before = ring(&["a:1", "b:1", "c:1", "d:1"]);
        let after = ring(&["a:1", "b:1", "c:1", "d:1", "e:1"]);
        let mut shares = [0_u32; 4];
        let mut moved = 0;
        for number in 0..40_000 {
            let key = format!("user:{number}");
            let old = before.holders(key.as_bytes(), 1)[0];
            let new = after.holders(key.as_bytes(), 1)[0];
            shares[old] += 1;
            if old != new {
                assert_eq!(new, 4, "a key moves to the new server only");
                moved += 1;
            }
        }
        for share in shares {
            assert!((9_500..10_500).contains(&share), "{shares:?}");
        }
        assert!((7_500..8_500).contains(&moved), "{moved}");
    }

    #[test]
    fn a_tag_decides_and_copies_lie_on_different_servers() {
        let ring = ring(&["a:1", "b:1", "c:1"]);
        for number in 0..100 {
            let tag = format!("{{user{number}}}");
            let one = ring.holders(format!("{tag}.name").as_bytes(), 2);
            let other = ring.holders(format!("{tag}.mail").as_bytes(), 2);
            assert_eq!(one, other);
            assert_ne!(one[0], one[1]);
            assert_eq!(one[0], ring.holders(tag.as_bytes(), 1)[0]);
        }
        assert_eq!(hashed_part(b"a{}b"), b"a{}b");
        assert_eq!(hashed_part(b"a{b"), b"a{b");
        assert_eq!(ring.holders(b"k", 9).len(), 3);
    }
}
