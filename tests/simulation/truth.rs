//! What was durable, in which order: the shards' logs as their primaries synced them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{SeqNo, ShardKey};

use crate::documents::{Documents, Ids, apply, live};

/// The logs of all shards, beyond the reach of any fault.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    logs: BTreeMap<ShardKey, Vec<Operation>>,
    moments: BTreeMap<(ShardKey, SeqNo), Arc<Documents>>,
}

impl Truth {
    /// Notes that the log of `shard` goes on with `operations` from position `from`.
    pub(crate) fn synced(&mut self, shard: ShardKey, from: usize, operations: &[Operation]) {
        let log = self.logs.entry(shard).or_default();
        log.truncate(from);
        log.extend_from_slice(operations);
    }

    /// Returns the log of a shard.
    pub(crate) fn log(&self, shard: ShardKey) -> &[Operation] {
        self.logs.get(&shard).map_or(&[], Vec::as_slice)
    }

    /// Returns the documents that a shard shows when everything below `visible` is visible.
    pub(crate) fn at(&mut self, shard: ShardKey, visible: SeqNo) -> Arc<Documents> {
        let logs = &self.logs;
        let made = || {
            let mut ids = Ids::new();
            let log = logs.get(&shard).into_iter().flatten();
            for (operation, seq_no) in log.zip(0..visible.0) {
                apply(&mut ids, SeqNo(seq_no), operation);
            }
            Arc::new(live(&ids))
        };
        Arc::clone(self.moments.entry((shard, visible)).or_insert_with(made))
    }

    /// Returns the moments that a shard can have shown.
    pub(crate) fn moments(&self, shard: ShardKey) -> Vec<SeqNo> {
        let numbered = self.log(shard).iter().zip(0..);
        let refreshes = numbered.filter(|(operation, _)| operation.kind == OperationKind::Refresh);
        refreshes.map(|(_, seq_no)| SeqNo(seq_no)).collect()
    }
}
