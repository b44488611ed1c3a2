//! The fields that `search_as_you_type` brings: neighbouring words in pairs and more, and their beginnings.
//!
//! Source: Elasticsearch reference, *Search-as-you-type field type*.

use gleaner_model::FieldKind;
use serde_json::{Map, Value};

use super::{Draft, malformed};
use crate::error::QueryError;

/// Name of the field of beginnings, below its root.
pub const INDEX_PREFIX: &str = "_index_prefix";

/// Longest beginning that is kept, in characters.
pub const MAX_PREFIX_CHARS: usize = 20;

/// Returns the name of the analyzer that joins `size` neighbouring words of what `analyzer` makes.
fn shingled(analyzer: &str, size: u32) -> String {
    format!("{analyzer}#shingle{size}")
}

/// Returns the name of the analyzer of the beginnings of up to `size` such words.
fn prefixed(analyzer: &str, size: u32) -> String {
    format!("{analyzer}#prefix{size}")
}

/// Returns the fields below a root, which are fed with its values and are not shown as declared.
pub(super) fn fields_below(root: &Draft) -> Result<Vec<Draft>, QueryError> {
    let FieldKind::Text {
        analyzer,
        search_analyzer,
        index,
        ..
    } = &root.kind
    else {
        return Err(malformed("a [search_as_you_type] field is text"));
    };
    let size = root.declared.get("max_shingle_size");
    let size = size.and_then(Value::as_u64).unwrap_or(3) as u32;
    let searched = search_analyzer.as_ref().unwrap_or(analyzer);
    let below = |name: &str, analyzer: String, search_analyzer: String| Draft {
        path: format!("{}.{name}", root.path),
        kind: FieldKind::Text {
            analyzer,
            search_analyzer: Some(search_analyzer),
            index: *index,
            fielddata: false,
        },
        is_multi_field: true,
        copy_to: Vec::new(),
        declared: Map::new(),
    };
    let grams = (2..=size).map(|size| {
        let name = format!("_{size}gram");
        below(&name, shingled(analyzer, size), shingled(searched, size))
    });
    let beginnings = below(
        INDEX_PREFIX,
        prefixed(analyzer, size),
        shingled(searched, size),
    );
    Ok(grams.chain([beginnings]).collect())
}
