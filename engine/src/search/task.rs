//! The pieces of a search, in the order in which they are evaluated.

use std::ops::Range;

use gleaner_query::answer::SortValue;
use gleaner_query::order::compare_key;

use super::order::Order;
use super::request::{Request, Shard, Way};
use super::sorting::best_key;
use crate::view::SegmentView;

/// Segments of one shard to evaluate one after the other.
pub(super) struct Task {
    shard: usize,
    segments: Range<usize>,
    size: u32,
    /// A first sort key that none of the documents has a better one than, where that is known.
    best: Option<SortValue>,
}

impl Task {
    /// Returns which of the targets it is of.
    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    /// Returns the segments to evaluate.
    pub(super) fn segments<'r>(&self, request: &'r Request<'_>) -> &'r [SegmentView] {
        &request.shards[self.shard].target.view.segments()[self.segments.clone()]
    }
}

impl Request<'_> {
    /// Returns the work in pieces: those that the best hits may come from first, then the largest.
    pub(super) fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        let is_wanted = |shard: &&Shard<'_>| !matches!(shard.way, Way::Nothing);
        for shard in self.shards.iter().filter(is_wanted) {
            let segments = shard.target.view.segments();
            let sizes = segments.iter().map(|segment| segment.reader().max_doc());
            let task = |segments: Range<usize>, size| Task {
                shard: shard.index,
                segments,
                size,
                best: None,
            };
            if self.query.terminate_after.is_some() {
                tasks.push(task(0..segments.len(), sizes.sum()));
            } else {
                tasks.extend(
                    sizes
                        .enumerate()
                        .map(|(ord, size)| task(ord..ord + 1, size)),
                );
            }
        }
        tasks.sort_by_key(|task| std::cmp::Reverse(task.size));
        if tasks.len() > 1 && matches!(self.order, Order::Keys(_)) {
            self.sort_by_best(&mut tasks);
        }
        tasks
    }

    /// Has the segments with the best sort keys searched first, so that others need not be.
    fn sort_by_best(&self, tasks: &mut [Task]) {
        for task in &mut *tasks {
            let shard = &self.shards[task.shard];
            if let (Way::Probe(_), [segment]) = (&shard.way, task.segments(self)) {
                task.best = best_key(self.query, shard.target, segment, self.env);
            }
        }
        let sort = self.query.sort.first();
        tasks.sort_by(|a, b| match (sort, &a.best, &b.best) {
            (Some(key), Some(a), Some(b)) => compare_key(key, a, b),
            (_, a, b) => b.is_some().cmp(&a.is_some()),
        });
    }

    /// Returns whether no hit comes from the documents of a task.
    pub(super) fn is_behind(&self, task: &Task) -> bool {
        match (&self.order, &task.best) {
            (Order::Keys(sorting), Some(best)) => sorting.excludes(self.query, best),
            _ => false,
        }
    }
}
