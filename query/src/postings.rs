//! A term's live documents in one shard, as they travel to a root that combines lists itself.
//!
//! ```text
//! documents            {3, 7, 12, …}   seq_nos, ascending: a roaring bitmap of 64 bits
//! weights.frequencies  [1, 2, 255, …]  one byte a document, in their order; 255: see `large`
//! weights.large        [(2, 400), …]   (position, frequency) of those from 255 on
//! weights.norm_ids     [40, 12, 9, …]  one byte a document: its field's length as the index keeps it
//! ```

use roaring::RoaringTreemap;

/// Documents of one posting list, with what ranking needs of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PostingList {
    /// seq_nos of the documents' latest writes.
    pub documents: RoaringTreemap,
    /// As many as documents; `None` where matches alone were asked for, and for fields that are not
    /// text.
    pub weights: Option<Weights>,
}

/// Frequency and length of each document of a list, in the order of the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weights {
    frequencies: Vec<u8>,
    /// Ascending by position.
    large: Vec<(u64, u32)>,
    norm_ids: Vec<u8>,
}

/// Stands for a frequency that is in the list of large ones.
const LARGE: u8 = u8::MAX;

impl PostingList {
    /// Returns its size in bytes where it travels.
    pub fn num_bytes(&self) -> u64 {
        let weights = self.weights.as_ref().map_or(0, Weights::num_bytes);
        self.documents.serialized_size() as u64 + weights
    }

    /// Puts `next` behind; returns whether it fits: all of its documents come later, and both or
    /// neither have weights. Nothing is changed where it does not.
    pub fn append(&mut self, next: Self) -> bool {
        let comes_later = match (self.documents.max(), next.documents.min()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        };
        if !comes_later || self.weights.is_some() != next.weights.is_some() {
            return false;
        }
        self.documents |= next.documents;
        if let (Some(weights), Some(next)) = (&mut self.weights, next.weights) {
            weights.append(next);
        }
        true
    }
}

impl Weights {
    /// Returns the weights made of these parts; `None` where they do not fit each other.
    pub fn from_parts(
        frequencies: Vec<u8>,
        large: Vec<(u64, u32)>,
        norm_ids: Vec<u8>,
    ) -> Option<Self> {
        let is_ascending = large.windows(2).all(|two| two[0].0 < two[1].0);
        let is_marked = |(position, _): &(u64, u32)| {
            let at = usize::try_from(*position).ok();
            at.and_then(|at| frequencies.get(at)) == Some(&LARGE)
        };
        let num_marked = frequencies.iter().filter(|byte| **byte == LARGE).count();
        let is_good = frequencies.len() == norm_ids.len()
            && num_marked == large.len()
            && is_ascending
            && large.iter().all(is_marked);
        is_good.then_some(Self {
            frequencies,
            large,
            norm_ids,
        })
    }

    /// Returns frequencies, large frequencies with their positions, and norm ids.
    pub fn parts(&self) -> (&[u8], &[(u64, u32)], &[u8]) {
        (&self.frequencies, &self.large, &self.norm_ids)
    }

    /// Puts a document's frequency, ≥ 1, and norm id behind.
    pub fn push(&mut self, frequency: u32, norm_id: u8) {
        let byte = u8::try_from(frequency).unwrap_or(LARGE);
        if byte == LARGE {
            self.large.push((self.frequencies.len() as u64, frequency));
        }
        self.frequencies.push(byte);
        self.norm_ids.push(norm_id);
    }

    /// Returns the number of documents.
    pub fn len(&self) -> usize {
        self.frequencies.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frequencies.is_empty()
    }

    /// Returns frequency and norm id of the document at `position`.
    ///
    /// # Panics
    /// When there are no more than `position` documents.
    pub fn get(&self, position: usize) -> (u32, u8) {
        let norm_id = self.norm_ids[position];
        let byte = self.frequencies[position];
        if byte != LARGE {
            return (u32::from(byte), norm_id);
        }
        let key = |(at, _): &(u64, u32)| *at;
        let found = self.large.binary_search_by_key(&(position as u64), key);
        let at = found.expect("a byte of 255 has its frequency among the large");
        (self.large[at].1, norm_id)
    }

    /// Returns their size in bytes where they travel.
    pub fn num_bytes(&self) -> u64 {
        (2 * self.frequencies.len() + 12 * self.large.len()) as u64
    }

    fn append(&mut self, next: Self) {
        let shift = self.frequencies.len() as u64;
        let moved = next.large.into_iter().map(|(at, tf)| (at + shift, tf));
        self.large.extend(moved);
        self.frequencies.extend(next.frequencies);
        self.norm_ids.extend(next.norm_ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(postings: &[(u64, u32, u8)]) -> PostingList {
        let mut weights = Weights::default();
        for (_, frequency, norm_id) in postings {
            weights.push(*frequency, *norm_id);
        }
        PostingList {
            documents: postings.iter().map(|(seq_no, ..)| *seq_no).collect(),
            weights: Some(weights),
        }
    }

    #[test]
    fn pages_put_together_are_the_whole() {
        let all = [
            (1, 254, 1),
            (2, 255, 2),
            (9, 1, 3),
            (1 << 40, 70_000, 4),
            (1 << 41, 256, 5),
        ];
        for cut in 0..=all.len() {
            let mut joined = list(&all[..cut]);
            assert!(joined.append(list(&all[cut..])));
            assert_eq!(joined, list(&all), "{cut}");
        }
        let weights = list(&all).weights.expect("made with them");
        for (at, (_, frequency, norm_id)) in all.iter().enumerate() {
            assert_eq!(weights.get(at), (*frequency, *norm_id));
        }
    }

    #[test]
    fn what_does_not_come_later_or_has_no_weights_is_not_taken() {
        let mut joined = list(&[(1, 1, 1), (5, 1, 1)]);
        let before = joined.clone();
        assert!(!joined.append(list(&[(5, 1, 1)])));
        let bare = PostingList {
            weights: None,
            ..list(&[(6, 1, 1)])
        };
        assert!(!joined.append(bare));
        assert_eq!(joined, before);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let good = list(&[(1, 300, 7), (2, 3, 8)]);
        let (frequencies, large, norm_ids) = good.weights.as_ref().expect("with them").parts();
        let made = |large: &[(u64, u32)], norm_ids: &[u8]| {
            Weights::from_parts(frequencies.to_vec(), large.to_vec(), norm_ids.to_vec())
        };
        assert_eq!(made(large, norm_ids), good.weights);
        assert_eq!(made(&[], norm_ids), None, "a large one is missing");
        assert_eq!(made(&[(1, 300)], norm_ids), None, "at another position");
        assert_eq!(made(&[(9, 300)], norm_ids), None, "beyond the end");
        assert_eq!(made(large, &norm_ids[1..]), None, "a norm id is missing");
    }
}
