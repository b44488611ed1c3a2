//! What a leaf finds on its disk at its start and does not serve: copies of indices that were deleted
//! while it was away, or before it had removed them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::{ClusterState, IndexUuid, ShardKey, ShardNumber};

use crate::Leaf;
use crate::copy::registry::CopyState;

impl Leaf {
    /// Removes copies of indices that `state` says were deleted. Others that the node is not to hold
    /// stay, and are named: nobody asked to delete them, and the state may be that of an old backup.
    pub(crate) async fn sweep(self: &Arc<Self>, state: &ClusterState) {
        let folder = self.node.options.folder.clone();
        let listing = tokio::task::spawn_blocking(move || copies_in(&folder));
        let found = match listing.await.map_err(io::Error::other) {
            Ok(Ok(found)) => found,
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(%error, "the folder of copies cannot be listed");
                return;
            }
        };
        for key in found {
            if self.node.role(state, key).is_some() {
                continue;
            }
            if state.deleted.contains(&key.index) {
                self.discard(key);
            } else {
                let folder = self.node.folders(key).copy;
                tracing::warn!(
                    shard = %key,
                    folder = %folder.display(),
                    "a copy that the cluster state does not give to this node stays on disk; remove \
                     its folder when it is not needed"
                );
            }
        }
    }

    fn discard(self: &Arc<Self>, key: ShardKey) {
        let is_held = self.copies.lock().insert(key, CopyState::Closing).is_some();
        debug_assert!(!is_held, "the state does not name the index");
        tracing::info!(shard = %key, "a copy of an index that was deleted meanwhile is removed");
        self.wipe(key, CopyState::Failed("its index was deleted".into()));
    }
}

/// Returns the shards of which there are files: `<index>/<shard>`, `<index>/<shard>.incoming`
/// and so on.
pub(super) fn copies_in(folder: &Path) -> io::Result<Vec<ShardKey>> {
    let mut found = Vec::new();
    let indices = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listed => listed?,
    };
    for index in indices {
        let index = index?;
        let Some(uuid) = index.file_name().to_str().and_then(uuid_of) else {
            continue;
        };
        for shard in std::fs::read_dir(index.path())? {
            let shard = shard?.file_name().to_str().and_then(number_of);
            found.extend(shard.map(|shard| ShardKey { index: uuid, shard }));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn uuid_of(name: &str) -> Option<IndexUuid> {
    IndexUuid::parse(name).ok()
}

fn number_of(name: &str) -> Option<ShardNumber> {
    let (number, kind) = name.split_once('.').unwrap_or((name, ""));
    let is_copy = matches!(kind, "" | "incoming" | "mended" | "damaged");
    number.parse().ok().filter(|_| is_copy).map(ShardNumber)
}

#[cfg(test)]
mod tests {
    use gleaner_log::ShardLog as _;
    use gleaner_proto::LeafClient as _;

    use crate::testing::{Fixture, PATIENCE, call, key, put};

    #[tokio::test(flavor = "multi_thread")]
    async fn copies_deleted_while_the_leaf_was_away_are_removed_and_no_others() {
        let fixture = Fixture::start();
        fixture.write(vec![put("a", "{}")]).await.expect("writes");
        for n in [2, 3] {
            fixture.create(n).await;
            let mut write = call(vec![put("a", "{}")]);
            write.shard = key(n);
            fixture.leaf.write(write).await.expect("writes");
        }
        fixture.leaf.stop().await;
        fixture
            .change(|state| {
                state.delete_index(&key(2).index);
                // As a state from before it was made has it.
                state.indices.remove(&key(3).index);
            })
            .await;
        let fixture = fixture.start_again();
        let mut changes = fixture.leaf.copies.changes();
        let gone = fixture.leaf.node.folders(key(2));
        let removed = async {
            while gone.index.exists() {
                changes.changed().await.expect("the leaf lives");
            }
        };
        let removed = tokio::time::timeout(PATIENCE, removed).await;
        removed.expect("nobody waits for ever");
        assert_eq!(fixture.log.tail(key(2)).await.expect("reads"), None);
        for n in [1, 3] {
            assert!(fixture.leaf.node.folders(key(n)).copy.exists(), "{n}");
        }
        assert!(fixture.get("a").await.is_some());
    }
}
