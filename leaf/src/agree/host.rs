//! What a copy applies, shows and takes over as its machine says: the loop of an open copy.
//!
//! Does: decide up to where the log is applied, when the role changes, when searches may see the copy. Does not: know what
//! operations are applied to. That is a [`CopyHost`]: the engine and the write path of the product ([`super::roles`]), or a
//! model in memory, by which simulations run everything else as it is. Called by [`super::holding`]. Read first:
//! [`CopyLoop::run`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_log::{RecordBatch, ShardLog};
use gleaner_model::{Generation, PrimaryTerm, SeqNo};
use gleaner_replication::Event;
use tokio::sync::watch;
use tokio::time::Instant;

use super::driver::{CopyDriver, DriverEnd, Reign, Status};
use super::rules::Rule;
use crate::copy::applier::with_causes;
use crate::lifecycle::recovery::PAGE_BYTES;
use crate::replicate::halt::Halt;

/// How long a copy waits for its primary when it is opened; then it serves what it has, which may be old.
const SERVE_OLD_AFTER: Duration = Duration::from_secs(2);

/// What the log of a copy is applied to. Calls come one after the other.
pub(crate) trait CopyHost: Sync {
    /// Returns the position after the last operation that was applied.
    fn next(&self) -> SeqNo;

    /// Returns what searches see, as it changes.
    fn visible(&self) -> watch::Receiver<Generation>;

    /// Applies what the log holds from [`CopyHost::next`] on; a refresh shows all before it.
    fn apply(&self, payloads: Vec<Bytes>) -> impl Future<Output = Result<(), Halt>> + Send;

    /// Lets searches see the copy for the first time. Returns whether it is still wanted.
    fn serve(&self) -> impl Future<Output = bool> + Send;

    /// Takes writes, and lets searches see the copy. All that was agreed before is applied.
    fn lead(&self, reign: Reign) -> impl Future<Output = Result<(), Halt>> + Send;

    /// Takes no more writes: what is not agreed by now has an unknown outcome.
    fn step_down(&self) -> impl Future<Output = ()> + Send;

    /// Returns what follows damage that was found.
    fn damaged(&self, damage: String) -> impl Future<Output = Halt> + Send;

    /// Waits until the copy is closed or has failed.
    fn closed(&self) -> impl Future<Output = ()> + Send;
}

/// What a copy is by now.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The term that it leads.
    pub(crate) leads: Option<PrimaryTerm>,
    /// Whether searches may see it.
    pub(crate) is_serving: bool,
}

/// Does with a host what the machine of a copy says.
pub(crate) struct CopyLoop<'a, H> {
    pub(crate) driver: &'a Arc<CopyDriver>,
    pub(crate) log: &'a Arc<dyn ShardLog>,
    pub(crate) host: &'a H,
}

impl<H: CopyHost> CopyLoop<'_, H> {
    /// Does what the machine's state asks for, step by step; returns why no further step is to be made.
    pub(crate) async fn run(&self, standing: &mut Standing) -> Halt {
        let (mut status, mut visible) = (self.driver.status(), self.host.visible());
        let serve_by = Instant::now() + SERVE_OLD_AFTER;
        loop {
            let now = status.borrow_and_update().clone();
            if let Some(end) = &now.end {
                return halt_of(end);
            }
            match self.step(standing, &now).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(halt) => return halt,
            }
            let has_goal = now.goal.is_some_and(|goal| self.host.next() >= goal);
            if !standing.is_serving && (has_goal || Instant::now() >= serve_by) {
                if !self.host.serve().await {
                    return Halt::Closed;
                }
                standing.is_serving = true;
            }
            if standing.is_serving {
                let visible = visible.borrow_and_update().visible;
                self.driver.handle(Event::Shown { visible });
            }
            tokio::select! {
                biased;
                () = self.host.closed() => return Halt::Closed,
                changed = status.changed() => if changed.is_err() { return Halt::Closed },
                changed = visible.changed() => if changed.is_err() { return Halt::Closed },
                () = tokio::time::sleep_until(serve_by), if !standing.is_serving => {}
            }
        }
    }

    /// Changes the role, or applies a page of what is agreed; returns whether there was anything to do.
    async fn step(&self, standing: &mut Standing, now: &Status) -> Result<bool, Halt> {
        if self.change_role(standing, now).await? {
            standing.is_serving = true;
            return Ok(true);
        }
        self.apply_below(self.limit(now)).await
    }

    /// Changes the role as `now` says; returns whether it has changed. A copy that is to lead applies all that was
    /// agreed before, first.
    async fn change_role(&self, standing: &mut Standing, now: &Status) -> Result<bool, Halt> {
        match (standing.leads, now.reign) {
            (Some(led), reign) if reign.map(|reign| reign.term) != Some(led) => {
                self.host.step_down().await;
                standing.leads = None;
                Ok(true)
            }
            (None, Some(reign)) => {
                let inherited = now.agreed.min(reign.start);
                if self.host.next() < inherited {
                    return Ok(false);
                }
                self.host.lead(reign).await?;
                standing.leads = Some(reign.term);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Returns up to where the copy applies by itself. A primary hands on what it has ordered when that is agreed.
    fn limit(&self, status: &Status) -> SeqNo {
        if self.driver.omits(Rule::ApplyAgreed) && status.reign.is_none() {
            return SeqNo(u64::MAX);
        }
        match status.reign {
            Some(reign) => status.agreed.min(reign.start),
            None => status.agreed,
        }
    }

    /// Applies a page of what the log holds below `limit`; returns whether there was any.
    async fn apply_below(&self, limit: SeqNo) -> Result<bool, Halt> {
        let next = self.host.next();
        if next >= limit {
            return Ok(false);
        }
        let page = self.log.read_batches(self.driver.shard, next, PAGE_BYTES);
        let page = page
            .await
            .map_err(|error| Halt::Broken(with_causes(&error)))?;
        if page.first_available > next {
            let first = page.first_available;
            let damage = format!("its log begins at {first}, but {next} is needed");
            return Err(self.host.damaged(damage).await);
        }
        let is_below = |batch: &RecordBatch| batch.next() <= limit;
        let batches = page.batches.into_iter().take_while(is_below);
        let records = batches.flat_map(|batch| (batch.first.0..).zip(batch.payloads));
        let records = records.filter(|(position, _)| *position >= next.0);
        let payloads: Vec<Bytes> = records.map(|(_, payload)| payload).collect();
        if payloads.is_empty() {
            return Ok(false);
        }
        self.host.apply(payloads).await?;
        Ok(true)
    }
}

fn halt_of(end: &DriverEnd) -> Halt {
    match end {
        DriverEnd::Closed => Halt::Closed,
        DriverEnd::LogFailed(reason) => Halt::Broken(reason.to_string()),
        DriverEnd::Replaced => {
            Halt::Later("the shard's entry names another copy on this node now".to_owned())
        }
        DriverEnd::OtherHistory => Halt::Later(
            "the shard's entry names another history than that of the files here".to_owned(),
        ),
        DriverEnd::Files => {
            Halt::Files("the primary's log does not reach back to where this one ends".to_owned())
        }
    }
}
