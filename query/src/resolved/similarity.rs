//! How text fields are scored: the numbers of BM25, by field.

use std::collections::BTreeMap;

use gleaner_model::FieldPath;
use serde::Serialize;

/// The numbers of BM25 (Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bm25 {
    k1: f64,
    b: f64,
}

impl Bm25 {
    /// Lucene's numbers, which fields have that name no similarity.
    pub const DEFAULT: Self = Self { k1: 1.2, b: 0.75 };

    /// Returns the similarity of these numbers; `None` where they are none: see [`Bm25::is_k1`] and
    /// [`Bm25::is_b`].
    pub fn new(k1: f64, b: f64) -> Option<Self> {
        // Adding 0 takes the sign off a zero, which a quotient would show.
        (Self::is_k1(k1) && Self::is_b(b)).then_some(Self {
            k1: k1 + 0.0,
            b: b + 0.0,
        })
    }

    /// Returns whether `k1` can be one: 0 or more, and finite as a float, as Lucene keeps it.
    pub fn is_k1(k1: f64) -> bool {
        k1 >= 0.0 && (k1 as f32).is_finite()
    }

    /// Returns whether `b` can be one: 0 to 1.
    pub fn is_b(b: f64) -> bool {
        (0.0..=1.0).contains(&b)
    }

    /// Returns how late further occurrences of a term stop counting; 0: one counts as much as many.
    pub fn k1(self) -> f64 {
        self.k1
    }

    /// Returns how much the length of the field counts; 0: not at all.
    pub fn b(self) -> f64 {
        self.b
    }

    /// Returns k1 + 1: how many times its weight a term scores at most.
    pub fn gain(self) -> f64 {
        self.k1 + 1.0
    }
}

impl Default for Bm25 {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The similarities of those fields of a query that have not the default one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Similarities(BTreeMap<FieldPath, Bm25>);

impl Similarities {
    /// Returns the similarity of `field`.
    pub fn of(&self, field: &FieldPath) -> Bm25 {
        self.0.get(field).copied().unwrap_or_default()
    }

    /// Returns whether all fields have the default one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the fields that have another one.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldPath, Bm25)> {
        self.0
            .iter()
            .map(|(field, similarity)| (field, *similarity))
    }

    /// Returns the largest [`Bm25::gain`] of any field.
    pub fn largest_gain(&self) -> f64 {
        let gains = self.iter().map(|(_, similarity)| similarity.gain());
        gains.fold(Bm25::DEFAULT.gain(), f64::max)
    }
}

impl FromIterator<(FieldPath, Bm25)> for Similarities {
    fn from_iter<I: IntoIterator<Item = (FieldPath, Bm25)>>(fields: I) -> Self {
        let is_own = |(_, similarity): &(FieldPath, Bm25)| *similarity != Bm25::DEFAULT;
        Self(fields.into_iter().filter(is_own).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_no_similarity() {
        for (k1, b) in [
            (-0.1, 0.5),
            (f64::NAN, 0.5),
            (f64::INFINITY, 0.5),
            (1e39, 0.5),
            (1.0, -0.1),
            (1.0, 1.1),
            (1.0, f64::NAN),
        ] {
            assert_eq!(Bm25::new(k1, b), None, "{k1} {b}");
        }
        for (k1, b) in [(0.0, 0.0), (3.4e38, 1.0), (2.0, 0.75)] {
            let similarity = Bm25::new(k1, b).expect("in range");
            assert_eq!((similarity.k1(), similarity.b()), (k1, b));
        }
        let zero = Bm25::new(-0.0, -0.0).expect("in range");
        assert!(zero.k1().is_sign_positive() && zero.b().is_sign_positive());
    }

    #[test]
    fn only_other_numbers_than_the_default_ones_are_kept() {
        let own = Bm25::new(2.0, 0.5).expect("in range");
        let fields = [("a", own), ("b", Bm25::DEFAULT)];
        let similarities: Similarities = fields
            .map(|(field, similarity)| (FieldPath::new(field), similarity))
            .into_iter()
            .collect();
        assert_eq!(similarities.iter().count(), 1);
        assert_eq!(similarities.of(&FieldPath::new("a")), own);
        for field in ["b", "c"] {
            assert_eq!(similarities.of(&FieldPath::new(field)), Bm25::DEFAULT);
        }
        assert_eq!(similarities.largest_gain(), 3.0);
        assert_eq!(Similarities::default().largest_gain(), 2.2);
    }
}
