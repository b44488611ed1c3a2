//! What is known of requests by how they are spelt, so that one that comes often is read once.
//!
//! Does: remember how the answer to a request may be kept, by a digest of all that this was made of. Does not: know what
//! that is; callers give it part by part. Read first: [`Memo::keep`].

use std::fmt;

use crate::Keep;

/// Most bytes of the requests that are remembered.
const MOST_BYTES: u64 = 32 << 20;

/// Bytes that a request takes beside its targets, roughly.
const OVERHEAD_BYTES: usize = 256;

/// Remembers requests.
pub struct Memo {
    /// A number of this process, so that nobody can make two spellings meet.
    secret: [u8; 32],
    keeps: moka::sync::Cache<[u8; 32], Keep>,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            secret: rand::random(),
            keeps: moka::sync::Cache::builder()
                .max_capacity(MOST_BYTES)
                .weigher(|_, keep: &Keep| u32::try_from(num_bytes(keep)).unwrap_or(u32::MAX))
                .build(),
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo")
            .field("entries", &self.keeps.entry_count())
            .finish_non_exhaustive()
    }
}

impl Memo {
    /// Returns what `make` returned for the same `parts` before, or asks it. What depends on the time is not remembered,
    /// nor is that a request may not be kept.
    pub fn keep<'a>(
        &self,
        parts: impl Iterator<Item = &'a [u8]>,
        make: impl FnOnce() -> Option<Keep>,
    ) -> Option<Keep> {
        let mut hash = blake3::Hasher::new_keyed(&self.secret);
        for part in parts {
            // Its length first: no two lists of parts have the same bytes.
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let spelling = *hash.finalize().as_bytes();
        if let Some(keep) = self.keeps.get(&spelling) {
            return Some(keep);
        }
        let keep = make()?;
        if keep.until_ms.is_none() {
            self.keeps.insert(spelling, keep.clone());
        }
        Some(keep)
    }
}

/// Returns the bytes that a request takes, roughly.
fn num_bytes(keep: &Keep) -> usize {
    let indices = keep.targets.indices.iter();
    let of_targets = indices.map(|index| {
        let filters: usize = index.filters.iter().map(String::len).sum();
        size_of_val(index) + filters + size_of_val(&*index.shards)
    });
    OVERHEAD_BYTES + of_targets.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world::keep;

    fn parts(texts: &[&'static str]) -> impl Iterator<Item = &'static [u8]> {
        let texts: Vec<_> = texts.iter().map(|text| text.as_bytes()).collect();
        texts.into_iter()
    }

    #[test]
    fn a_spelling_is_read_once_and_never_taken_for_another() {
        let memo = Memo::default();
        let first = memo.keep(parts(&["ab", "c"]), || Some(keep(1)));
        let again = memo.keep(parts(&["ab", "c"]), || panic!("it is known"));
        assert_eq!(first.map(|keep| keep.key), again.map(|keep| keep.key));
        for (number, other) in [&["a", "bc"][..], &["abc"], &["ab", "c", ""]]
            .iter()
            .enumerate()
        {
            let number = u8::try_from(number + 2).expect("a few");
            let keep = memo
                .keep(parts(other), || Some(keep(number)))
                .expect("kept");
            assert_eq!(keep.key.0[0], number, "{other:?}");
        }
    }

    #[test]
    fn what_depends_on_the_time_is_read_anew() {
        let memo = Memo::default();
        let timed = |number, until_ms| Keep {
            until_ms: Some(until_ms),
            ..keep(number)
        };
        for number in [1, 2] {
            let keep = memo.keep(parts(&["now"]), || Some(timed(number, 5)));
            assert_eq!(keep.expect("kept").key.0[0], number);
        }
    }
}
