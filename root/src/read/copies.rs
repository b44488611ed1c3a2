//! Documents as searches see them: any copy can tell, another where one fails or says nothing.

use std::time::Duration;

use gleaner_model::{IndexUuid, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_proto::read::{Documents, GetCall, WaitForRefreshCall};
use tokio::time::{Instant, timeout};

use crate::LeafHandle;
use crate::health::Phase;
use crate::read::Reader;

/// How long a copy may take while there are others: it reads a document within milliseconds.
const COPY_PATIENCE: Duration = Duration::from_secs(1);

impl Reader {
    /// Returns documents of one shard as searches see them: of the first copy that answers, in the order
    /// in which searches ask.
    pub(super) async fn get_visible(&self, call: GetCall) -> Result<Documents, LeafFault> {
        let shard = call.shard;
        let copies = self.cluster.leaves.copies(shard);
        if let [only] = &*copies {
            return self.get_on(only, None, call).await;
        }
        let until = Instant::now() + call.remaining;
        let order = self.health.open().order(shard, &copies, 0, &[]);
        let shown = self
            .shown
            .of(shard, || self.cluster.leaves.history(shard))
            .and_then(|shown| shown.0.checked_sub(1));
        let (mut late, mut last) = (None, LeafFault::NotHere { shard });
        for at in &order {
            let copy = &copies[*at];
            let remaining = until.saturating_duration_since(Instant::now());
            let call = GetCall {
                remaining: remaining.min(COPY_PATIENCE),
                ..call.clone()
            };
            // The primary shows whatever was acknowledged as visible.
            let awaited = shown.filter(|_| *at > 0).map(SeqNo);
            let ticket = self.health.begin(&copy.node);
            let answer = self.get_on(copy, awaited, call).await;
            drop(ticket);
            self.note_get(shard.index, copy, &answer);
            match answer {
                Ok(documents) => return Ok(documents),
                Err(fault) => {
                    if matches!(fault, LeafFault::DeadlinePassed { .. }) {
                        late = late.or(Some((copy, awaited)));
                    }
                    last = fault;
                }
            }
        }
        let remaining = until.saturating_duration_since(Instant::now());
        match late.filter(|_| !remaining.is_zero()) {
            // Nobody else can tell: it has the rest of the time.
            Some((copy, awaited)) => {
                let call = GetCall { remaining, ..call };
                self.get_on(copy, awaited, call).await
            }
            None => Err(last),
        }
    }

    /// Reads from one copy, once it shows `awaited`.
    async fn get_on(
        &self,
        copy: &LeafHandle,
        awaited: Option<SeqNo>,
        call: GetCall,
    ) -> Result<Documents, LeafFault> {
        let (shard, remaining) = (call.shard, call.remaining);
        let read = async {
            if let Some(seq_no) = awaited {
                let call = WaitForRefreshCall::on_copy(shard, seq_no, remaining);
                copy.client.wait_for_refresh(call).await?;
            }
            copy.client.get(call).await
        };
        let late = |_| Err(LeafFault::DeadlinePassed { shard });
        timeout(remaining, read).await.unwrap_or_else(late)
    }

    /// Notes whether a copy answered. One that is late beyond all measure has not.
    fn note_get(&self, index: IndexUuid, copy: &LeafHandle, answer: &Result<Documents, LeafFault>) {
        let mut book = self.health.open();
        match answer {
            // One that is late may wait for a refresh; it answers.
            Err(LeafFault::Unreachable { .. }) => book.unreachable(&copy.node),
            Err(_) => {}
            Ok(_) => {
                // No time is counted.
                book.answered(&copy.node, (index, Phase::Fetch), None, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use gleaner_model::ShardKey;
    use serde_json::json;

    use super::*;
    use crate::read::GetRequest;
    use crate::testing::{Cluster, index, shard, shows};
    use crate::{RootError, RootOptions};

    /// Two leaves of which both hold both shards; the first is the primary's and is asked first.
    fn cluster() -> Cluster {
        let options = RootOptions {
            is_choosing_copies: false,
            ..RootOptions::default()
        };
        Cluster::new(2, [index(1, &json!({}))], options)
    }

    fn request(realtime: bool) -> GetRequest {
        GetRequest {
            index: "index-1".to_owned(),
            id: "a".to_owned(),
            realtime,
            ..GetRequest::default()
        }
    }

    #[tokio::test]
    async fn what_searches_see_is_read_from_another_copy_where_the_primary_is_gone() {
        let cluster = cluster();
        *cluster.leaves[0].is_gone.lock() = true;
        let found = cluster.root.reader().get(&request(false)).await;
        let found = found.expect("of the replica");
        assert_eq!((&*found.index, found.document), ("index-1", None));
        let refused = cluster.root.reader().get(&request(true)).await;
        assert!(
            matches!(refused, Err(RootError::Leaf(LeafFault::Unreachable { .. }))),
            "{refused:?}"
        );
        *cluster.leaves[1].is_gone.lock() = true;
        cluster
            .root
            .reader()
            .get(&request(false))
            .await
            .expect_err("gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_primary_that_cannot_be_reached_is_not_waited_for_until_others_take_over() {
        let cluster = cluster();
        cluster.leaves_agree.store(true, Ordering::Relaxed);
        *cluster.leaves[0].is_gone.lock() = true;
        let begun = Instant::now();
        let refused = cluster.root.reader().get(&request(true)).await;
        let Err(RootError::Leaf(LeafFault::Unreachable { reason, .. })) = refused else {
            panic!("{refused:?}");
        };
        let primary = cluster.root.cluster().leaves().primary(shard(1, 0));
        let name = primary.expect("there is one").node;
        assert!(reason.contains(&format!("[{name}]")), "{reason}");
        let waited = begun.elapsed();
        assert!(waited > Duration::from_secs(1) && waited <= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_ends_late_says_what_failed_before() {
        let cluster = cluster();
        cluster.leaves_agree.store(true, Ordering::Relaxed);
        let shards = [shard(1, 0), shard(1, 1)];
        let fails = |fault: fn(ShardKey) -> LeafFault| {
            let faults = shards.map(|shard| (shard, fault(shard)));
            cluster.leaves[0].faults.lock().extend(faults);
        };
        fails(|shard| LeafFault::Unreachable {
            shard,
            reason: "no route".to_owned(),
        });
        // The call itself is over in time, before this side stops to wait for it.
        let turns = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            fails(|shard| LeafFault::DeadlinePassed { shard });
        };
        let request = request(true);
        let (refused, ()) = tokio::join!(cluster.root.reader().get(&request), turns);
        let Err(RootError::Leaf(LeafFault::Unreachable { reason, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert!(reason.ends_with("no route"), "{reason}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_copy_is_not_waited_for_long_while_there_are_others() {
        let cluster = cluster();
        let both = [shard(1, 0), shard(1, 1)];
        cluster.leaves[0].hanging.lock().extend(both);
        let begun = Instant::now();
        let found = cluster.root.reader().get(&request(false)).await;
        found.expect("of the replica");
        assert!(begun.elapsed() <= COPY_PATIENCE, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_replica_first_shows_what_was_acknowledged_as_visible() {
        let cluster = cluster();
        let state = cluster.root.cluster().state();
        for shard in [shard(1, 0), shard(1, 1)] {
            cluster
                .root
                .reader
                .shown
                .acknowledge(shard, shows(7), &state);
        }
        *cluster.leaves[0].is_gone.lock() = true;
        let found = cluster.root.reader().get(&request(false)).await;
        found.expect("of the replica");
        assert_eq!(*cluster.leaves[1].awaited.lock(), [SeqNo(6)]);
    }
}
