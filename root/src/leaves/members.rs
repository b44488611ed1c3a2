//! The leaves of a cluster, as the cluster state names them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gleaner_coordinator::Coordinator;
use gleaner_coordinator::entries::EntryTable;
use gleaner_model::{
    ClusterState, Entry, HistoryId, IndexMeta, NodeId, NodeMeta, NodeUuid, Revision, Role,
    ShardKey, ShardNumber,
};
use gleaner_proto::LeafClient;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{Copies, LeafHandle, Leaves};

/// Makes the client of the leaf at an address. It is called under a lock: it must not wait for a connection.
type Connect = dyn Fn(&NodeId, &str) -> Arc<dyn LeafClient> + Send + Sync;

/// The leaves that the newest cluster state known here names, each with one client for as long as it
/// is a member at the same address: the one under which it has registered, else that of the state.
///
/// A shard whose index names no copies is on the only leaf, if there is only one. Where copies agree through entries,
/// those say which copy is primary.
pub struct Members {
    state: watch::Receiver<Arc<ClusterState>>,
    /// The entries of shards; `None` where the state says which copy is primary.
    entries: Option<watch::Receiver<Arc<EntryTable>>>,
    connect: Box<Connect>,
    known: RwLock<KnownMembers>,
}

/// A version of the state, and a revision of the entries.
type Known = (u64, Revision);

/// What was made of one version of the state, and of the entries at one revision.
#[derive(Default)]
struct KnownMembers {
    version: Option<Known>,
    leaves: BTreeMap<NodeId, Member>,
    copies: HashMap<ShardKey, Copies>,
    /// The copies in sync, where entries say which are.
    in_sync: HashMap<ShardKey, Copies>,
    /// Where shards are that name no copies.
    elsewhere: Copies,
}

struct Member {
    address: String,
    located: LeafHandle,
}

impl Members {
    /// Returns the leaves that `coordinator` knows of, now and later; `connect` makes the client of
    /// one, at once, connecting when it is first used.
    pub fn new(
        coordinator: &dyn Coordinator,
        connect: impl Fn(&NodeId, &str) -> Arc<dyn LeafClient> + Send + Sync + 'static,
    ) -> Self {
        Self {
            state: coordinator.watch(),
            entries: coordinator.entries().map(|entries| entries.watch()),
            connect: Box::new(connect),
            known: RwLock::default(),
        }
    }

    fn with_known<T>(&self, read: impl Fn(&KnownMembers) -> T) -> T {
        let version = self.version();
        {
            let known = self.known.read();
            if known.version == Some(version) {
                return read(&known);
            }
        }
        let state = Arc::clone(&self.state.borrow());
        let table = self
            .entries
            .as_ref()
            .map(|table| Arc::clone(&table.borrow()));
        let mut known = self.known.write();
        // Another may have been faster, and with a newer state.
        let version = version_of(&state, table.as_deref());
        let is_news = |known: Known| known.0 < version.0 || known.1 < version.1;
        if known.version.is_none_or(is_news) {
            known.take(&state, table.as_deref(), &*self.connect);
            known.version = Some(version);
        }
        read(&known)
    }

    fn version(&self) -> Known {
        let table = self.entries.as_ref().map(watch::Receiver::borrow);
        version_of(&self.state.borrow(), table.as_ref().map(|table| &***table))
    }
}

impl Leaves for Members {
    fn copies(&self, shard: ShardKey) -> Copies {
        self.with_known(|known| {
            let copies = known.copies.get(&shard).unwrap_or(&known.elsewhere);
            Arc::clone(copies)
        })
    }

    fn in_sync(&self, shard: ShardKey) -> Copies {
        let known = self.with_known(|known| known.in_sync.get(&shard).cloned());
        known.unwrap_or_else(|| self.copies(shard))
    }

    fn history(&self, shard: ShardKey) -> HistoryId {
        let table = self.entries.as_ref().map(watch::Receiver::borrow);
        let stored = table.as_ref().and_then(|table| table.shards.get(&shard));
        stored.map_or(HistoryId::FIRST, |stored| stored.entry.history)
    }

    fn copies_agree(&self) -> bool {
        self.entries.is_some()
    }

    fn all(&self) -> Vec<LeafHandle> {
        self.with_known(|known| {
            let leaves = known.leaves.values();
            leaves.map(|member| member.located.clone()).collect()
        })
    }
}

fn version_of(state: &ClusterState, table: Option<&EntryTable>) -> Known {
    let revision = table.map(|table| table.revision);
    (state.version, revision.unwrap_or_default())
}

