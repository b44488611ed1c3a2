//! Force merges, waited for or as tasks.
//!
//! Does: merge the segments of every copy of indices, and flush what was merged; run that apart from the client that began it, and
//! keep what it came to. Does not: go on after the process has stopped, or end on request: a leaf ends no merge that it
//! has begun. Called by `api`. Read first: [`Root::begin_force_merge`].

use std::sync::Arc;

use crate::origin::Origin;
use crate::plan::Target;
use crate::task_results::Render;
use crate::tasks::{Action, NewTask, Quota};
use crate::visibility::CopyOutcome;
use crate::{Root, RootError};

/// Force merges under way as tasks on a root.
const QUOTA: Quota = Quota {
    queue: "force merges",
    capacity: 100,
};

/// What is to be merged.
#[derive(Debug, Clone)]
pub struct ForceMerge {
    /// The indices.
    pub target: Target,
    /// Segments that each copy has afterwards at most, ≥ 1.
    pub max_segments: usize,
    /// Whether replicas stay as they are.
    pub only_primaries: bool,
    /// Whether the shards are flushed afterwards.
    pub is_flushed: bool,
}

impl ForceMerge {
    /// Returns a merge of all copies of `target`, which are not flushed, down to so many segments.
    pub fn new(target: Target, max_segments: usize) -> Self {
        Self {
            target,
            max_segments,
            only_primaries: false,
            is_flushed: false,
        }
    }
}

/// What a merge came to: one outcome for each copy.
pub type Merged = Result<Vec<CopyOutcome>, RootError>;

/// Writes what is kept of a merge that has ended: a JSON object.
pub type RenderMerged = Render<Vec<CopyOutcome>>;

