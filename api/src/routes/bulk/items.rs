//! The `items` of a bulk answer, as far as they are sent.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::response::{FilterPath, Share};

/// Renders answers one by one, so that an answer of any length needs no tree of all of it.
pub(super) struct Items {
    filter: Option<FilterPath>,
    share: Share,
    rendered: Vec<u8>,
    /// Items shown so far.
    pub(super) num_shown: usize,
    /// Items answered so far.
    pub(super) num_items: usize,
    pub(super) has_errors: bool,
    /// Whether some were refused for want of room.
    pub(super) has_rejected: bool,
}

impl Items {
    /// Shows what `filter` leaves of each item.
    pub(super) fn new(filter: Option<&FilterPath>) -> Self {
        Self {
            filter: filter.cloned(),
            share: filter.map_or(Share::Whole, |filter| filter.share_of("items")),
            rendered: Vec::new(),
            num_shown: 0,
            num_items: 0,
            has_errors: false,
            has_rejected: false,
        }
    }

    /// Adds the answer to an action; returns how many bytes are shown of it.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        body: &impl Serialize,
        is_error: bool,
    ) -> usize {
        self.num_items += 1;
        self.has_errors |= is_error;
        let num_shown = self.num_shown;
        let before = self.rendered.len();
        match self.share {
            Share::Nothing => {}
            Share::Whole => {
                self.separate();
                let written = serde_json::to_writer(&mut self.rendered, &NamedItem { name, body });
                written.expect("memory takes every byte, and all keys are texts");
            }
            Share::Part => {
                let filter = self.filter.as_ref();
                if let Some(left) =
                    filter.and_then(|filter| filtered(&NamedItem { name, body }, filter))
                {
                    self.separate();
                    self.rendered.extend_from_slice(left.as_bytes());
                }
            }
        }
        let num_separators = usize::from(num_shown > 0 && self.num_shown > num_shown);
        self.rendered.len() - before - num_separators
    }

    /// Returns how items are shown, for those that are changed when they were rendered.
    pub(super) fn filter(&self) -> Option<FilterPath> {
        let is_part = self.share == Share::Part;
        self.filter.clone().filter(|_| is_part)
    }

    /// Returns what was rendered since the last call, separated by commas.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.rendered).into()
    }

    /// Returns the answer's other members, as far as they are sent.
    pub(super) fn head(&self, took_ms: u64) -> Map<String, Value> {
        let head = json!({"took": took_ms, "errors": self.has_errors});
        match self.apply(head) {
            Value::Object(head) => head,
            _ => Map::new(),
        }
    }

    /// Returns whether the answer has `items` at all.
    pub(super) fn are_shown(&self) -> bool {
        self.share == Share::Whole || self.num_shown > 0
    }

    fn separate(&mut self) {
        if self.num_shown > 0 {
            self.rendered.push(b',');
        }
        self.num_shown += 1;
    }

    fn apply(&self, value: Value) -> Value {
        match &self.filter {
            Some(filter) => filter.apply(value),
            None => value,
        }
    }
}

/// Returns what `filter` leaves of an item; `None` for nothing. Filters look at each element of an array by
/// itself, so one item may stand for all.
pub(super) fn filtered(item: &impl Serialize, filter: &FilterPath) -> Option<String> {
    let name = "items";
    let body = &[item];
    let whole = serde_json::to_string(&NamedItem { name, body }).ok()?;
    let left = filter.left_of(&whole)?;
    let item = left.strip_prefix(r#"{"items":["#)?.strip_suffix("]}")?;
    Some(item.to_owned())
}

/// `{"index": {…}}`.
struct NamedItem<'a, T> {
    name: &'static str,
    body: &'a T,
}

impl<T: Serialize> Serialize for NamedItem<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, self.body)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Vec<(&'static str, Value)> {
        vec![
            (
                "index",
                json!({"_id": "1", "status": 201, "_shards": {"total": 1}}),
            ),
            ("delete", json!({"_id": "2", "status": 404})),
            (
                "index",
                json!({"_id": null, "status": 400, "error": {"type": "x"}}),
            ),
        ]
    }

    #[test]
    fn filtering_item_by_item_is_filtering_the_answer() {
        let all: Vec<Value> = answers()
            .into_iter()
            .map(|(name, body)| json!({ name: body }))
            .collect();
        let whole = json!({"took": 3, "errors": true, "items": all});
        for path in [
            "errors",
            "took,items",
            "items.*.error",
            "items.*.status,took",
            "**._id",
            "-items",
            "-items.*._shards",
            "items,-items.delete",
            "items.index.nothing",
        ] {
            let filter = FilterPath::parse(path).expect("short");
            let mut items = Items::new(Some(&filter));
            for (name, body) in answers() {
                items.add(name, &body, body.get("error").is_some());
            }
            let mut answer = items.head(3);
            if items.are_shown() {
                let rendered = [b"[", &items.take()[..], b"]"].concat();
                let rendered = serde_json::from_slice(&rendered).expect("JSON");
                answer.insert("items".to_owned(), rendered);
            }
            assert_eq!(Value::Object(answer), filter.apply(whole.clone()), "{path}");
        }
    }
}
