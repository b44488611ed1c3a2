//! Terms of texts, for `significant_text`: those of a document by analysing it again, how many documents have a
//! term by its posting list.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_analysis::{Analyzer, Meter as MadeMeter, TooMuch};
use gleaner_model::{FieldKind, FieldPath};
use gleaner_partial::control::{Control, Meter, Pace};
use gleaner_partial::key::{Key, ValueFormat};
use gleaner_partial::request::formats;
use gleaner_partial::request::key_filter::KeyFilter;
use gleaner_partial::request::keys::TermsRequest;
use gleaner_partial::terms::{TermBucket, Terms};
use gleaner_partial::{Bucket, EvaluationError, Partial};
use gleaner_query::aggregation::{Aggregation, SignificantTermsAggregation, TextTerms, Words};
use gleaner_query::source::values_at;
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use serde_json::Value;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet as _, InvertedIndexReader, TERMINATED, Term};

use super::node::{Block, Buckets, Node, SegmentContext};
use crate::error::EngineError;
use crate::fetch;
use crate::fetch::fields::Origins;
use crate::schema::tokens::analyzer_or_standard;
use crate::view::{CachePolicy, SegmentView, View, place};

/// What a term takes beside its bytes, roughly, in bytes.
const TERM_BYTES: usize = 96;

/// Builds the collector of the terms of documents.
pub(super) fn build<'a>(
    request: &SignificantTermsAggregation,
    text: &TextTerms,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let (view, field) = (context.view, request.source.field.as_str());
    let format = formats::of_words(view.mapping(), field)?;
    let TermsRequest { format, filter, .. } = TermsRequest::read(
        &request.terms(),
        format,
        context.now_ms,
        Some(context.control),
    )?;
    Ok(Box::new(TextNode {
        view,
        segment: context.segment,
        reading: Reading::of(view, field, &text.source_fields),
        filter,
        format,
        terms: Interned::default(),
        slots: HashMap::new(),
        last: None,
        control: context.control,
        buckets: Buckets::build(sub, context)?,
    }))
}

/// How the terms of a document are found.
struct Reading {
    analyzer: Analyzer,
    /// Where its texts stand.
    paths: Vec<FieldPath>,
}

impl Reading {
    /// `None` where the index does not know the field.
    fn of(view: &View, field: &str, source_fields: &[String]) -> Option<Self> {
        let (own, field) = view.mapping().resolved(field)?;
        let FieldKind::Text { analyzer, .. } = &field.kind else {
            return None;
        };
        let paths = match source_fields {
            [] => Origins::of(view.mapping()).source_paths(own),
            given => given
                .iter()
                .map(|path| FieldPath::new(path.as_str()))
                .collect(),
        };
        Some(Self {
            analyzer: analyzer_or_standard(view.analyzers(), analyzer),
            paths,
        })
    }

    /// Calls `see` with each term of a document, as often as it stands there.
    fn visit(&self, source: &Value, see: &mut dyn FnMut(&str)) -> Result<(), EngineError> {
        let meter = MadeMeter::for_document();
        let mut analyze = |text: &str| {
            let analyzed = self
                .analyzer
                .analyze_into(text, &meter, &mut |token| see(token.text));
            analyzed.map_err(|fault: TooMuch| EvaluationError::Query(fault.to_string()))
        };
        let values = self.paths.iter();
        let values = values.flat_map(|path| values_at(source, path.as_str()));
        for value in values {
            match value {
                Value::Null => {}
                Value::String(text) => analyze(text).map(drop)?,
                other => analyze(&other.to_string()).map(drop)?,
            }
        }
        Ok(())
    }
}

/// Terms, each with a number.
#[derive(Default)]
struct Interned {
    numbers: HashMap<Arc<str>, u32>,
    terms: Vec<Arc<str>>,
    /// Whether each is wanted.
    wanted: Vec<bool>,
}

/// Counts, per owner and term, the documents that have it.
struct TextNode<'a> {
    view: &'a View,
    segment: &'a SegmentView,
    reading: Option<Reading>,
    filter: Option<KeyFilter>,
    format: ValueFormat,
    terms: Interned,
    /// The bucket of an owner and a term.
    slots: HashMap<(u32, u32), u32>,
    /// The document read last, with its terms: it may come under several owners.
    last: Option<(DocId, Vec<u32>)>,
    control: &'a Control,
    buckets: Buckets<'a>,
}

impl TextNode<'_> {
    /// Returns the terms wanted of a document, each once, ascending.
    fn terms_of(&mut self, doc: DocId) -> Result<Vec<u32>, EngineError> {
        let Some(reading) = &self.reading else {
            return Ok(Vec::new());
        };
        self.control.check()?;
        let stored = self
            .view
            .read(place(self.segment.ord(), doc), CachePolicy::Nothing)?;
        let meter = self.buckets.meter();
        let (source, _held) = fetch::parse(&stored.source, Some(meter))?;
        let (interned, filter) = (&mut self.terms, self.filter.as_ref());
        let (mut found, mut added) = (Vec::new(), 0);
        reading.visit(&source, &mut |term| {
            let number = match interned.numbers.get(term) {
                Some(number) => *number,
                None => {
                    added += TERM_BYTES + term.len();
                    interned.add(term, filter)
                }
            };
            found.push(number);
        })?;
        meter.charge(added)?;
        found.sort_unstable();
        found.dedup();
        found.retain(|number| interned.wanted[*number as usize]);
        Ok(found)
    }
}

