//! Following the primary's log: pages into the copy's own log, durable, then applied.

mod agree;
mod take;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_log::Record;
use gleaner_model::{History, PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_proto::replicate::{LogPage, LogTailCall};

use super::Halt;
use super::pause::Pause;
use crate::Leaf;
use crate::copy::opening::OpeningProgress;
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::lifecycle::recovery::PAGE_BYTES as OWN_PAGE_BYTES;
use crate::replicate::link::SILENT_AFTER;
use agree::{check_order, check_range, compare};

/// Why nothing can be asked of the primary.
pub(super) const NO_PRIMARY: &str = "the leaf of its primary is not known here";

/// Bytes asked for at once.
const PAGE_BYTES: usize = 4 << 20;

/// How long the primary is to wait for a record.
const WAIT: Duration = Duration::from_secs(10);

const _: () = assert!(WAIT.as_secs() < SILENT_AFTER.as_secs());

/// How much longer an answer may take.
const GRACE: Duration = Duration::from_secs(10);

/// How long a copy waits for its primary when it is opened; then it serves what it has, which may be old.
const SERVE_OLD_AFTER: Duration = Duration::from_secs(2);

/// Follows the primary of one copy.
pub(crate) struct Follower {
    leaf: Arc<Leaf>,
    replica: Arc<Replica>,
    shard: Arc<Shard>,
    opening: Arc<OpeningProgress>,
    /// Position after the last record of the copy's own log.
    next: SeqNo,
    /// Whether the last record here was found to be the primary's too since the connection last
    /// failed.
    is_compared: bool,
    /// Whether the copy serves.
    is_serving: bool,
    /// When it began to ask for what the primary has.
    begun: Instant,
    /// The newest term of which it is noted where it begins.
    term: PrimaryTerm,
    pause: Pause,
}

/// What a copy must have before it serves: what the primary had when it was first asked.
#[derive(Clone, Copy)]
struct Goal {
    end: SeqNo,
    visible: SeqNo,
}

impl Follower {
    /// Returns the follower of an opened copy.
    pub(crate) fn new(
        leaf: &Arc<Leaf>,
        replica: &Arc<Replica>,
        opening: &Arc<OpeningProgress>,
    ) -> Self {
        let shard = &replica.shard;
        Self {
            leaf: Arc::clone(leaf),
            replica: Arc::clone(replica),
            shard: Arc::clone(shard),
            opening: Arc::clone(opening),
            next: shard.applier.next(),
            is_compared: false,
            is_serving: false,
            begun: Instant::now(),
            term: PrimaryTerm::default(),
            pause: Pause::default(),
        }
    }

    /// Applies what the copy's own log holds.
    pub(super) async fn replay(&mut self) -> Result<(), Halt> {
        // An error means that the semaphore is closed, which nobody does.
        let leaf = Arc::clone(&self.leaf);
        let _permit = leaf.opener.permits.acquire().await;
        let log = &leaf.node.log;
        loop {
            if leaf.node.is_stopping() {
                return Err(Halt::Closed);
            }
            let page = log.read(self.shard.key, self.next, OWN_PAGE_BYTES).await;
            let page = page.map_err(|error| Halt::broken(&error))?;
            if page.records.is_empty() {
                return Ok(());
            }
            self.apply(page.records.iter().map(|record| &record.payload))
                .await?;
            self.next = page.next;
            self.opening
                .tell(format!("its log is replayed up to {}", page.next));
        }
    }

    /// Follows until the copy has, and shows, what the primary had and showed at the first answer.
    ///
    /// # Errors
    /// [`Halt::Kept`] when the primary does not answer for a while, or has lost what this copy holds: it
    /// may serve as it is.
    pub(super) async fn catch_up(&mut self) -> Result<(), Halt> {
        self.begun = Instant::now();
        // What the primary has is asked for at once, what comes next is waited for.
        let mut page = tokio::select! {
            page = self.next_page(Duration::ZERO) => page?,
            () = tokio::time::sleep(SERVE_OLD_AFTER) => return Err(away("it does not answer")),
        };
        let goal = Goal {
            end: page.end,
            visible: page.visible,
        };
        loop {
            self.take(std::mem::take(&mut page.records)).await?;
            if self.is_whole(goal, page.visible) {
                return Ok(());
            }
            self.opening.tell(format!(
                "it follows the primary, {} of {} operations are here",
                self.next, page.end
            ));
            page = self.next_page(WAIT).await?;
        }
    }

    /// Returns whether the copy may serve. What it shows must be a state that all copies come to:
    /// the files of a commit may hold more than the primary showed then.
    fn is_whole(&self, goal: Goal, primary_shows: SeqNo) -> bool {
        let shown = self.shard.engine().view().generation().visible;
        let is_common = self.shard.applier.marked() == shown || shown <= primary_shows;
        self.next >= goal.end && shown >= goal.visible && is_common
    }

    /// Follows until the copy is closed, fails, or must begin again from files.
    pub(super) async fn serve(&mut self) -> Halt {
        self.is_serving = true;
        loop {
            let taken = match self.next_page(WAIT).await {
                Ok(page) => self.take(page.records).await,
                Err(halt) => Err(halt),
            };
            match taken {
                Ok(()) => {}
                Err(Halt::Kept(reason)) => {
                    self.replica.link.part(reason.clone());
                    if let Err(halt) = self.later(reason).await {
                        return halt;
                    }
                }
                Err(Halt::Later(reason)) => {
                    if let Err(halt) = self.later(reason).await {
                        return halt;
                    }
                }
                Err(Halt::Broken(reason)) => {
                    return Halt::Broken(self.shard.applier.stop(&reason).to_string());
                }
                Err(halt) => return halt,
            }
        }
    }

    /// Returns the next page of the primary's log; tries until there is one.
    async fn next_page(&mut self, wait: Duration) -> Result<LogPage, Halt> {
        loop {
            match self.ask(wait).await {
                Ok(Some(page)) => {
                    self.pause.reset();
                    return Ok(page);
                }
                Ok(None) => {}
                Err(Halt::Later(reason)) => self.later(reason).await?,
                Err(halt) => return Err(halt),
            }
        }
    }

    /// Pauses after something that may pass.
    async fn later(&mut self, reason: String) -> Result<(), Halt> {
        tracing::debug!(shard = %self.shard.key, reason, "the primary is asked again");
        self.replica.link.report_silence(&reason);
        self.is_compared = false;
        if !self.is_serving && self.begun.elapsed() >= SERVE_OLD_AFTER {
            return Err(away(&reason));
        }
        self.opening.tell(reason);
        let mut pause = std::mem::take(&mut self.pause);
        let ended = self.until_ended(pause.wait()).await;
        self.pause = pause;
        ended
    }

    /// Asks once; `None` when the answer only told that both logs agree so far.
    async fn ask(&mut self, wait: Duration) -> Result<Option<LogPage>, Halt> {
        let key = self.shard.key;
        let primary = self.leaf.node.primary_of(key);
        let primary = primary.ok_or_else(|| Halt::Later(NO_PRIMARY.to_owned()))?;
        let last = self.last_record().await?;
        let call = LogTailCall {
            shard: key,
            follower: self.leaf.node.name(),
            from: last.as_ref().map_or(self.next, |last| last.seq_no),
            max_bytes: PAGE_BYTES,
            wait,
            held: self.held().await?,
        };
        let answer = tokio::time::timeout(wait + GRACE, primary.log_tail(call));
        let answer = self.until_ended(answer).await?;
        let answer = answer.map_err(|_| Halt::Later("the primary does not answer".to_owned()))?;
        let mut page = answer.map_err(|fault| match fault {
            LeafFault::Stopped { reason, .. } => {
                Halt::Kept(format!("its primary does not serve: {reason}"))
            }
            fault => Halt::later(&fault),
        })?;
        self.replica.link.hear(Instant::now());
        check_range(self.next, &page)?;
        let is_page = match last {
            Some(last) => compare(&last, &mut page)?,
            // A copy that was just made has no record yet.
            None => true,
        };
        self.is_compared = true;
        self.replica.link.rejoin();
        if !is_page {
            return Ok(None);
        }
        check_order(self.next, &page.records)?;
        Ok(Some(page))
    }

    /// Returns what the copy holds when it is to be compared with the primary's.
    async fn held(&self) -> Result<Option<History>, Halt> {
        if self.is_compared {
            return Ok(None);
        }
        let held = self.leaf.node.history(self.shard.key).own().await;
        held.map(Some).map_err(Halt::Later)
    }

    /// Returns the copy's last record when it is to be compared with the primary's.
    async fn last_record(&self) -> Result<Option<Record>, Halt> {
        let Some(last) = self.next.0.checked_sub(1) else {
            return Ok(None);
        };
        if self.is_compared {
            return Ok(None);
        }
        let record = self
            .leaf
            .node
            .log
            .read_one(self.shard.key, SeqNo(last))
            .await;
        record.map_err(|error| Halt::broken(&error))
    }

    /// Waits for `work` unless the copy is closed, has failed, or the leaf stops.
    async fn until_ended<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            done = work => Ok(done),
            () = self.opening.closed() => Err(Halt::Closed),
            () = self.shard.applier.stopped() => Err(Halt::Closed),
            () = self.leaf.node.stopped() => Err(Halt::Closed),
        }
    }
}

/// Returns why a copy serves without its primary.
fn away(reason: &str) -> Halt {
    Halt::Kept(format!(
        "its primary has not been heard of since this copy was opened ({reason}): what it serves may be old"
    ))
}
