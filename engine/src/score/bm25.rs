//! BM25 in f64: the numbers every canonical score is made of.
//!
//! score = boost · idf · (k1 + 1) · tf / (tf + k1 · (1 − b + b · length / average)) with
//! idf = ln(1 + (N − n + 0.5) / (n + 0.5)): Robertson and Zaragoza, *The Probabilistic Relevance
//! Framework* (2009), in the form of Lucene ≤ 7 and tantivy (the factor k1 + 1 is kept).

use tantivy::fieldnorm::FieldNormReader;

/// Saturation of term frequency; fixed, because tantivy's block maxima are made with it.
pub const K1: f64 = 1.2;
/// Weight of the field's length; fixed for the same reason.
pub const B: f64 = 0.75;

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

/// The length normalisation of one field: k1 · (1 − b + b · length / average) by norm id.
#[derive(Debug, Clone)]
pub struct LengthNorms {
    average: f64,
    by_id: Box<[f64; 256]>,
}

impl LengthNorms {
    /// Tabulates the norms of a field whose mean length is `average` tokens, > 0.
    pub fn new(average: f64) -> Self {
        let mut by_id = Box::new([0.0; 256]);
        for (id, norm) in by_id.iter_mut().enumerate() {
            *norm = norm_of(length_of(id), average);
        }
        Self { average, by_id }
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
        (K1 + 1.0) * frequency / (frequency + self.get(id))
    }
}

/// Returns k1 · (1 − b + b · length / average).
pub fn norm_of(length: u32, average: f64) -> f64 {
    K1 * (1.0 - B + B * f64::from(length) / average)
}

/// Returns the length in tokens that norm id `id` (0 to 255) stands for.
pub fn length_of(id: usize) -> u32 {
    debug_assert!(id < 256);
    FieldNormReader::id_to_fieldnorm(id as u8)
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
    fn longer_documents_score_less() {
        let norms = LengthNorms::new(10.0);
        assert!(norms.saturated(1.0, 5) > norms.saturated(1.0, 20));
        assert!(norms.saturated(2.0, 5) > norms.saturated(1.0, 5));
        assert!(norms.saturated(1e9, 5) < K1 + 1.0);
    }
}
