//! Fingerprints of resolved requests: equal requests have equal fingerprints, however they were
//! written down.
//!
//! A fingerprint is two XXH3-64 hashes (xxHash specification 0.1.1) with different seeds over the
//! JSON of the normalised tree. Names of variants and fields are part of it: a test vector freezes
//! them. It is no proof of equality against an attacker who looks for collisions.

use std::hash::Hasher;
use std::io;

use serde::Serialize;
use twox_hash::XxHash3_64;

use crate::resolved::{Clause, ShardQuery, simplify, simplify_filter};

/// Seeds of the two halves ("gleanfp1" and "gleanfp2" read as numbers).
const SEEDS: [u64; 2] = [0x676c_6561_6e66_7031, 0x676c_6561_6e66_7032];

/// Returns the fingerprint of `query` for cache keys and for the choice of a copy.
///
/// Left out are the statistics, which the generations searched decide, and the time, unless an
/// aggregation speaks of `now`. The order of `filter` and `must_not` does not matter; that of
/// `must` and `should` does, since scores are summed in it.
pub fn fingerprint(query: &ShardQuery) -> u128 {
    let ShardQuery {
        query: clause,
        post_filter,
        statistics: _,
        similarities,
        top,
        sort,
        after,
        search_after,
        track_scores,
        track_total,
        min_score,
        aggregations,
        aggregation_filters,
        terminate_after,
        now_ms,
    } = query;
    let filters: Vec<Clause> = aggregation_filters.iter().map(normal_filter).collect();
    let after = after.as_ref().map(|after| (&after.keys, &after.tie));
    let mut hash = Hash128::new();
    hash.add(&normal(clause));
    hash.add(&post_filter.as_ref().map(normal_filter));
    hash.add(&(top, sort, after, search_after));
    hash.add(&(track_scores, track_total, min_score, terminate_after));
    if !similarities.is_empty() {
        hash.add(similarities);
    }
    hash.add(&filters);
    let aggregations = json(aggregations);
    hash.write(&aggregations);
    if aggregations.windows(3).any(|bytes| bytes == b"now") {
        hash.add(now_ms);
    }
    hash.finish()
}

/// Returns the fingerprint of what `clause` matches, for filter caches: scores and the order of
/// clauses do not matter.
pub fn clause_fingerprint(clause: &Clause) -> u128 {
    let mut hash = Hash128::new();
    hash.add(&normal_filter(clause));
    hash.finish()
}

/// Returns a clause with the same matches and scores, unscored clauses in a fixed order.
fn normal(clause: &Clause) -> Clause {
    ordered(simplify(clause.clone()), true)
}

fn normal_filter(clause: &Clause) -> Clause {
    ordered(simplify_filter(clause.clone()), false)
}

