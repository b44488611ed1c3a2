//! The content of hits: `_source`, doc values, fields, fragments, explanations.
//!
//! Does: read documents by place, grouped by segment and in stored order, and return them in the
//! order asked ([`fetch`]). Does not: filter `_source` (`gleaner_query::source` does, at the root,
//! which has the whole of it).
//! Called by `leaf` and by `top_hits`.

pub mod highlight;

mod doc_values;
pub(crate) mod fields;
mod ignored;
mod length;
mod named;

use std::sync::Arc;

use gleaner_partial::control::{Control, Ledger, Meter, Reservation};
use gleaner_query::answer::{FetchedHit, num_bytes_of_field, num_bytes_of_texts};
use gleaner_query::json;
use gleaner_query::resolved::{Clause, NamedClause, ShardQuery};
use gleaner_query::search::{FieldFormat, Highlight};
use indexmap::IndexMap;
use serde_json::Value;

pub use self::length::length;

use crate::error::EngineError;
use crate::explain;
use crate::view::{CachePolicy, StoredDocument, View};

/// What to return of each hit.
#[derive(Clone, Copy, Default)]
pub struct FetchSpec<'a> {
    /// Doc values.
    pub docvalue_fields: &'a [FieldFormat],
    /// Values taken from `_source`.
    pub fields: &'a [FieldFormat],
    /// Fragments.
    pub highlight: Option<HighlightSpec<'a>>,
    /// Explain each hit's score under this query.
    pub explain: Option<&'a ShardQuery>,
    /// Clauses of which each hit tells whether they match it.
    pub named: &'a [NamedClause],
    /// By whose statistics and similarities those are scored; `None`: they only match.
    pub named_by: Option<&'a ShardQuery>,
    /// Whether `_source` is left out.
    pub is_without_source: bool,
    /// What the content is charged to; `None` counts nothing.
    pub ledger: Option<&'a Ledger>,
}

/// Highlighting with its queries resolved.
#[derive(Clone, Copy)]
pub struct HighlightSpec<'a> {
    /// As asked.
    pub highlight: &'a Highlight,
    /// The search's query, or `highlight.query`, resolved.
    pub query: &'a Clause,
    /// `highlight_query` of single fields, resolved, by position in `highlight.fields`; may be
    /// empty.
    pub field_queries: &'a [Option<Clause>],
}

/// Hits of one call whose documents are kept in the node's cache: of more, as a scroll asks for, it is not
/// to be expected that they are asked for again.
const KEPT_AT_ONCE: usize = 64;

/// Reads the documents at `places`, numbers that `view` gave out; the answer is in their order.
///
/// # Errors
/// When documents cannot be read, a field cannot be formatted as asked, there is no memory for the content,
/// or the request must stop: hits without content are of no use, so a deadline is an error here.
pub fn fetch(
    view: &Arc<View>,
    places: &[u64],
    spec: &FetchSpec<'_>,
    control: &Control,
) -> Result<Vec<FetchedHit>, EngineError> {
    if let Some(ledger) = spec.ledger {
        control.draw_on(ledger.account());
    }
    let mut doc_values = doc_values::Plan::new(view, spec.docvalue_fields)?;
    let fields = fields::Plan::new(view, spec.fields, control)?;
    let mut ignored_fields = ignored::Plan::new(view);
    let named = named::Plan::new(view, spec.named, spec.named_by, control)?;
    let highlighter = spec
        .highlight
        .map(|h| highlight::Highlighter::new(view, &h, control))
        .transpose()?;
    // Neighbours in the store share a block, which is decompressed once when they are read in turn.
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|i| places[*i]);
    let mut hits: Vec<Option<FetchedHit>> = vec![None; places.len()];
    let keeping = if places.len() <= KEPT_AT_ONCE {
        CachePolicy::Read
    } else {
        CachePolicy::Nothing
    };
    let mut meter = spec.ledger.map(Ledger::meter);
    for i in order {
        control.check()?;
        let document = view.read(places[i], keeping)?;
        charge(&mut meter, document.source.len())?;
        let mut shown = ShownFields::new(meter.as_mut());
        doc_values.read(places[i], &mut shown)?;
        let needs_source = !fields.is_empty() || highlighter.is_some();
        let (parsed, _held) = if needs_source {
            parse(&document.source, shown.meter.as_deref())?
        } else {
            (Value::Null, None)
        };
        fields.read(&parsed, &mut shown)?;
        let ShownFields {
            fields: mut shown,
            num_bytes: num_bytes_of_fields,
            ..
        } = shown;
        let ignored = ignored_fields.read(places[i])?;
        let ignored_values = fields.ignored_values(&parsed, &ignored);
        let names = spec.docvalue_fields.iter().map(|field| &field.field);
        shown.extend(names.filter_map(|name| metadata(view, name, &document, &ignored)));
        let fragments = highlighter
            .as_ref()
            .map(|h| h.fragments(&parsed, control, meter.as_mut()))
            .transpose()?;
        let explanation = spec
            .explain
            .map(|query| explain::at_place(view, places[i], query, control));
        let hit = FetchedHit {
            id: document.id,
            routing: document.routing,
            seq_no: document.seq_no,
            term: document.term,
            version: document.version,
            source: match spec.is_without_source {
                true => bytes::Bytes::new(),
                false => document.source,
            },
            ignored,
            ignored_values,
            matched_queries: named.read(places[i])?,
            fields: shown,
            highlight: fragments.unwrap_or_default(),
            explanation: explanation
                .transpose()?
                .map(|explained| explained.explanation),
        };
        // The source, the fields and the fragments count already.
        let counted = num_bytes_of_fields + num_bytes_of_fragments(&hit) + hit.source.len();
        charge(&mut meter, hit.num_bytes().saturating_sub(counted))?;
        hits[i] = Some(hit);
    }
    Ok(hits.into_iter().flatten().collect())
}

