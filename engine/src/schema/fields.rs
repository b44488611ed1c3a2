//! From the mapping to tantivy's schema, and from a path to its column.

use std::borrow::Cow;

use gleaner_model::mapping::KeywordKind;
use gleaner_model::{Field, FieldKind, FieldPath, Mapping, MappingVersion, NumberKind};
use hashbrown::HashMap;
use tantivy::schema::{
    BytesOptions, Field as Column, IndexRecordOption, IpAddrOptions, JsonObjectOptions,
    NumericOptions, STORED, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

use super::{names, tokens};
use crate::EngineError;

/// The system fields of every index, resolved once.
#[derive(Debug, Clone, Copy)]
pub struct SystemFields {
    /// [`names::ID`].
    pub id: Column,
    /// [`names::ID_HASH`].
    pub id_hash: Column,
    /// [`names::SEQ_NO`].
    pub seq_no: Column,
    /// [`names::VERSION`].
    pub version: Column,
    /// [`names::TERM`].
    pub term: Column,
    /// [`names::ROUTING`].
    pub routing: Column,
    /// [`names::SOURCE`].
    pub source: Column,
    /// [`names::PRESENT`].
    pub present: Column,
}

/// A field of the mapping with its column.
#[derive(Debug, Clone)]
pub struct FieldHandle {
    /// The column, in the schema of the view it was taken from.
    pub column: Column,
    /// Name of the column of its values, for fast-field access: of a keyword that counts its terms another than `column`.
    pub name: String,
    /// The field's ordinal.
    pub ordinal: u32,
    /// The field's type and options.
    pub kind: FieldKind,
}

/// The columns of one schema under one mapping.
///
/// A field of the mapping whose column the schema does not have yet has no handle: no document has
/// a value for it, so it matches nothing and has no values.
#[derive(Debug)]
pub struct Fields {
    mapping: MappingVersion,
    system: SystemFields,
    handles: HashMap<FieldPath, FieldHandle>,
    /// Fields by the aliases that stand for them.
    aliases: HashMap<FieldPath, FieldPath>,
    /// Columns of keys by their `flattened` or `rank_features` field.
    keys: HashMap<FieldPath, KeyColumns>,
    /// Columns of tokens, by the column of which they are.
    tokens: HashMap<Column, FieldHandle>,
}

/// Where the columns of a field's keys are.
#[derive(Debug)]
pub(crate) struct KeyColumns {
    /// The field that has them all.
    pub(crate) column: Column,
    /// Its name, with which those of the columns begin.
    name: String,
}

impl Fields {
    /// Resolves the columns of `mapping` in `schema`.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when `schema` lacks a system field.
    pub fn new(mapping: &Mapping, schema: &Schema) -> Result<Self, EngineError> {
        let (mut handles, mut aliases) = (HashMap::new(), HashMap::new());
        let (mut keys, mut tokens) = (HashMap::new(), HashMap::new());
        for (path, field) in &mapping.fields {
            if let FieldKind::Alias { path: of } = &field.kind {
                aliases.insert(path.clone(), of.clone());
            }
            let Some(name) = names::column(field) else {
                continue;
            };
            let Ok(column) = schema.get_field(&name) else {
                continue;
            };
            if let Some((root, columns)) = key_columns(path, field, &name, schema) {
                keys.insert(root, columns);
            }
            let of_tokens = token_column(field, &name, schema);
            let handle = FieldHandle {
                column,
                name: of_tokens
                    .as_ref()
                    .map_or(name, |tokens| tokens.name.clone()),
                ordinal: field.ordinal,
                kind: field.kind.clone(),
            };
            handles.insert(path.clone(), handle);
            if let Some(handle) = of_tokens {
                tokens.insert(column, handle);
            }
        }
        Ok(Self {
            mapping: mapping.version,
            system: SystemFields::new(schema)?,
            handles,
            aliases,
            keys,
            tokens,
        })
    }

    /// Returns the version of the mapping.
    pub fn mapping_version(&self) -> MappingVersion {
        self.mapping
    }

    /// Returns the system fields.
    pub fn system(&self) -> &SystemFields {
        &self.system
    }

    /// Returns the column of `path`, whatever its type; that of its field where `path` is an alias.
    pub fn get(&self, path: &str) -> Option<&FieldHandle> {
        let of_alias = || self.handles.get(self.aliases.get(path)?);
        self.handles.get(path).or_else(of_alias)
    }

    /// Returns the column of the values that documents have at `path`, which may be a key of a `flattened` field
    /// or a feature; those of text are its tokens, where it keeps such a column.
    pub fn values(&self, path: &str) -> Option<Cow<'_, FieldHandle>> {
        if let Some(handle) = self.get(path) {
            let tokens = self.tokens.get(&handle.column);
            return Some(Cow::Borrowed(tokens.unwrap_or(handle)));
        }
        path.match_indices('.').find_map(|(dot, _)| {
            let (root, key) = (&path[..dot], &path[dot + 1..]);
            let root = self.aliases.get(root).map_or(root, FieldPath::as_str);
            let handle = self.handles.get(root)?;
            let columns = self.columns_of_keys(root)?;
            Some(Cow::Owned(FieldHandle {
                name: names::column_of_key(&columns.name, key),
                column: columns.column,
                ordinal: handle.ordinal,
                kind: kind_of_key(&handle.kind),
            }))
        })
    }

    /// Returns the column that has each token of `column` once a document.
    pub(crate) fn tokens_of(&self, column: Column) -> Option<&FieldHandle> {
        self.tokens.get(&column)
    }

    /// Returns where the columns of a `flattened` field's keys are.
    pub(crate) fn columns_of_keys(&self, root: &str) -> Option<&KeyColumns> {
        self.keys.get(root)
    }

    /// Returns the column of `path` when it is a `text` field.
    pub fn text(&self, path: &str) -> Option<&FieldHandle> {
        self.get(path)
            .filter(|handle| matches!(handle.kind, FieldKind::Text { .. }))
    }

    /// Returns the column of `path` when it keeps how often a document has each term.
    pub fn counted(&self, path: &str) -> Option<&FieldHandle> {
        self.get(path)
            .filter(|handle| handle.kind.counts_occurrences())
    }

    /// Returns the column of `path` when it is a `keyword` field.
    pub fn keyword(&self, path: &str) -> Option<&FieldHandle> {
        self.get(path)
            .filter(|handle| matches!(handle.kind, FieldKind::Keyword { .. }))
    }

    /// Returns all columns with their paths, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldPath, &FieldHandle)> {
        self.handles.iter()
    }
}

