//! Explores every interleaving, breadth first, from a beginning to its end or to a number of states.
//!
//! Parts of a world are kept once each and named by numbers, so that a state takes some 60 bytes
//! (Holzmann's *state compression by collapsing*). States are compared exactly, not by a hash alone. A
//! violation comes with the shortest sequence of actions that leads to it.

use std::fmt;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;

use super::world::{
    Action, Beginning, Budget, Ghost, Link, NUM_COPIES, Site, Store, Violation, World,
};

/// Values that occur in states, each kept once.
struct Parts<T>(IndexSet<Arc<T>, DefaultHashBuilder>);

impl<T: Eq + std::hash::Hash> Parts<T> {
    fn new() -> Self {
        Self(IndexSet::default())
    }

    fn number(&mut self, part: &Arc<T>) -> u32 {
        if let Some(number) = self.0.get_index_of(part) {
            return number as u32;
        }
        self.0.insert_full(part.clone()).0 as u32
    }

    fn get(&self, number: u32) -> Arc<T> {
        self.0[number as usize].clone()
    }
}

/// A state, by the numbers of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    sites: [u32; NUM_COPIES],
    links: [u32; NUM_COPIES],
    store: u32,
    ghost: u32,
    budget: Budget,
}

/// How a state was reached first.
#[derive(Debug, Clone, Copy)]
struct Origin {
    state: u32,
    action: Action,
}

/// What an exploration has found.
pub(super) struct Exploration {
    pub(super) num_states: usize,
    /// Whether there are no more states.
    pub(super) is_exhausted: bool,
    /// The largest number of actions from the beginning.
    pub(super) depth: usize,
    /// The largest number of writes acknowledged in a state.
    pub(super) num_acknowledged: usize,
    pub(super) counterexample: Option<Counterexample>,
}

/// A violation and the way to it.
pub(super) struct Counterexample {
    pub(super) violation: Violation,
    pub(super) actions: Vec<Action>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} after {} actions:",
            self.violation,
            self.actions.len()
        )?;
        self.actions
            .iter()
            .try_for_each(|action| writeln!(f, "    {action:?}"))
    }
}

struct Explorer {
    sites: Parts<Site>,
    links: Parts<Option<Link>>,
    stores: Parts<Store>,
    ghosts: Parts<Ghost>,
    states: IndexSet<State, DefaultHashBuilder>,
    origins: Vec<Option<Origin>>,
    beginning: World,
}

/// Explores up to `max_states` states.
pub(super) fn explore(beginning: &Beginning, max_states: usize) -> Exploration {
    let mut explorer = Explorer {
        sites: Parts::new(),
        links: Parts::new(),
        stores: Parts::new(),
        ghosts: Parts::new(),
        states: IndexSet::default(),
        origins: Vec::new(),
        beginning: World::begin(beginning),
    };
    explorer.run(max_states)
}

impl Explorer {
    fn run(&mut self, max_states: usize) -> Exploration {
        self.visit(&self.beginning.clone(), None);
        let (mut next, mut num_acknowledged) = (0, 0);
        let mut counterexample = None;
        while next < self.states.len() && self.states.len() < max_states {
            let world = self.world(next);
            num_acknowledged = num_acknowledged.max(world.num_acknowledged());
            for action in world.actions() {
                let mut after = world.clone();
                let origin = Origin {
                    state: next as u32,
                    action,
                };
                if let Err(violation) = after.perform(action) {
                    let actions = self.way(Some(origin));
                    counterexample = Some(Counterexample { violation, actions });
                    break;
                }
                self.visit(&after, Some(origin));
            }
            if counterexample.is_some() {
                break;
            }
            next += 1;
        }
        Exploration {
            num_states: self.states.len(),
            is_exhausted: next == self.states.len(),
            depth: self.way(self.origins[self.origins.len() - 1]).len(),
            num_acknowledged,
            counterexample,
        }
    }

    fn visit(&mut self, world: &World, origin: Option<Origin>) {
        let mut sites = [0; NUM_COPIES];
        let mut links = [0; NUM_COPIES];
        for copy in 0..NUM_COPIES {
            sites[copy] = self.sites.number(&world.sites[copy]);
            links[copy] = self.links.number(&world.links[copy]);
        }
        let state = State {
            sites,
            links,
            store: self.stores.number(&world.store),
            ghost: self.ghosts.number(&world.ghost),
            budget: world.budget,
        };
        if self.states.insert(state) {
            self.origins.push(origin);
        }
    }

    fn world(&self, place: usize) -> World {
        let state = self.states[place];
        World {
            sites: state.sites.map(|number| self.sites.get(number)),
            links: state.links.map(|number| self.links.get(number)),
            store: self.stores.get(state.store),
            ghost: self.ghosts.get(state.ghost),
            budget: state.budget,
            settings: self.beginning.settings,
        }
    }

    /// Returns the actions from the beginning.
    fn way(&self, last: Option<Origin>) -> Vec<Action> {
        let before = |origin: &Origin| self.origins[origin.state as usize];
        let mut actions: Vec<_> = std::iter::successors(last, before)
            .map(|origin| origin.action)
            .collect();
        actions.reverse();
        actions
    }
}
