//! `significant_terms` and `significant_text`: what is more frequent in some documents than in all.
//!
//! Source of formulas: Elasticsearch reference, *Significant terms aggregation*; Manning, Raghavan and Schütze:
//! *Introduction to Information Retrieval*, chapter 13.5; Cilibrasi and Vitányi: *The Google Similarity Distance*.

use serde::Serialize;

use super::{TermsAggregation, TermsFilter, ValueSource};
use crate::dsl::Query;

/// `significant_terms`, `significant_text`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignificantTermsAggregation {
    /// Values.
    pub source: ValueSource,
    /// Buckets returned; default 10.
    pub size: usize,
    /// Buckets with fewer documents are left out; default 3.
    pub min_doc_count: u64,
    /// Only these keys.
    pub include: Option<TermsFilter>,
    /// Without these keys.
    pub exclude: Option<TermsFilter>,
    /// What documents are compared with; all by default.
    pub background: Option<Query>,
    /// How they are compared.
    pub significance: Significance,
    /// Of `significant_text`: where the terms of documents come from; without it, from a column.
    pub text: Option<TextTerms>,
}

/// How `significant_text` finds terms: it analyses the texts of documents again, as they have no column.
///
/// Shards are asked twice. First they say which terms their documents have; then they count the terms that may be
/// significant where these are compared with, which needs posting lists alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TextTerms {
    /// Paths of the texts in `_source`; where the field takes its values from when empty.
    pub source_fields: Vec<String>,
    /// The terms to be counted; `None` as long as they are not known. No request has them.
    pub compared: Option<Words>,
}

impl SignificantTermsAggregation {
    /// Returns the request for all terms with their counts.
    pub fn terms(&self) -> TermsAggregation {
        TermsAggregation::of_all(&self.source, self.include.as_ref(), self.exclude.as_ref())
    }
}

/// Terms of a text field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    /// The field.
    pub field: String,
    /// The terms, as its analyzer makes them.
    pub terms: Vec<String>,
}

/// How much more frequent a term is in a part of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Significance {
    /// The absolute change of the frequency times the relative one.
    Jlh,
    /// χ².
    ChiSquare {
        /// Whether terms that are rarer in the part count too.
        include_negatives: bool,
        /// Whether the part belongs to what it is compared with; default true.
        background_is_superset: bool,
    },
    /// Mutual information.
    MutualInformation {
        /// Whether terms that are rarer in the part count too.
        include_negatives: bool,
        /// Whether the part belongs to what it is compared with; default true.
        background_is_superset: bool,
    },
    /// Normalized Google distance, as a similarity.
    Gnd {
        /// Whether the part belongs to what it is compared with; default true.
        background_is_superset: bool,
    },
    /// The share of the documents with the term that are in the part.
    Percentage,
}

/// How often a term is where.
#[derive(Debug, Clone, Copy)]
pub struct Frequencies {
    /// Documents of the part that have it.
    pub subset: u64,
    /// Documents of the part.
    pub subset_size: u64,
    /// Documents compared with that have it.
    pub superset: u64,
    /// Documents compared with.
    pub superset_size: u64,
}

impl Significance {
    /// Checks that the counts can be compared: those of a part are in the whole, where it is said to be one.
    ///
    /// # Errors
    /// What is wrong, in the dialect's words.
    pub fn check(self, of: Frequencies) -> Result<(), String> {
        let is_superset = match self {
            Self::ChiSquare {
                background_is_superset,
                ..
            }
            | Self::MutualInformation {
                background_is_superset,
                ..
            }
            | Self::Gnd {
                background_is_superset,
            } => background_is_superset,
            Self::Jlh | Self::Percentage => false,
        };
        if !is_superset {
            return Ok(());
        }
        let what = if of.subset > of.superset {
            "subsetFreq > supersetFreq"
        } else if of.subset_size > of.superset_size {
            "subsetSize > supersetSize"
        } else if of.superset - of.subset > of.superset_size - of.subset_size {
            "supersetFreq - subsetFreq > supersetSize - subsetSize"
        } else {
            return Ok(());
        };
        Err(format!(
            "{what}, does your background filter not include all documents in the bucket? If so and it is \
             intentional, set \"background_is_superset\": false"
        ))
    }

    /// Returns how significant a term is; −∞ for one that is rarer in the part where these do not count.
    pub fn score(self, of: Frequencies) -> f64 {
        let table = |is_superset| Table::of(of, is_superset);
        let score = match self {
            Self::Jlh => jlh(of),
            Self::ChiSquare {
                include_negatives,
                background_is_superset,
            } => table(background_is_superset).signed(include_negatives, Table::chi_square),
            Self::MutualInformation {
                include_negatives,
                background_is_superset,
            } => table(background_is_superset).signed(include_negatives, Table::information),
            Self::Gnd {
                background_is_superset,
            } => table(background_is_superset).gnd(),
            Self::Percentage if of.superset == 0 => 0.0,
            Self::Percentage => of.subset as f64 / of.superset as f64,
        };
        if score.is_nan() {
            f64::NEG_INFINITY
        } else {
            score
        }
    }
}

