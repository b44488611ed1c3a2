//! What a client's `Idempotency-Key` stands for: the key and everything that is asked under it.
//!
//! A key alone would not do: a client that uses it again for other documents would be told of the first
//! ones, and the others would be lost. A root refuses such a request as long as it knows the key ([`Keys`]).
//! Another root, or one that has restarted, writes it: knowing better would take a record of each key and
//! its body in the log of every shard, also of shards that the first body did not touch.

use std::collections::{HashMap, VecDeque};

use gleaner_model::ChosenTemplates;
use gleaner_proto::write::{Condition, Update, WriteAction};
use parking_lot::Mutex;
use twox_hash::XxHash3_128;

use super::IngestItem;
use crate::ingest::Ingester;

/// Returns the identity of the request that asks for `items` under `key`.
pub(super) fn of_request(key: &str, items: &[IngestItem]) -> String {
    format!("{key}/{:032x}", hash(items))
}

fn hash(items: &[IngestItem]) -> u128 {
    let mut content = Content(XxHash3_128::new());
    items.iter().for_each(|item| content.item(item));
    content.0.finish_128()
}

/// Keys of which a root remembers what was asked under them, 64 bytes each.
const KEPT: usize = 16_384;

/// What was asked under the latest keys.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Hash of what was asked, by the hash of its key.
    asked: HashMap<u128, u128>,
    /// The keys, the oldest first.
    order: VecDeque<u128>,
}

impl Keys {
    /// Notes that `items` are asked for under `key`; returns whether nothing else was before.
    fn admit(&self, key: &str, items: &[IngestItem]) -> bool {
        let (key, content) = (XxHash3_128::oneshot(key.as_bytes()), hash(items));
        let mut seen = self.0.lock();
        if let Some(known) = seen.asked.get(&key) {
            return *known == content;
        }
        if seen.order.len() == KEPT
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.asked.remove(&oldest);
        }
        seen.asked.insert(key, content);
        seen.order.push_back(key);
        true
    }
}

impl Ingester {
    /// Returns whether `items` may be written under an idempotency key: not where this root has been asked
    /// for something else under it, as far as it remembers.
    pub fn admits_key(&self, key: &str, items: &[IngestItem]) -> bool {
        self.keys.admit(key, items)
    }
}

/// The hash over what is asked for; each part with its length, so that borders count.
struct Content(XxHash3_128);

impl Content {
    fn item(&mut self, item: &IngestItem) {
        self.bytes(item.index.as_bytes());
        self.maybe(item.id.as_ref().map(String::as_bytes));
        self.maybe(item.routing.as_ref().map(String::as_bytes));
        match &item.action {
            WriteAction::Index { source, create } => {
                self.number(u64::from(*create));
                self.bytes(source);
            }
            WriteAction::Update(update) => self.update(update),
            WriteAction::Delete => self.number(3),
        }
        match item.condition {
            Condition::None => self.number(0),
            Condition::Is { seq_no, term } => {
                self.number(1);
                self.number(seq_no.0);
                self.number(term.0);
            }
            Condition::ExternalGreater(version) => {
                self.number(2);
                self.number(version.0);
            }
            Condition::ExternalGreaterOrEqual(version) => {
                self.number(3);
                self.number(version.0);
            }
            Condition::InternalVersion(version) => {
                self.number(4);
                self.number(version.0);
            }
        }
        self.templates(&item.templates);
    }

    /// Adds templates. Where there are none nothing is added, so that a request is the same one to older versions.
    fn templates(&mut self, templates: &ChosenTemplates) {
        if templates.is_empty() {
            return;
        }
        // No item begins like that, as no text is so long.
        self.number(u64::MAX);
        self.number(templates.by_field().count() as u64);
        for (path, name) in templates.by_field() {
            self.bytes(path.as_bytes());
            self.bytes(name.as_bytes());
        }
    }

    fn update(&mut self, update: &Update) {
        self.number(2);
        self.maybe(update.doc.as_deref());
        self.maybe(update.upsert.as_deref());
        self.number(u64::from(update.doc_as_upsert));
        self.number(u64::from(update.detect_noop));
    }

    fn maybe(&mut self, bytes: Option<&[u8]>) {
        self.number(u64::from(bytes.is_some()));
        self.bytes(bytes.unwrap_or_default());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.write(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> IngestItem {
        IngestItem {
            index: "notes".to_owned(),
            id: Some(id.to_owned()),
            routing: None,
            action: WriteAction::Delete,
            condition: Condition::None,
            require_alias: false,
            require_data_stream: false,
            templates: ChosenTemplates::default(),
        }
    }

    #[test]
    fn templates_are_part_of_what_is_asked() {
        let by = |chosen: &[(&str, &str)]| {
            let chosen = chosen.iter();
            let chosen = chosen.map(|(path, name)| (path.to_string(), name.to_string()));
            let templates = chosen.collect();
            hash(&[IngestItem {
                templates,
                ..item("1")
            }])
        };
        assert_eq!(by(&[]), hash(&[item("1")]));
        let asked = [
            by(&[]),
            by(&[("a", "t")]),
            by(&[("at", "")]),
            by(&[("a", "t"), ("b", "t")]),
        ];
        for (at, first) in asked.iter().enumerate() {
            assert!(!asked[at + 1..].contains(first), "{at}");
        }
    }

    #[test]
    fn a_key_stands_for_one_request_until_it_is_forgotten() {
        let keys = Keys::default();
        assert!(keys.admit("k", &[item("1")]));
        assert!(keys.admit("k", &[item("1")]));
        assert!(!keys.admit("k", &[item("2")]));
        assert!(keys.admit("other", &[item("2")]));
        (0..KEPT).for_each(|n| assert!(keys.admit(&n.to_string(), &[item("1")])));
        assert!(keys.admit("k", &[item("2")]));
        assert_eq!(keys.0.lock().asked.len(), KEPT);
    }
}
