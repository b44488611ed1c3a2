//! A document's values into tantivy's document: before it is ordered, or when it is applied.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter, TokenRef};
use gleaner_document::{DocumentError, DocumentParser, FieldValue, WalkOutcome};
use gleaner_model::hash::tie_break_hash;
use gleaner_model::mapping::KEY_END;
use gleaner_model::{
    DocumentId, Field, FieldKind, Mapping, MappingVersion, PrimaryTerm, SeqNo, Version,
};
use gleaner_query::mapping::has_frequencies;
use tantivy::TantivyDocument;
use tantivy::schema::{Field as Column, OwnedValue};

use crate::schema::{Fields, names, tokens};

/// What a document is, beside its content.
pub(crate) struct Identity<'a> {
    pub(crate) id: &'a DocumentId,
    pub(crate) routing: Option<&'a str>,
    pub(crate) seq_no: SeqNo,
    pub(crate) version: Version,
    pub(crate) term: PrimaryTerm,
    /// Version of the mapping under which it was ordered.
    pub(crate) mapping: MappingVersion,
}

/// A document whose values were read before it was ordered.
#[derive(Debug)]
pub struct PreparedDocument {
    document: TantivyDocument,
    /// The builder that prepared it.
    by: u64,
}

/// What [`DocumentBuilder::read`] found.
#[derive(Debug)]
pub enum Read {
    /// Fields that the mapping lacks and wants.
    NewFields,
    /// A document that the mapping takes; prepared, where the builder knows that mapping.
    Known(Option<PreparedDocument>),
}

/// Numbers builders.
static NEXT_BUILDER: AtomicU64 = AtomicU64::new(0);

/// Builds tantivy's documents under one mapping and schema.
pub struct DocumentBuilder {
    number: u64,
    parser: DocumentParser,
    fields: Arc<Fields>,
    /// By number of the field.
    targets: Vec<Option<Target>>,
    /// Version of the mapping that the newest field came with.
    newest: MappingVersion,
    /// By number of the field; `None` for what is not analysed.
    analyzers: Vec<Option<Analyzer>>,
}

/// Where the values of a field go.
#[derive(Clone, Copy)]
struct Target {
    column: Column,
    /// Of the field.
    ordinal: u64,
    /// Set when documents with a value are listed under `_fields`.
    listed: Option<u64>,
    /// Where each value goes to a column of its key.
    keys: Option<Column>,
    /// Where the tokens of its values go, each once; a value of whole terms is its token.
    tokens: Option<Column>,
    /// Whether each token of its values is indexed once, however often it stands there.
    is_once: bool,
    /// Whether the column keeps anything at all.
    is_kept: bool,
    /// Several values of a document stand in order in the column, equal terms and addresses once. Where terms are counted
    /// all stand there.
    is_sorted: bool,
    /// Version of the mapping that the field came with.
    since: MappingVersion,
}

impl DocumentBuilder {
    pub(crate) fn new(
        mapping: &Mapping,
        analyzers: &AnalyzerRegistry,
        fields: Arc<Fields>,
    ) -> Self {
        let parser = DocumentParser::new(mapping, analyzers);
        let mut targets = vec![None; parser.num_nodes()];
        for field in parser.fields() {
            let path = field.path.as_str();
            targets[field.number as usize] = fields.get(path).map(|handle| Target {
                column: handle.column,
                keys: keys_of(&fields, path, field.kind),
                tokens: fields.tokens_of(handle.column).map(|tokens| tokens.column),
                is_once: mapping.field(path).is_some_and(is_once),
                ordinal: u64::from(field.ordinal),
                listed: names::is_listed(field.kind).then_some(u64::from(field.ordinal)),
                is_kept: is_kept(field.kind),
                is_sorted: !field.kind.counts_occurrences(),
                since: mapping
                    .field(path)
                    .map_or(MappingVersion(0), |field| field.since),
            });
        }
        let analyzers = analyzers_of(&parser, analyzers);
        let since = targets.iter().flatten().map(|target| target.since);
        Self {
            newest: since.max().unwrap_or(MappingVersion(0)),
            number: NEXT_BUILDER.fetch_add(1, Ordering::Relaxed),
            parser,
            fields,
            targets,
            analyzers,
        }
    }