fn jlh(of: Frequencies) -> f64 {
    if of.subset_size == 0 || of.superset_size == 0 {
        return 0.0;
    }
    let here = of.subset as f64 / of.subset_size as f64;
    // A term that the background filter leaves out counts as if one document had it.
    let there = of.superset.max(1) as f64 / of.superset_size as f64;
    let change = here - there;
    if change <= 0.0 {
        return 0.0;
    }
    change * (here / there)
}

/// Documents by whether they have the term (first index) and are in the part (second index).
struct Table {
    n11: f64,
    n10: f64,
    n01: f64,
    n00: f64,
}

impl Table {
    fn of(of: Frequencies, is_superset: bool) -> Self {
        let number = |count: u64| count as f64;
        let (n11, in_part) = (number(of.subset), number(of.subset_size));
        let (with, all) = (number(of.superset), number(of.superset_size));
        let (n10, others) = match is_superset {
            true => (with - n11, all - in_part),
            false => (with, all),
        };
        Self {
            n11,
            n10,
            n01: in_part - n11,
            n00: others - n10,
        }
    }

    fn total(&self) -> f64 {
        self.n11 + self.n10 + self.n01 + self.n00
    }

    /// Returns a score; −∞ where terms that are rarer in the part do not count and this is one.
    fn signed(&self, include_negatives: bool, score: fn(&Self) -> f64) -> f64 {
        let here = self.n11 / (self.n11 + self.n01);
        let there = self.n10 / (self.n10 + self.n00);
        if !include_negatives && here < there {
            return f64::NEG_INFINITY;
        }
        score(self)
    }

    fn chi_square(&self) -> f64 {
        let Self { n11, n10, n01, n00 } = self;
        let difference = n11 * n00 - n10 * n01;
        let products = (n11 + n01) * (n11 + n10) * (n10 + n00) * (n01 + n00);
        self.total() * difference * difference / products
    }

    fn information(&self) -> f64 {
        let Self { n11, n10, n01, n00 } = *self;
        let total = self.total();
        let (with, without) = (n11 + n10, n01 + n00);
        let (inside, outside) = (n11 + n01, n10 + n00);
        let part = |both: f64, term: f64, place: f64| match both == 0.0 {
            true => 0.0,
            false => both / total * (total * both / (term * place)).log2(),
        };
        part(n11, with, inside)
            + part(n01, without, inside)
            + part(n10, with, outside)
            + part(n00, without, outside)
    }

    fn gnd(&self) -> f64 {
        let (with, inside) = (self.n11 + self.n10, self.n11 + self.n01);
        if self.n11 == 0.0 {
            return 0.0;
        }
        if with == inside && with == self.n11 {
            return 1.0;
        }
        let (most, least) = (with.max(inside), with.min(inside));
        let distance = (most.ln() - self.n11.ln()) / (self.total().ln() - least.ln());
        // 0 is next to each other.
        (-distance).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subset: u64, subset_size: u64, superset: u64, superset_size: u64) -> Frequencies {
        Frequencies {
            subset,
            subset_size,
            superset,
            superset_size,
        }
    }

    #[test]
    fn scores_are_those_of_the_formulas() {
        // Introduction to Information Retrieval, examples 13.3 and 13.4.
        let poultry = of(49, 190, 27_701, 801_948);
        let chi = Significance::ChiSquare {
            include_negatives: true,
            background_is_superset: true,
        };
        let found = chi.score(poultry);
        assert!((found - 284.0).abs() < 1.0, "{found}");
        let information = Significance::MutualInformation {
            include_negatives: true,
            background_is_superset: true,
        };
        let found = information.score(poultry);
        assert!((found - 0.000_110_5).abs() < 0.000_001, "{found}");
        assert_eq!(Significance::Percentage.score(of(3, 10, 4, 100)), 0.75);
        let jlh = Significance::Jlh.score(of(5, 10, 10, 100));
        assert!((jlh - 0.4 * 5.0).abs() < 1e-12, "{jlh}");
        assert_eq!(Significance::Jlh.score(of(1, 10, 50, 100)), 0.0);
    }

    #[test]
    fn a_part_that_is_not_in_the_whole_is_refused() {
        let gnd = |background_is_superset| Significance::Gnd {
            background_is_superset,
        };
        for (counts, expected) in [
            (of(5, 6, 4, 100), Some("subsetFreq > supersetFreq")),
            (of(1, 6, 4, 5), Some("subsetSize > supersetSize")),
            (
                of(1, 6, 9, 10),
                Some("supersetFreq - subsetFreq > supersetSize - subsetSize"),
            ),
            (of(5, 6, 5, 100), None),
        ] {
            let refused = gnd(true).check(counts).err();
            let start = refused
                .as_deref()
                .and_then(|reason| reason.split(',').next());
            assert_eq!(start, expected, "{counts:?}");
            assert_eq!(gnd(false).check(counts), Ok(()), "{counts:?}");
            assert_eq!(Significance::Jlh.check(counts), Ok(()), "{counts:?}");
        }
    }

    #[test]
    fn terms_that_are_rarer_here_count_where_they_are_asked_for() {
        let rare = of(1, 50, 60, 100);
        for include_negatives in [false, true] {
            let chi = Significance::ChiSquare {
                include_negatives,
                background_is_superset: true,
            };
            assert_eq!(chi.score(rare).is_finite(), include_negatives);
        }
    }
}
