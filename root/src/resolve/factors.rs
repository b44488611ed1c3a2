//! Factors on scores: how large they may become where queries stand inside queries.

use gleaner_query::QueryError;
use gleaner_query::resolved::Clause;

/// The largest product of factors on one clause. The largest score is 3.4e38: what is left is room
/// for what is multiplied, over all the clauses whose scores are added.
const MAX_PRODUCT: f32 = 1e30;

/// Refuses a query whose scores could be beyond any number; one alone makes no order of them.
///
/// # Errors
/// [`QueryError`] naming the product.
pub(crate) fn check_factors(query: &Clause) -> Result<(), QueryError> {
    check(query, 1.0)
}

fn check(clause: &Clause, product: f64) -> Result<(), QueryError> {
    if product.is_nan() || product > f64::from(MAX_PRODUCT) {
        return Err(QueryError::illegal(format!(
            "the boosts of a query and of those around it multiply to [{product:e}], but at most \
             [{MAX_PRODUCT:e}] can be scored"
        )));
    }
    let all = |clauses: &[Clause]| clauses.iter().try_for_each(|clause| check(clause, product));
    match clause {
        Clause::Boost { clause, factor } => check(clause, product * f64::from(*factor)),
        Clause::Bool { must, should, .. } => all(must).and_then(|()| all(should)),
        Clause::DisMax { clauses, .. } => all(clauses),
        Clause::Demote {
            positive, factor, ..
        } => check(positive, product * f64::from(factor.max(1.0))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::{all_of, boosted};

    #[test]
    fn factors_inside_factors_are_multiplied() {
        let inner = |factor| all_of(vec![Clause::MatchAll, boosted(Clause::MatchAll, factor)]);
        assert!(check_factors(&boosted(inner(1e30), 1.0)).is_ok());
        assert!(check_factors(&boosted(inner(1e20), 1e9)).is_ok());
        for (one, other) in [(1e38, 1e38), (1e20, 1e11), (1.0, f32::INFINITY)] {
            let error = check_factors(&boosted(inner(one), other)).expect_err("refused");
            assert!(error.to_string().contains("multiply"), "{error}");
        }
    }
}
