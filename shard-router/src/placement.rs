//! Which leaves hold the copies of which shards.
//!
//! Weighted rendezvous hashing with bounded load: each shard ranks all leaves, and its copies go to
//! the first that have room, one copy a leaf, as many zones as there are. A leaf takes at most
//! ⌈c × its share of the copies⌉ (Mirrokni, Thorup and Zadimoghaddam, *Consistent Hashing with Bounded
//! Loads*, 2018); what finds it full cascades to the next rank. When all that have room hold the shard
//! already, copies of other shards are moved along the shortest chain that makes room, so that
//! [`place`] always finds a place for every copy within the bound.
//!
//! A leaf's share follows its weight, as far as distinct leaves and zones let it: it never exceeds one
//! copy of each shard, nor a zone's share what the spread over zones gives that zone.
//!
//! The tables are plans. Whoever carries one out keeps an old copy until the new one is whole.

mod fill;
mod fleet;
mod keep;
mod repair;
mod share;
mod spread;
mod table;

use std::collections::BTreeMap;

use gleaner_model::{NodeId, NodeMeta, ShardKey};

use fleet::Fleet;
use table::Table;

/// A leaf that may hold copies.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its name. Placement depends on it: a leaf under another name is another leaf.
    pub node: NodeId,
    /// Its share relative to others, 0.001 to 1,000; thousandths count.
    pub weight: f64,
    /// Its failure domain; a leaf that names none is one of its own.
    pub zone: Option<String>,
}

impl Member {
    /// Returns the member that cluster metadata describes.
    pub fn new(node: &NodeId, meta: &NodeMeta) -> Self {
        Self {
            node: node.clone(),
            weight: meta.weight,
            zone: meta.zone.clone(),
        }
    }
}

/// How far beyond its share a leaf may be loaded: the factor c, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bound(u32);

impl Bound {
    /// No bound: rendezvous alone.
    pub const NONE: Self = Self(1_000_000);

    /// Takes the factor c; below 1, where no table would fit, it counts as 1. Thousandths count.
    ///
    /// Near 1 leaves are most alike and a join or leave moves most; 1.25 moves little more than
    /// rendezvous alone.
    pub fn new(factor: f64) -> Self {
        Self((factor.clamp(1.0, 1_000.0) * 1_000.0).round() as u32)
    }
}

impl Default for Bound {
    fn default() -> Self {
        Self::new(1.25)
    }
}

/// Who holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The leaves of each shard, the primary first.
    pub copies: BTreeMap<ShardKey, Vec<NodeId>>,
    /// How many copies each shard has: what was asked, or the number of members where that is less.
    pub copies_each: usize,
    /// Leaves beyond the bound; empty after [`place`].
    pub overfull: Vec<Overfull>,
}

/// A leaf that holds more than it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overfull {
    /// Its name.
    pub node: NodeId,
    /// Copies that it holds.
    pub copies: usize,
    /// Copies that it should hold at most.
    pub limit: usize,
}

/// Why nothing could be placed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlacementError {
    /// There is no leaf.
    #[error("no leaf to place shards on")]
    NoMembers,
    /// A weight is out of range or no number.
    #[error("leaf `{node}` has weight {weight}, wanted 0.001 to 1000")]
    Weight {
        /// The leaf.
        node: NodeId,
        /// The weight seen.
        weight: f64,
    },
    /// A name is given twice.
    #[error("leaf `{node}` is named twice")]
    RepeatedMember {
        /// The name.
        node: NodeId,
    },
}

/// Places `copies` copies (≥ 1; 0 counts as 1) of each shard, none of which has one yet.
///
/// `shards` are all shards among which load is to be even: those of an index, or of the cluster. The
/// order of shards and members does not matter, nor does naming a shard twice. No leaf exceeds the
/// bound, neither with its primaries among all primaries nor with its copies among all copies.
///
/// Takes time in proportion to shards × members, some 100 ns each; weights cost as much again.
///
/// # Errors
/// No members, a member twice, a weight out of range.
///
/// ```
/// use gleaner_model::{IndexUuid, NodeId, ShardKey, ShardNumber};
/// use gleaner_shard_router::{Bound, Member, place};
///
/// let leaf = |name: &str, zone: &str| Member {
///     node: NodeId(name.into()),
///     weight: 1.0,
///     zone: Some(zone.to_owned()),
/// };
/// let members = [leaf("a", "east"), leaf("b", "east"), leaf("c", "west")];
/// let shard = ShardKey { index: IndexUuid([7; 16]), shard: ShardNumber(0) };
/// let placed = place(&[shard], &members, 2, Bound::default())?;
/// assert!(placed.copies[&shard].contains(&NodeId("c".into())));
/// # Ok::<(), gleaner_shard_router::PlacementError>(())
/// ```
pub fn place(
    shards: &[ShardKey],
    members: &[Member],
    copies: usize,
    load: Bound,
) -> Result<Placement, PlacementError> {
    replace(&BTreeMap::new(), shards, members, copies, load)
}

/// Adapts a table to other members, weights, or another number of copies; moves what must move.
///
/// A copy stays unless its leaf is no member, fewer copies are asked, its zone has more of the shard
/// than an even spread allows, or its leaf is beyond the bound. The first copy that stays is the
/// primary, and it stays in any case: a primary whose node stays remains where it is. Shards missing
/// in `previous` are placed anew; those missing in `shards` are left out.
///
/// A leaf that joins takes what others must give up and what is new; a smaller bound evens out more.
///
/// The bound gives way to two things only, and [`Placement::overfull`] tells: primaries that stay, and
/// copies that would else be missing because primaries stay.
///
/// # Errors
/// As [`place`].
pub fn replace(
    previous: &BTreeMap<ShardKey, Vec<NodeId>>,
    shards: &[ShardKey],
    members: &[Member],
    copies: usize,
    load: Bound,
) -> Result<Placement, PlacementError> {
    let fleet = Fleet::new(members)?;
    let copies = copies.clamp(1, fleet.num_leaves());
    let mut table = Table::new(&fleet, shards);
    keep::keep_previous(&mut table, previous, copies);
    let limits: Vec<Vec<usize>> = (1..=copies)
        .map(|copies| share::limits(&fleet, table.num_rows(), copies, load))
        .collect();
    let limit = &limits[copies - 1];
    keep::shed_beyond(&mut table, limit);
    fill::fill(&mut table, &limits);
    Ok(Placement {
        overfull: table.overfull(limit),
        copies: table.into_copies(),
        copies_each: copies,
    })
}

#[cfg(test)]
mod tests;
