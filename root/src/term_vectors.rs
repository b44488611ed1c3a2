//! The terms of one document's fields, with their places and the numbers of all documents.
//!
//! Does: analyzes the document again, as it was when it was indexed, and counts over all shards of its index, of live
//! documents only: the same whatever the number of shards, copies and segments. Does not: keep vectors in the index.
//! Called by: `api`. Read first: [`Reader::term_vectors`].

mod filter;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter as MadeMeter, Values};
use gleaner_model::mapping::matches_pattern;
use gleaner_model::{Field, FieldKind, FieldPath, IndexMeta, Mapping};
use gleaner_partial::control::{Ledger, Meter};
use gleaner_proto::read::Document;
use gleaner_proto::search::StatisticsCall;
use gleaner_query::QueryError;
use gleaner_query::answer::{num_bytes_of, num_bytes_of_texts};
use gleaner_query::json::tree_bytes;
use gleaner_query::resolved::{Statistics, StatisticsRequest};
use serde_json::Value;

use crate::RootError;
use crate::deadline::Deadline;
use crate::field_texts::texts_of;
use crate::health::Phase;
use crate::memory::{AnswerMemory, no_room};
use crate::plan::Target;
use crate::read::{GetRequest, Reader};
use crate::scatter::Trip;
use crate::work::on_own_thread;

pub use filter::TermFilter;

/// Most terms of one answer.
const MAX_TERMS: usize = 100_000;

/// Longest value in bytes; its tokens take many times its text.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// Asks for the terms of a document.
#[derive(Debug, Clone, Default)]
pub struct TermVectorsRequest {
    /// The document; its id counts for nothing where a document is given.
    pub get: GetRequest,
    /// A document that is in no index, as if it were in this one.
    pub artificial: Option<Value>,
    /// Names and patterns of fields; `None`: those whose mapping asks for vectors, of a document that is given all.
    pub fields: Option<Vec<String>>,
    /// Analyzers of fields that are not to be analyzed by their own.
    pub analyzers: BTreeMap<String, String>,
    /// Whether the numbers of fields are counted.
    pub field_statistics: bool,
    /// Whether the numbers of terms are counted.
    pub term_statistics: bool,
    /// Which terms are kept; `None` keeps all.
    pub filter: Option<TermFilter>,
    /// What the terms are charged to; `None` counts nothing.
    pub memory: Option<AnswerMemory>,
}

impl TermVectorsRequest {
    /// Returns whether the documents that hold each term are to be counted.
    fn counts_terms(&self) -> bool {
        self.term_statistics || self.filter.is_some()
    }
}

/// The terms of a document.
#[derive(Debug, Clone)]
pub struct TermVectors {
    /// Name of the index.
    pub index: String,
    /// The document that was read; `None` where there is none, or one was given.
    pub document: Option<Document>,
    /// By field.
    pub fields: BTreeMap<FieldPath, FieldVector>,
    /// The numbers that were asked for.
    pub statistics: Statistics,
    /// The shards that were read.
    pub reads: ShardReads,
    /// The memory that the terms hold.
    pub held: Option<Arc<Ledger>>,
}

/// How many shards were read, for a document and for numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardReads {
    /// All of them; that of the document counts once more where numbers were read too.
    pub total: u32,
    /// Those of which a copy without its primary was read: acknowledged writes may be missing.
    pub stale: u32,
}

impl ShardReads {
    fn note(&mut self, may_be_stale: bool) {
        self.total += 1;
        self.stale += u32::from(may_be_stale);
    }
}

/// The terms of a field.
#[derive(Debug, Clone, Default)]
pub struct FieldVector {
    /// The values, in order: offsets are those in the values joined by one character.
    pub texts: Vec<String>,
    /// Each place of a term in them.
    pub terms: BTreeMap<String, Vec<TermPlace>>,
    /// What each term scores, where they were filtered.
    pub scores: BTreeMap<String, f32>,
}

/// One place of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermPlace {
    /// Its position.
    pub position: u32,
    /// First byte.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
}

