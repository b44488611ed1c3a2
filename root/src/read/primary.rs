//! Documents as their primary knows them: it alone knows what searches cannot see yet.

use std::time::Duration;

use gleaner_proto::LeafFault;
use gleaner_proto::read::{Documents, GetCall};

use crate::deadline::Deadline;
use crate::read::Reader;

/// How long a read waits for a primary that surely read nothing: its leaf is not reached, or there is none yet. A client that
/// hears so can ask again; one that waits for the lease of a leaf to end holds a connection.
const PRIMARY_PATIENCE: Duration = Duration::from_secs(2);

impl Reader {
    /// Returns documents of one shard as its primary has them, which refreshes first if `refresh` says so.
    pub(super) async fn get_of_primary(
        &self,
        call: GetCall,
        refresh: bool,
    ) -> Result<Documents, LeafFault> {
        let shard = call.shard;
        let deadline = Deadline::after(call.remaining);
        let patience = deadline.within(PRIMARY_PATIENCE);
        let mut failed = None;
        loop {
            let remaining = match failed {
                None => deadline.remaining(),
                Some(_) => patience.remaining(),
            };
            let call = GetCall {
                remaining,
                ..call.clone()
            };
            let read = async {
                let primary = self.cluster.primary(shard)?;
                let read = async {
                    if refresh {
                        primary.client.refresh(shard).await?;
                    }
                    primary.client.get(call).await
                };
                tokio::select! {
                    biased;
                    read = read => read.map_err(|fault| fault.of_node(&primary.node.0)),
                    () = self.cluster.primary_moved(shard, &primary.node) => {
                        Err(LeafFault::NotHere { shard })
                    }
                }
            };
            let late = LeafFault::DeadlinePassed { shard };
            match tokio::time::timeout(remaining, read)
                .await
                .unwrap_or(Err(late))
            {
                // What failed before says more; the client's own timer may have ended first.
                Err(late @ LeafFault::DeadlinePassed { .. }) => return Err(failed.unwrap_or(late)),
                Err(fault) if self.cluster.is_repeated(shard, &fault, patience).await => {
                    failed = Some(fault);
                }
                read => return read,
            }
        }
    }
}
