//! How often a node was started, counted in its data folder and in etcd. A folder that counts less than etcd is an older
//! one: it was put back from a copy, and what was acknowledged since is not in it.

use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_coordinator::{CoordinatorError, CopyMarks};
use gleaner_leaf::suspect_copies;
use gleaner_model::NodeUuid;
use tokio::task::block_in_place;

use super::owner::Owner;
use crate::serve::folder::DataFolder;

/// How long until a store that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Counts a start of `node`, before a leaf is started on its folder. The copies in an older folder are noted as such.
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
    let starts = block_in_place(|| {
        let noted = Owner::num_starts(folder.path())?;
        if noted < counted {
            suspect(folder, noted, counted)?;
        }
        // The folder first: where the process ends in between it counts more, which is no harm.
        let starts = noted.max(counted) + 1;
        Owner::note_starts(folder.path(), starts)?;
        anyhow::Ok(starts)
    })?;
    if let Err(error) = marks.note_starts(node, starts).await {
        tracing::warn!(%error, "this start is not counted outside of the data folder");
    }
    Ok(())
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
    async fn copies_in_a_folder_that_was_put_back_are_suspected() -> Result<()> {
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
        };
        owner.claim(path)?;
        let folder = DataFolder::take(path)?;
        let suspect = path.join("indices/i/0.suspect");
        for starts in 1..=2 {
            count_start(&folder, &marks, node).await?;
            assert_eq!(Owner::num_starts(path)?, starts);
            assert_eq!(marks.num_starts(node).await?, starts);
            assert!(!suspect.exists());
        }
        Owner::note_starts(path, 1)?;
        count_start(&folder, &marks, node).await?;
        assert_eq!(Owner::num_starts(path)?, 3);
        let reason = std::fs::read_to_string(&suspect)?;
        assert!(reason.contains("2 times") && reason.contains("knows of 1"), "{reason}");
        Ok(())
    }
}
