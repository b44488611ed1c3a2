//! The corpus in shards and segments.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::directory::Reading;
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_engine::search::{SearchEnv, Target, search};
use gleaner_engine::statistics::statistics;
use gleaner_engine::writer::MergeOptions;
use gleaner_engine::{EngineError, ShardIndex, ShardMeta, ShardOptions};
use gleaner_log::files::SimulatedFiles;
use gleaner_model::{
    DocumentId, IndexName, IndexUuid, Operation, OperationKind, PrimaryTerm, SeqNo, ShardKey,
    ShardNumber, Version,
};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::ShardHits;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::{Clause, ShardQuery, Statistics, StatisticsRequest};
use gleaner_query::search::TrackTotal;
use serde_json::json;

use crate::corpus::{CLASSES, Corpus, Document, Step, word};

/// How many parts the corpus lies in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) shards: usize,
    pub(crate) segments: usize,
}

/// What is compared.
pub(crate) const LAYOUTS: [Layout; 6] = [
    Layout {
        shards: 1,
        segments: 1,
    },
    Layout {
        shards: 1,
        segments: 6,
    },
    Layout {
        shards: 3,
        segments: 1,
    },
    Layout {
        shards: 3,
        segments: 6,
    },
    Layout {
        shards: 8,
        segments: 1,
    },
    Layout {
        shards: 8,
        segments: 6,
    },
];

/// Hits of an answer: id and bits of the score.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) hits: Vec<(String, u32)>,
    pub(crate) total: u64,
}

/// All shards of the corpus.
pub(crate) struct Cluster {
    indices: Vec<ShardIndex>,
    num_applied: Vec<u64>,
    pub(crate) targets: Vec<Target>,
    filters: Arc<FilterCache>,
}

impl Cluster {
    /// Writes the history of `corpus`, long documents to other shards than short ones.
    pub(crate) fn build(corpus: &Corpus, layout: Layout) -> Self {
        let indices: Vec<ShardIndex> = (0..layout.shards).map(open).collect();
        let mut num_applied = vec![0; layout.shards];
        let per_segment = corpus.history.len().div_ceil(layout.segments);
        for part in corpus.history.chunks(per_segment) {
            for step in part {
                let (class, kind) = operation(step);
                let shard = class * layout.shards / CLASSES;
                let operation = Operation {
                    term: PrimaryTerm(1),
                    mapping: gleaner_model::MappingVersion(1),
                    timestamp_ms: 0,
                    kind,
                };
                let seq_no = SeqNo(num_applied[shard]);
                indices[shard]
                    .apply(seq_no, &operation)
                    .expect("it is in order");
                num_applied[shard] += 1;
            }
            for (index, applied) in indices.iter().zip(&num_applied) {
                index.refresh(SeqNo(*applied)).expect("it refreshes");
            }
        }
        let options = FilterCacheOptions {
            min_segment_documents: 64,
            ..Default::default()
        };
        let filters = Arc::new(FilterCache::new(options));
        let mut cluster = Self {
            indices,
            num_applied,
            targets: Vec::new(),
            filters,
        };
        cluster.take_views();
        cluster
    }

    /// Merges every shard into one segment.
    pub(crate) fn merge(&mut self) {
        for (index, applied) in self.indices.iter().zip(&self.num_applied) {
            index.force_merge(1).expect("it merges");
            index.refresh(SeqNo(*applied)).expect("it refreshes");
        }
        self.take_views();
        assert!(
            self.targets
                .iter()
                .all(|target| target.view.segments().len() <= 1)
        );
    }

    fn take_views(&mut self) {
        let indices = self.indices.iter();
        self.targets = indices
            .map(|index| Target {
                key: index.key(),
                view: index.view(),
            })
            .collect();
    }

    /// Collects the numbers of a query over all shards, as the root does.
    pub(crate) fn statistics(&self, clause: &Clause) -> Statistics {
        let mut request = StatisticsRequest::default();
        request.collect(clause);
        let mut sum = Statistics::default();
        for target in &self.targets {
            let numbers = statistics(&target.view, &request, &Control::unlimited());
            sum.merge(&numbers.expect("the index is readable"));
        }
        sum
    }

