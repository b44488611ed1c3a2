//! Highlighting: where the query's terms stand in a document's text, cut into fragments.
//!
//! Text comes from `_source`, what `copy_to` adds from where it is copied, and is analysed again, so
//! any field can be highlighted. Behaves as the dialect's `unified` highlighter: fragments are
//! sentences near the asked size, a phrase is marked from its first word to its last, and clauses that
//! the document does not match are not marked. With `require_field_match: false` each word of every
//! clause is. Values stand one after the other as in the index, with the analyzer's gap between them. The
//! request's [`Control`] is checked within a document too.

mod condition;
mod fragments;
mod intervals;
mod marks;
mod matcher;
mod phrase;
mod score;
mod sentences;
mod terms;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_partial::control::{self, Control, Meter, Reservation};
use gleaner_query::search::HighlightOptions;
use gleaner_query::source::values_at;
use indexmap::IndexMap;
use serde_json::Value;

use self::fragments::Passage;
use self::marks::Marking;
use self::matcher::{Extent, Matcher, Span};
use self::terms::{Held, TermMaker};
use super::HighlightSpec;
use super::fields::Origins;
use crate::error::EngineError;
use crate::view::View;

/// Counts the steps of one document's highlighting.
type Pace<'a> = control::Pace<&'a Control>;

/// Highlights documents of one view.
pub struct Highlighter {
    fields: Vec<FieldPlan>,
    /// What the readers of all fields take; `None` counts nothing.
    _held: Option<Reservation>,
}

/// One field to highlight.
struct FieldPlan {
    path: FieldPath,
    /// Where its values stand in `_source`: for a multi-field its parent, and what is copied there.
    source_paths: Vec<FieldPath>,
    options: HighlightOptions,
    /// The field itself and its `matched_fields`.
    readers: Vec<Reader>,
    /// Longer values of a `keyword` are not indexed and not highlighted.
    ignore_above: Option<u32>,
    /// Whether values are one term and never cut.
    is_whole: bool,
}

/// How a field's text becomes terms, and which of them match.
struct Reader {
    terms: TermMaker,
    matcher: Arc<Matcher>,
}

impl Highlighter {
    /// Prepares for the documents of `view`.
    ///
    /// # Errors
    /// [`EngineError::UnknownAnalyzer`]; `EvaluationError::Query` for patterns that are refused; when
    /// `control` stops before all of them are built.
    pub fn new(
        view: &View,
        spec: &HighlightSpec<'_>,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let origins = Origins::of(view.mapping());
        let mut fields = Vec::new();
        let mut known = HashSet::new();
        let mut making = ReaderMaker::new(view, spec, control)?;
        for (position, (pattern, options)) in spec.highlight.fields.iter().enumerate() {
            control.check()?;
            for (path, _) in view.mapping().matching(pattern) {
                let Some((own, field)) = view.mapping().resolved(path.as_str()) else {
                    continue;
                };
                if known.contains(path)
                    || !matches!(
                        field.kind,
                        FieldKind::Text { .. } | FieldKind::Keyword { .. }
                    )
                {
                    continue;
                }
                control.check()?;
                let readers = making.all(own, position)?;
                let plan = FieldPlan::new(own, field, options, readers, &origins);
                known.insert(path);
                fields.push(FieldPlan {
                    path: path.clone(),
                    ..plan
                });
            }
        }
        Ok(Self {
            fields,
            _held: making.held,
        })
    }

    /// Returns the fragments of each field of a document; fields without any are left out.
    ///
    /// # Errors
    /// As [`Control::check`]: some thousands of tokens lie between two checks; as [`Meter::charge`] when
    /// there is no memory for the texts and their tokens, held until a field is done, or for the
    /// fragments, before they are made.
    pub fn fragments(
        &self,
        source: &Value,
        control: &Control,
        mut meter: Option<&mut Meter<'_>>,
    ) -> Result<IndexMap<String, Vec<String>>, EngineError> {
        let mut pace = Pace::new(control);
        let mut found = IndexMap::new();
        for field in &self.fields {
            let fragments = field.fragments(source, &mut pace, meter.as_deref_mut());
            // What found no room seems to have found no time.
            control.check_refused()?;
            let fragments = fragments?;
            if !fragments.is_empty() {
                found.insert(field.path.to_string(), fragments);
            }
        }
        Ok(found)
    }
}

