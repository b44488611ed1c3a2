//! Bounds on what settings of an analysis may ask for.

/// Largest `position_increment_gap` that an analyzer may be given: a hundred times the default. A field
/// has 2³⁰ positions in a document, values beyond are not indexed.
const MAX_GAP: u32 = 10_000;

/// Most filters of one analyzer: those of languages have ten.
const MAX_PARTS: usize = 100;

/// What an analyzer may make of one byte: 5-grams of 1 to 20 letters with shingles and a hundred synonyms make
/// less, and a page of text would take a gigabyte.
const MAX_GROWTH: u64 = 1_000_000;

/// Bounds on what settings may ask for; index-level settings of the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `index.max_ngram_diff`: largest `max_gram - min_gram`; default 1.
    pub max_ngram_diff: usize,
    /// `index.max_shingle_diff`: largest difference of shingle sizes; default 3.
    pub max_shingle_diff: usize,
    /// Synonym rules of one filter; default 10,000, as Elasticsearch bounds a synonyms set.
    pub max_synonym_rules: usize,
    /// Building blocks that one index defines, of each kind; default 1,000.
    pub max_definitions: usize,
    /// Largest `position_increment_gap` of an analyzer; default `u32::MAX`: an index that has been made
    /// may have any.
    pub max_position_increment_gap: u32,
    /// Character filters and token filters of one analyzer, together; default without a bound, as above.
    pub max_parts: usize,
    /// Bytes that the parts of one analyzer may make of one, as far as their settings tell; default without a
    /// bound, as above.
    pub max_growth: u64,
}

impl Limits {
    /// Returns these limits with the bounds that definitions have to keep which are new: those of an index that
    /// is being made, or of one request.
    #[must_use]
    pub fn of_new(self) -> Self {
        Self {
            max_position_increment_gap: MAX_GAP,
            max_parts: MAX_PARTS,
            max_growth: MAX_GROWTH,
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_ngram_diff: 1,
            max_shingle_diff: 3,
            max_synonym_rules: 10_000,
            max_definitions: 1_000,
            max_position_increment_gap: u32::MAX,
            max_parts: usize::MAX,
            max_growth: u64::MAX,
        }
    }
}
