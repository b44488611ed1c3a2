//! How good a ranking is, measured against judgements as `trec_eval` does.
//!
//! Gains are the grades themselves (`ndcg_cut`, as BEIR reports it), not 2^grade − 1; the discount
//! of rank r, from 1, is 1 / log2(r + 1). A query without a relevant document is not counted; one
//! without an answer counts as 0.

use std::collections::BTreeMap;

use crate::Judgements;

/// Grades of one query's documents.
type Grades = BTreeMap<String, u32>;

/// Means over the queries of a collection, each between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Normalised discounted cumulative gain of the first k.
    pub ndcg: f64,
    /// The share of the relevant documents among the first k.
    pub recall: f64,
    /// 1 / rank of the first relevant document among the first k.
    pub mrr: f64,
    /// How many queries the means are over.
    pub num_queries: usize,
}

/// Evaluates `run`, the ranked ids of each query, best first, over all queries with judgements.
///
/// All scores are 0 when nothing was judged.
pub fn evaluate(run: &BTreeMap<String, Vec<String>>, judgements: &Judgements, k: usize) -> Scores {
    let mut scores = Scores {
        ndcg: 0.0,
        recall: 0.0,
        mrr: 0.0,
        num_queries: 0,
    };
    for query in judgements.queries() {
        let ranked = run.get(query).map_or(&[][..], Vec::as_slice);
        let Some(grades) = judgements.of_query(query) else {
            continue;
        };
        scores.ndcg += ndcg(ranked, grades, k);
        scores.recall += recall(ranked, grades, k);
        scores.mrr += reciprocal_rank(ranked, grades, k);
        scores.num_queries += 1;
    }
    let divisor = scores.num_queries.max(1) as f64;
    Scores {
        ndcg: scores.ndcg / divisor,
        recall: scores.recall / divisor,
        mrr: scores.mrr / divisor,
        ..scores
    }
}

/// Returns the normalised discounted cumulative gain of the first `k` of `ranked`.
///
/// 1 is the best possible order of the judged documents; 0 when none is relevant.
pub fn ndcg(ranked: &[String], grades: &Grades, k: usize) -> f64 {
    let mut ideal: Vec<u32> = grades.values().copied().collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = discounted_gain(ideal.into_iter().take(k));
    let found = discounted_gain(ranked.iter().take(k).map(|id| grade(grades, id)));
    if best == 0.0 { 0.0 } else { found / best }
}

/// Returns the share of the relevant documents that is among the first `k` of `ranked`.
pub fn recall(ranked: &[String], grades: &Grades, k: usize) -> f64 {
    let num_relevant = grades.values().filter(|grade| **grade > 0).count();
    let num_found = ranked
        .iter()
        .take(k)
        .filter(|id| grade(grades, id) > 0)
        .count();
    if num_relevant == 0 {
        0.0
    } else {
        num_found as f64 / num_relevant as f64
    }
}

/// Returns 1 / rank of the first relevant document among the first `k`; 0 when there is none.
pub fn reciprocal_rank(ranked: &[String], grades: &Grades, k: usize) -> f64 {
    let first = ranked.iter().take(k).position(|id| grade(grades, id) > 0);
    first.map_or(0.0, |index| 1.0 / (index + 1) as f64)
}

fn grade(grades: &Grades, id: &str) -> u32 {
    grades.get(id).copied().unwrap_or(0)
}

fn discounted_gain(gains: impl Iterator<Item = u32>) -> f64 {
    gains
        .enumerate()
        .map(|(index, gain)| f64::from(gain) / ((index + 2) as f64).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn grades() -> Grades {
        [("a", 3), ("b", 2), ("c", 1), ("d", 0)]
            .map(|(id, grade)| (id.to_owned(), grade))
            .into()
    }

    fn assert_near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6, "{found}, wanted {wanted}");
    }

    #[test]
    fn ndcg_is_as_computed_by_hand() {
        // best: 3/1 + 2/1.5849625 + 1/2 = 4.7618595; found: b at 1, x at 2, a at 3.
        assert_near(ndcg(&ids("b x a"), &grades(), 3), (2.0 + 1.5) / 4.761_859_5);
        // With k = 2 the best is 3 + 1.2618595, and only b counts.
        assert_near(ndcg(&ids("b x a"), &grades(), 2), 2.0 / 4.261_859_5);
        assert_near(ndcg(&ids("a b c d"), &grades(), 10), 1.0);
        assert_near(ndcg(&[], &grades(), 10), 0.0);
    }

    #[test]
    fn recall_and_reciprocal_rank_are_as_computed_by_hand() {
        assert_near(recall(&ids("d c x a"), &grades(), 4), 2.0 / 3.0);
        assert_near(recall(&ids("d c x a"), &grades(), 3), 1.0 / 3.0);
        assert_near(reciprocal_rank(&ids("d c x a"), &grades(), 10), 0.5);
        assert_near(reciprocal_rank(&ids("d c x a"), &grades(), 1), 0.0);
    }

    #[test]
    fn a_query_without_an_answer_counts_and_one_without_relevant_documents_does_not() {
        let mut judgements = Judgements::default();
        judgements.insert("q1", "a", 1);
        judgements.insert("q2", "a", 1);
        judgements.insert("q3", "a", 0);
        let run = [("q1".to_owned(), ids("x a")), ("q3".to_owned(), ids("a"))].into();
        let scores = evaluate(&run, &judgements, 10);
        assert_eq!(scores.num_queries, 2);
        assert_near(scores.mrr, 0.25);
        assert_near(scores.recall, 0.5);
        assert_near(scores.ndcg, 0.630_929_75 / 2.0);
        assert_eq!(evaluate(&run, &Judgements::default(), 10).num_queries, 0);
    }
}