impl FieldPlan {
    fn new(
        path: &FieldPath,
        field: &Field,
        options: &HighlightOptions,
        readers: Vec<Reader>,
        origins: &Origins<'_>,
    ) -> Self {
        let ignore_above = match &field.kind {
            FieldKind::Keyword { ignore_above, .. } => *ignore_above,
            _ => None,
        };
        Self {
            path: path.clone(),
            source_paths: origins.source_paths(path),
            options: options.clone(),
            readers,
            ignore_above,
            is_whole: matches!(field.kind, FieldKind::Keyword { .. }),
        }
    }

    fn fragments(
        &self,
        source: &Value,
        pace: &mut Pace<'_>,
        meter: Option<&mut Meter<'_>>,
    ) -> Result<Vec<String>, EngineError> {
        let mut held = Held::open(meter.as_deref())?;
        let texts = self.texts(source, &mut held)?;
        let mut passages = Vec::new();
        let found = self.spans(&texts, pace, &mut held)?;
        for (number, (text, spans)) in texts.iter().zip(found).enumerate() {
            if !spans.is_empty() {
                let is_whole = self.is_whole || self.options.number_of_fragments == 0;
                let size = (!is_whole).then_some(self.options.fragment_size);
                passages.extend(fragments::cut(number, text, spans, size, pace)?);
            }
        }
        if passages.is_empty() {
            return self.start(&texts, pace, meter);
        }
        let chosen = self.choose(passages, &texts);
        if let Some(meter) = meter {
            let marked = chosen
                .iter()
                .map(|passage| passage.num_bytes_marked(&self.options));
            meter.charge(marked.sum())?;
        }
        let marked = chosen
            .iter()
            .map(|passage| passage.marked(&texts[passage.value], &self.options));
        Ok(marked.collect())
    }

    /// Returns the field's values that are highlighted.
    fn texts(&self, source: &Value, held: &mut Held) -> Result<Vec<String>, EngineError> {
        let mut texts = Vec::new();
        let paths = self.source_paths.iter();
        for value in paths.flat_map(|path| values_at(source, path.as_str())) {
            if let Some(text) = text_of(value).filter(|text| self.is_kept(text)) {
                held.add(size_of::<String>() + text.len())?;
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// Returns the start of the first value that is not empty, for a document without a match.
    fn start(
        &self,
        texts: &[String],
        pace: &mut Pace<'_>,
        meter: Option<&mut Meter<'_>>,
    ) -> Result<Vec<String>, EngineError> {
        let text = texts.iter().find(|text| !text.is_empty());
        let text = text.map_or("", String::as_str);
        let start = fragments::start_of(text, self.options.no_match_size, pace)?;
        if start.is_empty() {
            return Ok(Vec::new());
        }
        let is_html = self.options.encode_html;
        if let Some(meter) = meter {
            meter.charge(fragments::num_bytes_encoded(start.len(), is_html))?;
        }
        Ok(vec![fragments::encoded(start, is_html)])
    }

    /// Keeps the best passages, in order of score or of place.
    fn choose(&self, mut passages: Vec<Passage>, texts: &[String]) -> Vec<Passage> {
        let limit = self.options.number_of_fragments;
        if limit == 0 {
            return passages;
        }
        score::rate(&mut passages, texts);
        passages.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| a.place().cmp(&b.place()))
        });
        passages.truncate(limit);
        if !self.options.order_by_score {
            passages.sort_by_key(Passage::place);
        }
        passages
    }

    /// Returns where terms match in each value, ascending, none overlapping another.
    fn spans(
        &self,
        texts: &[String],
        pace: &mut Pace<'_>,
        held: &mut Held,
    ) -> Result<Vec<Vec<Span>>, EngineError> {
        let limit = self.options.max_analyzed_offset;
        let end = |text: &str| {
            let mut ends = text.char_indices().map(|(end, _)| end);
            ends.nth(limit).unwrap_or(text.len())
        };
        let analyzed: Vec<&str> = texts.iter().map(|text| &text[..end(text)]).collect();
        let mut pairs = texts.iter().zip(&analyzed);
        let is_complete = pairs.all(|(text, analyzed)| text.len() == analyzed.len());
        let mut spans: Vec<Vec<Span>> = vec![Vec::new(); texts.len()];
        for reader in &self.readers {
            let found = reader.spans(&analyzed, is_complete, pace, held)?;
            for (of_value, more) in spans.iter_mut().zip(found) {
                of_value.extend(more);
            }
        }
        Ok(spans.into_iter().map(matcher::merge).collect())
    }

    fn is_kept(&self, text: &str) -> bool {
        self.ignore_above
            .is_none_or(|limit| text.chars().count() <= limit as usize)
    }
}