    /// Reads the document `id` by `parser`, strictly. One that has no new fields is prepared, so that it need
    /// not be read again to be applied under the same mapping.
    ///
    /// # Errors
    /// As [`DocumentParser::parse`].
    pub fn read(
        &self,
        parser: &DocumentParser,
        id: &str,
        source: &[u8],
    ) -> Result<Read, DocumentError> {
        let found = parser.walk(id, source)?;
        if found.has_unknown {
            return Ok(Read::NewFields);
        }
        let is_same = self.parser.mapping_version() == parser.mapping_version();
        Ok(Read::Known(is_same.then(|| self.prepare(found, source))))
    }

    /// Builds a document, from `prepared` if this builder made that; what the mapping under which it was
    /// ordered does not take of `source` is left out, so that it is the same on each copy and after a replay.
    pub(crate) fn build(
        &self,
        identity: &Identity<'_>,
        source: &[u8],
        prepared: Option<PreparedDocument>,
    ) -> TantivyDocument {
        let is_of_all = identity.mapping >= self.newest;
        let prepared = prepared.filter(|prepared| is_of_all && prepared.by == self.number);
        let mut document = match prepared {
            Some(prepared) => prepared.document,
            None => {
                let mut found = self.parser.walk_leniently(source);
                if !is_of_all {
                    let has = |number: u32| self.has(number, identity.mapping);
                    found.values.retain(|(number, _)| has(*number));
                    found.ignored.retain(|number| has(*number));
                }
                self.filled(found, source)
            }
        };
        self.add_identity(&mut document, identity, source);
        document
    }

    /// Returns whether a field was there in some version of the mapping.
    fn has(&self, number: u32, version: MappingVersion) -> bool {
        self.targets[number as usize].is_some_and(|target| target.since <= version)
    }

    /// Prepares the document that `source` is, of which all values are there.
    fn prepare(&self, found: WalkOutcome<'_>, source: &[u8]) -> PreparedDocument {
        PreparedDocument {
            document: self.filled(found, source),
            by: self.number,
        }
    }

    /// Returns the document for the index with the values of `found`, and room for its source.
    fn filled(&self, found: WalkOutcome<'_>, source: &[u8]) -> TantivyDocument {
        let WalkOutcome {
            mut values,
            mut ignored,
            ..
        } = found;
        self.sort(&mut values);
        self.leave_out_far(&mut values);
        let mut document = TantivyDocument::with_capacity(source.len() * 2 + 128);
        self.add_tokens(&mut document, &values);
        let mut texts = tokens::Texts::default();
        let mut last = None;
        for (number, value) in &values {
            let Some(target) = self.targets[*number as usize] else {
                continue;
            };
            if target.is_kept && !target.is_once {
                match self.analyzed(*number, value) {
                    Some(analyzed) => texts.add(&mut document, target.column, analyzed),
                    None => add(&mut document, target.column, value),
                }
            }
            if let Some(keys) = target.keys {
                add_to_key(&mut document, keys, value);
            }
            if let Some(ordinal) = target.listed.filter(|_| last != Some(*number)) {
                document.add_u64(self.fields.system().present, ordinal);
            }
            last = Some(*number);
        }
        ignored.sort_unstable();
        ignored.dedup();
        for number in ignored {
            if let Some(target) = self.targets[number as usize] {
                let ordinal = names::IGNORED | target.ordinal;
                document.add_u64(self.fields.system().present, ordinal);
            }
        }
        document
    }

