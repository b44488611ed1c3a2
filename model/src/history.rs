//! The history of a shard: which records a log holds, told so that two copies can compare theirs.
//!
//! A position is written once under a primary term, by the primary of that term. So two logs that have
//! a record of the same term at the same position have the same records up to there, and where each
//! term begins tells how far two logs agree, also where their records are trimmed. A hash over all
//! records is a second witness for logs of the same length.

use serde::{Deserialize, Serialize};

use crate::{PrimaryTerm, SeqNo};

/// Terms that a history remembers; older ones are forgotten. A primary takes one at each opening.
const MAX_TERMS: usize = 1_024;

/// Which records a log holds or has held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Position after the last durable record.
    pub next: SeqNo,
    /// Where terms begin in it.
    pub terms: Terms,
    /// Hash over all records; `None` where it is not known.
    pub chain: Option<Chain>,
}

/// Where terms begin in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Terms of records below are not known.
    pub known_from: SeqNo,
    /// Each term with the position of its first record from there on, both ascending.
    pub starts: Vec<(PrimaryTerm, SeqNo)>,
}

/// A hash over all records of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Names what the hash began with: hashes of different origins cannot be compared.
    pub origin: u64,
    /// The hash.
    pub hash: u64,
}

/// What a history holds of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// All of it.
    Holds,
    /// All that it is long; the other goes on with records from this position on.
    Lacks(SeqNo),
    /// Both hold records of their own from this position on.
    Parts(SeqNo),
    /// That cannot be told: what is known of their terms does not meet.
    Unknown,
}

impl Terms {
    /// Returns the term of the record at `position`; `None` where it is not known.
    pub fn at(&self, position: SeqNo) -> Option<PrimaryTerm> {
        if position < self.known_from {
            return None;
        }
        let begun = self.starts.iter().rev();
        let mut begun = begun.skip_while(|(_, start)| *start > position);
        begun.next().map(|(term, _)| *term)
    }

    /// Notes that `term` begins at `position`, unless that is known; returns whether it was not. Terms
    /// that were to begin there or later never had a record.
    pub fn begin(&mut self, term: PrimaryTerm, position: SeqNo) -> bool {
        if self
            .starts
            .last()
            .is_some_and(|(last, start)| *last >= term && *start <= position)
        {
            return false;
        }
        if self.starts.is_empty() {
            self.known_from = position;
        }
        self.starts.retain(|(_, start)| *start < position);
        self.known_from = self.known_from.min(position);
        self.starts.push((term, position));
        if self.starts.len() > MAX_TERMS {
            self.starts.remove(0);
            self.known_from = self.starts[0].1;
        }
        true
    }

    /// Forgets terms that begin beyond `next`: a log that ends there has no record of them.
    pub fn end(&mut self, next: SeqNo) {
        self.starts.retain(|(_, start)| *start <= next);
        self.known_from = self.known_from.min(next);
    }
}

impl History {
    /// Returns what this history holds of `other`.
    pub fn relation_to(&self, other: &Self) -> Relation {
        let shared = self.next.min(other.next);
        match self.agrees_below(shared, other) {
            None => Relation::Unknown,
            Some(false) => Relation::Parts(self.parting(shared, other)),
            Some(true) if other.next > self.next => Relation::Lacks(self.next),
            Some(true) if self.next == other.next && self.has_other_hash(other) => {
                Relation::Parts(SeqNo(shared.0.saturating_sub(1)))
            }
            Some(true) => Relation::Holds,
        }
    }

    /// Returns whether both have the same records below `shared`, which is the length of one of them.
    fn agrees_below(&self, shared: SeqNo, other: &Self) -> Option<bool> {
        let Some(last) = shared.0.checked_sub(1).map(SeqNo) else {
            return Some(true);
        };
        match (self.terms.at(last), other.terms.at(last)) {
            (Some(one), Some(another)) => Some(one == another),
            (Some(known), None) => other.terms.agrees_before(known),
            (None, Some(known)) => self.terms.agrees_before(known),
            (None, None) => self.terms.meet_at(shared, &other.terms).then_some(true),
        }
    }

    /// Returns the first position from which on they are known to differ.
    fn parting(&self, shared: SeqNo, other: &Self) -> SeqNo {
        let starts = self.terms.starts.iter().chain(&other.terms.starts);
        let differing = starts
            .map(|(_, start)| *start)
            .filter(|start| *start < shared && self.terms.at(*start) != other.terms.at(*start));
        let known_from = self.terms.known_from.max(other.terms.known_from);
        differing
            .min()
            .unwrap_or(known_from)
            .max(known_from)
            .min(shared)
    }

    fn has_other_hash(&self, other: &Self) -> bool {
        match (self.chain, other.chain) {
            (Some(one), Some(another)) => one.origin == another.origin && one.hash != another.hash,
            _ => false,
        }
    }
}

impl Terms {
    /// Returns whether the same term begins at `position` in both logs: then both have all records that its
    /// primary had before, also where neither has one of its records yet.
    fn meet_at(&self, position: SeqNo, other: &Self) -> bool {
        let begins = |(_, start): &&(PrimaryTerm, SeqNo)| *start == position;
        let begun = self.starts.iter().find(begins);
        begun.is_some() && begun == other.starts.iter().find(begins)
    }

