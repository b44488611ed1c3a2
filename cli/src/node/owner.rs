//! Whose data a folder holds: noted when a node first works in it, looked at from then on.
//!
//! A node that started in the folder of another cluster would find none of its indices in the cluster state, and
//! delete them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use gleaner_model::NodeUuid;
use serde::{Deserialize, Serialize};

use gleaner_machine::durable;

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// UUID of the cluster, as its state has it.
    pub(crate) cluster_uuid: String,
    /// Name of the node.
    pub(crate) node: String,
    /// Identity of the folder, and of the node in an etcd; made when it is first asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uuid: Option<NodeUuid>,
}

impl Owner {
    /// Returns who was noted in `folder`; `None` when nobody was.
    ///
    /// # Errors
    /// When the note cannot be read.
    pub(crate) fn of(folder: &Path) -> Result<Option<Self>> {
        read(&folder.join("node.json"))
    }

    /// Returns the identity of a folder that was claimed, which is made the first time.
    ///
    /// # Errors
    /// When nobody has claimed it, or the disk refuses.
    pub(super) fn identity(folder: &Path) -> Result<NodeUuid> {
        let path = folder.join("node.json");
        let noted = read(&path)?.context("the data folder is nobody's yet")?;
        if let Some(uuid) = noted.uuid {
            return Ok(uuid);
        }
        let uuid = NodeUuid(rand::random());
        let noted = Self {
            uuid: Some(uuid),
            ..noted
        };
        let content = serde_json::to_vec_pretty(&noted)?;
        durable::replace(&path, &content)
            .with_context(|| format!("cannot write to data folder `{}`", folder.display()))?;
        Ok(uuid)
    }

    /// Notes that `folder` is this node's.
    ///
    /// # Errors
    /// When it is another's, or the disk refuses.
    pub(super) fn claim(&self, folder: &Path) -> Result<()> {
        let path = folder.join("node.json");
        let shown = folder.display();
        let Some(noted) = read(&path)? else {
            let content = serde_json::to_vec_pretty(self)?;
            return durable::replace(&path, &content)
                .with_context(|| format!("cannot write to data folder `{shown}`"));
        };
        ensure!(
            noted.node == self.node,
            "data folder `{shown}` is that of node `{}`, this is `{}`: give it its own with --data",
            noted.node,
            self.node
        );
        ensure!(
            noted.cluster_uuid == self.cluster_uuid,
            "data folder `{shown}` holds data of the cluster [{}], and the etcd has the state of the \
             cluster [{}]: start that with the data that it had, or this node with an empty folder",
            noted.cluster_uuid,
            self.cluster_uuid
        );
        Ok(())
    }
}

/// Reads who was noted; `None` when nobody was.
fn read(path: &PathBuf) -> Result<Option<Owner>> {
    match fs::read(path) {
        Ok(content) => {
            let read = serde_json::from_slice(&content);
            let read = read.with_context(|| format!("`{}` cannot be read", path.display()))?;
            Ok(Some(read))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(cluster_uuid: &str, node: &str) -> Owner {
        Owner {
            cluster_uuid: cluster_uuid.to_owned(),
            node: node.to_owned(),
            uuid: None,
        }
    }

    #[test]
    fn a_folder_keeps_its_identity() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(Owner::identity(folder.path()).is_err(), "nobody's");
        let first = owner("c1", "leaf-1");
        first.claim(folder.path())?;
        let made = Owner::identity(folder.path())?;
        first.claim(folder.path())?;
        assert_eq!(Owner::identity(folder.path())?, made);
        Ok(())
    }

    #[test]
    fn a_folder_is_kept_for_the_node_and_the_cluster_that_used_it_first() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let first = owner("c1", "leaf-1");
        first.claim(folder.path())?;
        first.claim(folder.path())?;
        for (other, word) in [
            (owner("c1", "leaf-2"), "`leaf-1`"),
            (owner("c2", "leaf-1"), "[c1]"),
        ] {
            let refused = other
                .claim(folder.path())
                .expect_err("another's")
                .to_string();
            assert!(refused.contains(word), "{refused}");
        }
        first.claim(folder.path())
    }
}
