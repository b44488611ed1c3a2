//! Ids for documents that come without one.
//!
//! Does: makes ids that no other root makes, those of one root in ascending order. Does not: look
//! whether a document has one. Called by: [`crate::ingest`]. Read first: [`IdSource::next`].
//!
//! Ids of one root differ in their last characters only. A segment's term dictionary keeps what its terms
//! begin with, and end with, once: such ids are cheaper to write, to merge and to keep than random ones. As
//! the dialect's own ids they tell when about they were made and are no secret.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{NO_PAD, URL_SAFE_NO_PAD};
use twox_hash::XxHash3_128;

/// The characters of base64url in the order of ASCII: texts stand in the order of what they encode.
const ORDERED: GeneralPurpose = {
    let alphabet =
        Alphabet::new("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
    match alphabet {
        Ok(alphabet) => GeneralPurpose::new(&alphabet, NO_PAD),
        Err(_) => panic!("64 characters, each once"),
    }
};

/// Bits of a moment that count ids within a millisecond: two characters. More of them in one millisecond
/// run ahead of the clock.
const COUNT_BITS: u32 = 12;

/// Bytes of a moment in an id.
const MOMENT_BYTES: usize = 7;

/// Makes the ids of one root.
pub(crate) struct IdSource {
    /// Drawn at random: distinguishes this root's ids from those of others, and of the same root after a restart.
    prefix: u64,
    /// The moment of the last id: milliseconds since the epoch, and a count.
    last: AtomicU64,
}

impl IdSource {
    /// Returns a source of ids unlike those of any other.
    pub(crate) fn new() -> Self {
        Self {
            prefix: rand::random(),
            last: AtomicU64::new(0),
        }
    }

    /// Makes an id at `now_ms` since the epoch: 15 bytes as 20 characters. It is greater than all before it,
    /// whatever the clock does, up to the year 2527.
    pub(crate) fn next(&self, now_ms: i64) -> String {
        let now = (now_ms.max(0) as u64) << COUNT_BITS;
        let after = |last: u64| now.max(last + 1);
        let next = |last| Some(after(last));
        let moment = match self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        {
            Ok(last) | Err(last) => after(last),
        };
        let mut bits = [0; 8 + MOMENT_BYTES];
        let (prefix, of_moment) = bits.split_at_mut(8);
        prefix.copy_from_slice(&self.prefix.to_be_bytes());
        of_moment.copy_from_slice(&moment.to_be_bytes()[8 - MOMENT_BYTES..]);
        ORDERED.encode(bits)
    }
}

/// Makes the id of a request's item from the client's key: a request sent again makes the same ids.
pub(super) fn id_of_key(key: &str, at: usize) -> String {
    let bits = XxHash3_128::oneshot_with_seed(at as u64, key.as_bytes());
    URL_SAFE_NO_PAD.encode(&bits.to_be_bytes()[..15])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_ascend_whatever_the_clock_does() {
        let ids = IdSource::new();
        let clock = [1_000, 1_000, 1_001, 500, -7, 1_001, 2_000];
        let made: Vec<_> = clock.iter().map(|now| ids.next(*now)).collect();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
    }

    #[test]
    fn more_ids_than_a_millisecond_counts_are_all_different() {
        let ids = IdSource::new();
        let many = 3 << COUNT_BITS;
        let made: HashSet<_> = (0..many).map(|_| ids.next(1_700_000_000_000)).collect();
        assert_eq!(made.len(), many);
    }

    #[test]
    fn ids_made_side_by_side_are_all_different() {
        let ids = IdSource::new();
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..2_000).map(|_| ids.next(5)).collect::<Vec<_>>()))
                .collect();
            let made = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            made.flatten().collect::<HashSet<_>>()
        });
        assert_eq!(made.len(), 8_000);
    }

    #[test]
    fn ids_of_one_root_begin_alike_and_of_two_do_not() {
        let (one, other) = (IdSource::new(), IdSource::new());
        let [first, second, foreign] = [&one, &one, &other].map(|ids| ids.next(1_700_000_000_000));
        assert_eq!(first[..18], second[..18]);
        assert_ne!(first[..10], foreign[..10]);
    }
}
