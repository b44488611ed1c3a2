//! What the disk of a leaf holds of copies, whether they serve or not: for those who look for what is left of a shard.

use std::collections::BTreeSet;
use std::io;

use gleaner_engine::ShardIndex;
use gleaner_log::LogError;
use gleaner_log::files::RealFiles;
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::read::CopyOnDisk;

use super::folders::Folders;
use super::leftovers::copies_in;
use crate::Leaf;
use crate::agree::identity::{HeldCopy, held_copy, log_state};
use crate::agree::remembering::suspicion;
use crate::copy::applier::with_causes;

impl Leaf {
    /// Returns what the disk holds of each copy, also of indices that the cluster state does not name.
    pub(crate) async fn copies_held(&self) -> Result<Vec<CopyOnDisk>, NodeFault> {
        let unread = |reason: String| NodeFault::Unreadable { reason };
        let folder = self.node.options.folder.clone();
        let listing = tokio::task::spawn_blocking(move || copies_in(&folder)).await;
        let found = listing.map_err(|error| unread(error.to_string()))?;
        let found = found.map_err(|error| unread(error.to_string()))?;
        let mut keys: BTreeSet<ShardKey> = found.into_iter().collect();
        keys.extend(self.copies.lock().keys().copied());
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            held.push(self.copy_held(key).await.map_err(unread)?);
        }
        Ok(held)
    }

    async fn copy_held(&self, shard: ShardKey) -> Result<CopyOnDisk, String> {
        let folders = self.node.folders(shard);
        let reading = tokio::task::spawn_blocking(move || files_of(&folders, shard)).await;
        let files = reading.map_err(|error| error.to_string())?;
        let Files {
            held: named,
            committed,
            damage,
        } = files.map_err(|error| error.to_string())?;
        let history = named.map(|held| held.history).unwrap_or_default();
        let mut held = CopyOnDisk {
            shard,
            copy: named.map(|held| held.copy),
            history,
            end: None,
            last_term: PrimaryTerm(0),
            agreed: SeqNo(0),
            fence: PrimaryTerm(0),
            version: 0,
            committed,
            damage,
        };
        if let Err(error) = self.add_log(&mut held).await {
            held.damage = Some(with_causes(&error));
        }
        Ok(held)
    }

    async fn add_log(&self, held: &mut CopyOnDisk) -> Result<(), LogError> {
        let log = &self.node.log;
        let Some(last) = log.tail(held.shard).await? else {
            return Ok(());
        };
        held.end = Some(last.next());
        let state = log_state(&**log, held.shard, held.history, SeqNo(0)).await?;
        held.last_term = state.terms.last_term();
        held.agreed = state.agreed.min(last.next());
        held.fence = state.fence;
        held.version = state.seen_version;
        Ok(())
    }
}

/// What the files of a copy tell of it.
struct Files {
    held: Option<HeldCopy>,
    committed: Option<SeqNo>,
    damage: Option<String>,
}

fn files_of(folders: &Folders, shard: ShardKey) -> io::Result<Files> {
    let held = held_copy(folders)?;
    let suspicion = suspicion(folders)?;
    let (committed, damage) = match ShardIndex::committed(&folders.copy, shard, &RealFiles) {
        Ok(committed) => (committed, suspicion),
        Err(error) => (None, Some(with_causes(&error))),
    };
    Ok(Files {
        held,
        committed,
        damage,
    })
}

#[cfg(test)]
mod tests {
    use gleaner_model::SeqNo;
    use gleaner_proto::LeafClient as _;

    use crate::testing::{Fixture, key, put};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_on_disk_is_told_of_open_copies_and_of_those_that_nobody_knows() {
        let fixture = Fixture::start();
        fixture.write(vec![put("a", "{}")]).await.expect("writes");
        let told = fixture.leaf.copies_on_disk().await.expect("told");
        let of = |number| told.iter().find(|copy| copy.shard == key(number));
        let held = of(1).expect("it is there");
        assert_eq!((held.end, held.next()), (Some(SeqNo(1)), SeqNo(1)));
        assert_eq!(held.damage, None);
        fixture.leaf.stop().await;
        fixture
            .change(|state| drop(state.indices.remove(&key(1).index)))
            .await;
        let fixture = fixture.start_again();
        let told = fixture.leaf.copies_on_disk().await.expect("told");
        let held = told.iter().find(|copy| copy.shard == key(1));
        let held = held.expect("nobody asked to remove it");
        assert_eq!(held.committed, Some(SeqNo(1)));
        assert!(held.end >= Some(SeqNo(1)));
    }
}