    /// Searches all shards with the default similarity.
    pub(crate) fn search(
        &self,
        clause: &Clause,
        statistics: &Arc<Statistics>,
        top: usize,
        track_total: TrackTotal,
    ) -> Found {
        self.answer(&ShardQuery {
            top,
            track_total,
            ..query(clause, statistics)
        })
    }

    /// Searches all shards.
    pub(crate) fn answer(&self, query: &ShardQuery) -> Found {
        self.merged(self.run(query).expect("the query is good"))
    }

    /// Searches all shards for totals and hits, giving errors back.
    pub(crate) fn try_search(
        &self,
        clause: &Clause,
        statistics: &Arc<Statistics>,
        top: usize,
    ) -> Result<Vec<ShardHits>, EngineError> {
        self.run(&ShardQuery {
            top,
            ..query(clause, statistics)
        })
    }

    pub(crate) fn run(&self, query: &ShardQuery) -> Result<Vec<ShardHits>, EngineError> {
        let env = SearchEnv {
            control: &Arc::new(Control::unlimited()),
            filters: &self.filters,
            memory: &MemoryAccount::root("test", 1 << 30),
            pool: None,
        };
        search(&self.targets, query, &env).into_iter().collect()
    }

    /// Merges the answers of the shards, as the root does.
    fn merged(&self, answers: Vec<ShardHits>) -> Found {
        let total = answers.iter().map(|answer| answer.total).sum();
        let mut hits = Vec::new();
        for (target, answer) in self.targets.iter().zip(answers) {
            for hit in answer.hits {
                let id = target.view.document(hit.place).expect("it is there").id;
                hits.push((hit.score.expect("ranked by score"), hit.tie, id));
            }
        }
        hits.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let hits = hits
            .into_iter()
            .map(|(score, _, id)| (id.as_str().to_owned(), score.to_bits()));
        Found {
            hits: hits.collect(),
            total,
        }
    }
}

/// A query for hits by score.
pub(crate) fn query(clause: &Clause, statistics: &Arc<Statistics>) -> ShardQuery {
    ShardQuery::best(clause.clone(), Arc::clone(statistics), 10)
}

fn open(shard: usize) -> ShardIndex {
    let declared = json!({"properties": {
        "title": {"type": "text", "analyzer": "whitespace"},
        "body": {"type": "text", "analyzer": "whitespace"},
        "labels": {"type": "keyword", "index_options": "freqs"},
        "tag": {"type": "keyword"},
        "number": {"type": "long"},
        "flag": {"type": "boolean"},
    }});
    let mapping = parse_mapping(&declared, None, &MappingRules::default()).expect("it is good");
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(shard as u32),
    };
    let analyzers = Arc::new(AnalyzerRegistry::builtin());
    let meta = ShardMeta {
        key,
        name: IndexName::parse("library").expect("a good name"),
        mapping: Arc::new(mapping),
        analyzers,
    };
    let options = ShardOptions {
        merges: MergeOptions {
            is_enabled: false,
            ..MergeOptions::default()
        },
        files: Arc::new(SimulatedFiles::new()),
        reading: Reading::Copied,
        ..ShardOptions::default()
    };
    ShardIndex::open(Path::new("/shard"), meta, options)
        .expect("an empty folder opens")
        .0
}

fn operation(step: &Step) -> (usize, OperationKind) {
    let id = |text: &str| DocumentId::parse(text).expect("a good id");
    match step {
        Step::Put(document) => {
            let kind = OperationKind::Index {
                id: id(&document.id),
                routing: None,
                version: Version(2),
                source: Bytes::from(source(document)),
            };
            (document.class, kind)
        }
        Step::Delete(victim, class) => {
            let kind = OperationKind::Delete {
                id: id(victim),
                routing: None,
                version: Version(3),
            };
            (*class, kind)
        }
    }
}

fn source(document: &Document) -> String {
    let text = |words: &[u32]| words.iter().map(|&w| word(w)).collect::<Vec<_>>().join(" ");
    let mut source = json!({
        "body": text(&document.body),
        "tag": format!("t{}", document.tag),
        "number": document.number,
    });
    if !document.title.is_empty() {
        source["title"] = text(&document.title).into();
    }
    if !document.labels.is_empty() {
        source["labels"] = document.labels.iter().map(|&w| word(w)).collect();
    }
    if let Some(flag) = document.flag() {
        source["flag"] = flag.into();
    }
    source.to_string()
}
