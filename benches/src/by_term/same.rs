//! Whether both ways answer the same, to the bit.

use std::fmt;

use anyhow::Result;
use gleaner_root::SearchResponse;
use gleaner_testkit::cluster::Way as Reached;

use super::asked::{Asked, Extra, Way};
use super::filled::{Filled, search};

/// What must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Value, and whether it is exact.
    total: Option<(u64, bool)>,
    max_score: Option<u32>,
    /// Ids and the bits of scores, in order.
    hits: Vec<(String, Option<u32>)>,
}

impl Shown {
    pub(super) fn of(response: &SearchResponse) -> Self {
        let hit = |hit: &gleaner_query::answer::Hit| {
            (hit.content.id.to_string(), hit.score.map(f32::to_bits))
        };
        Self {
            total: response.total.map(|total| (total.value, total.is_exact)),
            max_score: response.max_score.map(f32::to_bits),
            hits: response.hits.iter().map(hit).collect(),
        }
    }
}

/// A search that is answered differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    asked: Asked,
    by_shards: Shown,
    by_terms: Shown,
}

impl Difference {
    /// Returns the difference of two answers; `None` when there is none.
    pub(super) fn between(asked: &Asked, by_shards: Shown, by_terms: Shown) -> Option<Self> {
        (by_shards != by_terms).then(|| Self {
            asked: asked.clone(),
            by_shards,
            by_terms,
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            asked,
            by_shards,
            by_terms,
        } = self;
        let (kind, text) = (asked.kind.name(), &asked.text);
        write!(
            f,
            "{kind} `{text}`: by shards {by_shards:?}, by terms {by_terms:?}"
        )
    }
}

/// Asks both ways, with the exact total.
pub(super) async fn compare(filled: &Filled, asked: &Asked) -> Result<Option<Difference>> {
    let mut shown = Vec::with_capacity(2);
    for way in Way::ALL {
        let root = filled.new_root(Reached::Direct, way).await?;
        let request = asked.request(way, Extra::ExactTotal)?;
        shown.push(Shown::of(&search(&root, &request).await?));
    }
    let by_terms = shown.pop();
    let by_shards = shown.pop();
    Ok(by_shards
        .zip(by_terms)
        .and_then(|(by_shards, by_terms)| Difference::between(asked, by_shards, by_terms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::by_term::asked::Kind;

    #[test]
    fn a_score_that_differs_in_its_last_bit_is_a_difference() {
        let asked = Asked {
            kind: Kind::Union,
            text: "cat dog".to_owned(),
        };
        let shown = |score: f32| Shown {
            total: Some((1, true)),
            max_score: Some(score.to_bits()),
            hits: vec![("a".to_owned(), Some(score.to_bits()))],
        };
        let next = f32::from_bits(1.5_f32.to_bits() + 1);
        assert_eq!(Difference::between(&asked, shown(1.5), shown(1.5)), None);
        assert!(Difference::between(&asked, shown(1.5), shown(next)).is_some());
    }
}
