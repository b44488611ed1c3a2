//! What a client's `Idempotency-Key` stands for: the key and everything that is asked under it.
//!
//! A key alone would not do. A client that uses it again for other documents would be told of the
//! first ones, and the others would be lost. They are written instead: refusing them would take a
//! record of each key and its body in the log of every shard, also of shards that the first body
//! did not touch. The price: a client that sends the same documents again under the same key, but
//! worded otherwise, writes them twice where it leaves their ids to the server.

use gleaner_proto::write::{Condition, Update, WriteAction};
use twox_hash::XxHash3_128;

use super::IngestItem;

/// Returns the identity of the request that asks for `items` under `key`.
pub(super) fn of_request(key: &str, items: &[IngestItem]) -> String {
    let mut content = Content(XxHash3_128::new());
    items.iter().for_each(|item| content.item(item));
    format!("{key}/{:032x}", content.0.finish_128())
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
