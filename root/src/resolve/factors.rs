//! Factors on scores: how large they may become where queries stand inside queries.

use gleaner_query::QueryError;
use gleaner_query::resolved::{Bm25, Clause, Similarities};

/// The largest product of factors on one clause. The largest score is 3.4e38: what is left is room
/// for what is multiplied, over all the clauses whose scores are added.
const MAX_PRODUCT: f32 = 1e30;

/// Refuses a query whose scores could be beyond any number; one alone makes no order of them. A k1 that
/// is larger than the default one counts as a factor.
///
/// # Errors
/// [`QueryError`] naming the product.
pub(crate) fn check_factors(query: &Clause, similarities: &Similarities) -> Result<(), QueryError> {
    check(query, similarities.largest_gain() / Bm25::DEFAULT.gain())
}

fn check(clause: &Clause, product: f64) -> Result<(), QueryError> {
    if product.is_nan() || product > f64::from(MAX_PRODUCT) {
        return Err(QueryError::illegal(format!(
            "the boosts of a query and of those around it, and the [k1] of its fields, multiply to \
             [{product:e}], but at most [{MAX_PRODUCT:e}] can be scored"
        )));
    }
    let factor = match clause {
        Clause::Boost { factor, .. } => *factor,
        Clause::Demote { factor, .. } => factor.max(1.0),
        Clause::Across { weights, .. } => weights.iter().copied().fold(1.0, f32::max),
        _ => 1.0,
    };
    let mut inside = clause.scored_children();
    inside.try_for_each(|clause| check(clause, product * f64::from(factor)))
}

#[cfg(test)]
mod tests {
    use gleaner_model::FieldPath;

    use super::*;
    use crate::resolve::{all_of, boosted};

    #[test]
    fn factors_inside_factors_are_multiplied() {
        let inner = |factor| all_of(vec![Clause::MatchAll, boosted(Clause::MatchAll, factor)]);
        let check = |query: &Clause| check_factors(query, &Similarities::default());
        assert!(check(&boosted(inner(1e30), 1.0)).is_ok());
        assert!(check(&boosted(inner(1e20), 1e9)).is_ok());
        for (one, other) in [(1e38, 1e38), (1e20, 1e11), (1.0, f32::INFINITY)] {
            let error = check(&boosted(inner(one), other)).expect_err("refused");
            assert!(error.to_string().contains("multiply"), "{error}");
        }
    }

    #[test]
    fn a_large_k1_is_a_factor() {
        let query = boosted(Clause::MatchAll, 1e25);
        let with = |k1| {
            let similarity = Bm25::new(k1, 0.75).expect("in range");
            [(FieldPath::new("body"), similarity)].into_iter().collect()
        };
        assert!(check_factors(&query, &with(2.0)).is_ok());
        assert!(check_factors(&query, &with(1e6)).is_err());
    }
}
