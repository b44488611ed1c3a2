//! Our engine over the same documents: one or several shard copies in one process.

mod clause;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_engine::search::{self, SearchEnv, Target};
use gleaner_engine::statistics::statistics;
use gleaner_engine::{EngineError, ShardIndex, ShardMeta, ShardOptions};
use gleaner_model::settings::routing_slots_for;
use gleaner_model::{
    DocumentId, IndexName, IndexUuid, Mapping, Operation, OperationKind, PrimaryTerm, SeqNo,
    ShardKey, ShardNumber, Version,
};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::ShardHits;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::{Clause, ShardQuery, Similarities, Statistics, StatisticsRequest};
use gleaner_query::search::TrackTotal;
use rayon::ThreadPool;
use serde_json::json;

use crate::corpus::Corpus;
use crate::queries::Query;
pub use clause::clause;

/// Returns the mapping of an article: the baseline's fields.
///
/// # Panics
/// Never: the mapping is fixed and valid.
pub fn mapping() -> Arc<Mapping> {
    let declared = declared_mapping();
    let mapping = parse_mapping(&declared, None, &MappingRules::default());
    Arc::new(mapping.expect("the mapping is valid"))
}

/// Returns the mapping as a client declares it.
pub fn declared_mapping() -> serde_json::Value {
    json!({
        "dynamic": false,
        "properties": {
            "title": {"type": "text"},
            "body": {"type": "text"},
            "category": {"type": "keyword"},
            "kind": {"type": "keyword"},
            "published": {"type": "date"},
        }
    })
}

/// Returns the first write of `source` under `id`, as the log holds it.
///
/// # Errors
/// When the id is not one.
pub fn operation(id: &str, source: &Bytes, mapping: &Mapping) -> Result<Operation> {
    Ok(Operation {
        term: PrimaryTerm(1),
        mapping: mapping.version,
        timestamp_ms: 0,
        kind: OperationKind::Index {
            id: DocumentId::parse(id)?,
            routing: None,
            version: Version(1),
            source: source.clone(),
        },
    })
}

/// Opens an empty shard copy in `folder`.
///
/// # Errors
/// When the folder cannot be used.
pub fn open_shard(folder: &Path, shard: u32) -> Result<ShardIndex> {
    let key = ShardKey {
        index: IndexUuid([7; 16]),
        shard: ShardNumber(shard),
    };
    let analyzers = Arc::new(AnalyzerRegistry::builtin());
    let meta = ShardMeta {
        key,
        name: IndexName::parse("articles")?,
        mapping: mapping(),
        analyzers,
    };
    std::fs::create_dir_all(folder)?;
    Ok(ShardIndex::open(folder, meta, ShardOptions::default())?.0)
}

/// What of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The ten best, no total.
    Top,
    /// The ten best and the dialect's default total: exact up to 10,000.
    TopAndTotal,
    /// The number of matches.
    Count,
}

/// Shards of one index, ready to search.
pub struct Ours {
    targets: Vec<Target>,
    control: Arc<Control>,
    filters: Arc<FilterCache>,
    memory: Arc<MemoryAccount>,
}