impl Reader {
    /// Returns the terms of a document, none where there is no such document.
    ///
    /// # Errors
    /// [`RootError`] when the index is unknown, an analyzer is, a shard does not answer, or there are too many terms.
    pub async fn term_vectors(
        &self,
        request: &TermVectorsRequest,
    ) -> Result<TermVectors, RootError> {
        let (index, _) = self.cluster.single_index(&request.get.index, None)?;
        let mut found = TermVectors {
            index: index.name.to_string(),
            document: None,
            fields: BTreeMap::new(),
            statistics: Statistics::default(),
            reads: ShardReads::default(),
            held: request
                .memory
                .as_ref()
                .map(AnswerMemory::ledger)
                .transpose()?,
        };
        let memory = request.memory.as_ref();
        let (source, parsed) = match &request.artificial {
            Some(document) => {
                let num_bytes = num_bytes_of(std::slice::from_ref(document));
                let held = memory.map(|memory| memory.reserve(num_bytes)).transpose()?;
                (document.clone(), held)
            }
            None => {
                let read = self.get(&request.get).await?;
                found.reads.note(read.may_be_stale);
                found.document = read.document;
                let Some(document) = &found.document else {
                    return Ok(found);
                };
                let num_bytes = tree_bytes(&document.source);
                let held = memory.map(|memory| memory.reserve(num_bytes)).transpose()?;
                let source = serde_json::from_slice(&document.source);
                let source = source.map_err(|error| RootError::Internal(error.to_string()))?;
                (source, held)
            }
        };
        let registry = self.planner.analyzers_of(&index)?;
        let wanted = wanted(&index.mapping, request);
        let analyzing = Arc::clone(&index);
        let analyzers = request.analyzers.clone();
        let held = found.held.clone();
        let analyzed = on_own_thread(move || {
            let mut analysis = Analysis {
                registry: &registry,
                mapping: &analyzing.mapping,
                analyzers: &analyzers,
                made: MadeMeter::for_request(),
                meter: held.as_deref().map(Ledger::meter),
            };
            let vectors = analysis.vectors(&source, wanted);
            drop((source, parsed));
            vectors
        });
        let analyzed = analyzed.await;
        found.fields = analyzed.map_err(|error| RootError::Internal(error.to_string()))??;
        if request.field_statistics || request.counts_terms() {
            self.count_totals(&index, request, &mut found).await?;
        }
        if let Some(filter) = &request.filter {
            let numbers = &found.statistics;
            for (path, vector) in &mut found.fields {
                let documents = numbers.fields.get(path).map_or(0, |field| field.documents);
                filter.select(vector, documents, numbers.terms.get(path));
            }
        }
        Ok(found)
    }

    /// Counts over all shards of an index.
    async fn count_totals(
        &self,
        index: &IndexMeta,
        request: &TermVectorsRequest,
        found: &mut TermVectors,
    ) -> Result<(), RootError> {
        let of_field = |(path, vector): (&FieldPath, &FieldVector)| {
            let terms = vector.terms.keys().filter(|_| request.counts_terms());
            (path.clone(), terms.cloned().collect::<BTreeSet<_>>())
        };
        let wanted = Arc::new(StatisticsRequest {
            fields: found.fields.iter().map(of_field).collect(),
            totals: true,
        });
        let mut plans = self.planner.targets(&Target {
            expression: Some(index.name.to_string()),
            ..Target::default()
        })?;
        let deadline = Deadline::after(self.cluster.default_timeout());
        let mut trip = Trip::new(deadline);
        let ask = |call: crate::scatter::LeafCall| {
            let asked = StatisticsCall {
                shards: call.shards,
                request: Arc::clone(&wanted),
                remaining: call.remaining,
            };
            async move { call.located.client.statistics(asked).await }
        };
        let gathered = self
            .scatterer
            .scatter(&plans, &mut trip, Phase::Statistics, ask)
            .await;
        for (plan, answers) in plans.iter_mut().zip(gathered.answers) {
            for answer in plan.settle(answers, deadline) {
                found.statistics.merge(&answer.value.statistics);
                found.reads.note(answer.value.may_be_stale);
            }
            // Numbers of some shards are no numbers of the index.
            if !plan.lost.is_empty() {
                let failures = std::mem::take(&mut plan.lost);
                return Err(match plan.shards.is_empty() {
                    true => RootError::AllShardsFailed {
                        phase: "statistics",
                        failures,
                    },
                    false => RootError::PartialRefused { failures },
                });
            }
        }
        Ok(())
    }
}

