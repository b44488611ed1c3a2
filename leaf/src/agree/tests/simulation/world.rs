//! A run: leaves, clients and faults, millisecond by millisecond, as a seed decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gleaner_log::files::Survival;
use gleaner_model::{CopyMeta, Entry, IndexUuid, ShardKey, ShardNumber};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::client::{Call, Request};
use super::faults::{Fault, Schedule};
use super::forgetting::KeptDisk;
use super::history::{History, Tally};
use super::links::Links;
use super::operation::{Change, FIELDS, Intent};
use super::process::{Disk, Process, Surroundings, copy_of, name_of, node_of};
use super::store::Store;
use crate::agree::rules::Rule;

/// Milliseconds after the last fault within which all must be well again.
const HEALING_MS: u64 = 30_000;

/// Documents that are written.
const NUM_DOCUMENTS: u8 = 6;

/// Requests that may be sent again.
const MAX_SENT: usize = 8;

/// A leaf and what is the matter with it.
pub(super) struct Place {
    pub(super) disk: Disk,
    pub(super) process: Option<Process>,
    num_processes: u8,
    /// How fast its clock is.
    rate: f64,
    /// When its process is started.
    start_ms: Option<u64>,
    /// Since when its process stands still, and until when.
    stands: Option<(u64, u64)>,
    /// Its disk as it was.
    pub(super) kept: Option<KeptDisk>,
    /// Its disk as it was before an older one took its place.
    pub(super) newest: Option<KeptDisk>,
}

/// A run.
pub(super) struct World {
    pub(super) around: Surroundings,
    pub(super) places: Vec<Place>,
    pub(super) random: SmallRng,
    pub(super) now_ms: u64,
    next_call_ms: u64,
    num_operations: u64,
    /// Requests with a key, which may be sent again.
    sent: VecDeque<Request>,
    /// Writes that were acknowledged before all faults were over.
    pub(super) acknowledged_before: u64,
    /// Leaves that clients only read at: what waits to be agreed would hold up their reads.
    pub(super) only_read: BTreeSet<usize>,
    /// Whether clients ask for nothing any more.
    pub(super) is_quiet: bool,
}

impl Place {
    pub(super) fn is_running(&self) -> bool {
        self.process.is_some() && self.stands.is_none()
    }

    /// Has the process start, or go on, now.
    pub(super) fn end_faults(&mut self, now_ms: u64) {
        if let Some((_, until)) = &mut self.stands {
            *until = now_ms;
        }
        if self.process.is_none() {
            self.start_ms = Some(now_ms);
        }
    }
}

/// What a run came to.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) hash: u64,
    pub(super) broken: Option<String>,
    pub(super) lines: Vec<String>,
}

/// What is run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    /// The rule that a planted error breaks.
    pub(super) omitted: Option<Rule>,
    /// Whether disks are put back as they were.
    pub(super) forgets: bool,
    pub(super) is_traced: bool,
}

/// Runs a scenario.
pub(super) fn run(scenario: Scenario) -> Outcome {
    let Scenario {
        seed,
        omitted,
        forgets,
        is_traced,
    } = scenario;
    let schedule = Schedule::draw(seed, forgets);
    let mut world = World::new(seed, &schedule, omitted);
    world.around.forgets = forgets;
    world.around.history.lock().is_traced = is_traced;
    let mut faults = schedule.faults.into_iter().peekable();
    while world.now_ms < schedule.end_ms && !world.is_broken() {
        while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= world.now_ms) {
            world.begin(fault);
        }
        world.step();
    }
    world.heal();
    let until = world.now_ms + HEALING_MS;
    while !world.is_broken() && !world.is_well() {
        if world.now_ms >= until {
            let what = world.describe();
            world.around.history.lock().break_promise(what);
        }
        world.bring_disks_back();
        world.step();
    }
    if !world.is_broken() {
        world.compare_logs();
    }
    world.end()
}