/// Returns the column of a field's tokens, which is read as one of whole terms; `None` for fields without one.
fn token_column(field: &Field, name: &str, schema: &Schema) -> Option<FieldHandle> {
    let has_tokens = field.kind.has_column() && field.kind.counts_occurrences();
    let name = has_tokens.then(|| names::column_of_tokens(name))?;
    let column = schema.get_field(&name).ok()?;
    Some(FieldHandle {
        column,
        name,
        ordinal: field.ordinal,
        kind: FieldKind::COLUMN_OF_TERMS,
    })
}

/// Returns the columns of keys that belong to the field at `path`, with the field of which they are keys: itself, or
/// the `flattened` field above it; `None` for other fields.
fn key_columns(
    path: &FieldPath,
    field: &Field,
    name: &str,
    schema: &Schema,
) -> Option<(FieldPath, KeyColumns)> {
    let name = names::columns_of_keys(name);
    let column = schema.get_field(&name).ok()?;
    let root = match field.kind.is_of_features() {
        true => path.as_str(),
        false => path.as_str().rsplit_once('.')?.0,
    };
    Some((FieldPath::new(root), KeyColumns { column, name }))
}

/// Returns the type of the column of one key of a field.
fn kind_of_key(root: &FieldKind) -> FieldKind {
    match root {
        FieldKind::Number {
            number: NumberKind::RankFeatures {
                positive_score_impact,
            },
            ..
        } => FieldKind::Number {
            number: NumberKind::RankFeature {
                positive_score_impact: *positive_score_impact,
            },
            null_value: None,
            coerce: true,
            ignore_malformed: false,
            index: false,
            doc_values: true,
        },
        kind => kind.clone(),
    }
}

