//! The baseline: tantivy as its own examples use it, with the same fields.

mod query;
mod search;
pub mod server;
mod writing;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::schema::tokens;
use gleaner_model::settings::routing_slots_for;
use tantivy::indexer::NoMergePolicy;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, STORED, STRING, Schema, TextFieldIndexing,
    TextOptions,
};
use tantivy::{Index, IndexWriter, TantivyDocument};

pub use search::{BareSearch, BareShards, Found};

use crate::corpus::{Article, Corpus};
use crate::ours;

/// Indexing memory of the baseline's writer, in bytes; what our shard copy has by default.
pub const WRITER_BYTES: usize = 32_000_000;

/// Which tokenizer the baseline indexes text with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// Ours, so that both sides search the same posting lists.
    Ours,
    /// tantivy's default, so that indexing is compared as it comes.
    Stock,
}

/// The columns of the baseline.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    id: Field,
    title: Field,
    body: Field,
    category: Field,
    kind: Field,
    published: Field,
    source: Field,
}

/// An empty index of the baseline, and its columns.
pub struct Bare {
    index: Index,
    fields: Fields,
}

impl Bare {
    /// Makes an index in `folder`.
    ///
    /// # Errors
    /// When tantivy refuses.
    pub fn create(folder: &Path, tokens: Tokens) -> Result<Self> {
        let (schema, fields) = schema(tokens);
        let index = Index::create_in_dir(folder, schema)?;
        if tokens == Tokens::Ours {
            register_analyzers(&index);
        }
        Ok(Self { index, fields })
    }

    /// Opens the index that [`Bare::create`] made in `folder` with [`Tokens::Ours`].
    ///
    /// # Errors
    /// When tantivy refuses.
    pub fn open_in(folder: &Path) -> Result<Self> {
        let (_, fields) = schema(Tokens::Ours);
        let index = Index::open_in_dir(folder)?;
        register_analyzers(&index);
        Ok(Self { index, fields })
    }

    /// Returns a writer of one thread.
    ///
    /// # Errors
    /// When tantivy refuses.
    pub fn writer(&self) -> Result<IndexWriter> {
        Ok(self.index.writer_with_num_threads(1, WRITER_BYTES)?)
    }

    /// Returns `source` as a document: its JSON is parsed and kept.
    ///
    /// # Errors
    /// When it is not an article.
    pub fn document(&self, source: &[u8]) -> Result<TantivyDocument> {
        let article: Article = serde_json::from_slice(source)?;
        let fields = &self.fields;
        let mut document = TantivyDocument::default();
        document.add_text(fields.id, article.id);
        document.add_text(fields.title, article.title);
        document.add_text(fields.body, article.body);
        document.add_text(fields.category, article.category);
        document.add_text(fields.kind, article.kind);
        let published = chrono::DateTime::parse_from_rfc3339(&article.published)?;
        document.add_i64(fields.published, published.timestamp_millis());
        document.add_text(fields.source, std::str::from_utf8(source)?);
        Ok(document)
    }

    /// Indexes `sources` into exactly `num_segments` segments and opens them.
    ///
    /// # Errors
    /// When tantivy refuses.
    pub fn fill(self, sources: &[bytes::Bytes], num_segments: usize) -> Result<BareSearch> {
        for part in sources.chunks(sources.len().div_ceil(num_segments).max(1)) {
            let before = self.index.searchable_segment_ids()?;
            let mut writer = self.writer()?;
            writer.set_merge_policy(Box::new(NoMergePolicy));
            for source in part {
                writer.add_document(self.document(source)?)?;
            }
            writer.commit()?;
            let mut new = self.index.searchable_segment_ids()?;
            new.retain(|id| !before.contains(id));
            if new.len() > 1 {
                writer.merge(&new).wait()?;
            }
            writer.wait_merging_threads()?;
        }
        self.open()
    }

    /// Merges all segments into one and commits.
    ///
    /// # Errors
    /// When tantivy refuses.
    pub fn merge(&self) -> Result<()> {
        let mut writer = self.writer()?;
        let segments = self.index.searchable_segment_ids()?;
        if segments.len() > 1 {
            writer.merge(&segments).wait()?;
        }
        writer.garbage_collect_files().wait()?;
        Ok(writer.wait_merging_threads()?)
    }

    /// Opens what was committed.
    ///
    /// # Errors
    /// When tantivy refuses.
    pub fn open(self) -> Result<BareSearch> {
        let searcher = self
            .index
            .reader()
            .context("opening the baseline")?
            .searcher();
        Ok(BareSearch::new(searcher, self.fields))
    }
}

/// Indexes `corpus` into `num_shards` indexes of one segment each in `folder`, routed as a root does.
///
/// # Errors
/// When tantivy refuses.
pub fn fill_shards(folder: &Path, corpus: &Corpus, num_shards: u32) -> Result<BareShards> {
    let slots = routing_slots_for(num_shards);
    let mut parts = vec![Vec::new(); num_shards as usize];
    for (article, source) in corpus.articles.iter().zip(&corpus.sources) {
        let shard = gleaner_shard_router::shard_of(&article.id, slots, num_shards);
        parts[shard.0 as usize].push(source.clone());
    }
    let mut shards = Vec::with_capacity(parts.len());
    for (shard, sources) in parts.iter().enumerate() {
        let folder = folder.join(shard.to_string());
        std::fs::create_dir_all(&folder)?;
        shards.push(Bare::create(&folder, Tokens::Ours)?.fill(sources, 1)?);
    }
    Ok(BareShards(shards))
}

fn register_analyzers(index: &Index) {
    let registry = Arc::new(AnalyzerRegistry::builtin());
    tokens::register_analyzers(index.tokenizers(), &ours::mapping(), &registry);
}

fn schema(tokens: Tokens) -> (Schema, Fields) {
    let tokenizer = match tokens {
        Tokens::Ours => tokens::tokenizer_name("standard"),
        Tokens::Stock => "default".to_owned(),
    };
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(&tokenizer)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(indexing);
    let keyword = || STRING.set_fast("raw");
    let mut builder = Schema::builder();
    let fields = Fields {
        id: builder.add_text_field("id", STRING | STORED),
        title: builder.add_text_field("title", text.clone()),
        body: builder.add_text_field("body", text),
        category: builder.add_text_field("category", keyword()),
        kind: builder.add_text_field("kind", keyword()),
        published: builder.add_i64_field(
            "published",
            NumericOptions::default().set_indexed().set_fast(),
        ),
        source: builder.add_text_field("source", STORED),
    };
    (builder.build(), fields)
}