    /// Adds the tokens of fields that are sorted and aggregated by them, and of text whose tokens are not counted, each
    /// once and in order. Values of a field stand together.
    fn add_tokens(&self, document: &mut TantivyDocument, values: &[(u32, FieldValue<'_>)]) {
        for run in values.chunk_by(|(a, _), (b, _)| a == b) {
            let target = run
                .first()
                .and_then(|(number, _)| self.targets[*number as usize]);
            let target = target.filter(|target| target.tokens.is_some() || target.is_once);
            let Some(target) = target else {
                continue;
            };
            let mut tokens = BTreeSet::new();
            let meter = Meter::for_document();
            for (number, value) in run {
                let mut note = |token: &str| {
                    if !tokens.contains(token) {
                        tokens.insert(token.to_owned());
                    }
                };
                match (self.analyzed(*number, value), value) {
                    (Some((analyzer, text)), _) => {
                        let see = &mut |token: TokenRef<'_>| note(token.text);
                        if let Err(fault) = analyzer.analyze_into(text, &meter, see) {
                            tracing::warn!(%fault, "a value is indexed in part");
                        }
                    }
                    // A keyword.
                    (None, FieldValue::Text(term)) => note(term),
                    _ => {}
                }
            }
            if target.is_once {
                document.add_pre_tokenized_text(target.column, tokens::of_terms(&tokens));
            }
            if let Some(column) = target.tokens {
                for token in tokens {
                    document.add_text(column, token);
                }
            }
        }
    }

    /// Brings the values of each field together; those of columns into order, and equal terms and
    /// addresses into one, as doc values are defined.
    fn sort(&self, values: &mut Vec<(u32, FieldValue<'_>)>) {
        values.sort_by_key(|(number, _)| *number);
        let mut rest = values.as_mut_slice();
        while let Some((number, _)) = rest.first() {
            let number = *number;
            let len = rest
                .iter()
                .take_while(|(other, _)| *other == number)
                .count();
            let (run, after) = rest.split_at_mut(len);
            if len > 1 && self.targets[number as usize].is_some_and(|target| target.is_sorted) {
                run.sort_by(|(_, a), (_, b)| total_order(a, b));
            }
            rest = after;
        }
        values.dedup_by(|(a, this), (b, before)| {
            let is_in_set = matches!(this, FieldValue::Text(_) | FieldValue::Ip(_));
            let is_kept_once = |target: Target| target.is_sorted && is_in_set;
            a == b && this == before && self.targets[*a as usize].is_some_and(is_kept_once)
        });
    }

    /// Leaves out values of text that would begin beyond [`tokens::MAX_POSITION`] of their field: they
    /// stay in `_source` and are not found. Values of a field stand together.
    ///
    /// A document that might have such values is analysed twice: more than a megabyte of text, or more
    /// gaps than that many positions hold.
    fn leave_out_far(&self, values: &mut Vec<(u32, FieldValue<'_>)>) {
        let most = |(number, value): &(u32, FieldValue<'_>)| {
            let analyzed = self.analyzed(*number, value);
            analyzed.map_or(0, |(analyzer, text)| {
                tokens::most_positions(analyzer, text.len())
            })
        };
        let limit = u64::from(tokens::MAX_POSITION);
        if values.iter().map(most).sum::<u64>() <= limit {
            return;
        }
        let num_values = values.len();
        let mut ruler = tokens::Ruler::default();
        let (mut field, mut begin) = (None, 0);
        values.retain(|(number, value)| {
            let Some((analyzer, text)) = self.analyzed(*number, value) else {
                return true;
            };
            if field != Some(*number) {
                (field, begin) = (Some(*number), 0);
            }
            let is_within = begin <= limit;
            if is_within {
                begin += ruler.measure(analyzer, text);
            }
            is_within
        });
        let num_left_out = num_values - values.len();
        if num_left_out > 0 {
            tracing::warn!(num_left_out, "values beyond the last position of a field");
        }
    }

    /// Returns a value that is analysed, with its analyzer.
    fn analyzed<'a>(
        &'a self,
        number: u32,
        value: &'a FieldValue<'_>,
    ) -> Option<(&'a Analyzer, &'a str)> {
        let analyzer = self.analyzers[number as usize].as_ref()?;
        match value {
            FieldValue::Text(text) => Some((analyzer, &**text)),
            _ => None,
        }
    }

    fn add_identity(&self, document: &mut TantivyDocument, identity: &Identity<'_>, source: &[u8]) {
        let system = self.fields.system();
        document.add_text(system.id, identity.id.as_str());
        document.add_u64(system.id_hash, tie_break_hash(identity.id.as_str()));
        document.add_u64(system.seq_no, identity.seq_no.0);
        document.add_u64(system.version, identity.version.0);
        document.add_u64(system.term, identity.term.0);
        if let Some(routing) = identity.routing {
            document.add_text(system.routing, routing);
        }
        // Stored either way and never indexed; tantivy writes a text in one piece, but bytes one by one.
        match std::str::from_utf8(source) {
            Ok(text) => document.add_text(system.source, text),
            Err(_) => document.add_bytes(system.source, source),
        }
    }
}

/// Orders values of one field; across types the order means nothing.
fn total_order(a: &FieldValue<'_>, b: &FieldValue<'_>) -> std::cmp::Ordering {
    match (a, b) {
        (FieldValue::Text(a), FieldValue::Text(b)) => a.cmp(b),
        (FieldValue::I64(a), FieldValue::I64(b))
        | (FieldValue::Date(a), FieldValue::Date(b))
        | (FieldValue::DateNanos(a), FieldValue::DateNanos(b)) => a.cmp(b),
        (FieldValue::U64(a), FieldValue::U64(b)) => a.cmp(b),
        (FieldValue::F64(a), FieldValue::F64(b)) => a.total_cmp(b),
        (FieldValue::Bool(a), FieldValue::Bool(b)) => a.cmp(b),
        (FieldValue::Ip(a), FieldValue::Ip(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    }
}

/// Returns whether the column of a field keeps anything. The value of a constant is read from the mapping: every document
/// has it, also those that were indexed before it was set.
fn is_kept(kind: &FieldKind) -> bool {
    (kind.is_indexed() || kind.has_doc_values()) && !kind.is_constant()
}

/// Returns whether a field indexes each of its tokens once: Lucene counts them so too where it keeps no frequencies.
fn is_once(field: &Field) -> bool {
    let is_indexed = matches!(field.kind, FieldKind::Text { index: true, .. });
    is_indexed && !has_frequencies(&field.declared)
}

/// Returns the analyzer of each field; one for all fields that name it.
fn analyzers_of(parser: &DocumentParser, analyzers: &AnalyzerRegistry) -> Vec<Option<Analyzer>> {
    let mut by_number = vec![None; parser.num_nodes()];
    let mut by_name = HashMap::new();
    for field in parser.fields() {
        if let FieldKind::Text {
            analyzer: name,
            index: true,
            ..
        } = field.kind
        {
            let made = || tokens::analyzer_or_standard(analyzers, name);
            let analyzer: &mut Analyzer = by_name.entry(name.as_str()).or_insert_with(made);
            by_number[field.number as usize] = Some(analyzer.clone());
        }
    }
    by_number
}

/// Returns the field of the columns of keys, where `path` is one of values behind their keys, or of features.
fn keys_of(fields: &Fields, path: &str, kind: &FieldKind) -> Option<Column> {
    let root = match kind.is_of_features() {
        true => path,
        false => path.rsplit_once('.').filter(|_| kind.is_keyed())?.0,
    };
    Some(fields.columns_of_keys(root)?.column)
}

/// Adds the value behind a key to the column of that key.
fn add_to_key(document: &mut TantivyDocument, keys: Column, value: &FieldValue<'_>) {
    let (key, value) = match value {
        FieldValue::Text(term) => match term.split_once(KEY_END) {
            Some((key, value)) => (key, OwnedValue::Str(value.to_owned())),
            None => return,
        },
        FieldValue::Feature { name, value } => (&**name, OwnedValue::F64(*value)),
        _ => return,
    };
    document.add_object(keys, [(names::key_name(key), value)].into());
}

fn add(document: &mut TantivyDocument, column: Column, value: &FieldValue<'_>) {
    match value {
        FieldValue::Text(text) => document.add_text(column, text),
        FieldValue::I64(value) | FieldValue::Date(value) | FieldValue::DateNanos(value) => {
            document.add_i64(column, *value);
        }
        FieldValue::U64(value) => document.add_u64(column, *value),
        FieldValue::F64(value) => document.add_f64(column, *value),
        FieldValue::Bool(value) => document.add_bool(column, *value),
        FieldValue::Ip(value) => document.add_ip_addr(column, *value),
        // It has a column of its own.
        FieldValue::Feature { .. } => {}
    }
}

#[cfg(test)]
mod tests;