/// Returns the system fields of the schema in tantivy's `meta`.
pub(crate) fn system_of_meta(meta: &[u8]) -> Result<SystemFields, EngineError> {
    #[derive(serde::Deserialize)]
    struct Meta {
        schema: Schema,
    }
    let meta: Meta = serde_json::from_slice(meta)
        .map_err(|error| EngineError::Corrupt(format!("the schema cannot be read: {error}")))?;
    SystemFields::new(&meta.schema)
}

impl SystemFields {
    fn new(schema: &Schema) -> Result<Self, EngineError> {
        let get = |name: &str| {
            let missing = || EngineError::Corrupt(format!("the schema lacks `{name}`"));
            schema.get_field(name).map_err(|_| missing())
        };
        Ok(Self {
            id: get(names::ID)?,
            id_hash: get(names::ID_HASH)?,
            seq_no: get(names::SEQ_NO)?,
            version: get(names::VERSION)?,
            term: get(names::TERM)?,
            routing: get(names::ROUTING)?,
            source: get(names::SOURCE)?,
            present: get(names::PRESENT)?,
        })
    }
}

/// Returns the schema of a new index: the system fields, then the fields of `mapping` by ordinal.
pub fn initial_schema(mapping: &Mapping) -> Schema {
    let mut builder = Schema::builder();
    let fast = NumericOptions::default().set_fast();
    builder.add_text_field(names::ID, term_options().set_stored());
    builder.add_u64_field(names::ID_HASH, fast.clone());
    builder.add_u64_field(names::SEQ_NO, fast.clone());
    builder.add_u64_field(names::VERSION, fast.clone());
    builder.add_u64_field(names::TERM, fast);
    builder.add_text_field(names::ROUTING, term_options().set_stored());
    builder.add_bytes_field(names::SOURCE, BytesOptions::from(STORED));
    builder.add_u64_field(names::PRESENT, NumericOptions::default().set_indexed());
    append_missing(&mut builder, &Schema::builder().build(), mapping);
    builder.build()
}

/// Returns `schema` with the columns of `mapping` it lacks appended, or `None` when it lacks none.
///
/// Columns keep their numbers, so segments written before stay readable.
pub fn grown_schema(schema: &Schema, mapping: &Mapping) -> Option<Schema> {
    let mut builder = Schema::builder();
    for (_, entry) in schema.fields() {
        builder.add_field(entry.clone());
    }
    append_missing(&mut builder, schema, mapping).then(|| builder.build())
}

/// Returns the columns of `schema` that have norms.
pub fn columns_with_norms(schema: &Schema) -> Vec<Column> {
    let has_norms =
        |entry: &tantivy::schema::FieldEntry| entry.is_indexed() && entry.has_fieldnorms();
    schema
        .fields()
        .filter(|(_, entry)| has_norms(entry))
        .map(|(column, _)| column)
        .collect()
}

fn append_missing(builder: &mut SchemaBuilder, schema: &Schema, mapping: &Mapping) -> bool {
    let mut fields: Vec<&Field> = mapping.fields.values().collect();
    fields.sort_by_key(|field| field.ordinal);
    let mut has_grown = false;
    for field in fields {
        let Some(name) = names::column(field) else {
            continue;
        };
        if schema.get_field(&name).is_err() {
            append(builder, &name, &field.kind);
            has_grown = true;
        }
    }
    has_grown
}

