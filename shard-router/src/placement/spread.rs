//! How the copies of one shard spread over zones: as evenly as the zones have leaves.
//!
//! Zones fill in layers: each gets one copy before any gets a second. A zone with fewer leaves than
//! layers drops out, so a shard with as many copies as zones or fewer has no two in one zone.

use super::fleet::{Fleet, Leaf, Zone};

/// The layers that a number of copies fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layers {
    /// Layers that are full.
    pub(super) num_full: usize,
    /// Copies in the layer above, which may be full as well: 1 to the zones open in it.
    pub(super) num_on_top: usize,
}

impl Layers {
    /// Returns the layers of `copies` copies, 1 ≤ `copies` ≤ the number of leaves.
    pub(super) fn of(fleet: &Fleet, copies: usize) -> Self {
        let (mut num_full, mut num_on_top) = (0, copies);
        loop {
            let open = fleet.zones().iter().filter(|zone| zone.len() > num_full);
            let num_open = open.count();
            // No zone is open beyond the last leaf.
            if num_on_top <= num_open || num_open == 0 {
                return Self {
                    num_full,
                    num_on_top,
                };
            }
            num_full += 1;
            num_on_top -= num_open;
        }
    }

    /// Takes copies in their order, as long as they fit the layers, and returns those taken.
    pub(super) fn keep(self, fleet: &Fleet, holders: &[Leaf]) -> Vec<Leaf> {
        let mut kept: Vec<Leaf> = Vec::with_capacity(holders.len());
        let mut num_on_top = 0;
        for leaf in holders {
            let level = level_of(fleet, &kept, fleet.zone(*leaf));
            let is_on_top = level == self.num_full;
            if level > self.num_full || (is_on_top && num_on_top == self.num_on_top) {
                continue;
            }
            num_on_top += usize::from(is_on_top);
            kept.push(*leaf);
        }
        kept
    }
}

/// Returns how many of `holders` are in `zone`.
fn level_of(fleet: &Fleet, holders: &[Leaf], zone: Zone) -> usize {
    let inside = holders.iter().filter(|leaf| fleet.zone(**leaf) == zone);
    inside.count()
}

/// Returns the zones that the next copy may go to: those with the fewest copies that have a leaf left.
pub(super) fn open_zones(fleet: &Fleet, holders: &[Leaf]) -> Vec<bool> {
    let mut levels = vec![0; fleet.zones().len()];
    for leaf in holders {
        levels[fleet.zone(*leaf).0] += 1;
    }
    let left = |zone: usize| levels[zone] < fleet.zones()[zone].len();
    let lowest = (0..levels.len()).filter(|zone| left(*zone));
    let lowest = lowest.map(|zone| levels[zone]).min();
    let is_open = |zone| left(zone) && Some(levels[zone]) == lowest;
    (0..levels.len()).map(is_open).collect()
}

/// May a shard give up `from` for `to`? Its spread must remain as even as it is.
pub(super) fn may_pass(fleet: &Fleet, holders: &[Leaf], from: Leaf, to: Leaf) -> bool {
    let (left, entered) = (fleet.zone(from), fleet.zone(to));
    let level = |zone| level_of(fleet, holders, zone);
    !holders.contains(&to) && (left == entered || level(entered) + 1 == level(left))
}
