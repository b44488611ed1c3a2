//! Which shard a new document goes to when its id is the root's to make.
//!
//! Does: lets the shards of an index take turns, and draws ids until one belongs to the shard whose turn it
//! is. Does not: change where an id belongs; routing goes by its hash, as for ids of clients.
//! Called by: [`crate::ingest`]. Read first: [`Root::made_id`].
//!
//! Documents of many clients that write single ones then reach one shard together: they share its lock, its
//! batches in the log and its indexing thread's caches, instead of a fourth of them each of four shards.

use std::collections::HashMap;

use gleaner_model::{DocumentId, IndexMeta, IndexUuid, NameError, ShardKey, ShardNumber};
use gleaner_shard_router::shard_of;
use parking_lot::Mutex;

use super::made_id::id_of_key;
use crate::Root;

/// Most items of a request whose ids are drawn: as many as a leaf writes together with those of others. More
/// are better spread, as shards work side by side.
const MAX_ITEMS: usize = 32;
/// Most shards that take turns: as many ids are drawn for a document, on average.
const MAX_SHARDS: u32 = 16;
/// Ids drawn for a document before it goes where the last one belongs.
const MAX_DRAWS: usize = 64;
/// Milliseconds after which a shard's turn has ended.
const TURN_MS: i64 = 16;
/// Documents after which it has.
const TURN_DOCUMENTS: u32 = 256;
/// Indices whose turns are remembered; those of others begin anew.
const MAX_INDICES: usize = 1_024;

/// How a request's ids are made.
#[derive(Clone, Copy)]
pub(super) struct IdSource<'a> {
    /// The client's key, of which they are made when there is one.
    pub(super) key: Option<&'a str>,
    /// How many items the request has.
    pub(super) num_items: usize,
}

/// Whose turn it is, by index.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<IndexUuid, Turn>>);

/// A turn of one shard.
struct Turn {
    shard: u32,
    began_ms: i64,
    num_documents: u32,
}

impl Turns {
    /// Returns the shard of `index`, one of `num_shards`, that a document goes to at `now_ms`.
    fn next(&self, index: IndexUuid, num_shards: u32, now_ms: i64) -> ShardNumber {
        let mut turns = self.0.lock();
        if turns.len() >= MAX_INDICES && !turns.contains_key(&index) {
            turns.clear();
        }
        let turn = turns.entry(index).or_insert_with(|| Turn {
            // Of many roots not all begin with the same one.
            shard: rand::random_range(0..num_shards),
            began_ms: now_ms,
            num_documents: 0,
        });
        let is_over = !(turn.began_ms..turn.began_ms + TURN_MS).contains(&now_ms);
        if is_over || turn.num_documents >= TURN_DOCUMENTS {
            *turn = Turn {
                shard: turn.shard + 1,
                began_ms: now_ms,
                num_documents: 0,
            };
        }
        turn.num_documents += 1;
        turn.shard %= num_shards;
        ShardNumber(turn.shard)
    }
}

impl Root {
    /// Makes the id of item `at` of a request, a document of `index`; `is_routed` when a routing value says
    /// where it goes.
    pub(super) fn made_id(
        &self,
        index: &IndexMeta,
        is_routed: bool,
        (making, at): (IdSource<'_>, usize),
    ) -> Result<DocumentId, NameError> {
        if let Some(key) = making.key {
            return DocumentId::parse(&id_of_key(key, at));
        }
        let now_ms = (self.clock)();
        let draw = || DocumentId::parse(&self.ids.next(now_ms));
        let first = draw()?;
        let settings = &index.settings;
        let num_shards = settings.number_of_shards;
        if is_routed || making.num_items > MAX_ITEMS || !(2..=MAX_SHARDS).contains(&num_shards) {
            return Ok(first);
        }
        let shard_of = |id: &DocumentId| shard_of(id.as_str(), settings.routing_slots, num_shards);
        let (drawn, turn) = (
            shard_of(&first),
            self.turns.next(index.uuid, num_shards, now_ms),
        );
        if drawn == turn || !self.are_together(index.uuid, [drawn, turn]) {
            return Ok(first);
        }
        let mut id = first;
        for _ in 0..MAX_DRAWS {
            id = draw()?;
            if shard_of(&id) == turn {
                break;
            }
        }
        Ok(id)
    }

    /// Returns whether one leaf has the primaries of both shards: several leaves all have work at any time.
    fn are_together(&self, index: IndexUuid, shards: [ShardNumber; 2]) -> bool {
        let [one, other] = shards.map(|shard| self.leaves.primary(ShardKey { index, shard }));
        one.zip(other).is_some_and(|(a, b)| a.node == b.node)
    }
}

#[cfg(test)]
mod tests;
