//! What the root remembers of its leaves: how busy, how fast, whether they answer.
//!
//! It is all learnt from the root's own calls, kept in memory, bounded, and worth nothing to anyone
//! else; a new root has it within a few requests. One lock guards it, held for a few microseconds and
//! never over an `await`. A root with one copy of each shard never comes here.

mod budget;
mod ejection;
mod node;
mod open;
mod sketch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::NodeId;
use parking_lot::Mutex;
use tokio::time::Instant;

use budget::Budget;
use node::Node;

pub(crate) use open::OpenBook;

/// A round of calls to leaves; their times are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Expand,
    Statistics,
    Query,
    Postings,
    Locate,
    Fetch,
    OpenViews,
}

impl Phase {
    /// Returns its name in profiles and errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Statistics => "statistics",
            Self::Query => "query",
            Self::Postings => "postings",
            Self::Locate => "locate",
            Self::Fetch => "fetch",
            Self::OpenViews => "open_pit",
        }
    }

    /// Returns its name in traces.
    pub(crate) fn span_name(self) -> &'static str {
        match self {
            Self::Expand => "expand phase",
            Self::Statistics => "statistics phase",
            Self::Query => "query phase",
            Self::Postings => "postings phase",
            Self::Locate => "locate phase",
            Self::Fetch => "fetch phase",
            Self::OpenViews => "open_pit phase",
        }
    }

    /// Returns whether a copy may be asked for the same again while it is late: not where the call leaves
    /// something behind on its leaf, which could not be told from what the first one left.
    pub(crate) fn can_repeat(self) -> bool {
        self != Self::OpenViews
    }
}

/// Leaves remembered at most; beyond it those with nothing under way are forgotten.
const MAX_NODES: usize = 4_096;

/// Leaves first seen within this time of the book's first have been there all along: only later ones
/// are new and warm up.
const BEGINNING: Duration = Duration::from_secs(10);

/// Delay of a second request while nothing is known of any copy's times.
const UNKNOWN: Duration = Duration::from_millis(25);

/// How long a copy may be silent until it is rather gone than slow. Its shard is asked of another copy
/// then, though the budget is used up and though that one was left out: only so does a stopped leaf,
/// whose connection stays open, cost no more than this until it is left out itself.
pub(crate) const SILENCE: Duration = Duration::from_millis(100);

/// What is known of all leaves.
#[derive(Debug)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
    /// Whether copies are chosen; else the primary is asked first.
    is_choosing: bool,
}

#[derive(Debug)]
pub(crate) struct Pages {
    nodes: HashMap<NodeId, Node>,
    begun: Option<Instant>,
    budget: Budget,
}

impl Book {
    /// Returns an empty book; `hedge_share` is the share of shard requests that may be sent twice.
    pub(crate) fn new(hedge_share: f64, is_choosing: bool) -> Self {
        Self {
            pages: Mutex::new(Pages {
                nodes: HashMap::new(),
                begun: None,
                budget: Budget::new(hedge_share),
            }),
            is_choosing,
        }
    }

    /// Opens the book for reading and writing, at a time.
    pub(crate) fn open(&self) -> OpenBook<'_> {
        OpenBook {
            pages: self.pages.lock(),
            now: Instant::now(),
            is_choosing: self.is_choosing,
        }
    }

    /// Notes that a call to `node` begins.
    pub(crate) fn begin(self: &Arc<Self>, node: &NodeId) -> Ticket {
        let mut book = self.open();
        let now = book.now;
        book.pages.node(node, now).num_open += 1;
        drop(book);
        Ticket {
            book: Arc::clone(self),
            node: node.clone(),
        }
    }
}

/// A call under way; dropping it ends it and says nothing more.
#[derive(Debug)]
pub(crate) struct Ticket {
    book: Arc<Book>,
    node: NodeId,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(node) = self.book.pages.lock().nodes.get_mut(&self.node) {
            node.num_open = node.num_open.saturating_sub(1);
        }
    }
}

impl Pages {
    fn node(&mut self, name: &NodeId, now: Instant) -> &mut Node {
        if !self.nodes.contains_key(name) {
            if self.nodes.len() >= MAX_NODES {
                self.nodes.retain(|_, node| node.num_open > 0);
            }
            let begun = *self.begun.get_or_insert(now);
            let is_new = now.saturating_duration_since(begun) > BEGINNING;
            let node = Node::new(name, is_new.then_some(now));
            self.nodes.insert(name.clone(), node);
        }
        self.nodes.get_mut(name).expect("it was just put there")
    }
}