impl Interned {
    fn add(&mut self, term: &str, filter: Option<&KeyFilter>) -> u32 {
        let number = self.terms.len() as u32;
        let wanted = filter.is_none_or(|filter| filter.accepts(&Key::Text(term.to_owned())));
        let term: Arc<str> = term.into();
        self.numbers.insert(Arc::clone(&term), number);
        self.terms.push(term);
        self.wanted.push(wanted);
        number
    }
}

impl Node for TextNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        for (i, doc) in block.docs.iter().enumerate() {
            let terms = match self.last.take() {
                Some((last, terms)) if last == *doc => terms,
                _ => self.terms_of(*doc)?,
            };
            for term in &terms {
                let slot = match self.slots.get(&(block.owners[i], *term)) {
                    Some(slot) => *slot,
                    None => {
                        let slot = self.buckets.open()?;
                        self.slots.insert((block.owners[i], *term), slot);
                        slot
                    }
                };
                self.buckets.put(block, i, slot)?;
            }
            self.last = Some((*doc, terms));
        }
        self.buckets.hand_on()
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.buckets.meter().charge(self.slots.len() * TERM_BYTES)?;
        let mut lists: Vec<BTreeMap<Key, TermBucket>> = vec![BTreeMap::new(); num_owners];
        let mut buckets: Vec<Bucket> = self.buckets.finish()?;
        for ((owner, term), slot) in self.slots {
            let bucket = std::mem::take(&mut buckets[slot as usize]);
            let key = Key::Text(self.terms.terms[term as usize].as_ref().to_owned());
            lists[owner as usize].insert(key, TermBucket { bucket, error: 0 });
        }
        let lists = lists.into_iter();
        Ok(lists
            .map(|buckets| Partial::Terms(listed(self.format.clone(), buckets)))
            .collect())
    }
}

/// Counts the documents of one segment that have words.
pub(super) struct WordCounter<'a> {
    pub(super) view: &'a View,
    pub(super) segment: &'a SegmentView,
    /// The documents counted; `None` is all live ones.
    pub(super) kept_to: Option<&'a RoaringBitmap>,
    pub(super) control: &'a Control,
}

impl WordCounter<'_> {
    /// Returns how many documents have each of `words`; those that none has are left out.
    ///
    /// # Errors
    /// When postings cannot be read, there is no memory for the counts, or the request must stop.
    pub(super) fn count(
        &self,
        words: &Words,
        meter: &mut Meter<'_>,
    ) -> Result<Partial, EngineError> {
        let format = formats::of_words(self.view.mapping(), &words.field)?;
        let column = self.view.field(&words.field).map(|handle| handle.column);
        let mut buckets = BTreeMap::new();
        if let Some(column) = column {
            let inverted = self.segment.reader().inverted_index(column)?;
            for word in &words.terms {
                self.control.check()?;
                let term = Term::from_field_text(column, word);
                let doc_count = self.documents_of(&term, &inverted)?;
                if doc_count == 0 {
                    continue;
                }
                meter.charge(TERM_BYTES + word.len())?;
                let bucket = Bucket {
                    doc_count,
                    ..Bucket::default()
                };
                buckets.insert(Key::Text(word.clone()), TermBucket { bucket, error: 0 });
            }
        }
        Ok(Partial::Terms(listed(format, buckets)))
    }

    fn documents_of(
        &self,
        term: &Term,
        inverted: &InvertedIndexReader,
    ) -> Result<u64, EngineError> {
        if self.kept_to.is_none() && !self.segment.reader().has_deletes() {
            let frequency = inverted.doc_freq(term);
            return Ok(u64::from(
                frequency.map_err(EngineError::io("reading terms"))?,
            ));
        }
        let postings = inverted.read_postings(term, IndexRecordOption::Basic);
        let postings = postings.map_err(EngineError::io("reading postings"))?;
        let Some(mut postings) = postings else {
            return Ok(0);
        };
        let mut pace = Pace::new(self.control);
        let mut counted = 0;
        while postings.doc() != TERMINATED {
            pace.step(1)?;
            let doc = postings.doc();
            let is_kept = self.kept_to.is_none_or(|kept| kept.contains(doc));
            counted += u64::from(is_kept && self.segment.is_alive(doc));
            postings.advance();
        }
        Ok(counted)
    }
}

/// Returns a complete list of terms.
fn listed(format: ValueFormat, buckets: BTreeMap<Key, TermBucket>) -> Terms {
    Terms {
        format,
        buckets,
        ..Terms::default()
    }
}
