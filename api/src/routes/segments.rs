//! `_segments`: the segments that searches of each copy see.
//!
//! A segment is named by its place in the order in which searches go through them, `_0` first: it bears another name
//! when one before it is merged away.

use std::collections::BTreeMap;

use gleaner_proto::read::{SegmentState, ShardState};
use gleaner_query::names::ResolveOptions;
use http::Method;
use serde_json::{Map, Value, json};

use super::copies::{NamedCopies, state_name};
use crate::endpoint::Endpoint;
use crate::parameters::groups::INDICES;
use crate::render::units::humanized;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const SEGMENTS: &[Parameter] = &[Parameter::no_effect(
    "verbose",
    "segments tell all they know",
)];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.segments",
    methods: &[Method::GET],
    paths: &["/_segments", "/{index}/_segments"],
    parameters: &[SEGMENTS, INDICES],
    is_refused: false,
}
.answered_by(|request| Box::pin(segments(request)))];

/// Version of what writes segments.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the name of the segment at a place.
pub(super) fn name(at: usize) -> String {
    format!("_{at}")
}

/// Returns whether all that searches of a copy see is in its last durable commit.
pub(super) fn is_committed(state: &ShardState) -> bool {
    state.committed >= state.generation.visible
}

async fn segments(request: Request) -> Answer {
    let named = NamedCopies::look_up(&request, ResolveOptions::default()).await?;
    let mut indices = Map::new();
    for index in &named.indices {
        let mut shards: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for copy in named.of(index) {
            let number = copy.state.shard.shard.to_string();
            shards.entry(number).or_default().push(json!({
                "routing": {
                    "state": state_name(&copy.state),
                    "primary": copy.state.is_primary,
                    "node": copy.node.to_string(),
                },
                "num_committed_segments": match is_committed(&copy.state) {
                    true => copy.state.segments.len(),
                    false => 0,
                },
                "num_search_segments": copy.state.segments.len(),
                "segments": of_copy(&copy.state),
            }));
        }
        indices.insert(index.meta.name.to_string(), json!({"shards": shards}));
    }
    let shown = json!({"_shards": named.summary(), "indices": indices});
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

fn of_copy(state: &ShardState) -> Map<String, Value> {
    let is_committed = is_committed(state);
    let shown = |(at, segment): (usize, &SegmentState)| {
        let shown = json!({
            "generation": at,
            "num_docs": segment.num_documents,
            "deleted_docs": segment.num_deleted,
            "size_in_bytes": segment.store_bytes,
            "memory_in_bytes": 0,
            "committed": is_committed,
            "search": true,
            "version": VERSION,
            "compound": false,
            "attributes": {},
        });
        (name(at), shown)
    };
    state.segments.iter().enumerate().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexUuid, ShardKey, ShardNumber};
    use gleaner_proto::read::ShardPhase;

    use super::*;

    #[test]
    fn a_segment_is_named_by_its_place_and_has_all_that_clients_require() {
        let shard = ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        };
        let state = ShardState {
            segments: vec![SegmentState::default(); 2],
            ..ShardState::empty(shard, true, ShardPhase::Started)
        };
        let shown = of_copy(&state);
        assert_eq!(shown.keys().collect::<Vec<_>>(), ["_0", "_1"]);
        assert_eq!(shown["_1"]["attributes"], json!({}));
    }
}
