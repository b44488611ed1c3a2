//! Leaves that stop in order: whole ones, and the driver of a primary in simulated time, whose follower the test plays.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use gleaner_coordinator::EmbeddedEntries;
use gleaner_log::Append;
use gleaner_model::{HistoryId, PrimaryTerm};
use gleaner_proto::replicate::{FollowerMessage, PrimaryMessage};
use gleaner_replication::{FromFollower, FromPrimary, Join, Settings};
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::agree::hub::TICK;
use crate::agree::identity::HeldCopy;
use crate::agree::stopping::again_after;
use crate::agree::{Agreeing, AgreeingOptions, CopyDriver};

/// The copy of leaf `a`, which leads and is alone in sync. Leaf `b` is alive; the test plays its copy.
struct Primary {
    hub: Arc<Agreeing>,
    driver: Arc<CopyDriver>,
    term: PrimaryTerm,
}

impl Primary {
    async fn start() -> Self {
        let incarnation = Incarnation([1; 16]);
        let entries = Arc::<EmbeddedEntries>::default();
        for name in ["a", "b"] {
            entries.set_alive(&NodeId(name.into()), uuid(name), Some(incarnation));
        }
        let copies = ["a", "b"].map(|name| (copy(name), CopyMeta::on(uuid(name))));
        entries.put(key(1), Entry::first(copy("a"), copies.into()));
        let state = watch::Sender::new(Arc::<ClusterState>::default());
        let hub = Agreeing::new(AgreeingOptions {
            entries,
            identity: NodeIdentity {
                node: uuid("a"),
                incarnation,
            },
            log: Arc::<MemoryLog>::default(),
            peers: Arc::<InProcess>::default(),
            state: state.subscribe(),
            search_lease: Duration::ZERO,
        });
        tokio::spawn(Agreeing::run(Arc::downgrade(&hub), hub.watch()));
        let driver = CopyDriver::open(
            &hub,
            key(1),
            HeldCopy::first(copy("a")),
            SeqNo(0),
            Arc::default(),
        )
        .await;
        let driver = driver.expect("opens");
        hub.add(&driver, &hub.table().shards[&key(1)]);
        let mut status = driver.status();
        let leads = soon(status.wait_for(|status| status.reign.is_some())).await;
        let reign = leads.expect("it is driven").reign.expect("it leads");
        Self {
            hub,
            driver,
            term: reign.term,
        }
    }

    /// Has `b` join with an empty log. It answers each beat, and makes nothing durable.
    fn join_b(&self) {
        let (says, said) = mpsc::unbounded::<Vec<FollowerMessage>>();
        let mut heard = self.hub.open_downstream(said.boxed());
        let term = self.term;
        let join = FromFollower::Join(Join {
            history: HistoryId::FIRST,
            term,
            version: 1,
            end: SeqNo(0),
            last_term: PrimaryTerm(0),
            agreed: SeqNo(0),
            agreed_term: None,
            visible: SeqNo(0),
        });
        says.unbounded_send(said_by_b(join)).expect("it is heard");
        tokio::spawn(async move {
            let is_beat = |said: &PrimaryMessage| matches!(said.message, FromPrimary::Beat(_));
            while let Some(Ok(messages)) = heard.next().await {
                if messages.iter().any(is_beat) {
                    let (end, visible) = (SeqNo(0), SeqNo(0));
                    let have = FromFollower::Have { term, end, visible };
                    // An error means that the stream has ended.
                    drop(says.unbounded_send(said_by_b(have)));
                }
            }
        });
    }

    /// Orders a record, which `b` does not confirm.
    fn order(&self) {
        let append = Append {
            shard: key(1),
            term: self.term,
            expected_last: None,
            producer: None,
            batch: vec![Bytes::from_static(b"1")],
        };
        assert!(self.driver.order(self.term, append).is_ok());
    }

    fn entry(&self) -> Arc<Entry> {
        Arc::clone(&self.hub.table().shards[&key(1)].entry)
    }

    async fn until_in_sync(&self, num_copies: usize) {
        let mut tables = self.hub.watch();
        let wanted =
            tables.wait_for(|table| table.shards[&key(1)].entry.in_sync.len() == num_copies);
        assert!(soon(wanted).await.is_ok());
    }
}

fn said_by_b(message: FromFollower) -> Vec<FollowerMessage> {
    vec![FollowerMessage {
        shard: key(1),
        from: copy("b"),
        to: copy("a"),
        message,
    }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_stops_hands_its_shards_over_and_comes_back_as_follower() {
    let mut cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    let term = cluster.entry().term;
    cluster.hand_over("a").await;
    let made = cluster.coordinator.entries.made();
    let taken = made.iter().find(|entry| entry.primary == copy("b"));
    let taken = taken.expect("it leads");
    assert_eq!(taken.term.0, term.0 + 1);
    // Nobody had to find it gone. It may leave the set right after: it has said that it stops.
    assert!(taken.in_sync.contains(&copy("a")));
    cluster.write("b", vec![put("2", "{}")]).await;
    cluster.crash("a").await;
    cluster.write("b", vec![put("3", "{}")]).await;
    cluster.again("a");
    cluster.until(|entry| entry.in_sync.len() == 2).await;
    cluster.until_equal().await;
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_stops_waits_for_a_copy_and_hands_over_as_soon_as_it_is_in_sync() {
    let primary = Primary::start().await;
    let stopping = async {
        primary.hub.hand_over().await;
        Instant::now()
    };
    let coming = async {
        // Just after an attempt: the next one would be late.
        tokio::time::sleep(7 * again_after(&Settings::default()) + TICK).await;
        let joined = Instant::now();
        primary.join_b();
        joined
    };
    let (stopped, joined) = tokio::join!(stopping, coming);
    let took = stopped.checked_duration_since(joined);
    let took = took.expect("it waits until the copy has joined");
    assert_eq!(primary.entry().primary, copy("b"));
    assert!(took < TICK, "it waited for a clock: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_stuck_leaves_the_set_while_the_shard_is_to_be_handed_to_it() {
    let primary = Primary::start().await;
    primary.join_b();
    primary.until_in_sync(2).await;
    // Shortly after a tick: an attempt ends long after it could be given up.
    tokio::time::sleep(TICK / 5).await;
    primary.order();
    let ordered = Instant::now();
    tokio::select! {
        () = primary.hub.hand_over() => panic!("it ended with {:?}", primary.entry()),
        () = primary.until_in_sync(1) => {}
    }
    let settings = Settings::default();
    let patience = settings.sync_patience;
    let took = ordered.elapsed();
    assert!(took >= patience, "it may be slow: {took:?}");
    assert!(took < patience + again_after(&settings), "{took:?}");
}
