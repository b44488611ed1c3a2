//! The state of a simulated disk: what a running system sees, and what a power cut would leave.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

use super::{Survival, rng::Rng};

/// Index into [`Disk::nodes`].
pub(super) type NodeId = usize;

/// The root folder.
const ROOT: NodeId = 0;

/// A tree of nodes; removed ones stay in the list, as open files of theirs may live on.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Dir(Dir),
    File(Content),
}

/// Names in a folder: as seen now, and as of the last sync of the folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Dir {
    pub(super) live: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

/// Bytes of a file: as seen now, as of its last sync, and the changes between.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Content {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let change = Change::Write {
            offset,
            bytes: bytes.to_owned(),
        };
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let change = Change::Truncate(len);
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Makes what is pending durable; what a failed sync has lost stays lost.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// A failed sync: the kernel forgets that the pages were dirty, readers still see them.
    pub(super) fn lose_pending(&mut self) {
        self.pending.clear();
    }

    /// A failed sync of which some changes reached the disk.
    pub(super) fn lose_some(&mut self, seed: u64) {
        let mut fate = Fate::Random(Rng::new(seed));
        for change in self.pending.drain(..) {
            if let Some(kept) = fate.of_change(&change) {
                apply(&mut self.durable, &kept);
            }
        }
    }

    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        self.durable.clone_from(&bytes);
        self.live = bytes;
        self.pending.clear();
    }

    fn crash(&mut self, survival: &mut Fate) {
        let mut bytes = std::mem::take(&mut self.durable);
        for change in self.pending.drain(..) {
            match survival.of_change(&change) {
                Some(kept) => apply(&mut bytes, &kept),
                None => continue,
            }
        }
        if matches!(survival, Fate::All) {
            bytes.clone_from(&self.live);
        }
        self.replace(bytes);
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: new } => {
            let end = offset + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(new);
        }
        Change::Truncate(len) => bytes.resize(*len, 0),
    }
}

/// [`Survival`] with its dice.
enum Fate {
    Synced,
    All,
    Random(Rng),
}

impl Fate {
    /// Returns what of an unsynced change reaches the disk.
    fn of_change(&mut self, change: &Change) -> Option<Change> {
        match self {
            Self::Synced => None,
            Self::All => Some(change.clone()),
            Self::Random(rng) => match (rng.below(3), change) {
                (0, _) => None,
                (1, Change::Write { offset, bytes }) => Some(Change::Write {
                    offset: *offset,
                    bytes: bytes[..rng.below(bytes.len() + 1)].to_owned(),
                }),
                (_, change) => Some(change.clone()),
            },
        }
    }

    /// Tells whether the unsynced names of a folder reach the disk.
    fn keeps_names(&mut self) -> bool {
        match self {
            Self::Synced => false,
            Self::All => true,
            Self::Random(rng) => rng.below(2) == 0,
        }
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::Dir(Dir::default())],
        }
    }

    /// Turns the disk into what is found after the machine (or only the process) went down.
    pub(super) fn crash(&mut self, survival: Survival) {
        let mut fate = match survival {
            Survival::Synced => Fate::Synced,
            Survival::All => Fate::All,
            Survival::Random(seed) => Fate::Random(Rng::new(seed)),
        };
        for node in &mut self.nodes {
            match node {
                Node::Dir(dir) if fate.keeps_names() => dir.durable = dir.live.clone(),
                Node::Dir(dir) => dir.live = dir.durable.clone(),
                Node::File(content) => content.crash(&mut fate),
            }
        }
    }

    /// Bytes of all files that have a name.
    pub(super) fn used_bytes(&self) -> usize {
        let names = self.nodes.iter().filter_map(|node| match node {
            Node::Dir(dir) => Some(dir.live.values()),
            Node::File(_) => None,
        });
        names.flatten().map(|id| self.len(*id)).sum()
    }

    fn len(&self, id: NodeId) -> usize {
        match &self.nodes[id] {
            Node::Dir(_) => 0,
            Node::File(content) => content.live.len(),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut id = ROOT;
        for name in names(path) {
            let found = match &self.nodes[id] {
                Node::Dir(dir) => dir.live.get(&name),
                Node::File(_) => None,
            };
            id = *found.ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(id)
    }

    pub(super) fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        let id = self.find(path)?;
        match &mut self.nodes[id] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&mut self, id: NodeId) -> io::Result<&mut Content> {
        match &mut self.nodes[id] {
            Node::File(content) => Ok(content),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<NodeId> {
        if let Ok(id) = self.find(path) {
            self.file(id)?.truncate(0);
            return Ok(id);
        }
        self.nodes.push(Node::File(Content::default()));
        let id = self.nodes.len() - 1;
        self.link(path, id)?;
        Ok(id)
    }

    pub(super) fn create_dirs(&mut self, path: &Path) -> io::Result<()> {
        let mut at = std::path::PathBuf::from("/");
        for name in names(path) {
            at.push(name);
            if self.find(&at).is_err() {
                self.nodes.push(Node::Dir(Dir::default()));
                let id = self.nodes.len() - 1;
                self.link(&at, id)?;
            }
        }
        Ok(())
    }

    /// Refuses a name that a folder has which holds something.
    pub(super) fn check_free(&self, path: &Path) -> io::Result<()> {
        match self.find(path).map(|id| &self.nodes[id]) {
            Ok(Node::Dir(dir)) if !dir.live.is_empty() => {
                Err(io::ErrorKind::DirectoryNotEmpty.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<NodeId> {
        let name = names(path).pop().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.dir(&super::super::parent(path))?;
        dir.live
            .remove(&name)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn link(&mut self, path: &Path, id: NodeId) -> io::Result<()> {
        let name = names(path).pop().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.dir(&super::super::parent(path))?;
        dir.live.insert(name, id);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dir(path)?;
        dir.durable = dir.live.clone();
        Ok(())
    }
}

fn names(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}
