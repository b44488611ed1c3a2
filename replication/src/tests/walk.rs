//! Random walks through the same worlds, far longer than a search breadth first can go.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::explorer::Counterexample;
use super::world::{Action, Beginning, World};

/// How often a fault is chosen where something else can happen.
const FAULT_RATE: f64 = 0.12;

/// Where a walk has ended.
pub(super) struct Walk {
    pub(super) world: World,
    pub(super) actions: Vec<Action>,
}

/// Walks up to `num_steps` actions.
///
/// # Errors
/// A violation, with a way to it that is shortened where that is possible.
pub(super) fn walk(
    beginning: &Beginning,
    seed: u64,
    num_steps: usize,
) -> Result<Walk, Counterexample> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut world = World::begin(beginning);
    let mut actions = Vec::new();
    for _ in 0..num_steps {
        let (faults, usual): (Vec<_>, Vec<_>) = world
            .actions()
            .into_iter()
            .partition(|action| action.is_fault());
        let wants_fault = usual.is_empty() || random.random_bool(FAULT_RATE);
        let chosen = if wants_fault && !faults.is_empty() {
            &faults
        } else {
            &usual
        };
        let Some(action) = chosen.choose(&mut random) else {
            break;
        };
        actions.push(*action);
        if let Err(violation) = world.perform(*action) {
            let actions = shorten(beginning, actions);
            return Err(Counterexample { violation, actions });
        }
    }
    Ok(Walk { world, actions })
}

/// Leaves out each action without which something is still violated.
fn shorten(beginning: &Beginning, mut actions: Vec<Action>) -> Vec<Action> {
    let mut place = actions.len();
    while place > 0 {
        place -= 1;
        let mut fewer = actions.clone();
        fewer.remove(place);
        if let Some(needed) = violates(beginning, &fewer) {
            fewer.truncate(needed);
            actions = fewer;
            place = place.min(actions.len());
        }
    }
    actions
}

/// Returns after how many actions something is violated; `None` where nothing is, or one is impossible.
fn violates(beginning: &Beginning, actions: &[Action]) -> Option<usize> {
    let mut world = World::begin(beginning);
    for (place, action) in actions.iter().enumerate() {
        if !world.actions().contains(action) {
            return None;
        }
        if world.perform(*action).is_err() {
            return Some(place + 1);
        }
    }
    None
}