/// Returns metadata of a hit as `docvalue_fields` shows it, where the hit has it; `None` for other names.
fn metadata(
    view: &View,
    name: &str,
    document: &StoredDocument,
    ignored: &[String],
) -> Option<(String, Vec<Value>)> {
    let values: Vec<Value> = match name {
        "_index" => vec![Value::from(view.index_name().as_str())],
        "_seq_no" => vec![Value::from(document.seq_no.0)],
        "_version" => vec![Value::from(document.version.0)],
        "_ignored" => ignored.iter().map(|path| Value::from(&**path)).collect(),
        _ => return None,
    };
    (!values.is_empty()).then(|| (name.to_owned(), values))
}

/// The fields of a hit while they are read; each is charged when it is added, as those of one document may be many times
/// its size.
struct ShownFields<'m, 'l> {
    fields: IndexMap<String, Vec<serde_json::Value>>,
    meter: Option<&'m mut Meter<'l>>,
    /// Bytes charged.
    num_bytes: usize,
}

impl<'m, 'l> ShownFields<'m, 'l> {
    fn new(meter: Option<&'m mut Meter<'l>>) -> Self {
        Self {
            fields: IndexMap::new(),
            meter,
            num_bytes: 0,
        }
    }

    /// Charges the values of a field.
    fn charge(&mut self, name: &str, values: &[serde_json::Value]) -> Result<(), EngineError> {
        let num_bytes = num_bytes_of_field(name, values);
        self.num_bytes += num_bytes;
        let meter = self.meter.as_mut();
        Ok(meter.map_or(Ok(()), |meter| meter.charge(num_bytes))?)
    }

    /// Adds the values of a field, unless there are none.
    fn add(&mut self, name: &str, values: Vec<serde_json::Value>) -> Result<(), EngineError> {
        if !values.is_empty() {
            self.charge(name, &values)?;
            self.fields.insert(name.to_owned(), values);
        }
        Ok(())
    }
}

fn charge(meter: &mut Option<Meter<'_>>, bytes: usize) -> Result<(), EngineError> {
    meter
        .as_mut()
        .map_or(Ok(()), |meter| Ok(meter.charge(bytes)?))
}

fn num_bytes_of_fragments(hit: &FetchedHit) -> usize {
    let fragments = hit.highlight.values();
    fragments
        .map(|fragments| num_bytes_of_texts(fragments))
        .sum()
}

/// Documents whose values are not counted before they are parsed.
const SMALL_SOURCE: usize = 64 << 10;

/// Parses a document; what its values take is reserved before, as it may be sixty times the text.
pub(crate) fn parse(
    source: &[u8],
    meter: Option<&Meter<'_>>,
) -> Result<(Value, Option<Reservation>), EngineError> {
    let mut held = None;
    if let Some(meter) = meter.filter(|_| source.len() > SMALL_SOURCE) {
        held = Some(meter.borrow(json::tree_bytes(source))?);
    }
    let parsed = serde_json::from_slice(source)
        .map_err(|error| EngineError::Corrupt(format!("a stored `_source` is no JSON: {error}")))?;
    Ok((parsed, held))
}

#[cfg(test)]
mod tests;
