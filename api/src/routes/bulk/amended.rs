//! Answers of a bulk that told of a refresh before it was made, and of one that came otherwise.
//!
//! Does: remembers where the answers of chunks stand that tell that each copy shows them, as is usual, and
//! changes them where one does not. Does not: refresh.
//! Called by: [`super::answer`], [`super`]. Read first: [`Amendment`].

use std::collections::BTreeMap;

use bytes::BytesMut;
use gleaner_model::{ClusterState, ShardKey};
use gleaner_proto::write::WriteResult;
use gleaner_root::ingest::{IngestResult, RefreshOutcomes};
use gleaner_root::on_own_thread;
use http::StatusCode;
use serde_json::{Map, Value};

use super::items::filtered;
use super::rendered::RenderedItems;
use crate::error::ApiError;
use crate::render::document::copies;
use crate::request::BodyReservation;
use crate::response::FilterPath;

/// Where answers stand that are shown, in order. They are counted with the bodies that are held.
pub(super) struct Places {
    shards: BTreeMap<ShardKey, u32>,
    places: Vec<Place>,
    num_counted: usize,
    held: BodyReservation,
}

struct Place {
    num_bytes: u32,
    /// The shard's number here, of a write.
    shard: Option<u32>,
    is_noop: bool,
}

impl Places {
    /// Returns none; `held` counts those to come.
    pub(super) fn new(held: BodyReservation) -> Self {
        Self {
            shards: BTreeMap::new(),
            places: Vec::new(),
            num_counted: 0,
            held,
        }
    }

    /// Notes the next answer, of so many bytes: of a write, or of something that was refused. One that is
    /// not shown has no place.
    pub(super) fn note(&mut self, num_bytes: usize, written: Option<&IngestResult>) {
        if num_bytes == 0 {
            return;
        }
        let next = self.shards.len() as u32;
        let shard = written.and_then(|result| result.shard);
        let outcome = written.and_then(|result| result.outcome.as_ref().ok());
        self.places.push(Place {
            num_bytes: u32::try_from(num_bytes).unwrap_or(u32::MAX),
            shard: shard.map(|shard| *self.shards.entry(shard).or_insert(next)),
            is_noop: outcome.is_some_and(|outcome| outcome.result == WriteResult::Noop),
        });
    }

    /// Counts those that were noted since the last call.
    ///
    /// # Errors
    /// 429 when there is no room for them.
    pub(super) fn count(&mut self) -> Result<(), ApiError> {
        let added = self.places.len() - self.num_counted;
        self.num_counted = self.places.len();
        self.held.grow(added * size_of::<Place>())
    }
}

/// How answers are changed.
pub(super) struct Amendment {
    places: Vec<Place>,
    /// By the shard's number.
    told: BTreeMap<u32, ShardSummaries>,
    filter: Option<FilterPath>,
}

/// What is told of a shard.
struct ShardSummaries {
    /// `_shards` of a write.
    of_write: Value,
    /// Of one that changed nothing.
    of_noop: Value,
    is_forced: bool,
}

impl Amendment {
    /// Returns how to change the answers of shards of which it came otherwise than expected; `None` when it
    /// did not.
    pub(super) fn new(
        places: Places,
        shown: &RefreshOutcomes,
        expected: &RefreshOutcomes,
        state: &ClusterState,
        filter: Option<FilterPath>,
    ) -> Option<Self> {
        let Places { shards, places, .. } = places;
        let told = shown
            .unlike(expected)
            .filter_map(|(shard, shown, is_forced)| {
                let told = |what| {
                    let copies = copies(Some(shard), shown, what, state);
                    serde_json::to_value(copies).unwrap_or_default()
                };
                let told = ShardSummaries {
                    of_write: told(WriteResult::Updated),
                    of_noop: told(WriteResult::Noop),
                    is_forced,
                };
                Some((*shards.get(&shard)?, told))
            });
        let told: BTreeMap<u32, ShardSummaries> = told.collect();
        (!told.is_empty()).then_some(Self {
            places,
            told,
            filter,
        })
    }

    /// Puts the answers of `rendered` into `amended`, changed, off the runtime's threads.
    ///
    /// # Errors
    /// As [`RenderedItems::put`].
    pub(super) async fn amended(
        self,
        rendered: RenderedItems,
        amended: RenderedItems,
    ) -> Result<RenderedItems, ApiError> {
        let work = on_own_thread(move || self.amend(rendered, amended));
        work.await.map_err(|error| lost(&error))?
    }

    fn amend(
        &self,
        rendered: RenderedItems,
        mut amended: RenderedItems,
    ) -> Result<RenderedItems, ApiError> {
        let mut pieces = rendered.into_pieces();
        let mut left = BytesMut::new();
        for (at, place) in self.places.iter().enumerate() {
            let separator = usize::from(at > 0);
            let wanted = place.num_bytes as usize + separator;
            while left.len() < wanted {
                let piece = pieces.next().transpose().map_err(|error| lost(&error))?;
                left.extend_from_slice(&piece.ok_or_else(|| lost(&"it ends early"))?);
            }
            let item = left.split_to(wanted);
            let told = place.shard.and_then(|shard| self.told.get(&shard));
            let changed = told.map(|told| self.changed(&item[separator..], told, place.is_noop));
            match changed.transpose()? {
                Some(changed) => {
                    amended.put(&item[..separator])?;
                    amended.put(changed.as_bytes())?;
                }
                None => amended.put(&item)?,
            }
        }
        // Of the last chunk, which told what came.
        amended.put(&left)?;
        for piece in pieces {
            amended.put(&piece.map_err(|error| lost(&error))?)?;
        }
        Ok(amended)
    }

    /// Returns an item with what is told of its shard. A filter that left something of it leaves the parts of
    /// that.
    fn changed(
        &self,
        item: &[u8],
        told: &ShardSummaries,
        is_noop: bool,
    ) -> Result<String, ApiError> {
        let mut item: Value = serde_json::from_slice(item).map_err(|error| lost(&error))?;
        let bodies = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        for body in bodies.filter_map(Value::as_object_mut) {
            body.retain(|name, _| told.is_forced || name != "forced_refresh");
            let copies = if is_noop {
                &told.of_noop
            } else {
                &told.of_write
            };
            if self.filter.is_some() || body.contains_key("_shards") {
                body.insert("_shards".to_owned(), copies.clone());
            }
        }
        Ok(match &self.filter {
            // It keeps its place also when nothing is left of it.
            Some(filter) => filtered(&item, filter).unwrap_or_else(|| "{}".to_owned()),
            None => item.to_string(),
        })
    }
}

fn lost(error: &dyn std::fmt::Display) -> ApiError {
    let reason = format!("the answer was written and cannot be read: {error}");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", reason)
}

#[cfg(test)]
mod tests;
