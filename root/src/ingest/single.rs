//! A write that comes by itself, as `PUT /index/_doc/id` does.
//!
//! Does: what [`Root::ingest`] does, without groups of shards and parts of a request, which take longer than
//! all else that the root does for one document. Called by: [`super`], and by `api` for single documents.
//! Read first: [`Root::ingest_one`].

use std::sync::Arc;

use super::primary::Writes;
use super::turns::IdSource;
use super::{IngestItem, IngestOptions, IngestResult, RefreshPolicy, refused};
use crate::Root;
use crate::deadline::Deadline;

/// Why there is an answer.
const ANSWERED: &str = "a write has one answer";

impl Root {
    /// As [`Root::ingest`], of one item.
    ///
    /// # Cancel safety
    /// A dropped future may still have written: treat the outcome as unknown.
    pub async fn ingest_one(&self, item: IngestItem, options: &IngestOptions) -> IngestResult {
        if is_plain(options) {
            return self.write_one(item, options).await;
        }
        let results = Box::pin(self.ingest_parts(vec![item], options)).await;
        results.into_iter().next().expect(ANSWERED)
    }

    /// Writes one item, which is not to be shown at once and has no key to be known by.
    async fn write_one(&self, item: IngestItem, options: &IngestOptions) -> IngestResult {
        let making = IdSource {
            key: None,
            num_items: 1,
        };
        let placed = match self.place(0, &item, making).await {
            Ok(placed) => placed,
            Err(error) => return refused(item, error),
        };
        let (index, shard) = (Arc::clone(&placed.index), placed.shard);
        let id = placed.id.to_string();
        let writes = Writes {
            items: vec![placed.write(item)],
            ..Writes::default()
        };
        let deadline = Deadline::after(options.timeout.unwrap_or(self.options.write_timeout));
        let written = self.call_primary(&index, shard, writes, (options, deadline));
        let written = written.await;
        let outcomes = self.told(&index, written, 1, deadline).await;
        IngestResult {
            index: index.name.to_string(),
            id,
            shard: Some(shard),
            outcome: outcomes.into_iter().next().expect(ANSWERED),
            forced_refresh: false,
            shown: Arc::default(),
        }
    }
}

/// Returns whether a write is done once it is written.
fn is_plain(options: &IngestOptions) -> bool {
    options.refresh == RefreshPolicy::None && options.idempotency_key.is_none()
}
