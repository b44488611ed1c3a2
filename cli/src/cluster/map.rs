//! `DIR/processes.json`: which processes make up a local cluster, for scripts and drills.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result};
use gleaner_model::ClusterState;
use serde::Serialize;

use super::process::Part;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Map {
    /// Where clients go.
    pub(crate) url: String,
    /// All processes.
    pub(crate) nodes: Vec<Entry>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// Its name in the cluster.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: Part,
    /// Its process.
    pub(crate) pid: u32,
    /// A front or a root: where clients call it. A leaf or a member of the etcd: where other nodes call it.
    pub(crate) address: String,
    /// Where it answers `/_health/live`, `/_health/ready` and `/metrics`; a member of the etcd `/health` and `/metrics`.
    pub(crate) http_address: String,
    /// A front: where it answers `/_health/*`, `/metrics` and `/topz` of its own, without encryption and keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probe_address: Option<String>,
    /// Shard copies it holds.
    pub(crate) shards: Vec<Copy>,
}

/// A shard copy on a leaf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Copy {
    /// Name of the index.
    pub(crate) index: String,
    /// Number of the shard.
    pub(crate) shard: u32,
    /// Whether it orders the writes.
    pub(crate) primary: bool,
}

impl Map {
    /// Notes who holds what, as `state` says.
    pub(crate) fn place(&mut self, state: &ClusterState) {
        for node in &mut self.nodes {
            node.shards = copies_on(&node.name, state);
        }
    }

    /// Replaces the file at `path`; whoever reads meanwhile sees the old or the new one, whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("the map has no folder")?;
        let mut file = tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write in `{}`", folder.display()))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        writeln!(file)?;
        fs::rename(file.into_temp_path().keep()?, path)
            .with_context(|| format!("cannot write `{}`", path.display()))
    }
}

fn copies_on(name: &str, state: &ClusterState) -> Vec<Copy> {
    let mut held = Vec::new();
    for index in state.indices.values() {
        for key in index.shards() {
            let copies = index.copies_of(key.shard);
            let at = copies.iter().position(|node| &*node.0 == name);
            held.extend(at.map(|at| Copy {
                index: index.name.to_string(),
                shard: key.shard.0,
                primary: at == 0,
            }));
        }
    }
    held.sort_unstable();
    held
}
