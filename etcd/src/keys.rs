//! Names of keys.

use std::fmt;
use std::sync::Arc;

use gleaner_coordinator::CoordinatorError;
use gleaner_model::{IndexUuid, NodeUuid, PeerRole, ShardKey, ShardNumber};

/// The keys of one cluster. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: Arc<str>,
    /// What the keys begin with that nobody watches.
    unwatched: Arc<str>,
}

/// What a key is that the state is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StateKey {
    Cluster,
    Meta,
    Security,
    Templates,
    Index(IndexUuid),
    Shard(ShardKey),
    Node(NodeUuid),
    Name(String),
    Alive(NodeUuid),
    Shown(String),
}

impl Keys {
    /// Returns those of the cluster `name`.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] for a name that is empty or holds a `/`: clusters would share keys.
    pub fn of(name: &str) -> Result<Self, CoordinatorError> {
        if name.is_empty() || name.contains('/') {
            return Err(CoordinatorError::Unreadable {
                path: "etcd".to_owned(),
                reason: format!("`{name}` cannot name a cluster there, give it a name without `/`"),
            });
        }
        Ok(Self {
            prefix: format!("/gleaner/{name}/").into(),
            unwatched: format!("/gleaner-marks/{name}/").into(),
        })
    }

    /// Returns what those of the state begin with, and of what changes beside it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns what the marks of copies begin with.
    pub(crate) fn marks_prefix(&self) -> &str {
        &self.unwatched
    }

    pub(crate) fn marks(&self, node: NodeUuid, part: u32) -> String {
        format!("{}{part}", self.marks_of(node))
    }

    /// Returns what the marks of all copies of a node begin with.
    pub(crate) fn marks_of(&self, node: NodeUuid) -> String {
        format!("{}{node}/marks/", self.unwatched)
    }

    pub(crate) fn starts(&self, node: NodeUuid) -> String {
        format!("{}{node}/starts", self.unwatched)
    }

    pub(crate) fn cluster(&self) -> String {
        self.named("cluster")
    }

    pub(crate) fn meta(&self) -> String {
        self.named("meta")
    }

    pub(crate) fn security(&self) -> String {
        self.named("security")
    }

    pub(crate) fn templates(&self) -> String {
        self.named("templates")
    }

    pub(crate) fn index(&self, uuid: &IndexUuid) -> String {
        self.named(format_args!("index/{uuid}"))
    }

    pub(crate) fn shard(&self, shard: ShardKey) -> String {
        self.named(format_args!("shard/{}/{}", shard.index, shard.shard))
    }

    /// Returns what the entries of all shards of an index begin with.
    pub(crate) fn shards_of(&self, index: &IndexUuid) -> String {
        self.named(format_args!("shard/{index}/"))
    }

    pub(crate) fn node(&self, node: NodeUuid) -> String {
        self.named(format_args!("node/{node}"))
    }

    pub(crate) fn name(&self, name: &str) -> String {
        self.named(format_args!("name/{name}"))
    }

    pub(crate) fn alive(&self, node: NodeUuid) -> String {
        self.named(format_args!("alive/{node}"))
    }

    pub(crate) fn shown(&self, process: &str) -> String {
        self.named(format_args!("shown/{process}"))
    }

    /// Returns what the keys begin with that the processes of a role show their version in.
    pub(crate) fn shown_by(&self, role: PeerRole) -> String {
        self.named(format_args!("shown/{role}-"))
    }

    pub(crate) fn unreachable(&self, node: NodeUuid, process: &str) -> String {
        self.named(format_args!("unreachable/{node}/{process}"))
    }

    /// Returns what the keys begin with by which roots say that they cannot reach a node.
    pub(crate) fn unreachable_of(&self, node: NodeUuid) -> String {
        self.named(format_args!("unreachable/{node}/"))
    }

    fn named(&self, name: impl fmt::Display) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Returns what `key` is in the state; `None` for one that is no part of it.
    pub(crate) fn read(&self, key: &[u8]) -> Option<StateKey> {
        let key = std::str::from_utf8(key).ok()?;
        match key.strip_prefix(&*self.prefix)? {
            "cluster" => Some(StateKey::Cluster),
            "meta" => Some(StateKey::Meta),
            "security" => Some(StateKey::Security),
            "templates" => Some(StateKey::Templates),
            rest => {
                let (kind, name) = rest.split_once('/')?;
                match kind {
                    "index" => IndexUuid::parse(name).ok().map(StateKey::Index),
                    "shard" => {
                        let (index, shard) = name.split_once('/')?;
                        Some(StateKey::Shard(ShardKey {
                            index: IndexUuid::parse(index).ok()?,
                            shard: ShardNumber(shard.parse().ok()?),
                        }))
                    }
                    "node" => NodeUuid::parse(name).ok().map(StateKey::Node),
                    "name" => Some(StateKey::Name(name.to_owned())),
                    "shown" => Some(StateKey::Shown(name.to_owned())),
                    "alive" => NodeUuid::parse(name).ok().map(StateKey::Alive),
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_names_and_others_are_no_part_of_the_state() {
        let keys = Keys::of("barley").expect("a good name");
        let (uuid, node) = (IndexUuid([7; 16]), NodeUuid([9; 16]));
        let shard = ShardKey {
            index: uuid,
            shard: ShardNumber(3),
        };
        for (key, read) in [
            (keys.cluster(), StateKey::Cluster),
            (keys.meta(), StateKey::Meta),
            (keys.security(), StateKey::Security),
            (keys.templates(), StateKey::Templates),
            (keys.index(&uuid), StateKey::Index(uuid)),
            (keys.shard(shard), StateKey::Shard(shard)),
            (keys.node(node), StateKey::Node(node)),
            (keys.name("leaf-1"), StateKey::Name("leaf-1".to_owned())),
            (keys.alive(node), StateKey::Alive(node)),
            (keys.shown("a1"), StateKey::Shown("a1".to_owned())),
        ] {
            assert_eq!(keys.read(key.as_bytes()), Some(read));
        }
        for other in [
            keys.unreachable(node, "root-1"),
            "/gleaner/oats/meta".to_owned(),
            "/gleaner/barley/index/x".to_owned(),
        ] {
            assert_eq!(keys.read(other.as_bytes()), None, "{other}");
        }
        assert_eq!(keys.read(b"/gleaner/barley/\xff"), None);
        assert!(Keys::of("a/b").is_err() && Keys::of("").is_err());
    }
}
