//! The coordinator's entries over links that are late, lose requests and answers, and end leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry};
use gleaner_coordinator::{CoordinatorError, CopyMarks, EmbeddedEntries, ShardEntries};
use gleaner_model::{Incarnation, ShardKey};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{oneshot, watch};

use super::history::History;
use super::process::{name_of, node_of};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a node that is not heard of counts as alive.
const LEASE_MS: u64 = 2_000;

/// How often a node is heard of.
const RENEWAL_MS: u64 = 400;

type Answer = Box<dyn FnOnce() + Send>;

/// The store; clones share it.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) entries: Arc<EmbeddedEntries>,
    state: Arc<Mutex<State>>,
}

struct State {
    random: SmallRng,
    now_ms: u64,
    delay_ms: u64,
    requests: Vec<(u64, usize, Request)>,
    answers: Vec<(u64, usize, Answer)>,
    sessions: Vec<Session>,
}

/// A node's link to the store.
struct Session {
    is_cut: bool,
    heard_ms: u64,
    /// When the newest table arrives.
    table_ms: u64,
    table: watch::Sender<Arc<EntryTable>>,
}

enum Request {
    Read(ShardKey, oneshot::Sender<Option<StoredEntry>>),
    Change(EntryChange, oneshot::Sender<EntryOutcome>),
}

impl Store {
    pub(super) fn new(seed: u64, num_leaves: usize) -> Self {
        let session = |_| Session {
            is_cut: false,
            heard_ms: 0,
            table_ms: 0,
            table: watch::Sender::new(Arc::default()),
        };
        Self {
            entries: Arc::default(),
            state: Arc::new(Mutex::new(State {
                random: SmallRng::seed_from_u64(seed ^ 0x7374_6f72),
                now_ms: 0,
                delay_ms: 6,
                requests: Vec::new(),
                answers: Vec::new(),
                sessions: (0..num_leaves).map(session).collect(),
            })),
        }
    }

    /// Returns the entries as a process of a leaf has them.
    pub(super) fn link(&self, leaf: usize) -> Arc<LinkedEntries> {
        let table = watch::Sender::new(self.entries.table());
        let watched = table.subscribe();
        self.state.lock().sessions[leaf].table = table;
        Arc::new(LinkedEntries {
            store: self.clone(),
            leaf,
            table: watched,
        })
    }

    /// Cuts the link of a leaf, or joins it again.
    pub(super) fn cut(&self, leaf: usize, is_cut: bool) {
        self.state.lock().sessions[leaf].is_cut = is_cut;
    }

    /// Sets what things take at most.
    pub(super) fn set_delay(&self, delay_ms: u64) {
        self.state.lock().delay_ms = delay_ms;
    }

    /// Joins all links.
    pub(super) fn heal(&self) {
        let mut state = self.state.lock();
        state.delay_ms = 6;
        for session in &mut state.sessions {
            session.is_cut = false;
        }
    }

    /// Takes a node for gone, although it may be well.
    pub(super) fn revoke(&self, leaf: usize) {
        self.entries.set_alive(&name_of(leaf), node_of(leaf), None);
    }

    /// Hears of a process that runs, unless its link is cut.
    pub(super) fn hear(&self, leaf: usize, process: Incarnation) {
        let mut state = self.state.lock();
        let now_ms = state.now_ms;
        let session = &mut state.sessions[leaf];
        let alive = self.entries.table().alive.get(&node_of(leaf)).copied();
        let is_due =
            now_ms >= session.heard_ms + RENEWAL_MS || alive.is_some_and(|at| at != process);
        if !session.is_cut && is_due {
            session.heard_ms = now_ms;
            if alive != Some(process) {
                let name = name_of(leaf);
                self.entries.set_alive(&name, node_of(leaf), Some(process));
            }
        }
    }

