//! BM25 in f64: the numbers every canonical score is made of.
//!
//! score = boost · idf · (k1 + 1) · tf / (tf + k1 · (1 − b + b · length / average)) with
//! idf = ln(1 + (N − n + 0.5) / (n + 0.5)): Robertson and Zaragoza, *The Probabilistic Relevance
//! Framework* (2009), in the form of Lucene ≤ 7 and tantivy (the factor k1 + 1 is kept).

use std::sync::Arc;

use gleaner_query::resolved::Bm25;
use parking_lot::RwLock;

/// Returns the inverse document frequency of a term that `matching` of `documents` hold.
///
/// `documents` is taken as at least `matching`: numbers of two moments must never meet, but if they
/// do, a score is better than a panic.
pub fn idf(matching: u64, documents: u64) -> f64 {
    debug_assert!(matching <= documents, "{matching} of {documents} documents");
    let documents = documents.max(matching);
    let (n, all) = (matching as f64, documents as f64);
    (1.0 + (all - n + 0.5) / (n + 0.5)).ln()
}

/// Tables kept by [`LengthNorms::shared`], 3 KiB each.
const TABLES_KEPT: usize = 64;

/// The tables asked for lately, with the place of the next.
static TABLES: RwLock<(Vec<Arc<LengthNorms>>, usize)> = RwLock::new((Vec::new(), 0));

/// The length normalisation of one field: k1 · (1 − b + b · length / average) by norm id.
#[derive(Debug, Clone)]
pub struct LengthNorms {
    similarity: Bm25,
    average: f64,
    by_id: Box<[f64; 256]>,
    /// The same, rounded.
    rounded: Box<[f32; 256]>,
}

impl LengthNorms {
    /// Tabulates the norms of a field whose mean length is `average` tokens, > 0.
    pub fn new(similarity: Bm25, average: f64) -> Self {
        let mut by_id = Box::new([0.0; 256]);
        for (id, norm) in by_id.iter_mut().enumerate() {
            *norm = norm_of(similarity, length_of(id), average);
        }
        let rounded = Box::new(by_id.map(|norm| norm as f32));
        Self {
            similarity,
            average,
            by_id,
            rounded,
        }
    }

    /// Returns the table of `average`, made once for all fields, shards and queries that have the
    /// same similarity and mean length: a query asks for the same few until documents change.
    pub fn shared(similarity: Bm25, average: f64) -> Arc<Self> {
        let is_same = |table: &&Arc<Self>| {
            table.average.to_bits() == average.to_bits() && table.similarity == similarity
        };
        if let Some(table) = TABLES.read().0.iter().find(is_same) {
            return Arc::clone(table);
        }
        let table = Arc::new(Self::new(similarity, average));
        let (tables, next) = &mut *TABLES.write();
        if tables.len() < TABLES_KEPT {
            tables.push(Arc::clone(&table));
        } else {
            tables[*next] = Arc::clone(&table);
            *next = (*next + 1) % TABLES_KEPT;
        }
        table
    }

    /// Returns k1 and b.
    pub fn similarity(&self) -> Bm25 {
        self.similarity
    }

    /// Returns the norms by norm id, rounded.
    pub fn rounded(&self) -> &[f32; 256] {
        &self.rounded
    }

    /// Returns the mean length in tokens.
    pub fn average(&self) -> f64 {
        self.average
    }

    /// Returns the norm of documents with this norm id.
    pub fn get(&self, id: u8) -> f64 {
        self.by_id[usize::from(id)]
    }

    /// Returns (k1 + 1) · tf / (tf + norm).
    pub fn saturated(&self, frequency: f64, id: u8) -> f64 {
        self.similarity.gain() * frequency / (frequency + self.get(id))
    }
}

/// Returns k1 · (1 − b + b · length / average).
pub fn norm_of(similarity: Bm25, length: impl Into<f64>, average: f64) -> f64 {
    let (k1, b) = (similarity.k1(), similarity.b());
    k1 * (1.0 - b + b * length.into() / average)
}

/// Lengths below this one are exact: 255 − the largest four-bit float of a number of 31 bits (231).
const EXACT_LENGTHS: u32 = 24;

/// Returns the length in tokens that norm id `id` (0 to 255) stands for: Lucene's `SmallFloat.byte4ToInt`, and
/// tantivy's table.
pub fn length_of(id: usize) -> u32 {
    debug_assert!(id < 256);
    let id = id as u32;
    let Some(above) = id.checked_sub(EXACT_LENGTHS) else {
        return id;
    };
    // Four leading bits, the first of which is not kept, and how many zeros follow.
    EXACT_LENGTHS
        + match above.checked_sub(8) {
            None => above,
            Some(float) => (8 | float & 7) << (float >> 3),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idf_falls_with_frequency_and_stays_positive() {
        assert!(idf(1, 100) > idf(2, 100));
        assert!(idf(100, 100) > 0.0);
        assert!((idf(1, 2) - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn tables_are_shared_by_what_they_are_made_of_and_bounded() {
        let plain = Bm25::DEFAULT;
        let one = LengthNorms::shared(plain, 0.125);
        assert!(Arc::ptr_eq(&one, &LengthNorms::shared(plain, 0.125)));
        let own = Bm25::new(2.0, 0.75).expect("in range");
        let other = LengthNorms::shared(own, 0.125);
        assert_eq!((one.similarity(), other.similarity()), (plain, own));
        for n in 0..2 * TABLES_KEPT {
            let average = 1e6 + n as f64;
            assert_eq!(LengthNorms::shared(plain, average).average(), average);
        }
        assert!(TABLES.read().0.len() <= TABLES_KEPT);
    }

    #[test]
    fn longer_documents_score_less() {
        let norms = LengthNorms::new(Bm25::DEFAULT, 10.0);
        assert!(norms.saturated(1.0, 5) > norms.saturated(1.0, 20));
        assert!(norms.saturated(2.0, 5) > norms.saturated(1.0, 5));
        assert!(norms.saturated(1e9, 5) < 2.2);
    }

    #[test]
    fn lengths_count_as_much_as_b_says_and_frequencies_as_k1_does() {
        let norms = |k1, b| LengthNorms::new(Bm25::new(k1, b).expect("in range"), 10.0);
        let without_length = norms(2.0, 0.0);
        assert_eq!(without_length.get(5), without_length.get(200));
        assert_eq!(without_length.saturated(4.0, 5), 2.0);
        let binary = norms(0.0, 0.75);
        assert_eq!(
            (binary.saturated(1.0, 5), binary.saturated(9.0, 200)),
            (1.0, 1.0)
        );
        // k1 · length / average = 2 · 5 / 10.
        assert_eq!(norms(2.0, 1.0).saturated(1.0, 5), 1.5);
    }
}
