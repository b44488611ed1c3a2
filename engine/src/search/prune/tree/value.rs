//! How the scores of terms become that of a document.

/// Words combined; terms by their places among those of the plan.
#[derive(Debug)]
pub(in crate::search) enum Tree {
    /// A term.
    Term(usize),
    /// All of some, and at least so many of others, added up in this order.
    Sum {
        must: Vec<Tree>,
        should: Vec<Tree>,
        minimum: usize,
    },
    /// The best of some, and a share of the others, from none to all.
    Best { nodes: Vec<Tree>, tie_breaker: f64 },
}

impl Tree {
    /// Returns a tree of which at least one of `should` must match.
    pub(in crate::search) fn any(should: Vec<Self>) -> Self {
        Self::Sum {
            must: Vec::new(),
            should,
            minimum: 1,
        }
    }

    /// Returns the score of a document, given those of its terms, 0 where a term is absent; 0 if it does
    /// not match.
    ///
    /// Adds up as `score::canonical` does, so that scores are the same to the bit. Given bounds of its
    /// terms' scores it is a bound of the document's: it never falls when one of them grows. Nor is it
    /// more than their sum. Both but for roundings, which the bounds' margin covers.
    pub(super) fn value(&self, parts: &[f64]) -> f64 {
        match self {
            Self::Term(at) => parts[*at],
            Self::Sum {
                must,
                should,
                minimum,
            } => sum(must, should, *minimum, parts),
            Self::Best { nodes, tie_breaker } => {
                let (mut best, mut sum) = (0.0, 0.0);
                for node in nodes {
                    let value = node.value(parts);
                    best = f64::max(best, value);
                    sum += value;
                }
                best + tie_breaker * (sum - best)
            }
        }
    }
}

fn sum(must: &[Tree], should: &[Tree], minimum: usize, parts: &[f64]) -> f64 {
    let mut sum = 0.0;
    for node in must {
        let value = node.value(parts);
        if value == 0.0 {
            return 0.0;
        }
        sum += value;
    }
    let mut num_matching = 0;
    for node in should {
        let value = node.value(parts);
        sum += value;
        num_matching += usize::from(value > 0.0);
    }
    if num_matching >= minimum { sum } else { 0.0 }
}