fn append(builder: &mut SchemaBuilder, name: &str, kind: &FieldKind) {
    match kind {
        FieldKind::Text {
            analyzer, index, ..
        } => {
            builder.add_text_field(name, text_options(analyzer, *index));
            append_tokens(builder, name, kind);
        }
        FieldKind::Keyword { family, .. } => {
            builder.add_text_field(name, keyword_options(kind));
            append_tokens(builder, name, kind);
            if let KeywordKind::Keyed {
                has_columns: true, ..
            } = family
            {
                let columns = JsonObjectOptions::default().set_fast(tokens::WHOLE);
                builder.add_json_field(&names::columns_of_keys(name), columns);
            }
        }
        FieldKind::Number { .. } if name.starts_with('u') => {
            builder.add_u64_field(name, numeric_options(kind));
        }
        FieldKind::Number { number, .. } if name.starts_with('f') => {
            builder.add_f64_field(name, numeric_options(kind));
            if matches!(number, NumberKind::RankFeatures { .. }) {
                let columns = JsonObjectOptions::default().set_fast(tokens::WHOLE);
                builder.add_json_field(&names::columns_of_keys(name), columns);
            }
        }
        FieldKind::Number { .. } | FieldKind::Date { .. } => {
            builder.add_i64_field(name, numeric_options(kind));
        }
        FieldKind::Boolean { .. } => {
            builder.add_bool_field(name, numeric_options(kind));
        }
        FieldKind::Ip {
            index, doc_values, ..
        } => {
            let mut options = IpAddrOptions::default();
            if *index {
                options = options.set_indexed();
            }
            if *doc_values {
                options = options.set_fast();
            }
            builder.add_ip_addr_field(name, options);
        }
        FieldKind::Encoded { index, .. } => {
            let options = match index {
                true => term_options(),
                false => TextOptions::default(),
            };
            // Points are counted by cells and distances, ranges by the intervals that they lie in.
            builder.add_text_field(name, options.set_fast(tokens::WHOLE));
        }
        // They keep nothing: only that there is a value is listed.
        FieldKind::Completion | FieldKind::Binary { .. } => {
            builder.add_text_field(name, TextOptions::default());
        }
        FieldKind::Object { .. } | FieldKind::Alias { .. } => {}
    }
}

/// Appends the column of a field's tokens, where it has one: its own column counts them, or holds whole texts.
fn append_tokens(builder: &mut SchemaBuilder, name: &str, kind: &FieldKind) {
    if kind.has_column() && kind.counts_occurrences() {
        let tokens = TextOptions::default().set_fast(tokens::WHOLE);
        builder.add_text_field(&names::column_of_tokens(name), tokens);
    }
}

fn text_options(analyzer: &str, is_indexed: bool) -> TextOptions {
    if !is_indexed {
        return TextOptions::default();
    }
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(&tokens::tokenizer_name(analyzer))
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(true),
    )
}

/// Whole terms. Those that are counted have the norms of text too: bounds of blocks are made with them.
fn keyword_options(kind: &FieldKind) -> TextOptions {
    let is_counted = kind.counts_occurrences();
    let options = match (kind.is_indexed(), is_counted) {
        (false, _) => TextOptions::default(),
        (true, false) => term_options(),
        (true, true) => TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(tokens::WHOLE)
                .set_index_option(IndexRecordOption::WithFreqs)
                .set_fieldnorms(true),
        ),
    };
    match kind.has_doc_values() && !is_counted {
        true => options.set_fast(tokens::WHOLE),
        false => options,
    }
}

/// Whole terms, without frequencies and norms.
fn term_options() -> TextOptions {
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(tokens::WHOLE)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false),
    )
}

/// Numbers have no norms: the flag `INDEXED` would add them, `set_indexed` does not.
fn numeric_options(kind: &FieldKind) -> NumericOptions {
    let mut options = NumericOptions::default();
    if kind.is_indexed() {
        options = options.set_indexed();
    }
    if kind.has_doc_values() {
        options = options.set_fast();
    }
    options
}