    /// Does what is due at this moment.
    pub(super) fn step(&self, now_ms: u64, history: &Mutex<History>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.now_ms = now_ms;
        let is_due =
            |sessions: &[Session], due: u64, leaf: usize| due <= now_ms && !sessions[leaf].is_cut;
        let (requests, later) = std::mem::take(&mut state.requests)
            .into_iter()
            .partition(|(due, leaf, _)| is_due(&state.sessions, *due, *leaf));
        state.requests = later;
        for (_, leaf, request) in requests {
            let answer = self.carry_out(request, history);
            // It may be lost on its way back.
            if state.random.random_ratio(29, 30) {
                let due_ms = state.due_ms();
                state.answers.push((due_ms, leaf, answer));
            }
        }
        let (answers, later): (Vec<_>, _) = std::mem::take(&mut state.answers)
            .into_iter()
            .partition(|(due, leaf, _)| is_due(&state.sessions, *due, *leaf));
        state.answers = later;
        for (_, _, answer) in answers {
            answer();
        }
        self.tell(state);
    }

    /// Ends leases, and tells each leaf of the newest table.
    fn tell(&self, state: &mut State) {
        for leaf in 0..state.sessions.len() {
            let is_over = state.now_ms > state.sessions[leaf].heard_ms + LEASE_MS;
            if is_over && self.entries.table().alive.contains_key(&node_of(leaf)) {
                self.revoke(leaf);
            }
        }
        let table = self.entries.table();
        for leaf in 0..state.sessions.len() {
            let due_ms = state.due_ms();
            let session = &mut state.sessions[leaf];
            let is_news = session.table.borrow().revision < table.revision;
            if session.is_cut || !is_news {
                session.table_ms = due_ms;
            } else if session.table_ms <= state.now_ms {
                session.table.send_replace(Arc::clone(&table));
            }
        }
    }

    fn carry_out(&self, request: Request, history: &Mutex<History>) -> Answer {
        match request {
            Request::Read(shard, tell) => {
                let stored = self.entries.table().shards.get(&shard).cloned();
                // An error means that nobody waits any longer.
                Box::new(move || drop(tell.send(stored)))
            }
            Request::Change(change, tell) => {
                let entry = Arc::clone(&change.entry);
                let outcome = self.entries.swap(change);
                if let EntryOutcome::Made { .. } = outcome {
                    history.lock().entry(&entry);
                }
                Box::new(move || drop(tell.send(outcome)))
            }
        }
    }
}

impl State {
    /// Returns when something that is sent now arrives.
    fn due_ms(&mut self) -> u64 {
        let most = match self.random.random_ratio(1, 100) {
            true => 1_800,
            false => self.delay_ms,
        };
        self.now_ms + self.random.random_range(1..=most.max(1))
    }
}

/// The entries as one process has them.
pub(super) struct LinkedEntries {
    store: Store,
    leaf: usize,
    table: watch::Receiver<Arc<EntryTable>>,
}

impl LinkedEntries {
    fn ask(&self, request: Request) {
        let mut state = self.store.state.lock();
        let due_ms = state.due_ms();
        state.requests.push((due_ms, self.leaf, request));
    }
}

#[async_trait]
impl ShardEntries for LinkedEntries {
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.table.clone()
    }

    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        let (tell, answer) = oneshot::channel();
        self.ask(Request::Read(shard, tell));
        let answered = tokio::time::timeout(PATIENCE, answer).await;
        answered
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| CoordinatorError::Unavailable {
                reason: "no answer came".to_owned(),
            })
    }

    async fn change(&self, change: EntryChange) -> EntryOutcome {
        let (tell, answer) = oneshot::channel();
        self.ask(Request::Change(change, tell));
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(outcome)) => outcome,
            _ => EntryOutcome::Unknown {
                reason: "no answer came".to_owned(),
            },
        }
    }

    fn marks(&self) -> Arc<dyn CopyMarks> {
        self.store.entries.marks()
    }
}