    /// Returns whether a record of term `earlier`, at a position before those that are known, is in this
    /// log: it is when its term still goes on where they begin.
    fn agrees_before(&self, earlier: PrimaryTerm) -> Option<bool> {
        let (first, _) = self.starts.first()?;
        match earlier.cmp(first) {
            std::cmp::Ordering::Equal => Some(true),
            std::cmp::Ordering::Greater => Some(false),
            std::cmp::Ordering::Less => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(next: u64, starts: &[(u64, u64)]) -> History {
        let starts = starts.iter();
        let starts: Vec<_> = starts
            .map(|(term, at)| (PrimaryTerm(*term), SeqNo(*at)))
            .collect();
        History {
            next: SeqNo(next),
            terms: Terms {
                known_from: starts.first().map_or(SeqNo(next), |(_, at)| *at),
                starts,
            },
            chain: None,
        }
    }

    #[test]
    fn a_history_holds_what_is_shorter_and_lacks_what_is_longer() {
        let (old, new) = (history(100, &[(1, 0)]), history(300, &[(1, 0), (2, 200)]));
        assert_eq!(new.relation_to(&old), Relation::Holds);
        assert_eq!(old.relation_to(&new), Relation::Lacks(SeqNo(100)));
        assert_eq!(new.relation_to(&new), Relation::Holds);
        let empty = history(0, &[]);
        assert_eq!(new.relation_to(&empty), Relation::Holds);
        assert_eq!(empty.relation_to(&new), Relation::Lacks(SeqNo(0)));
        // A term without a record yet.
        let opened = history(100, &[(1, 0), (3, 100)]);
        assert_eq!(opened.relation_to(&new), Relation::Lacks(SeqNo(100)));
    }

    #[test]
    fn logs_that_one_term_goes_on_from_agree_though_what_was_before_is_forgotten() {
        // Made from a primary's files at 100, where nothing older was known, and away since.
        let (copy, primary) = (history(100, &[(3, 100)]), history(300, &[(3, 100)]));
        assert_eq!(primary.relation_to(&copy), Relation::Holds);
        assert_eq!(copy.relation_to(&primary), Relation::Lacks(SeqNo(100)));
        let another = history(300, &[(4, 100)]);
        assert_eq!(another.relation_to(&copy), Relation::Unknown);
        let later = history(300, &[(3, 101)]);
        assert_eq!(later.relation_to(&copy), Relation::Unknown);
    }

    #[test]
    fn histories_part_where_a_term_begins_in_one_of_them_only() {
        let kept = history(300, &[(1, 0), (2, 200)]);
        for (next, parting) in [(101, 100), (300, 100), (900, 100)] {
            let restored = history(next, &[(1, 0), (3, 100)]);
            let relation = restored.relation_to(&kept);
            assert_eq!(relation, Relation::Parts(SeqNo(parting)), "{next}");
        }
    }

    #[test]
    fn a_term_that_goes_on_tells_of_records_before_what_is_known() {
        let known_late = history(300, &[(2, 250)]);
        assert_eq!(
            known_late.relation_to(&history(200, &[(2, 150)])),
            Relation::Holds
        );
        assert_eq!(
            known_late.relation_to(&history(200, &[(1, 0)])),
            Relation::Unknown
        );
        let newer = history(200, &[(3, 150)]);
        assert!(matches!(known_late.relation_to(&newer), Relation::Parts(_)));
        let unknown = history(300, &[]);
        assert_eq!(unknown.relation_to(&history(10, &[])), Relation::Unknown);
    }

    #[test]
    fn equal_lengths_are_told_apart_by_the_hash_of_one_origin() {
        let with = |origin, hash| History {
            chain: Some(Chain { origin, hash }),
            ..history(10, &[(1, 0)])
        };
        assert_eq!(with(1, 5).relation_to(&with(1, 5)), Relation::Holds);
        assert_eq!(with(1, 5).relation_to(&with(2, 6)), Relation::Holds);
        assert_eq!(
            with(1, 5).relation_to(&with(1, 6)),
            Relation::Parts(SeqNo(9))
        );
    }

    #[test]
    fn a_term_takes_the_place_of_those_that_had_no_record() {
        let mut terms = Terms::default();
        assert!(terms.begin(PrimaryTerm(1), SeqNo(0)));
        assert!(!terms.begin(PrimaryTerm(1), SeqNo(7)));
        assert!(terms.begin(PrimaryTerm(2), SeqNo(7)));
        assert!(terms.begin(PrimaryTerm(4), SeqNo(7)));
        assert_eq!(terms.starts.len(), 2);
        assert_eq!(terms.at(SeqNo(6)), Some(PrimaryTerm(1)));
        assert_eq!(terms.at(SeqNo(7)), Some(PrimaryTerm(4)));
        terms.end(SeqNo(6));
        assert_eq!(terms.at(SeqNo(7)), Some(PrimaryTerm(1)));
        for term in 5..5 + 2 * MAX_TERMS as u64 {
            terms.begin(PrimaryTerm(term), SeqNo(term * 10));
        }
        assert_eq!(terms.starts.len(), MAX_TERMS);
        assert_eq!(terms.at(SeqNo(6)), None, "it is forgotten");
    }
}