/// Puts what is not scored in the order of its own JSON, from the leaves up.
fn ordered(clause: Clause, is_scored: bool) -> Clause {
    let each = |clauses: Vec<Clause>, is_scored: bool| -> Vec<Clause> {
        let mut clauses: Vec<Clause> = clauses
            .into_iter()
            .map(|clause| ordered(clause, is_scored))
            .collect();
        if !is_scored {
            clauses.sort_by_cached_key(json);
            clauses.dedup();
        }
        clauses
    };
    let one = |clause: Box<Clause>, is_scored| Box::new(ordered(*clause, is_scored));
    match clause {
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } => Clause::Bool {
            must: each(must, is_scored),
            // Doubles count towards the minimum, so only a minimum of one allows to drop them.
            should: if is_scored || minimum_should_match > 1 {
                should.into_iter().map(|c| ordered(c, is_scored)).collect()
            } else {
                each(should, false)
            },
            filter: each(filter, false),
            must_not: each(must_not, false),
            minimum_should_match,
        },
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => Clause::DisMax {
            clauses: each(clauses, is_scored),
            tie_breaker,
        },
        Clause::Constant(inner) => Clause::Constant(one(inner, false)),
        Clause::Demote {
            positive,
            negative,
            factor,
        } => Clause::Demote {
            positive: one(positive, is_scored),
            negative: one(negative, false),
            factor,
        },
        Clause::Boost { clause, factor } => Clause::Boost {
            clause: one(clause, is_scored),
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
    use std::sync::Arc;

    use gleaner_model::FieldPath;
    use serde_json::json;

    use super::*;
    use crate::aggregation::{Aggregation, AggregationKind};
    use crate::limits::Limits;
    use crate::resolved::{Bm25, Pattern, Scalar, Similarities, Statistics};
    use crate::search::{TrackTotal, parse_sort};

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

    fn asked(query: Clause) -> ShardQuery {
        ShardQuery {
            query,
            post_filter: Some(term("rust")),
            statistics: Arc::new(Statistics::default()),
            similarities: Similarities::default(),
            top: 10,
            sort: parse_sort(&json!([{"year": "desc"}, "_score"])).expect("sort"),
            after: None,
            search_after: None,
            track_scores: true,
            track_total: TrackTotal::default(),
            min_score: Some(0.5),
            aggregations: Arc::new(Vec::new()),
            aggregation_filters: Arc::new(Vec::new()),
            terminate_after: None,
            now_ms: 0,
        }
    }

    #[test]
    fn fingerprints_are_frozen() {
        let query = asked(boolean(vec![term("a"), term("b")], filters()));
        let lines = format!(
            "{:032x}\n{:032x}\n",
            fingerprint(&query),
            clause_fingerprint(&query.query)
        );
        assert_eq!(lines, include_str!("canonical/vectors.txt"));
    }

    #[test]
    fn order_and_number_of_filters_do_not_matter() {
        let mut reversed = filters();
        reversed.reverse();
        reversed.push(Clause::MatchAll);
        reversed.push(filters().remove(0));
        let one = asked(boolean(vec![term("a"), term("b")], filters()));
        let two = asked(boolean(vec![term("a"), term("b")], reversed));
        assert_eq!(fingerprint(&one), fingerprint(&two));
        let swapped = boolean(vec![term("b"), term("a")], filters());
        assert_ne!(fingerprint(&one), fingerprint(&asked(swapped.clone())));
        assert_eq!(clause_fingerprint(&one.query), clause_fingerprint(&swapped));
    }

    #[test]
    fn each_slice_is_another_search_and_another_filter() {
        let slices = [(0, 2), (1, 2), (0, 3)];
        let slices =
            slices.map(|(id, max)| boolean(vec![term("a")], vec![Clause::Slice { id, max }]));
        let mut searches: Vec<u128> = slices
            .iter()
            .cloned()
            .map(asked)
            .map(|q| fingerprint(&q))
            .collect();
        let mut filters: Vec<u128> = slices.iter().map(clause_fingerprint).collect();
        for seen in [&mut searches, &mut filters] {
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 3);
        }
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

    #[test]
    fn every_part_that_changes_the_answer_counts() {
        let base = || asked(term("a"));
        let mut others: [ShardQuery; 8] = std::array::from_fn(|_| base());
        others[0].top = 11;
        others[1].sort.clear();
        others[2].post_filter = None;
        others[3].min_score = None;
        others[4].track_total = TrackTotal::Exact;
        others[5].query = term("b");
        others[6].aggregation_filters = Arc::new(vec![term("c")]);
        let similarity = Bm25::new(2.0, 0.75).expect("in range");
        let fields = [(FieldPath::new("title"), similarity)];
        others[7].similarities = fields.into_iter().collect();
        let mut seen: Vec<u128> = others.iter().map(fingerprint).collect();
        seen.push(fingerprint(&base()));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn time_counts_only_where_an_aggregation_speaks_of_now() {
        let at = |now_ms, value: &str| {
            let query = json!({"range": {"day": {"gte": value}}});
            let filter = crate::dsl::parse_query(&query, &Limits::default()).expect("range");
            let aggregation = Aggregation {
                name: "recent".to_owned(),
                kind: AggregationKind::Filter(filter),
                sub: Vec::new(),
                meta: None,
            };
            let aggregations = Arc::new(vec![aggregation]);
            fingerprint(&ShardQuery {
                aggregations,
                now_ms,
                ..asked(term("a"))
            })
        };
        assert_eq!(at(1, "2024"), at(2, "2024"));
        assert_ne!(at(1, "now-1d"), at(2, "now-1d"));
    }
}