impl World {
    fn new(seed: u64, schedule: &Schedule, omitted: Option<Rule>) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let shard = ShardKey {
            index: IndexUuid([7; 16]),
            shard: ShardNumber(0),
        };
        let num_leaves = schedule.num_leaves;
        let store = Store::new(seed, num_leaves);
        let copies: BTreeMap<_, _> = (0..num_leaves)
            .map(|leaf| (copy_of(leaf), CopyMeta::on(node_of(leaf))))
            .collect();
        store.entries.put(shard, Entry::first(copy_of(0), copies));
        for leaf in 0..num_leaves {
            store.entries.set_alive(&name_of(leaf), node_of(leaf), None);
        }
        let places = (0..num_leaves)
            .map(|_| Place {
                disk: Disk::default(),
                process: None,
                num_processes: 0,
                rate: random.random_range(0.97..1.03),
                start_ms: Some(0),
                stands: None,
                kept: None,
                newest: None,
            })
            .collect();
        Self {
            around: Surroundings {
                shard,
                num_leaves,
                links: Links::new(seed),
                store,
                history: Arc::new(Mutex::new(History::default())),
                omitted,
                forgets: false,
            },
            places,
            random,
            now_ms: 0,
            next_call_ms: 0,
            num_operations: 0,
            sent: VecDeque::new(),
            acknowledged_before: 0,
            only_read: BTreeSet::new(),
            is_quiet: false,
        }
    }

    fn is_broken(&self) -> bool {
        self.around.history.lock().broken().is_some()
    }

    /// Lets a millisecond pass.
    pub(super) fn step(&mut self) {
        self.now_ms += 1;
        self.around.history.lock().now_ms = self.now_ms;
        for leaf in 0..self.places.len() {
            self.change_process(leaf);
        }
        self.around.store.step(self.now_ms, &self.around.history);
        for request in self.around.links.deliver(self.now_ms) {
            let place = &self.places[request.primary];
            match &place.process {
                None => self.around.links.refuse(request.stream),
                // It is taken once the process goes on.
                Some(_) if place.stands.is_some() => {}
                Some(process) => process.open_stream(&self.around.links, request.stream),
            }
        }
        while self.next_call_ms <= self.now_ms && !self.is_quiet {
            self.next_call_ms += self.random.random_range(2..=14);
            self.call();
        }
        for (leaf, place) in self.places.iter_mut().enumerate() {
            if let Some(process) = &mut place.process
                && place.stands.is_none()
            {
                self.around.store.hear(leaf, process.incarnation);
                process.step();
            }
        }
    }

    /// Starts a leaf's process, or has it go on, where it is time.
    fn change_process(&mut self, leaf: usize) {
        let place = &mut self.places[leaf];
        if place.start_ms.is_some_and(|at| at <= self.now_ms) && place.process.is_none() {
            place.start_ms = None;
            place.num_processes += 1;
            let number = place.num_processes;
            let process = Process::start(&self.around, leaf, number, &place.disk, place.rate);
            place.process = Some(process);
            self.around
                .history
                .lock()
                .note(|| format!("copy {} starts", leaf + 1));
        }
        if let Some((since, until)) = place.stands
            && until <= self.now_ms
        {
            place.stands = None;
            if let Some(process) = &mut place.process {
                process.resume(self.now_ms - since);
            }
            self.around
                .history
                .lock()
                .note(|| format!("copy {} goes on", leaf + 1));
        }
    }

    /// Ends a leaf's process; it starts again some time later.
    pub(super) fn kill(&mut self, leaf: usize, survival: Survival, start_ms: u64) {
        let place = &mut self.places[leaf];
        if let Some(process) = place.process.take() {
            process.kill(&place.disk, survival);
            let is_silent = self.random.random_bool(0.3);
            self.around.links.lose(leaf, is_silent);
        }
        place.stands = None;
        place.start_ms = Some(start_ms);
    }

    /// Has a leaf's process stand still.
    pub(super) fn stand(&mut self, leaf: usize, until_ms: u64) {
        let place = &mut self.places[leaf];
        if place.process.is_some() && place.stands.is_none() {
            place.stands = Some((self.now_ms, until_ms));
        }
    }

    /// Has a client ask a leaf for something.
    fn call(&mut self) {
        let leads = |place: &Place| {
            let copy = place.process.as_ref().and_then(Process::copy);
            copy.is_some_and(|copy| copy.leads().is_some())
        };
        let leaders: Vec<usize> = (0..self.places.len())
            .filter(|leaf| leads(&self.places[*leaf]))
            .collect();
        let anybody = self.random.random_range(0..self.places.len());
        let leader = match leaders.len() {
            0 => anybody,
            num => leaders[self.random.random_range(0..num)],
        };
        let document = self.random.random_range(0..NUM_DOCUMENTS);
        let (leaf, call) = match self.random.random_range(0..100) {
            0..45 => (leader, Call::Write(self.request())),
            45..48 => (anybody, Call::Write(self.request())),
            48..70 => {
                let floor = self.around.history.lock().floor(document);
                (leader, Call::Read(document, floor))
            }
            70..78 => {
                self.num_operations += 1;
                (leader, Call::Refresh(self.num_operations))
            }
            78..97 => {
                let length = Duration::from_millis(self.random.random_range(0..6));
                let floor = self.around.history.lock().refreshed();
                (anybody, Call::Search(floor, length))
            }
            _ => return self.commit(anybody),
        };
        let writes = matches!(call, Call::Write(_) | Call::Refresh(_));
        if let Some(process) = &self.places[leaf].process
            && !(writes && self.only_read.contains(&leaf))
        {
            process.call(call);
        }
    }

    /// Returns writes to ask for: new ones, or some that were asked for before.
    fn request(&mut self) -> Request {
        let num_sent = self.sent.len();
        if num_sent > 0 && self.random.random_ratio(1, 8) {
            return self.sent[self.random.random_range(0..num_sent)].clone();
        }
        let num = self.random.random_range(1..=3);
        let intents = (0..num).map(|_| self.intent()).collect();
        let has_key = self.random.random_ratio(1, 4);
        let key = has_key.then(|| {
            self.num_operations += 1;
            self.num_operations
        });
        let request = Request { intents, key };
        if has_key {
            if num_sent >= MAX_SENT {
                self.sent.pop_front();
            }
            self.sent.push_back(request.clone());
        }
        request
    }

    fn intent(&mut self) -> Intent {
        self.num_operations += 1;
        let document = self.random.random_range(0..NUM_DOCUMENTS);
        let change = match self.random.random_range(0..10) {
            0..4 => Change::Put,
            4..6 => Change::Create,
            6..8 => Change::Update(self.random.random_range(0..FIELDS.len())),
            _ => Change::Delete,
        };
        let mut history = self.around.history.lock();
        let is_conditional = change != Change::Create && self.random.random_bool(0.4);
        let expected = is_conditional.then(|| history.latest(document)).flatten();
        let intent = Intent {
            number: self.num_operations,
            document,
            change,
            expected,
        };
        history.asked.insert(intent.number, intent);
        intent
    }

    /// Makes a durable commit of what a leaf shows.
    fn commit(&mut self, leaf: usize) {
        let place = &self.places[leaf];
        let copy = place.process.as_ref().and_then(Process::copy);
        if place.stands.is_none()
            && let Some(commit) = copy.and_then(|copy| copy.commit())
        {
            *place.disk.commit.lock() = commit;
        }
    }

    pub(super) fn note_fault(&mut self, fault: &Fault) {
        let mut history = self.around.history.lock();
        history.tally.num_faults += 1;
        history.note(|| format!("FAULT {fault:?}"));
    }
}
