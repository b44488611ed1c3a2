//! Requests in one form, however they were written down: fingerprints of clauses, keys and editions of answers.
//!
//! Clauses that match alike by their form have equal fingerprints. A fingerprint is two XXH3-64 hashes (xxHash
//! specification 0.1.1) with different seeds over the JSON of the normalised tree. Names of variants and fields are
//! part of it: a test vector freezes them. It is no proof of equality against an attacker who looks for collisions:
//! what keeps answers for others to see takes [`answer::answer_key`] and [`edition::edition`], which are BLAKE3.

pub mod answer;
pub mod edition;
mod now;
mod order;

use std::hash::Hasher;
use std::io;

use serde::Serialize;
use twox_hash::XxHash3_64;

use crate::resolved::{Clause, simplify_filter};

/// Seeds of the two halves ("gleanfp1" and "gleanfp2" read as numbers).
const SEEDS: [u64; 2] = [0x676c_6561_6e66_7031, 0x676c_6561_6e66_7032];

/// Returns the fingerprint of what `clause` matches, for the choice of a copy: scores and the order of
/// clauses do not matter.
pub fn clause_fingerprint(clause: &Clause) -> u128 {
    let mut hash = Hash128::new();
    hash.add(&ordered(simplify_filter(clause.clone())));
    hash.finish()
}

/// Puts the clauses inside in the order of their own JSON, each once, from the leaves up.
fn ordered(clause: Clause) -> Clause {
    let all = |clauses: Vec<Clause>| clauses.into_iter().map(ordered).collect::<Vec<_>>();
    let each = |clauses: Vec<Clause>| {
        let mut clauses = all(clauses);
        clauses.sort_by_cached_key(json);
        clauses.dedup();
        clauses
    };
    let one = |clause: Box<Clause>| Box::new(ordered(*clause));
    match clause {
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } => Clause::Bool {
            must: each(must),
            // Doubles count towards the minimum, so only a minimum of one allows to drop them.
            should: match minimum_should_match > 1 {
                true => all(should),
                false => each(should),
            },
            filter: each(filter),
            must_not: each(must_not),
            minimum_should_match,
        },
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => Clause::DisMax {
            clauses: each(clauses),
            tie_breaker,
        },
        Clause::Constant(inner) => Clause::Constant(one(inner)),
        Clause::Demote {
            positive,
            negative,
            factor,
        } => Clause::Demote {
            positive: one(positive),
            negative: one(negative),
            factor,
        },
        Clause::Boost { clause, factor } => Clause::Boost {
            clause: one(clause),
            factor,
        },
        leaf => leaf,
    }
}

/// Returns the JSON of `value`.
fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("trees have string keys only and memory does not fail")
}

/// Two hashes over the same bytes.
struct Hash128([XxHash3_64; 2]);

impl Hash128 {
    fn new() -> Self {
        Self(SEEDS.map(XxHash3_64::with_seed))
    }

    /// Adds the JSON of `value`, which ends where it ends: no two sequences of values are alike.
    fn add<T: Serialize>(&mut self, value: &T) {
        serde_json::to_writer(&mut *self, value)
            .expect("trees have string keys only and hashing does not fail");
        self.write(b"\n");
    }

    fn write(&mut self, bytes: &[u8]) {
        for half in &mut self.0 {
            half.write(bytes);
        }
    }

    fn finish(self) -> u128 {
        let [high, low] = self.0.map(|half| half.finish());
        u128::from(high) << 64 | u128::from(low)
    }
}

impl io::Write for Hash128 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Hash128::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use gleaner_model::FieldPath;

    use super::*;
    use crate::resolved::{Pattern, Scalar};

    fn term(text: &str) -> Clause {
        Clause::Term {
            field: FieldPath::new("title"),
            term: text.to_owned(),
        }
    }

    fn boolean(must: Vec<Clause>, filter: Vec<Clause>) -> Clause {
        Clause::Bool {
            must,
            should: Vec::new(),
            filter,
            must_not: Vec::new(),
            minimum_should_match: 0,
        }
    }

    fn filters() -> Vec<Clause> {
        let field = FieldPath::new("year");
        vec![
            Clause::Range {
                field: field.clone(),
                lower: Bound::Included(Scalar::I64(1990)),
                upper: Bound::Unbounded,
            },
            Clause::Pattern {
                field,
                pattern: Pattern::Prefix {
                    prefix: "ab".to_owned(),
                    ignore_case: false,
                },
            },
        ]
    }

    #[test]
    fn fingerprints_are_frozen() {
        let query = boolean(vec![term("a"), term("b")], filters());
        let line = format!("{:032x}\n", clause_fingerprint(&query));
        assert_eq!(line, include_str!("canonical/vectors.txt"));
    }

    #[test]
    fn order_and_number_of_clauses_do_not_matter() {
        let mut reversed = filters();
        reversed.reverse();
        reversed.push(Clause::MatchAll);
        reversed.push(filters().remove(0));
        let one = boolean(vec![term("a"), term("b")], filters());
        let two = boolean(vec![term("b"), term("a")], reversed);
        assert_eq!(clause_fingerprint(&one), clause_fingerprint(&two));
    }

    #[test]
    fn each_slice_is_another_filter() {
        let slices = [(0, 2), (1, 2), (0, 3)];
        let slices =
            slices.map(|(id, max)| boolean(vec![term("a")], vec![Clause::Slice { id, max }]));
        let mut seen = slices.map(|slice| clause_fingerprint(&slice));
        seen.sort_unstable();
        assert!(seen.windows(2).all(|two| two[0] != two[1]));
    }

    #[test]
    fn zeros_of_both_signs_are_two_filters() {
        let up_to = |zero: f64| Clause::Range {
            field: FieldPath::new("price"),
            lower: Bound::Unbounded,
            upper: Bound::Included(Scalar::F64(zero)),
        };
        let any = |should| Clause::Bool {
            must: Vec::new(),
            should,
            filter: Vec::new(),
            must_not: Vec::new(),
            minimum_should_match: 1,
        };
        let both = clause_fingerprint(&any(vec![up_to(-0.0), up_to(0.0)]));
        let one = clause_fingerprint(&any(vec![up_to(-0.0), up_to(-0.0)]));
        assert_ne!(both, one);
    }
}
