//! Names of the system fields and of the columns of the mapping's fields.

use gleaner_model::{Field, FieldKind, NumberKind};

/// `_id`: one whole term, indexed and stored.
pub const ID: &str = "_id";
/// `gleaner_model::hash::tie_break_hash` of `_id`: fast u64.
pub const ID_HASH: &str = "_id_hash";
/// `_seq_no` of the document's latest write: fast u64.
pub const SEQ_NO: &str = "_seq_no";
/// `_version`: fast u64.
pub const VERSION: &str = "_version";
/// `_primary_term`: fast u64.
pub const TERM: &str = "_term";
/// `_routing`: one whole term, indexed and stored; absent when none was given.
pub const ROUTING: &str = "_routing";
/// `_source`: bytes as received, stored.
pub const SOURCE: &str = "_source";
/// Ordinals of fields that have a value but no doc values (text above all), and of those that ignored a
/// value, with [`IGNORED`]: indexed u64.
pub const PRESENT: &str = "_fields";
/// Added to the ordinal of a field in [`PRESENT`] where it left out a value. Documents written before there
/// was this are found without it.
pub const IGNORED: u64 = 1 << 32;

/// Returns the name of a mapping field's column; `None` for objects and aliases, which have none.
pub fn column(field: &Field) -> Option<String> {
    let letter = match &field.kind {
        FieldKind::Text { .. } => 't',
        FieldKind::Keyword { .. } => 'k',
        FieldKind::Number { number, .. } => match number {
            NumberKind::Long
            | NumberKind::Integer
            | NumberKind::Short
            | NumberKind::Byte
            | NumberKind::TokenCount { .. } => 'i',
            NumberKind::UnsignedLong => 'u',
            NumberKind::Double
            | NumberKind::Float
            | NumberKind::HalfFloat
            | NumberKind::ScaledFloat { .. }
            | NumberKind::RankFeature { .. }
            | NumberKind::RankFeatures { .. } => 'f',
        },
        FieldKind::Boolean { .. } => 'b',
        FieldKind::Date { .. } => 'd',
        FieldKind::Ip { .. } => 'p',
        // Terms, but none that is read as a keyword.
        FieldKind::Encoded { .. } => 'e',
        FieldKind::Completion | FieldKind::Binary { .. } => 'n',
        FieldKind::Object { .. } | FieldKind::Alias { .. } => return None,
    };
    Some(format!("{letter}{}", field.ordinal))
}

/// Returns the name of the column of a field's tokens, each once a document: of text with `fielddata`, and of the values
/// of a keyword whose own column counts them. The field is called `name`.
pub fn column_of_tokens(name: &str) -> String {
    format!("{name}_tokens")
}

/// Returns the name of the field that has the columns of a keyed field's keys, which is called `name`.
pub fn columns_of_keys(name: &str) -> String {
    format!("{name}_keys")
}

/// Returns the name of a key's column. The field of all of them is called `columns`.
pub fn column_of_key(columns: &str, key: &str) -> String {
    format!("{columns}.{}", key_name(key))
}

/// Returns a key as columns are named: tantivy takes a dot for a step into an object and a backslash for its
/// escape. No two keys have one name.
pub fn key_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for c in key.chars() {
        match c {
            '.' => name.push_str("\u{2}d"),
            '\\' => name.push_str("\u{2}b"),
            '\u{1}' => name.push_str("\u{2}1"),
            '\u{2}' => name.push_str("\u{2}2"),
            c => name.push(c),
        }
    }
    name
}

/// Returns whether documents with a value of the field are listed under [`PRESENT`].
pub fn is_listed(kind: &FieldKind) -> bool {
    !kind.has_doc_values() && !matches!(kind, FieldKind::Object { .. } | FieldKind::Alias { .. })
}