impl KnownMembers {
    fn take(&mut self, state: &ClusterState, table: Option<&EntryTable>, connect: &Connect) {
        let mut before = std::mem::take(&mut self.leaves);
        let is_leaf = |(_, meta): &(&NodeId, &NodeMeta)| meta.role == Role::Leaf;
        for (node, meta) in state.nodes.iter().filter(is_leaf) {
            let kept = before.remove(node);
            let registered = table.and_then(|table| table.address_of(node));
            let address = registered.map_or(&*meta.address, |address| &**address);
            let kept = kept.filter(|member| member.address == address);
            let member = kept.unwrap_or_else(|| Member {
                address: address.to_owned(),
                located: LeafHandle {
                    node: node.clone(),
                    client: connect(node, address),
                },
            });
            self.leaves.insert(node.clone(), member);
        }
        self.elsewhere = match self.leaves.len() {
            1 => self.leaves.values().map(|m| m.located.clone()).collect(),
            _ => Copies::default(),
        };
        self.copies = state
            .indices
            .values()
            .flat_map(|index| match table {
                Some(table) => self.holders_of(index, table, Entry::copies_by_rank),
                None => self.copies_of(index),
            })
            .collect();
        let table = table.into_iter();
        self.in_sync = table
            .flat_map(|table| state.indices.values().map(move |index| (index, table)))
            .flat_map(|(index, table)| self.holders_of(index, table, Entry::in_sync_by_rank))
            .collect();
    }

    /// Returns copies of an index's shards, in the order in which `ranked` names them.
    fn holders_of(
        &self,
        index: &IndexMeta,
        table: &EntryTable,
        ranked: fn(&Entry) -> Vec<NodeUuid>,
    ) -> Vec<(ShardKey, Copies)> {
        let of_shard = |shard: ShardKey| {
            let stored = table.shards.get(&shard);
            let nodes = stored
                .map(|stored| ranked(&stored.entry))
                .unwrap_or_default();
            let names = nodes.into_iter().filter_map(|node| table.name_of(node));
            let members = names.filter_map(|node| self.leaves.get(node));
            (shard, members.map(|m| m.located.clone()).collect())
        };
        index.shards().map(of_shard).collect()
    }

    fn copies_of(&self, index: &IndexMeta) -> Vec<(ShardKey, Copies)> {
        let numbered = index.copies.iter().zip(0..);
        let of_shard = |(nodes, number): (&Vec<NodeId>, u32)| {
            let members = nodes.iter().filter_map(|node| self.leaves.get(node));
            let shard = ShardKey {
                index: index.uuid,
                shard: ShardNumber(number),
            };
            (shard, members.map(|m| m.located.clone()).collect())
        };
        numbered.map(of_shard).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use gleaner_coordinator::{CoordinatorError, Embedded, update};
    use serde_json::json;

    use super::*;
    use crate::testing::{FakeLeaf, index, shard, state};

    fn node(name: &str) -> NodeId {
        NodeId(name.into())
    }

    fn meta(role: Role, address: &str) -> NodeMeta {
        NodeMeta {
            role,
            address: address.to_owned(),
            http_address: None,
            weight: 1.0,
            zone: None,
        }
    }

    /// Two leaves and a root; shard 0 of index 1 has a copy on each leaf, shard 1 on the second only.
    fn cluster() -> Arc<Embedded> {
        let mut placed = index(1, &json!({}));
        placed.copies = vec![vec![node("b"), node("a")], vec![node("b"), node("gone")]];
        let mut state = state([placed, index(2, &json!({}))]);
        state.nodes = [
            (node("a"), meta(Role::Leaf, "host-a:1")),
            (node("b"), meta(Role::Leaf, "host-b:1")),
            (node("r"), meta(Role::Root, "host-r:1")),
        ]
        .into();
        Arc::new(Embedded::in_memory(state))
    }

    fn names(copies: &[LeafHandle]) -> Vec<&str> {
        copies.iter().map(|located| &*located.node.0).collect()
    }

    #[tokio::test]
    async fn copies_stand_as_the_state_names_them_and_strangers_are_left_out() {
        let coordinator = cluster();
        let members = Members::new(&*coordinator, |_, _| Arc::new(FakeLeaf::default()));
        assert_eq!(names(&members.copies(shard(1, 0))), ["b", "a"]);
        assert_eq!(names(&members.copies(shard(1, 1))), ["b"]);
        assert_eq!(names(&members.copies(shard(2, 0))), [""; 0]);
        assert_eq!(names(&members.all()), ["a", "b"]);
        let primary = members.primary(shard(1, 0)).expect("placed");
        assert_eq!(primary.node, node("b"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_leaf_has_one_client_until_it_moves() {
        let coordinator = cluster();
        let num_made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&num_made);
        let members = Members::new(&*coordinator, move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            Arc::new(FakeLeaf::default())
        });
        members.copies(shard(1, 0));
        let moved = |state: &ClusterState, address: &str| {
            let mut next = state.clone();
            next.nodes.insert(node("a"), meta(Role::Leaf, address));
            Ok(Some(next))
        };
        for (address, num_clients) in [("host-a:1", 2), ("host-a:2", 3)] {
            update::<CoordinatorError, _>(&*coordinator, |state| moved(state, address))
                .await
                .expect("changed");
            members.copies(shard(1, 0));
            assert_eq!(num_made.load(Ordering::Relaxed), num_clients, "{address}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_only_leaf_holds_what_names_no_copies() {
        let coordinator = cluster();
        let members = Members::new(&*coordinator, |_, _| Arc::new(FakeLeaf::default()));
        update::<CoordinatorError, _>(&*coordinator, |state| {
            let mut next = state.clone();
            next.nodes.remove(&node("a"));
            Ok(Some(next))
        })
        .await
        .expect("changed");
        assert_eq!(names(&members.copies(shard(2, 0))), ["b"]);
    }
}