/// Returns the fields that a request names, or those that have vectors where it names none.
fn wanted(mapping: &Mapping, request: &TermVectorsRequest) -> Vec<FieldPath> {
    let is_wanted = |path: &FieldPath, field: &Field| match &request.fields {
        Some(names) => names
            .iter()
            .any(|name| matches_pattern(name, path.as_str())),
        None if request.artificial.is_some() => true,
        None => has_vectors(field),
    };
    let fields = mapping.fields.iter();
    fields
        .filter(|(path, field)| is_analyzable(&field.kind) && is_wanted(path, field))
        .map(|(path, _)| path.clone())
        .collect()
}

fn is_analyzable(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Text { index: true, .. } | FieldKind::Keyword { index: true, .. }
    )
}

/// Returns whether the mapping asks for vectors of a field.
fn has_vectors(field: &Field) -> bool {
    let declared = field.declared.get("term_vector").and_then(Value::as_str);
    declared.is_some_and(|declared| declared != "no")
}

/// What documents are analyzed with.
struct Analysis<'a> {
    registry: &'a AnalyzerRegistry,
    mapping: &'a Mapping,
    analyzers: &'a BTreeMap<String, String>,
    /// Of what the analysis of a document makes.
    made: MadeMeter<'static>,
    meter: Option<Meter<'a>>,
}

/// Bytes of a term and of one place of it beside its text, at most: lists and trees have room to spare.
const PLACE_BYTES: usize = 2 * size_of::<(String, Vec<TermPlace>, TermPlace)>();

