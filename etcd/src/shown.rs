//! Which version of the state each root and front shows, told in etcd, so that a change is acknowledged once all show it.
//!
//! ```text
//! one begins ── tells its version ── has all that was changed before ──▶ answers clients
//! a change ── committed ──▶ each of them shows it ── tells so ──▶ acknowledged
//!                                 └ one is silent for [`PATIENCE`] ──▶ acknowledged; nobody waits for that one again
//!                                                                      before it tells something new
//! ```
//!
//! Does: tell what this process shows, under a lease; wait for those that tell. Does not: hold up what a process answers
//! that is cut off from etcd: it is not waited for once its lease is over. Called by roots and fronts, and by
//! [`gleaner_coordinator::update`]. Read first: [`ShownVersion::start`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_model::{ClusterState, PeerRole};
use gleaner_proto::etcd::{Client, Fault, LeaseId, Operation, Transaction};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::error_of;
use crate::follow::Pauses;
use crate::keys::Keys;
use crate::reach::Complaints;
use crate::session::RENEWALS;
use crate::value::SHOWN;

/// Longest wait for those that do not show a change.
const PATIENCE: Duration = Duration::from_secs(1);

/// The version that each process tells, by the name that it took for itself.
pub(crate) type ShownVersions = BTreeMap<String, u64>;

/// The value of `shown/…`.
#[derive(Serialize, Deserialize)]
struct ShownValue {
    version: u64,
}

/// Reads the value of `shown/…`; `None` for one of a newer format, for which nobody waits.
pub(crate) fn read(bytes: &[u8]) -> Option<u64> {
    let value: Result<ShownValue, String> = SHOWN.decode(bytes);
    value.ok().map(|value| value.version)
}

/// Tells in etcd which version of the state this process shows, until it is ended or dropped. Of one that is dropped
/// the last version stays until its lease is over.
pub struct ShownVersion {
    client: Client,
    keys: Keys,
    /// The name that the process took for itself.
    process: String,
    lease: watch::Receiver<Option<LeaseId>>,
    telling: JoinHandle<()>,
}

impl ShownVersion {
    /// Tells from now on what `coordinator` shows to a process of the role `who`, under a lease of `lasts`, whole seconds
    /// and 2 at least. Waits until etcd has it, and until `coordinator` shows what was acknowledged before: what is changed later is not
    /// acknowledged before it shows that too.
    ///
    /// # Errors
    /// [`CoordinatorError`] when the state in force cannot be read then.
    ///
    /// # Cancel safety
    /// Dropping the future gives up; the version may stay until its lease is over.
    pub async fn start(
        client: Client,
        keys: Keys,
        coordinator: &dyn Coordinator,
        who: PeerRole,
        lasts: Duration,
    ) -> Result<Self, CoordinatorError> {
        // A member that hangs holds up what is told for no longer.
        let client = client.with_patience(lasts / RENEWALS);
        let (lease, receiver) = watch::channel(None);
        let (told, mut is_told) = watch::channel(false);
        let process = format!("{who}-{:032x}", rand::random::<u128>());
        let teller = Teller {
            client: client.clone(),
            key: keys.shown(&process),
            states: coordinator.watch(),
            lasts,
            lease,
            told: None,
        };
        let this = Self {
            client,
            keys,
            process,
            lease: receiver,
            telling: tokio::spawn(teller.run(told)),
        };
        // Its sender lives as long as the task, which `this` holds.
        drop(is_told.wait_for(|is_told| *is_told).await);
        coordinator.latest().await?;
        Ok(this)
    }

    /// Returns by what this process says which nodes it cannot reach, for as long as it tells what it shows.
    pub fn complaints(&self) -> Complaints {
        Complaints {
            client: self.client.clone(),
            keys: self.keys.clone(),
            process: self.process.clone(),
            lease: self.lease.clone(),
        }
    }

    /// Gives the lease back: nobody waits for this process any more.
    ///
    /// # Errors
    /// That etcd does not answer; the lease runs out by itself.
    pub async fn end(mut self) -> Result<(), CoordinatorError> {
        self.telling.abort();
        // It was aborted.
        drop((&mut self.telling).await);
        let lease = *self.lease.borrow();
        match lease {
            Some(lease) => self.client.revoke(lease).await.map_err(error_of),
            None => Ok(()),
        }
    }
}

