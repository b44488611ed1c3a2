//! What ids carry.

mod named;

use gleaner_model::{IndexUuid, NodeId, ShardKey, ShardNumber};
use gleaner_query::answer::{SortValue, ViewId};
use gleaner_query::resolved::TieBreak;
use serde::{Deserialize, Serialize};

use super::{State, v1};

pub(crate) use named::KeptDocuments;

/// Views of one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexViews {
    pub(crate) index: [u8; 16],
    /// Shard, view, and the copy that holds it: 0 is any, n the n-th of the state's nodes.
    pub(crate) views: Vec<(u32, u64, u32)>,
    /// Filters of the aliases it was reached through, as JSON text.
    pub(crate) alias_filters: Vec<String>,
}

impl IndexViews {
    pub(crate) fn uuid(&self) -> IndexUuid {
        IndexUuid(self.index)
    }
}

/// A hit's place in the order of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Its sort keys; the score where there are none.
    pub(crate) keys: Vec<SortValue>,
    /// Its tie-break.
    pub(crate) tie: TieBreak,
    /// Position of its index among those searched: documents of the same id in several indices tie
    /// in everything else.
    pub(crate) plan: u32,
    /// Its shard: documents of the same id in several shards of an index tie too. Ids carry it apart,
    /// see [`ScrollState::after_shard`].
    #[serde(skip)]
    pub(crate) shard: Option<u32>,
}

/// State of a point in time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointInTimeState {
    pub(crate) indices: Vec<IndexViews>,
    /// Names of the leaves that hold the views.
    pub(crate) nodes: Vec<String>,
    /// Milliseconds an unused view lives.
    pub(crate) keep_alive_ms: u64,
    /// Who pinned the views: random.
    pub(crate) holder: u64,
}

impl PointInTimeState {
    /// Returns the views of one of its indices, and the copies that hold them where they are named.
    pub(crate) fn pinned(
        &self,
        views: &IndexViews,
    ) -> impl Iterator<Item = (ShardKey, Option<NodeId>, ViewId)> {
        let nodes: Vec<NodeId> = self
            .nodes
            .iter()
            .map(|name| NodeId(name.as_str().into()))
            .collect();
        let index = views.uuid();
        views.views.iter().map(move |(shard, view, node)| {
            let shard = ShardKey {
                index,
                shard: ShardNumber(*shard),
            };
            let node = (*node as usize).checked_sub(1);
            let node = node.and_then(|at| nodes.get(at).cloned());
            (shard, node, ViewId(*view))
        })
    }

    /// Returns the number that stands for `node` in its views.
    pub(crate) fn number_of(&mut self, node: &NodeId) -> u32 {
        let known = self.nodes.iter().position(|name| **name == *node.0);
        let at = known.unwrap_or_else(|| {
            self.nodes.push(node.to_string());
            self.nodes.len() - 1
        });
        at as u32 + 1
    }
}

impl State for PointInTimeState {
    const KIND: u8 = 1;
    const FORMAT: u8 = 2;
    const ADDED: &[&[u8]] = &[];
    type First = v1::PointInTime;
}

/// State of a scroll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScrollState {
    pub(crate) pit: PointInTimeState,
    /// The search's body as received.
    pub(crate) body: Vec<u8>,
    /// Its URI parameters.
    pub(crate) parameters: Vec<(String, String)>,
    /// The last hit returned.
    pub(crate) after: Option<Position>,
    /// The request's time, fixed when the scroll began.
    pub(crate) now_ms: i64,
    /// The shard of the last hit; since format 3.
    pub(crate) after_shard: Option<u32>,
    /// How many hits there are, as the first page counted them; since format 3.
    pub(crate) total: Option<u64>,
    /// The largest score of all hits, as the first page has it; since format 4.
    pub(crate) max_score: Option<f32>,
    /// The documents that its queries name; since format 5.
    pub(crate) named: KeptDocuments,
}

impl ScrollState {
    /// Returns where the next page begins.
    pub(crate) fn position(&self) -> Option<Position> {
        let shard = self.after_shard;
        self.after.clone().map(|last| Position { shard, ..last })
    }
}

impl State for ScrollState {
    const KIND: u8 = 2;
    const FORMAT: u8 = 5;
    // No shard and no total; no largest score; no documents.
    const ADDED: &[&[u8]] = &[&[0, 0], &[0], &[0, 0]];
    type First = v1::Scroll;
}
