//! Force merges, waited for or as tasks.
//!
//! Does: merge the segments of indices, and flush them; run that apart from the client that began it, and keep what it
//! came to. Does not: go on after the process has stopped. Called by `api`. Read first: [`Root::begin_force_merge`].

use std::sync::Arc;

use bytes::Bytes;
use gleaner_proto::LeafFault;

use crate::plan::Target;
use crate::tasks::{Action, NewTask, Origin, TaskInfo};
use crate::visibility::CopyOutcome;
use crate::{Root, RootError};

/// Force merges under way as tasks on a root at most; more are refused.
const MAX_TASKS: usize = 100;

/// What is to be merged.
#[derive(Debug, Clone)]
pub struct ForceMerge {
    /// The indices.
    pub target: Target,
    /// Segments that each shard has afterwards at most, ≥ 1.
    pub max_segments: usize,
    /// Whether the shards are flushed afterwards.
    pub is_flushed: bool,
}

/// What a merge came to, shard by shard.
pub type Merged = Result<Vec<CopyOutcome>, RootError>;

/// Writes what is kept of a merge that has ended: a JSON object.
pub type RenderMerged = Box<dyn FnOnce(&TaskInfo, &Merged) -> Bytes + Send>;

impl Root {
    /// Merges segments, and flushes then where that is asked for.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub async fn force_merge(&self, merge: &ForceMerge) -> Merged {
        let target = &merge.target;
        let merged = self.reader.force_merge(target, merge.max_segments).await?;
        if merge.is_flushed {
            self.reader.flush(target).await?;
        }
        Ok(merged)
    }

    /// Begins a merge as a task, which goes on when its client has gone; returns its number. What `render` writes of it
    /// [`crate::read::Reader::task_result`] tells afterwards.
    ///
    /// # Errors
    /// [`LeafFault::Rejected`] when too many of them are under way.
    pub fn begin_force_merge(
        self: &Arc<Self>,
        merge: ForceMerge,
        origin: &Origin,
        render: RenderMerged,
    ) -> Result<u64, RootError> {
        if self.tasks.num_of(Action::ForceMerge) >= MAX_TASKS {
            return Err(RootError::Leaf(LeafFault::Rejected {
                queue: "force merges".into(),
                capacity: MAX_TASKS,
            }));
        }
        let entry = self.tasks.list(NewTask {
            action: Action::ForceMerge,
            target: &description(&merge),
            origin,
            parent: None,
            progress: None,
        });
        let id = entry.id;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let merging = this.force_merge(&merge);
            let merged = entry.cancellation().unless_requested(merging).await;
            let merged = merged.unwrap_or(Err(RootError::TaskCancelled));
            let result = render(&entry.info(), &merged);
            this.by_query.keep(id, result).await;
            // A client that hears of its end does not find it on the list.
            drop(entry);
        });
        Ok(id)
    }
}

/// Returns what a merge does, as the dialect words it.
fn description(merge: &ForceMerge) -> String {
    let ForceMerge {
        target,
        max_segments,
        is_flushed,
    } = merge;
    let names = target.name();
    format!("Force-merge indices [{names}], maxSegments[{max_segments}], flush[{is_flushed}]")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;
    use crate::testing::{Fixture, index};

    fn merge(names: &str) -> ForceMerge {
        ForceMerge {
            target: Target {
                expression: Some(names.to_owned()),
                ..Target::default()
            },
            max_segments: 1,
            is_flushed: true,
        }
    }

    #[tokio::test]
    async fn a_merge_goes_on_by_itself_and_is_written_down() {
        let root = Arc::new(Fixture::new([index(1, &json!({}))]).root);
        for (names, expected) in [("index-1", Some(2)), ("missing", None)] {
            let (sender, told) = oneshot::channel();
            let render = move |task: &TaskInfo, merged: &Merged| {
                let num_shards = merged.as_ref().ok().map(Vec::len);
                sender.send((task.id, num_shards)).ok();
                Bytes::from_static(b"{}")
            };
            let begun = root.begin_force_merge(merge(names), &Origin::default(), Box::new(render));
            let id = begun.expect("begun");
            let task = root.tasks().get(id).expect("nobody has waited for it");
            assert_eq!(task.action, "indices:admin/forcemerge");
            let described = format!("Force-merge indices [{names}], maxSegments[1], flush[true]");
            assert_eq!(task.description, described);
            assert_eq!(told.await, Ok((id, expected)));
        }
    }

    #[tokio::test]
    async fn too_many_merges_are_refused() {
        let root = Arc::new(Fixture::new([index(1, &json!({}))]).root);
        let begin = || {
            let render = Box::new(|_: &TaskInfo, _: &Merged| Bytes::from_static(b"{}"));
            root.begin_force_merge(merge("index-1"), &Origin::default(), render)
        };
        for _ in 0..MAX_TASKS {
            begin().expect("begun");
        }
        let refused = begin().expect_err("too many");
        assert!(matches!(
            refused,
            RootError::Leaf(LeafFault::Rejected { .. })
        ));
    }
}
