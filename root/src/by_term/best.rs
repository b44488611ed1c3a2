//! The best documents of all shards by score, as far as scores decide: those above the k-th score, and
//! those at it, of which only the tie-break tells which belong to the k.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use roaring::RoaringTreemap;

/// Candidates kept at least before those that have fallen behind are thrown out.
const ROOM: usize = 65_536;

/// A score in the order of all floats.
#[derive(Debug, Clone, Copy)]
struct Score(f32);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

/// A document that may be among the best.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: Score,
    shard: usize,
    seq_no: u64,
}

/// Keeps the best `top`, and all that tie with the last of them.
pub(super) struct Best {
    top: usize,
    room: usize,
    /// The `top` best scores.
    scores: BinaryHeap<Reverse<Score>>,
    open: Vec<Candidate>,
    /// Documents at `tied_score`, by shard.
    tied: Vec<RoaringTreemap>,
    tied_score: Option<Score>,
}

/// What a shard has among the best.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OfShard {
    /// Documents above the k-th score, with theirs.
    pub(super) above: Vec<(u64, f32)>,
    /// Documents at the k-th score.
    pub(super) tied: RoaringTreemap,
}

/// The best of all shards.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct BestHits {
    pub(super) shards: Vec<OfShard>,
    /// The k-th score.
    pub(super) tied_score: f32,
    /// How many of the tied are among the best.
    pub(super) num_tied: usize,
}

impl Best {
    pub(super) fn new(top: usize, num_shards: usize) -> Self {
        Self {
            top,
            room: ROOM.max(2 * top),
            scores: BinaryHeap::new(),
            open: Vec::new(),
            tied: vec![RoaringTreemap::new(); num_shards],
            tied_score: None,
        }
    }

    /// Takes a document in if its score is enough so far.
    pub(super) fn offer(&mut self, score: f32, shard: usize, seq_no: u64) {
        let score = Score(score);
        if self.scores.len() < self.top {
            self.scores.push(Reverse(score));
        } else {
            match self.scores.peek() {
                Some(Reverse(least)) if score >= *least => {
                    if score > *least {
                        self.scores.pop();
                        self.scores.push(Reverse(score));
                    }
                }
                _ => return,
            }
        }
        self.open.push(Candidate {
            score,
            shard,
            seq_no,
        });
        if self.open.len() >= self.room {
            self.sort_out();
        }
    }

    /// Throws out what has fallen behind, and puts what ties with the last apart.
    fn sort_out(&mut self) {
        if self.scores.len() < self.top {
            return;
        }
        let Some(Reverse(least)) = self.scores.peek().copied() else {
            return;
        };
        if self.tied_score != Some(least) {
            self.tied.iter_mut().for_each(RoaringTreemap::clear);
            self.tied_score = Some(least);
        }
        let tied = &mut self.tied;
        self.open.retain(|candidate| {
            if candidate.score == least {
                tied[candidate.shard].insert(candidate.seq_no);
            }
            candidate.score > least
        });
    }

    pub(super) fn finish(mut self) -> BestHits {
        self.sort_out();
        let num_tied = match self.tied_score {
            Some(_) => self.top - self.open.len(),
            None => 0,
        };
        let of_shard = |tied| OfShard {
            above: Vec::new(),
            tied,
        };
        let mut shards: Vec<OfShard> = self.tied.into_iter().map(of_shard).collect();
        for candidate in self.open {
            let above = &mut shards[candidate.shard].above;
            above.push((candidate.seq_no, candidate.score.0));
        }
        BestHits {
            shards,
            tied_score: self.tied_score.map_or(0.0, |score| score.0),
            num_tied,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(offered: &[(u8, usize)], top: usize, room: usize) -> BestHits {
        let mut best = Best::new(top, 3);
        best.room = room.max(2 * top);
        for (seq_no, (score, shard)) in (0..).zip(offered) {
            best.offer(f32::from(*score), *shard, seq_no);
        }
        best.finish()
    }

    proptest! {
        #[test]
        fn they_are_the_k_best_and_all_that_tie_with_the_last(
            offered in proptest::collection::vec((0_u8..6, 0_usize..3), 0..200),
            top in 0_usize..40,
            room in 1_usize..50,
        ) {
            let chosen = chosen(&offered, top, room);
            let mut scores: Vec<u8> = offered.iter().map(|(score, _)| *score).collect();
            scores.sort_unstable_by_key(|score| Reverse(*score));
            let least = top.checked_sub(1).and_then(|last| scores.get(last)).copied();
            let mut num_above = 0;
            for shard in 0..3 {
                let own = (0_u64..).zip(&offered).filter(|(_, (_, of))| *of == shard);
                let (mut above, mut tied) = (Vec::new(), RoaringTreemap::new());
                for (seq_no, (score, _)) in own {
                    match least {
                        Some(least) if *score == least => {
                            tied.insert(seq_no);
                        }
                        Some(least) if *score < least => {}
                        _ if top == 0 => {}
                        _ => above.push((seq_no, f32::from(*score))),
                    }
                }
                num_above += above.len();
                let mut seen = chosen.shards[shard].clone();
                seen.above.sort_unstable_by_key(|(seq_no, _)| *seq_no);
                prop_assert_eq!(seen, OfShard { above, tied });
            }
            let wanted = least.map_or(0, |_| top - num_above);
            prop_assert_eq!(chosen.num_tied, wanted);
            if let Some(least) = least {
                prop_assert_eq!(chosen.tied_score, f32::from(least));
            }
        }
    }
}
