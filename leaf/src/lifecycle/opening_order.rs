//! In which order a leaf opens its copies: short logs before long ones, primaries before followers, what was written last
//! before what was not.
//!
//! Does: bound how many copies are opened at once, choose the next one among those that wait. Does not: open any. Called by
//! maintenance, and for each copy before its engine is opened. Read first: [`OpeningOrder`].

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use gleaner_log::ShardLog;
use gleaner_model::{SeqNo, ShardKey};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::node::{Node, Role};

/// How soon a copy is to be opened; the least is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Urgency {
    /// Binary digits of the number of records that its log holds, of which it may replay some or all: a log that is twice as
    /// long counts as longer.
    log_digits: u32,
    role: Precedence,
    /// When its folder was last changed, which a commit does.
    changed: Reverse<SystemTime>,
}

/// Primaries first: nobody else takes their writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Primary,
    Replica,
}

impl Urgency {
    /// Returns that of a copy of this node. What cannot be read is as good as not there.
    pub(crate) async fn of(node: &Node, key: ShardKey) -> Self {
        let role = match node.role(&node.coordinator.state(), key) {
            Some(Role::Primary) => Precedence::Primary,
            Some(Role::Replica) | None => Precedence::Replica,
        };
        let folder = node.folders(key).copy;
        let changed = tokio::task::spawn_blocking(move || fs::metadata(folder)?.modified());
        let changed = changed.await.map(Result::ok).unwrap_or_default();
        Self {
            log_digits: u64::BITS - num_records(&*node.log, key).await.leading_zeros(),
            role,
            changed: Reverse(changed.unwrap_or(SystemTime::UNIX_EPOCH)),
        }
    }
}

/// Returns how many records a log holds.
async fn num_records(log: &dyn ShardLog, key: ShardKey) -> u64 {
    let (Ok(Some(tail)), Ok(page)) = (log.tail(key).await, log.read(key, SeqNo(0), 1).await) else {
        return 0;
    };
    tail.next().0.saturating_sub(page.first_available.0)
}

/// Bounds how many copies are opened at once: each may replay a long log. Of those that wait the most urgent one is next.
#[derive(Debug)]
pub(crate) struct OpeningOrder(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    num_free: usize,
    /// By urgency, and in the order in which they came.
    next: BTreeMap<(Urgency, u64), oneshot::Sender<OpeningPermit>>,
    num_come: u64,
}

/// Leave to open a copy; another one may once this is dropped. `None` where it was given on.
#[derive(Debug)]
pub(crate) struct OpeningPermit(Option<Arc<Mutex<Waiting>>>);

impl OpeningOrder {
    /// Returns one that lets so many be opened at once.
    pub(crate) fn new(num_at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            num_free: num_at_once,
            next: BTreeMap::new(),
            num_come: 0,
        })))
    }

    /// Waits until a copy may be opened.
    ///
    /// # Cancel safety
    /// A dropped future leaves its turn to the next one.
    pub(crate) async fn turn(&self, urgency: Urgency) -> OpeningPermit {
        let turn = {
            let mut waiting = self.0.lock();
            if waiting.num_free > 0 {
                waiting.num_free -= 1;
                return OpeningPermit(Some(Arc::clone(&self.0)));
            }
            let (sender, turn) = oneshot::channel();
            let number = waiting.num_come;
            waiting.num_come += 1;
            waiting.next.insert((urgency, number), sender);
            turn
        };
        turn.await.expect("a turn is kept until it comes")
    }
}

impl Drop for OpeningPermit {
    fn drop(&mut self) {
        let Some(waiting) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut waiting = waiting.lock();
                let Some((_, next)) = waiting.next.pop_first() else {
                    waiting.num_free += 1;
                    return;
                };
                next
            };
            match next.send(Self(Some(Arc::clone(&waiting)))) {
                Ok(()) => return,
                // It does not wait any more: the next one's turn.
                Err(mut unused) => drop(unused.0.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_log::{Append, MemoryLog};
    use gleaner_model::{PrimaryTerm, ShardNumber};

    use super::*;
    use crate::testing::key;

    fn urgency(log_digits: u32, role: Precedence, age_secs: u64) -> Urgency {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age_secs);
        Urgency {
            log_digits,
            role,
            changed: Reverse(changed),
        }
    }

    #[tokio::test]
    async fn short_logs_come_before_long_ones_then_primaries_then_what_was_written_last() {
        let order = OpeningOrder::new(1);
        let first = order.turn(urgency(20, Precedence::Replica, 9)).await;
        let waiting = [
            (0, urgency(10, Precedence::Primary, 5)),
            (1, urgency(3, Precedence::Replica, 1)),
            (2, urgency(3, Precedence::Primary, 7)),
            (3, urgency(3, Precedence::Primary, 2)),
            (4, urgency(1, Precedence::Primary, 0)),
        ];
        let turns = waiting.map(|(name, urgency)| (name, Box::pin(order.turn(urgency))));
        let mut turns = Vec::from(turns);
        for (_, turn) in &mut turns {
            assert!(futures::poll!(turn.as_mut()).is_pending());
        }
        // One that is not waited for any more holds nobody up.
        turns.pop();

        let (mut permit, mut come) = (first, Vec::new());
        while !turns.is_empty() {
            drop(permit);
            let waiting = turns.iter_mut().map(|(_, turn)| turn.as_mut());
            let (next, at, _) = futures::future::select_all(waiting).await;
            permit = next;
            come.push(turns.remove(at).0);
        }
        assert_eq!(come, [3, 2, 1, 0]);
        drop(permit);
        // All of it is free again.
        order.turn(urgency(1, Precedence::Replica, 0)).await;
    }

    #[tokio::test]
    async fn records_that_a_log_holds_are_counted() {
        let log = MemoryLog::default();
        assert_eq!(num_records(&log, key(1)).await, 0);
        let append = Append {
            shard: key(1),
            term: PrimaryTerm(1),
            expected_last: None,
            producer: None,
            batch: vec![bytes::Bytes::from_static(b"x"); 5],
        };
        log.append(append).await.expect("it is appended");
        assert_eq!(num_records(&log, key(1)).await, 5);
        let other = ShardKey {
            shard: ShardNumber(7),
            ..key(1)
        };
        assert_eq!(num_records(&log, other).await, 0);
    }
}