impl Analysis<'_> {
    fn charge(&mut self, num_bytes: usize) -> Result<(), RootError> {
        let charged = self.meter.as_mut().map(|meter| meter.charge(num_bytes));
        charged
            .unwrap_or(Ok(()))
            .map_err(|error| no_room(&error).into())
    }

    fn vectors(
        &mut self,
        source: &Value,
        wanted: Vec<FieldPath>,
    ) -> Result<BTreeMap<FieldPath, FieldVector>, RootError> {
        let mut vectors = BTreeMap::new();
        let mut num_left = MAX_TERMS;
        for path in wanted {
            let Some(field) = self.mapping.field(path.as_str()) else {
                continue;
            };
            let texts = texts_of(self.mapping, &path, source);
            if texts.is_empty() {
                continue;
            }
            if let Some(long) = texts.iter().find(|text| text.len() > MAX_TEXT_BYTES) {
                let num_bytes = long.len();
                return Err(refused(format!(
                    "a value of [{path}] is too long for its terms to be listed: [{num_bytes}] bytes, at most \
                     [{MAX_TEXT_BYTES}]"
                )));
            }
            self.charge(num_bytes_of_texts(&texts))?;
            let vector = self.vector(&path, field, texts, &mut num_left)?;
            for (term, places) in &vector.terms {
                self.charge(term.len() + PLACE_BYTES * places.len())?;
            }
            if !vector.terms.is_empty() {
                vectors.insert(path, vector);
            }
        }
        Ok(vectors)
    }

    fn vector(
        &self,
        path: &FieldPath,
        field: &Field,
        texts: Vec<String>,
        num_left: &mut usize,
    ) -> Result<FieldVector, RootError> {
        let own = self.analyzers.get(path.as_str());
        let mut vector = FieldVector::default();
        match (&field.kind, own) {
            (FieldKind::Keyword { normalizer, .. }, None) => {
                self.note_keywords(normalizer.as_deref(), &texts, &mut vector)?;
                *num_left = num_left.saturating_sub(texts.len());
            }
            (FieldKind::Text { analyzer, .. }, None) => {
                let analyzer = self.analyzer(analyzer)?;
                self.note_tokens(&analyzer, &texts, &mut vector, num_left)?;
            }
            (_, Some(name)) => {
                let analyzer = self.analyzer(name)?;
                self.note_tokens(&analyzer, &texts, &mut vector, num_left)?;
            }
            _ => {}
        }
        vector.texts = texts;
        Ok(vector)
    }

    fn analyzer(&self, name: &str) -> Result<Analyzer, RootError> {
        let found = self.registry.require_analyzer(name);
        found.map_err(|error| refused(error.to_string()))
    }

    /// Each value is a term.
    fn note_keywords(
        &self,
        normalizer: Option<&str>,
        texts: &[String],
        vector: &mut FieldVector,
    ) -> Result<(), RootError> {
        let normalizer = normalizer.and_then(|name| self.registry.normalizer(name));
        let mut start = 0;
        for (position, text) in (0..).zip(texts) {
            let term = match &normalizer {
                Some(normalizer) => {
                    let normalized = normalizer.normalize(text, &self.made);
                    normalized.map_err(|fault| refused(fault.to_string()))?
                }
                None => text.clone(),
            };
            let end = start + text.len();
            let places = vector.terms.entry(term).or_default();
            places.push(TermPlace {
                position,
                start,
                end,
            });
            start = end + 1;
        }
        Ok(())
    }

    fn note_tokens(
        &self,
        analyzer: &Analyzer,
        texts: &[String],
        vector: &mut FieldVector,
        num_left: &mut usize,
    ) -> Result<(), RootError> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let values = Values {
            texts: &texts,
            gap: analyzer.position_increment_gap(),
        };
        let tokens = analyzer.analyze_values_within(&values, *num_left, &self.made);
        let Some(tokens) = tokens.map_err(|fault| refused(fault.to_string()))? else {
            return Err(refused(format!(
                "the document has too many terms for them to be listed: more than [{MAX_TERMS}]"
            )));
        };
        *num_left -= tokens.len();
        for token in tokens {
            let place = TermPlace {
                position: token.position,
                start: token.start,
                end: token.end,
            };
            vector.terms.entry(token.text).or_default().push(place);
        }
        Ok(())
    }
}

fn refused(reason: String) -> RootError {
    QueryError::illegal(reason).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::RootOptions;
    use crate::testing::{Cluster, index, shard};

    /// A shard on each of two leaves.
    fn cluster() -> Cluster {
        let mapping = json!({"properties": {"text": {"type": "text"}}});
        Cluster::with_copies(2, 1, [index(1, &mapping)], RootOptions::default())
    }

    async fn vectors(cluster: &Cluster) -> Result<TermVectors, RootError> {
        let request = TermVectorsRequest {
            get: GetRequest {
                index: "index-1".to_owned(),
                ..GetRequest::default()
            },
            artificial: Some(json!({"text": "one two"})),
            field_statistics: true,
            ..TermVectorsRequest::default()
        };
        cluster.root.reader().term_vectors(&request).await
    }

    #[tokio::test]
    async fn shards_whose_numbers_may_be_old_are_counted() {
        let cluster = cluster();
        let reads = vectors(&cluster).await.expect("read").reads;
        assert_eq!(reads, ShardReads { total: 2, stale: 0 });
        cluster.leaves[1].stale.lock().insert(shard(1, 1));
        let reads = vectors(&cluster).await.expect("read").reads;
        assert_eq!(reads, ShardReads { total: 2, stale: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_of_some_shards_are_refused() {
        let cluster = cluster();
        *cluster.leaves[1].is_gone.lock() = true;
        let refused = vectors(&cluster).await.expect_err("a shard is lost");
        assert!(
            matches!(&refused, RootError::PartialRefused { failures } if failures.len() == 1),
            "{refused:?}"
        );
        *cluster.leaves[0].is_gone.lock() = true;
        let refused = vectors(&cluster).await.expect_err("all are lost");
        assert!(
            matches!(&refused, RootError::AllShardsFailed { failures, .. } if failures.len() == 2),
            "{refused:?}"
        );
    }
}
