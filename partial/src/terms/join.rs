//! Two lists of terms becoming one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use itertools::{EitherOrBoth, Itertools as _};

use super::{Key, TermBucket};
use crate::error::EvaluationError;

/// A list so many times shorter than another is put into it key by key; others are read side by side.
const SHORT: usize = 8;

impl TermBucket {
    /// Adds what another shard has of the same key.
    fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        self.error = self.error.saturating_add(other.error);
        self.bucket.merge(other.bucket)
    }

    /// Returns the bucket of a key that other shards do not list, which have at most `bound` documents of it.
    fn unlisted_elsewhere(self, bound: u64) -> Self {
        let error = self.error.saturating_add(bound);
        Self { error, ..self }
    }
}

/// Joins two lists; `bound` is the most documents that a key can have which `mine` does not list.
///
/// # Errors
/// When buckets of two requests meet.
pub(super) fn joined(
    mut mine: BTreeMap<Key, TermBucket>,
    theirs: BTreeMap<Key, TermBucket>,
    bound: u64,
) -> Result<BTreeMap<Key, TermBucket>, EvaluationError> {
    if theirs.len() < mine.len() / SHORT {
        for (key, theirs) in theirs {
            match mine.entry(key) {
                Entry::Occupied(mut entry) => entry.get_mut().merge(theirs)?,
                Entry::Vacant(entry) => {
                    entry.insert(theirs.unlisted_elsewhere(bound));
                }
            }
        }
        return Ok(mine);
    }
    let pairs = mine.into_iter().merge_join_by(theirs, |a, b| a.0.cmp(&b.0));
    let joined = pairs.map(|pair| match pair {
        EitherOrBoth::Left(mine) => Ok(mine),
        EitherOrBoth::Right((key, theirs)) => Ok((key, theirs.unlisted_elsewhere(bound))),
        EitherOrBoth::Both((key, mut mine), (_, theirs)) => {
            mine.merge(theirs)?;
            Ok((key, mine))
        }
    });
    joined.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Bucket;

    fn list(counts: &BTreeMap<i64, u64>) -> BTreeMap<Key, TermBucket> {
        let bucket = |doc_count| Bucket {
            doc_count,
            ..Bucket::default()
        };
        let terms = counts.iter().map(|(&key, &count)| {
            let term = TermBucket {
                bucket: bucket(count),
                error: 1,
            };
            (Key::I64(key), term)
        });
        terms.collect()
    }

    proptest! {
        #[test]
        fn long_and_short_lists_are_joined_alike(
            mine in proptest::collection::btree_map(0_i64..200, 1_u64..9, 0..150),
            theirs in proptest::collection::btree_map(0_i64..200, 1_u64..9, 0..30),
        ) {
            let found = joined(list(&mine), list(&theirs), 5).expect("one request");
            let keys = mine.keys().chain(theirs.keys()).copied().sorted().dedup();
            prop_assert!(found.keys().cloned().eq(keys.map(Key::I64)));
            for (key, term) in found {
                let Key::I64(key) = key else { panic!("{key:?}") };
                let counts = [mine.get(&key), theirs.get(&key)];
                prop_assert_eq!(term.bucket.doc_count, counts.into_iter().flatten().sum::<u64>());
                let error = match counts {
                    [Some(_), Some(_)] => 2,
                    [None, _] => 6,
                    [_, None] => 1,
                };
                prop_assert_eq!(term.error, error);
            }
        }
    }
}