impl Drop for ShownVersion {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

/// Tells what one process shows.
struct Teller {
    client: Client,
    key: String,
    states: watch::Receiver<Arc<ClusterState>>,
    lasts: Duration,
    lease: watch::Sender<Option<LeaseId>>,
    /// What etcd has under the lease.
    told: Option<u64>,
}

impl Teller {
    async fn run(mut self, told: watch::Sender<bool>) {
        let mut renewals = tokio::time::interval(self.lasts / RENEWALS);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pauses = Pauses::new();
        loop {
            if let Err(fault) = self.tell().await {
                tracing::info!(%fault, "etcd does not know which state this process shows; trying again");
                pauses.pause().await;
                // Its lease may be over.
                self.renew().await;
                continue;
            }
            pauses = Pauses::new();
            told.send_replace(true);
            tokio::select! {
                changed = self.states.changed() => if changed.is_err() {
                    return;
                },
                _ = renewals.tick() => self.renew().await,
            }
        }
    }

    /// Tells the version that is shown, where etcd has another one.
    async fn tell(&mut self) -> Result<(), Fault> {
        let version = self.states.borrow_and_update().version;
        let lease = *self.lease.borrow();
        let lease = match lease {
            Some(lease) => lease,
            None => {
                let lease = self.client.grant(self.lasts).await?.id;
                self.told = None;
                self.lease.send_replace(Some(lease));
                lease
            }
        };
        if self.told == Some(version) {
            return Ok(());
        }
        let value = SHOWN.encode(&ShownValue { version }, None);
        let put = Operation::Put {
            key: self.key.clone(),
            value: Bytes::from(value.expect("a number has a form")),
            lease: Some(lease),
        };
        let transaction = Transaction {
            compares: Vec::new(),
            operations: vec![put],
        };
        self.client.transaction(transaction).await?;
        self.told = Some(version);
        Ok(())
    }

    /// Renews the lease, or forgets one that is over. What etcd does not answer is tried again at the next turn.
    async fn renew(&mut self) {
        let lease = *self.lease.borrow();
        if let Some(lease) = lease
            && matches!(self.client.keep_alive(lease).await, Err(Fault::LeaseOver))
        {
            self.lease.send_replace(None);
        }
    }
}

/// Waits for those that tell what they show.
#[derive(Default)]
pub(crate) struct Waiting {
    /// Those that were silent for [`PATIENCE`], with what they had told.
    silent: Mutex<ShownVersions>,
}

impl Waiting {
    /// Waits until all in `shown` tell `version` or a later one, save those that are silent.
    pub(crate) async fn until_shown(
        &self,
        version: u64,
        mut shown: watch::Receiver<Arc<ShownVersions>>,
    ) {
        let is_shown = |shown: &Arc<ShownVersions>| self.behind(version, shown).is_empty();
        let waiting = tokio::time::timeout(PATIENCE, shown.wait_for(is_shown));
        if waiting.await.is_ok() {
            return;
        }
        let behind = self.behind(version, &shown.borrow());
        if !behind.is_empty() {
            let num = behind.len();
            tracing::warn!(
                version,
                num,
                "a change is acknowledged which not all roots and fronts show: they do not hear of it from etcd"
            );
        }
        self.silent.lock().extend(behind);
    }

    /// Returns those that do not show `version`, and may soon.
    fn behind(&self, version: u64, shown: &ShownVersions) -> ShownVersions {
        let mut silent = self.silent.lock();
        silent.retain(|process, told| shown.get(process) == Some(told));
        let behind = shown.iter();
        let behind = behind
            .filter(|(process, told)| **told < version && !silent.contains_key(process.as_str()));
        behind
            .map(|(process, told)| (process.clone(), *told))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn told(versions: [(&str, u64); 2]) -> Arc<ShownVersions> {
        let versions = versions.map(|(process, version)| (process.to_owned(), version));
        Arc::new(versions.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_root_is_waited_for_once_until_it_tells_something_new() {
        let shown = watch::Sender::new(told([("a", 7), ("b", 5)]));
        let waiting = Waiting::default();
        for (version, expected) in [(5, Duration::ZERO), (7, PATIENCE), (7, Duration::ZERO)] {
            let begun = Instant::now();
            waiting.until_shown(version, shown.subscribe()).await;
            assert_eq!(begun.elapsed(), expected, "{version}");
        }
        shown.send_replace(told([("a", 7), ("b", 6)]));
        let mut waits = Box::pin(waiting.until_shown(8, shown.subscribe()));
        tokio::select! {
            biased;
            () = &mut waits => panic!("both show an older one"),
            () = std::future::ready(()) => {}
        }
        shown.send_replace(told([("a", 8), ("b", 9)]));
        waits.await;
        // One that has gone is not waited for.
        shown.send_replace(Arc::default());
        waiting.until_shown(100, shown.subscribe()).await;
    }
}