/// Makes the readers of fields.
struct ReaderMaker<'a> {
    view: &'a View,
    spec: &'a HighlightSpec<'a>,
    control: &'a Control,
    /// Those that look for the words of all fields, by the query's number: fields share them.
    of_any: HashMap<(Option<usize>, Marking), Arc<Matcher>>,
    held: Option<Reservation>,
}

impl<'a> ReaderMaker<'a> {
    fn new(
        view: &'a View,
        spec: &'a HighlightSpec<'a>,
        control: &'a Control,
    ) -> Result<Self, EngineError> {
        let account = control.memory();
        Ok(Self {
            view,
            spec,
            control,
            of_any: HashMap::new(),
            held: account.map(|account| account.reserve(0)).transpose()?,
        })
    }

    /// Returns the readers of a field: its own, and those of its `matched_fields`, as asked for at
    /// `position` in `highlight.fields`.
    fn all(&mut self, path: &FieldPath, position: usize) -> Result<Vec<Reader>, EngineError> {
        let (_, options) = &self.spec.highlight.fields[position];
        let default = self.spec.highlight.require_field_match;
        let requires_match = options.require_field_match.unwrap_or(default);
        let mut readers = Vec::new();
        let others = options
            .matched_fields
            .iter()
            .filter(|other| other.as_str() != path.as_str());
        for name in std::iter::once(path.as_str()).chain(others.map(String::as_str)) {
            self.control.check()?;
            if let Some((own, field)) = self.view.mapping().resolved(name) {
                let wanted = requires_match.then_some(own.as_str());
                let marking = match requires_match && !options.marks_words {
                    true => Marking::Matches,
                    false => Marking::Words,
                };
                let matcher = self.matcher(wanted, marking, position)?;
                let terms = TermMaker::new(self.view, &field.kind)?;
                self.hold(2 * size_of::<Reader>())?;
                readers.push(Reader { terms, matcher });
            }
        }
        Ok(readers)
    }

    /// Returns what finds the words of the query of `position` in a field, or in any where `wanted` is `None`.
    fn matcher(
        &mut self,
        wanted: Option<&str>,
        marking: Marking,
        position: usize,
    ) -> Result<Arc<Matcher>, EngineError> {
        let own = self.spec.field_queries.get(position);
        let own = own.and_then(Option::as_ref);
        let key = (own.map(|_| position), marking);
        if wanted.is_none()
            && let Some(known) = self.of_any.get(&key)
        {
            return Ok(Arc::clone(known));
        }
        let query = own.unwrap_or(self.spec.query);
        let matcher = Arc::new(Matcher::new(query, wanted, marking, self.control)?);
        self.hold(matcher.num_bytes())?;
        if wanted.is_none() {
            self.of_any.insert(key, Arc::clone(&matcher));
        }
        Ok(matcher)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), EngineError> {
        let held = self.held.as_mut();
        Ok(held.map_or(Ok(()), |held| held.grow(bytes as u64))?)
    }
}

impl Reader {
    /// Returns where terms match in each of a field's values; `is_complete` is false where these were
    /// cut.
    fn spans(
        &self,
        texts: &[&str],
        is_complete: bool,
        pace: &mut Pace<'_>,
        held: &mut Held,
    ) -> Result<Vec<Vec<Span>>, EngineError> {
        let mut places = self.terms.places();
        let (mut begins, mut tokens) = (Vec::with_capacity(texts.len()), Vec::new());
        for text in texts {
            begins.push(places.offset());
            let watched = (&mut *pace, &mut *held);
            self.terms
                .add_tokens(text, &mut places, &mut tokens, watched)?;
        }
        let extent = Extent {
            is_complete,
            is_single: texts.len() < 2,
        };
        let found = self.matcher.find(&tokens, extent, pace, held)?;
        Ok(by_value(found, &begins, texts))
    }
}

/// Returns in each value what is marked of it, of spans in all values one after the other: a phrase that ends in another
/// value than it begins in is marked in both, and in those between.
fn by_value(spans: Vec<Span>, begins: &[usize], texts: &[&str]) -> Vec<Vec<Span>> {
    let mut found = vec![Vec::new(); texts.len()];
    for span in spans {
        let first = begins.partition_point(|begin| *begin <= span.start);
        for value in first.saturating_sub(1)..texts.len() {
            let begin = begins[value];
            if begin >= span.end {
                break;
            }
            let end = (span.end - begin).min(texts[value].len());
            let start = span.start.saturating_sub(begin);
            if start < end {
                found[value].push(Span { start, end, ..span });
            }
        }
    }
    found
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
