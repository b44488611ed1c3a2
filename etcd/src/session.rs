//! A node that is registered in etcd, and alive for as long as its lease is renewed.

mod registration;

use std::time::Duration;

use gleaner_model::{Incarnation, NodeId, NodeMeta, NodeUuid};
use gleaner_proto::Versions;
use gleaner_proto::etcd::{Client, Fault, Lease, LeaseId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::follow::Pauses;
use crate::keys::Keys;
use registration::Registration;
pub use registration::RegistrationError;
pub(crate) use registration::{AddressValue, AliveValue, NameValue};

/// A lease is renewed so many times while it lasts.
pub(crate) const RENEWALS: u32 = 5;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEntry {
    /// Its identity: that of its data folder.
    pub uuid: NodeUuid,
    /// Its name for people, which one node at a time bears.
    pub name: NodeId,
    /// What it does, and where.
    pub meta: NodeMeta,
    /// Its version.
    pub build: String,
    /// The versions of the wire that it speaks.
    pub wire: Versions,
    /// Formats and messages that it knows beyond those of the first level.
    pub features: Vec<String>,
}

/// Whether a node is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// It is, under this lease.
    Alive {
        /// The lease.
        lease: LeaseId,
        /// Until when that is certain: the lease counted from when its last renewal was sent.
        until: Instant,
    },
    /// The lease has run out, or etcd is away for so long that it may have. It is tried again.
    Lost,
    /// Most roots cannot reach it, so others may take its shards over. It is registered again once they can.
    OutOfReach,
    /// It is not tried any more: another process is this node, or bears its name.
    Ended {
        /// Why, and what to do.
        reason: String,
    },
}

/// Keeps a node registered, until it is ended or dropped. One that is dropped stays until its lease runs out.
pub struct Session {
    client: Client,
    state: watch::Receiver<SessionState>,
    incarnation: Incarnation,
    keeping: JoinHandle<()>,
}

impl Session {
    /// Registers `node` under a lease of `lasts`, whole seconds and 2 at least, and renews it from then on. Waits
    /// until etcd answers. An older process of the same node is not alive any more then.
    ///
    /// # Errors
    /// [`RegistrationError`], where trying again does not help.
    ///
    /// # Cancel safety
    /// Dropping the future gives up; the node may be registered until its lease runs out.
    pub async fn start(
        client: &Client,
        keys: Keys,
        node: &NodeEntry,
        lasts: Duration,
    ) -> Result<Self, RegistrationError> {
        let client = client.with_patience(lasts / RENEWALS);
        let mut registration = Registration::new(client.clone(), keys, node)?;
        let incarnation = registration.incarnation();
        let (state, receiver) = watch::channel(SessionState::Lost);
        let (lease, sent) = registered(&mut registration, lasts, &state).await?;
        state.send_replace(alive(&lease, sent));
        let renewal = Renewal {
            registration,
            lasts,
            state,
        };
        Ok(Self {
            client,
            state: receiver,
            incarnation,
            keeping: tokio::spawn(renewal.run(lease)),
        })
    }

    /// Returns which process of the node this one is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Returns whether the node is registered, as that changes.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Gives the lease back: the node is not alive any more, and nobody has to wait for its lease to run out.
    ///
    /// # Errors
    /// That etcd does not answer; the lease runs out by itself.
    pub async fn end(mut self) -> Result<(), Fault> {
        self.keeping.abort();
        // It was aborted.
        drop((&mut self.keeping).await);
        let lease = match &*self.state.borrow() {
            SessionState::Alive { lease, .. } => Some(*lease),
            SessionState::Lost | SessionState::OutOfReach | SessionState::Ended { .. } => None,
        };
        match lease {
            Some(lease) => self.client.revoke(lease).await,
            None => Ok(()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

fn alive(lease: &Lease, sent: Instant) -> SessionState {
    SessionState::Alive {
        lease: lease.id,
        until: sent + lease.lasts,
    }
}

/// Registers a node under a new lease, again until etcd answers and most roots reach the node; returns the lease and when
/// it was asked for.
async fn registered(
    registration: &mut Registration,
    lasts: Duration,
    state: &watch::Sender<SessionState>,
) -> Result<(Lease, Instant), RegistrationError> {
    let mut pauses = Pauses::new();
    loop {
        let sent = Instant::now();
        match registration.register(lasts).await {
            Err(RegistrationError::OutOfReach { .. }) => {
                if *state.borrow() != SessionState::OutOfReach {
                    tracing::error!(
                        "most roots cannot reach this node: others may take its shards over until they can; look at its \
                         address and at what lies between"
                    );
                    state.send_replace(SessionState::OutOfReach);
                }
            }
            Err(RegistrationError::Unavailable(fault)) => {
                tracing::info!(%fault, "the node is not registered yet; trying again");
            }
            known => return known.map(|lease| (lease, sent)),
        }
        pauses.pause().await;
    }
}

/// Renews the lease.
struct Renewal {
    registration: Registration,
    lasts: Duration,
    state: watch::Sender<SessionState>,
}

impl Renewal {
    async fn run(mut self, mut lease: Lease) {
        let mut renewals = tokio::time::interval(lease.lasts / RENEWALS);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            renewals.tick().await;
            let sent = Instant::now();
            match self.registration.client().keep_alive(lease.id).await {
                Ok(lasts) => {
                    lease.lasts = lasts;
                    self.state.send_replace(alive(&lease, sent));
                }
                Err(Fault::LeaseOver) => {
                    tracing::warn!("the lease of this node is over; registering it again");
                    self.state.send_replace(SessionState::Lost);
                    match registered(&mut self.registration, self.lasts, &self.state).await {
                        Ok((new, sent)) => {
                            tracing::info!("the node is registered again");
                            lease = new;
                            self.state.send_replace(alive(&lease, sent));
                        }
                        Err(error) => {
                            let reason = error.to_string();
                            tracing::error!(reason, "the node is not registered any more");
                            self.state.send_replace(SessionState::Ended { reason });
                            return;
                        }
                    }
                }
                Err(fault) => {
                    tracing::info!(%fault, "the lease of this node was not renewed; trying again");
                    self.state.send_if_modified(lose);
                }
            }
        }
    }
}

/// Takes an `Alive` that is over for `Lost`.
fn lose(state: &mut SessionState) -> bool {
    let is_over = matches!(state, SessionState::Alive { until, .. } if *until <= Instant::now());
    if is_over {
        *state = SessionState::Lost;
    }
    is_over
}