impl Root {
    /// Merges segments, and then flushes the copies that were merged where that is asked for. A copy that could not be
    /// flushed has failed.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub async fn force_merge(&self, merge: &ForceMerge) -> Merged {
        self.reader.force_merge(merge).await
    }

    /// Begins a merge as a task, which goes on when its client has gone; returns its number. It cannot be cancelled, and
    /// ends with an error when the process stops. What `render` writes of it [`crate::read::Reader::task_result`] tells
    /// afterwards.
    ///
    /// # Errors
    /// [`gleaner_proto::LeafFault::Rejected`] when too many of them are under way, or the process stops.
    pub fn begin_force_merge(
        self: &Arc<Self>,
        merge: ForceMerge,
        origin: &Origin,
        render: RenderMerged,
    ) -> Result<u64, RootError> {
        let new = NewTask {
            action: Action::ForceMerge,
            target: &description(&merge),
            origin,
            parent: None,
            progress: None,
        };
        let entry = self.tasks.list_background(new, QUOTA)?;
        let id = entry.id;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let work = entry.unless_cancelled(this.force_merge(&merge));
            // What it came to is kept; nobody waits for it here.
            let merged = this.results.run_and_keep(&entry, work, Some(render));
            drop(merged.await);
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
        only_primaries: _,
        is_flushed,
    } = merge;
    let names = target.name();
    format!("Force-merge indices [{names}], maxSegments[{max_segments}], flush[{is_flushed}]")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use gleaner_model::NodeId;
    use gleaner_proto::LeafFault;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;
    use crate::RootOptions;
    use crate::tasks::TaskInfo;
    use crate::testing::{Cluster, Fixture, index, shard};

    fn merge(names: &str) -> ForceMerge {
        ForceMerge {
            target: Target {
                expression: Some(names.to_owned()),
                ..Target::default()
            },
            max_segments: 1,
            only_primaries: false,
            is_flushed: true,
        }
    }

    /// Begins a merge of which an empty object is kept.
    fn begin(root: &Arc<Root>) -> Result<u64, RootError> {
        let render = Box::new(|_: &TaskInfo, _: &Merged| Bytes::from_static(b"{}"));
        root.begin_force_merge(merge("index-1"), &Origin::default(), render)
    }

    fn is_refused(begun: &Result<u64, RootError>) -> bool {
        matches!(begun, Err(RootError::Leaf(LeafFault::Rejected { .. })))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_merge_goes_on_by_itself_and_is_written_down() {
        let Fixture { leaf, root } = Fixture::new([index(1, &json!({}))]);
        let root = Arc::new(root);
        for (num_kept, names, expected) in [(1, "index-1", Some(2)), (2, "missing", None)] {
            let (sender, told) = oneshot::channel();
            let render = move |task: &TaskInfo, merged: &Merged| {
                let num_shards = merged.as_ref().ok().map(Vec::len);
                sender.send((task.clone(), num_shards)).ok();
                Bytes::from_static(b"{}")
            };
            let begun = root.begin_force_merge(merge(names), &Origin::default(), Box::new(render));
            let id = begun.expect("begun");
            let (task, num_shards) = told.await.expect("it is rendered");
            assert_eq!((task.id, num_shards), (id, expected));
            assert_eq!(task.action, "indices:admin/forcemerge");
            let described = format!("Force-merge indices [{names}], maxSegments[1], flush[true]");
            assert_eq!(task.description, described);
            let patience = Duration::from_secs(60);
            assert!(root.tasks().until_ended(&[id], patience).await);
            assert_eq!(leaf.written.lock().len(), num_kept);
        }
    }

    #[tokio::test]
    async fn too_many_merges_are_refused() {
        let root = Arc::new(Fixture::new([index(1, &json!({}))]).root);
        for _ in 0..QUOTA.capacity {
            begin(&root).expect("begun");
        }
        assert!(is_refused(&begin(&root)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_merge_is_not_cancelled_and_ends_with_the_process() {
        let Fixture { leaf, root } = Fixture::new([index(1, &json!({}))]);
        let root = Arc::new(root);
        leaf.hanging.lock().insert(shard(1, 0));
        let (sender, told) = oneshot::channel();
        let render = move |_: &TaskInfo, merged: &Merged| {
            let error = merged.as_ref().err().map(ToString::to_string);
            sender.send(error).ok();
            Bytes::from_static(b"{}")
        };
        let begun = root.begin_force_merge(merge("index-1"), &Origin::default(), Box::new(render));
        let id = begun.expect("begun");
        let task = root.tasks().cancel(id).expect("under way");
        assert_eq!((task.is_cancellable, task.is_cancelled), (false, false));
        root.tasks().stop().await;
        let error = "task cancelled [node is stopping]".to_owned();
        assert_eq!(told.await, Ok(Some(error)));
        assert_eq!(leaf.written.lock().len(), 1, "it is kept");
        assert_eq!(root.tasks().list_all(), []);
        assert!(is_refused(&begin(&root)));
    }

    #[tokio::test]
    async fn copies_are_merged_and_one_that_is_not_flushed_has_failed() {
        let cluster = Cluster::new(2, [index(1, &json!({}))], RootOptions::default());
        let fault = LeafFault::DiskFull { shard: shard(1, 0) };
        let faults = [(shard(1, 0), fault.clone())];
        cluster.leaves[1].flush_faults.lock().extend(faults);
        let outcome = |n, node: &str, outcome| CopyOutcome {
            shard: shard(1, n),
            node: Some(NodeId(node.into())),
            outcome,
        };
        let all = |second| {
            [
                outcome(0, "leaf-0", Ok(())),
                outcome(0, "leaf-1", second),
                outcome(1, "leaf-0", Ok(())),
                outcome(1, "leaf-1", Ok(())),
            ]
        };
        let merged = cluster.root.force_merge(&merge("index-1")).await;
        assert_eq!(merged.expect("found"), all(Err(fault)));
        let unflushed = ForceMerge {
            is_flushed: false,
            ..merge("index-1")
        };
        let merged = cluster.root.force_merge(&unflushed).await;
        assert_eq!(merged.expect("found"), all(Ok(())));
        let of_primaries = ForceMerge {
            only_primaries: true,
            ..merge("index-1")
        };
        let merged = cluster.root.force_merge(&of_primaries).await;
        let primaries = [outcome(0, "leaf-0", Ok(())), outcome(1, "leaf-0", Ok(()))];
        assert_eq!(merged.expect("found"), primaries);
    }
}