impl Ours {
    /// Indexes `corpus` into `num_shards` shards of one segment each, routed as a root does.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn fill(folder: &Path, corpus: &Corpus, num_shards: u32) -> Result<Self> {
        let mapping = mapping();
        let slots = routing_slots_for(num_shards);
        let mut shards = Vec::new();
        for shard in 0..num_shards {
            shards.push((
                open_shard(&folder.join(shard.to_string()), shard)?,
                SeqNo(0),
            ));
        }
        for (article, source) in corpus.articles.iter().zip(&corpus.sources) {
            let shard = gleaner_shard_router::shard_of(&article.id, slots, num_shards);
            let (index, next) = &mut shards[shard.0 as usize];
            index.apply(*next, &operation(&article.id, source, &mapping)?)?;
            *next = next.next();
        }
        let mut targets = Vec::new();
        for (index, next) in shards {
            index.force_merge(1)?;
            index.refresh(next)?;
            index.close_writer()?;
            targets.push(Target {
                key: index.key(),
                view: index.view(),
            });
        }
        Ok(Self {
            targets,
            control: Arc::new(Control::unlimited()),
            filters: Arc::new(FilterCache::new(FilterCacheOptions::default())),
            memory: MemoryAccount::root("benches", 1 << 30),
        })
    }

    /// Returns the number of segments of all shards.
    pub fn num_segments(&self) -> usize {
        self.targets
            .iter()
            .map(|target| target.view.segments().len())
            .sum()
    }

    /// Returns what the shards are asked, with the statistics of all of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn ask(&self, query: &Query, wanted: Wanted) -> Result<ShardQuery> {
        let clause = clause(query);
        let numbers = match wanted {
            Wanted::Count => Statistics::default(),
            _ => self.statistics(&clause)?,
        };
        Ok(ShardQuery {
            query: clause,
            post_filter: None,
            statistics: Arc::new(numbers),
            similarities: Similarities::default(),
            top: if wanted == Wanted::Count { 0 } else { 10 },
            collapse: None,
            sort: Vec::new(),
            after: None,
            search_after: None,
            track_scores: false,
            track_total: match wanted {
                Wanted::Top => TrackTotal::No,
                Wanted::TopAndTotal => TrackTotal::UpTo(10_000),
                Wanted::Count => TrackTotal::Exact,
            },
            min_score: None,
            aggregations: Arc::default(),
            aggregation_filters: Arc::default(),
            named: Arc::default(),
            terminate_after: None,
            now_ms: 0,
        })
    }

    /// Returns the numbers that scoring `clause` needs: the statistics phase.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn statistics(&self, clause: &Clause) -> Result<Statistics> {
        let mut wanted = StatisticsRequest::default();
        wanted.collect(clause);
        let mut sum = Statistics::default();
        for target in &self.targets {
            sum.merge(&statistics(&target.view, &wanted, &self.control)?);
        }
        Ok(sum)
    }

    /// Answers with numbers counted anew: both phases.
    ///
    /// # Panics
    /// When the index cannot be read.
    pub fn search_with_statistics(&self, asked: &ShardQuery, pool: Option<&ThreadPool>) -> u64 {
        let numbers = self.statistics(&asked.query).expect("the index is whole");
        let asked = ShardQuery {
            statistics: Arc::new(numbers),
            ..asked.clone()
        };
        self.search(&asked, pool)
    }

    /// Answers; returns the total, or the number of hits where none is counted.
    ///
    /// # Panics
    /// When the index cannot be read.
    pub fn search(&self, asked: &ShardQuery, pool: Option<&ThreadPool>) -> u64 {
        let answers = self.answers(asked, pool);
        if asked.track_total == TrackTotal::No {
            answers.iter().map(|answer| answer.hits.len() as u64).sum()
        } else {
            answers.iter().map(|answer| answer.total).sum()
        }
    }

    /// Answers under `control`; the first error of a shard is the answer's.
    ///
    /// # Errors
    /// Also when the evaluation is called off.
    pub fn answers_under(
        &self,
        control: &Arc<Control>,
        asked: &ShardQuery,
        pool: &ThreadPool,
    ) -> Result<Vec<ShardHits>, EngineError> {
        let env = SearchEnv {
            control,
            filters: &self.filters,
            memory: &self.memory,
            pool: Some(pool),
        };
        search::search(&self.targets, asked, &env)
            .into_iter()
            .collect()
    }

    /// Returns what the shards answer.
    ///
    /// # Panics
    /// When the index cannot be read.
    pub fn answers(&self, asked: &ShardQuery, pool: Option<&ThreadPool>) -> Vec<ShardHits> {
        let env = SearchEnv {
            control: &self.control,
            filters: &self.filters,
            memory: &self.memory,
            pool,
        };
        let answers = search::search(&self.targets, asked, &env).into_iter();
        let answers = answers.collect::<Result<Vec<_>, _>>().context("searching");
        answers.expect("the index is whole")
    }
}
