//! BM25 in f64: the numbers every canonical score is made of.
//!
//! score = boost · idf · (k1 + 1) · tf / (tf + k1 · (1 − b + b · length / average)) with
//! idf = ln(1 + (N − n + 0.5) / (n + 0.5)): Robertson and Zaragoza, *The Probabilistic Relevance
//! Framework* (2009), in the form of Lucene ≤ 7 and tantivy (the factor k1 + 1 is kept).

use std::sync::Arc;

use parking_lot::RwLock;
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

/// Tables kept by [`LengthNorms::shared`], 3 KiB each.
const TABLES_KEPT: usize = 64;

/// The tables asked for lately, with the place of the next.
static TABLES: RwLock<(Vec<Arc<LengthNorms>>, usize)> = RwLock::new((Vec::new(), 0));

/// The length normalisation of one field: k1 · (1 − b + b · length / average) by norm id.
#[derive(Debug, Clone)]
pub struct LengthNorms {
    average: f64,
    by_id: Box<[f64; 256]>,
    /// The same, rounded.
    rounded: Box<[f32; 256]>,
}

impl LengthNorms {
    /// Tabulates the norms of a field whose mean length is `average` tokens, > 0.
    pub fn new(average: f64) -> Self {
        let mut by_id = Box::new([0.0; 256]);
        for (id, norm) in by_id.iter_mut().enumerate() {
            *norm = norm_of(length_of(id), average);
        }
        let rounded = Box::new(by_id.map(|norm| norm as f32));
        Self {
            average,
            by_id,
            rounded,
        }
    }

    /// Returns the table of `average`, made once for all fields, shards and queries that have the
    /// same mean length: a query asks for the same few until documents change.
    pub fn shared(average: f64) -> Arc<Self> {
        let is_same = |table: &&Arc<Self>| table.average.to_bits() == average.to_bits();
        if let Some(table) = TABLES.read().0.iter().find(is_same) {
            return Arc::clone(table);
        }
        let table = Arc::new(Self::new(average));
        let (tables, next) = &mut *TABLES.write();
        if tables.len() < TABLES_KEPT {
            tables.push(Arc::clone(&table));
        } else {
            tables[*next] = Arc::clone(&table);
            *next = (*next + 1) % TABLES_KEPT;
        }
        table
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
    fn tables_are_shared_by_average_and_bounded() {
        let one = LengthNorms::shared(0.125);
        assert!(Arc::ptr_eq(&one, &LengthNorms::shared(0.125)));
        for n in 0..2 * TABLES_KEPT {
            let average = 1e6 + n as f64;
            assert_eq!(LengthNorms::shared(average).average(), average);
        }
        assert!(TABLES.read().0.len() <= TABLES_KEPT);
    }

    #[test]
    fn longer_documents_score_less() {
        let norms = LengthNorms::new(10.0);
        assert!(norms.saturated(1.0, 5) > norms.saturated(1.0, 20));
        assert!(norms.saturated(2.0, 5) > norms.saturated(1.0, 5));
        assert!(norms.saturated(1e9, 5) < K1 + 1.0);
    }
}
