//! Searches of the baseline.

use anyhow::{Context, Result};
use tantivy::collector::{Count, TopDocs};
use tantivy::schema::Value;
use tantivy::{DocAddress, Searcher, TantivyDocument};

use super::{Fields, query};
use crate::queries::Query;

/// A hit: its score, its id, its stored source.
pub type Found = (f32, String, String);

/// The baseline, ready to search.
pub struct BareSearch {
    searcher: Searcher,
    fields: Fields,
}

impl BareSearch {
    pub(super) fn new(searcher: Searcher, fields: Fields) -> Self {
        Self { searcher, fields }
    }

    /// Returns `query` as tantivy's own.
    pub fn query(&self, query: &Query) -> Box<dyn tantivy::query::Query> {
        query::build(&self.fields, query)
    }

    /// Returns the scores of the ten best.
    ///
    /// # Panics
    /// When the index cannot be read.
    pub fn top(&self, query: &dyn tantivy::query::Query) -> Vec<f32> {
        let top = TopDocs::with_limit(10).order_by_score();
        let hits = self
            .searcher
            .search(query, &top)
            .expect("the index is whole");
        hits.into_iter().map(|(score, _)| score).collect()
    }

    /// Returns the number of matches, with the ten best beside it.
    ///
    /// # Panics
    /// When the index cannot be read.
    pub fn top_and_count(&self, query: &dyn tantivy::query::Query) -> u64 {
        let top = TopDocs::with_limit(10).order_by_score();
        let (_, count) = self
            .searcher
            .search(query, &(top, Count))
            .expect("the index is whole");
        count as u64
    }

    /// Returns the number of matches.
    ///
    /// # Panics
    /// When the index cannot be read.
    pub fn count(&self, query: &dyn tantivy::query::Query) -> u64 {
        self.searcher
            .search(query, &Count)
            .expect("the index is whole") as u64
    }

    /// Returns the ten best.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn fetch_top(&self, query: &dyn tantivy::query::Query) -> Result<Vec<Found>> {
        let top = TopDocs::with_limit(10).order_by_score();
        self.fetch(self.searcher.search(query, &top)?)
    }

    /// Returns the number of matches and the ten best.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn fetch_top_and_count(
        &self,
        query: &dyn tantivy::query::Query,
    ) -> Result<(u64, Vec<Found>)> {
        let top = TopDocs::with_limit(10).order_by_score();
        let (best, count) = self.searcher.search(query, &(top, Count))?;
        Ok((count as u64, self.fetch(best)?))
    }

    fn fetch(&self, best: Vec<(f32, DocAddress)>) -> Result<Vec<Found>> {
        let mut hits = Vec::new();
        for (score, address) in best {
            let document: TantivyDocument = self.searcher.doc(address)?;
            let id = document
                .get_first(self.fields.id)
                .and_then(|value| value.as_str());
            let source = document
                .get_first(self.fields.source)
                .and_then(|value| value.as_str());
            let (id, source) = id.zip(source).context("a document without id or source")?;
            hits.push((score, id.to_owned(), source.to_owned()));
        }
        Ok(hits)
    }

    /// Returns the number of segments.
    pub fn num_segments(&self) -> usize {
        self.searcher.segment_readers().len()
    }
}

/// Several indexes of the baseline over parts of the documents, asked in turn: what sharding costs
/// when nothing is shared between shards.
pub struct BareShards(pub(super) Vec<BareSearch>);

impl BareShards {
    /// Returns `query` as tantivy's own, for each shard.
    pub fn query(&self, query: &Query) -> Vec<Box<dyn tantivy::query::Query>> {
        self.0.iter().map(|shard| shard.query(query)).collect()
    }

    /// Returns the scores of the ten best, each by the numbers of its own shard.
    ///
    /// # Panics
    /// When an index cannot be read.
    pub fn top(&self, queries: &[Box<dyn tantivy::query::Query>]) -> Vec<f32> {
        let shards = self.0.iter().zip(queries);
        let mut scores: Vec<f32> = shards
            .flat_map(|(shard, query)| shard.top(query.as_ref()))
            .collect();
        scores.sort_unstable_by(|one, other| other.total_cmp(one));
        scores.truncate(10);
        scores
    }
}
