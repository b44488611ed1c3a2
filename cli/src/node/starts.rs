//! How often a node was started, counted in its data folder and in etcd. A folder that counts less than etcd is an older
//! one: it was put back from a copy, and what was acknowledged since is not in it.

use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_coordinator::{CoordinatorError, CopyMarks};
use gleaner_leaf::{Start, Starts, has_suspects, suspect_copies};
use gleaner_model::NodeUuid;
use tokio::task::block_in_place;

use super::owner::Owner;
use crate::serve::folder::DataFolder;

/// How long until a store that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Counts a start of `node`, before a leaf is started on its folder. The copies in an older folder are noted as suspects.
///
/// # Errors
/// What the disk says.
pub(super) async fn count_start(
    folder: &DataFolder,
    marks: &dyn CopyMarks,
    node: NodeUuid,
) -> Result<()> {
    let counted = loop {
        match marks.num_starts(node).await {
            Ok(counted) => break counted,
            Err(CoordinatorError::Unavailable { reason }) => {
                tracing::info!(reason, "starts are not counted yet; trying again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                tracing::warn!(%error, "starts are not counted outside of the data folder: an older one would not be noticed");
                return Ok(());
            }
        }
    };
    let Some(starts) = block_in_place(|| noted(folder, counted))? else {
        return Ok(());
    };
    if let Err(error) = marks.note_starts(node, starts).await {
        tracing::warn!(%error, "this start is not counted outside of the data folder");
    }
    Ok(())
}

/// Notes in the folder what a start does; returns what is to be noted outside of it.
fn noted(folder: &DataFolder, counted: u64) -> Result<Option<u64>> {
    let path = folder.path();
    let owner = Owner::of(path)?.context("the data folder is nobody's yet")?;
    let starts = Starts {
        noted: owner.starts,
        counted,
        suspected_at: owner.suspected_at,
    };
    match starts.next(has_suspects(&folder.indices())?) {
        Start::Counted(starts) => {
            // The folder first: where the process ends in between it counts more, which is no harm.
            Owner::change(path, |owner| {
                owner.starts = starts;
                owner.suspected_at = None;
            })?;
            Ok(Some(starts))
        }
        Start::Suspects => {
            suspect(folder, owner.starts, counted)?;
            Owner::change(path, |owner| owner.suspected_at = Some(counted))?;
            Ok(None)
        }
        Start::NotCounted => Ok(None),
    }
}

fn suspect(folder: &DataFolder, noted: u64, counted: u64) -> Result<()> {
    let reason = format!(
        "its data folder is an older one: the node was started {counted} times, and the folder knows of {noted}"
    );
    let suspected = suspect_copies(&folder.indices(), &reason);
    let num_copies = suspected
        .with_context(|| format!("cannot write to data folder `{}`", folder.path().display()))?;
    tracing::error!(
        folder = %folder.path().display(),
        counted,
        noted,
        num_copies,
        "the data folder is an older one, put back from a copy: its copies are made anew from others, or stay closed"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use gleaner_coordinator::marks::MarksInMemory;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn copies_in_a_folder_that_was_put_back_are_suspects_and_the_right_one_may_come_back()
    -> Result<()> {
        let (kept, node) = (tempfile::tempdir()?, NodeUuid([1; 16]));
        let marks = MarksInMemory::default();
        let path = kept.path();
        std::fs::create_dir_all(path.join("indices/i"))?;
        std::fs::write(path.join("indices/i/0.copy"), "c")?;
        let owner = Owner {
            cluster_uuid: "c".to_owned(),
            node: "leaf-1".to_owned(),
            uuid: None,
            starts: 0,
            suspected_at: None,
        };
        owner.claim(path)?;
        let folder = DataFolder::take(path)?;
        let suspect = path.join("indices/i/0.suspect");
        let noted = || anyhow::Ok(Owner::of(path)?.context("it is claimed")?.starts);
        for starts in 1..=2 {
            count_start(&folder, &marks, node).await?;
            assert_eq!((noted()?, marks.num_starts(node).await?), (starts, starts));
            assert!(!suspect.exists());
        }
        Owner::change(path, |owner| owner.starts = 1)?;
        for _ in 0..2 {
            count_start(&folder, &marks, node).await?;
            assert_eq!((noted()?, marks.num_starts(node).await?), (1, 2));
            let reason = std::fs::read_to_string(&suspect)?;
            assert!(
                reason.contains("2 times") && reason.contains("knows of 1"),
                "{reason}"
            );
        }
        // All of its copies were made anew.
        std::fs::remove_file(&suspect)?;
        count_start(&folder, &marks, node).await?;
        assert_eq!((noted()?, marks.num_starts(node).await?), (3, 3));
        Ok(())
    }
}
