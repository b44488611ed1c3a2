//! Tasks that run by themselves: they go on when the client that began them has gone.
//!
//! Does: list such a task where its kind has room; end all of them in order with the process. Does not: run them, or
//! keep what they did (see [`crate::task_results`]). Called by [`crate::by_query`] and [`crate::force_merge`], and by the
//! process that stops. Read first: [`Tasks::list_background`].

use std::sync::Arc;
use std::time::Duration;

use gleaner_proto::LeafFault;

use super::{NewTask, TaskEntry, Tasks};
use crate::RootError;

/// Longest wait for tasks to end in order when the process stops.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Why tasks end with the process.
const STOPPING: &str = "node is stopping";

/// How many tasks of a kind run by themselves at the same time on a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// What a refusal calls them; another one for each kind.
    pub(crate) queue: &'static str,
    /// At most so many, ≥ 1; more are refused.
    pub(crate) capacity: usize,
}

impl Tasks {
    /// Puts a task that runs by itself on the list, until what is returned is dropped. Unlike other tasks it is listed
    /// however long the list is: one that is not could be neither counted nor stopped.
    ///
    /// # Errors
    /// [`LeafFault::Rejected`] when `quota` is used up, or the process stops.
    pub(crate) fn list_background(
        &self,
        new: NewTask<'_>,
        quota: Quota,
    ) -> Result<TaskEntry, RootError> {
        let (id, task) = (self.next_number(), self.new_task(new, Some(quota)));
        // One lock over the count and the entry: of many that come at once none takes a place that another one took.
        let mut list = self.listed.list.lock();
        let same = list.tasks.values();
        let num_same = same.filter(|task| task.quota == Some(quota)).count();
        if list.is_stopping || num_same >= quota.capacity {
            return Err(RootError::Leaf(LeafFault::Rejected {
                queue: quota.queue.into(),
                capacity: quota.capacity,
            }));
        }
        list.tasks.insert(id, Arc::clone(&task));
        drop(list);
        Ok(self.entry(id, task))
    }

    /// Asks all tasks that run by themselves to end, and refuses new ones: a task by query ends after the page that it
    /// is at, a merge is not waited for any more.
    pub fn begin_stop(&self) {
        let mut list = self.listed.list.lock();
        list.is_stopping = true;
        // Only tasks that run by themselves have parts.
        let asked = list.tasks.values();
        for task in asked.filter(|task| task.quota.is_some() || task.parent.is_some()) {
            task.cancellation.request(STOPPING);
        }
    }

    /// As [`Tasks::begin_stop`]; waits until all have written down what they did, 20 s at most.
    pub async fn stop(&self) {
        self.begin_stop();
        if !self.until_ended(&self.background(), STOP_PATIENCE).await {
            tracing::warn!("tasks did not end in time; what they did is not kept");
        }
    }

    /// Returns the tasks under way that run by themselves, without their parts.
    fn background(&self) -> Vec<u64> {
        let list = self.listed.list.lock();
        let whole = list.tasks.iter().filter(|(_, task)| task.quota.is_some());
        whole.map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ScopedJoinHandle};

    use super::*;
    use crate::origin::Origin;
    use crate::tasks::Action;
    use crate::testing::Fixture;

    const MERGES: Quota = Quota {
        queue: "merges",
        capacity: 5,
    };

    const COPIES: Quota = Quota {
        queue: "copies",
        capacity: 1,
    };

    fn new(origin: &Origin) -> NewTask<'_> {
        NewTask {
            action: Action::ForceMerge,
            target: "",
            origin,
            parent: None,
            progress: None,
        }
    }

    fn begin(tasks: &Tasks, quota: Quota) -> Result<TaskEntry, RootError> {
        tasks.list_background(new(&Origin::default()), quota)
    }

    fn is_refused(begun: &Result<TaskEntry, RootError>) -> bool {
        matches!(begun, Err(RootError::Leaf(LeafFault::Rejected { .. })))
    }

    #[tokio::test]
    async fn of_many_that_come_at_once_no_more_begin_than_have_room() {
        let fixture = Fixture::new([]);
        let tasks = fixture.root.tasks();
        let listed: Vec<TaskEntry> = thread::scope(|threads| {
            let begin_some = move || -> Vec<TaskEntry> {
                let begun = (0..4).map(|_| begin(tasks, MERGES));
                begun.filter_map(Result::ok).collect()
            };
            let begun: Vec<_> = (0..8).map(|_| threads.spawn(begin_some)).collect();
            let ended = begun.into_iter().map(ScopedJoinHandle::join);
            ended.flat_map(|listed| listed.expect("ends")).collect()
        });
        assert_eq!(listed.len(), MERGES.capacity);
        assert!(is_refused(&begin(tasks, MERGES)));
        assert!(begin(tasks, COPIES).is_ok(), "they have room of their own");
        drop(listed);
        assert!(begin(tasks, MERGES).is_ok());
    }

    #[tokio::test]
    async fn a_process_that_stops_ends_what_runs_by_itself_and_refuses_more() {
        let fixture = Fixture::new([]);
        let tasks = fixture.root.tasks();
        let whole = begin(tasks, MERGES).expect("there is room");
        let origin = Origin::default();
        let part = tasks.list(NewTask {
            parent: Some(whole.id),
            ..new(&origin)
        });
        let search = tasks.list(NewTask {
            action: Action::Search,
            ..new(&origin)
        });
        tasks.begin_stop();
        assert!(is_refused(&begin(tasks, MERGES)));
        let reasons = [&whole, &part, &search].map(|task| task.cancellation().reason());
        assert_eq!(reasons, [Some(STOPPING), Some(STOPPING), None]);
    }
}
