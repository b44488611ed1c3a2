//! Files as documents.

use std::path::Path;

use serde_json::{Value, json};
use twox_hash::XxHash3_128;

use super::Entry;

/// Bytes of a file that are looked at to tell text from anything else.
const SEEN_BYTES: usize = 8 << 10;

/// Returns what the index is made with where it is not there.
pub(super) fn index_body() -> Value {
    let keyword = json!({"type": "keyword", "ignore_above": 8191});
    json!({"mappings": {"properties": {
        "source": keyword,
        "state": keyword,
        "path": {"type": "keyword", "ignore_above": 8191, "fields": {"text": {"type": "text"}}},
        "name": {"type": "keyword", "ignore_above": 8191, "fields": {"text": {"type": "text"}}},
        "extension": keyword,
        "bytes": {"type": "long"},
        "content": {"type": "text"},
    }}})
}

/// Returns the id of a file's document: of one source and one path, always the same.
pub(super) fn id_of(source: &str, path: &str) -> String {
    let whole = format!("{source}\0{path}");
    format!("{:032x}", XxHash3_128::oneshot(whole.as_bytes()))
}

/// Returns a file's document; `None` where the file is no text.
pub(super) fn document(source: &str, entry: &Entry, content: &[u8]) -> Option<Value> {
    let seen = &content[..content.len().min(SEEN_BYTES)];
    if seen.contains(&0) {
        return None;
    }
    let path = Path::new(&entry.path);
    let word =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    Some(json!({
        "source": source,
        "state": entry.state,
        "path": entry.path,
        "name": word(path.file_name()),
        "extension": word(path.extension()),
        "bytes": entry.num_bytes,
        "content": String::from_utf8_lossy(content),
    }))
}
