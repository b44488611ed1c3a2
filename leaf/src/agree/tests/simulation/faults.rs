//! What goes wrong in a run, drawn from its seed.

use gleaner_log::files::{self, Operation, Survival};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::process::node_of;
use super::world::World;

/// Faults of a run, and of a long one.
const NUM_FAULTS: [std::ops::Range<usize>; 2] = [6..14, 20..30];

/// One run in this many is a long one, in which syncs fail too.
const LONG: u64 = 5;

/// When the first one comes.
const FIRST_MS: u64 = 1_500;

/// Most milliseconds from one to the next.
const PAUSE_MS: u64 = 1_400;

/// Something that goes wrong, or is mended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// A process is killed, and starts again after so many milliseconds.
    Kill { leaf: usize, away_ms: u64 },
    /// A machine loses its power, and what was not synced, all or some of it.
    LosePower {
        leaf: usize,
        away_ms: u64,
        dice: Option<u64>,
    },
    /// All machines do.
    LoseAllPower { away_ms: u64 },
    /// A process stands still.
    Stand { leaf: usize, for_ms: u64 },
    /// A direction of a link holds back what it carries, or lets it go.
    Hold {
        from: usize,
        to: usize,
        is_held: bool,
    },
    /// The link of a leaf to the store is cut, or joined again.
    CutStore { leaf: usize, is_cut: bool },
    /// A leaf is cut off from all others and the store, or joined again.
    CutOff { leaf: usize, is_cut: bool },
    /// The store takes a leaf for gone.
    Revoke { leaf: usize },
    /// Messages take longer.
    Delay { links_ms: u64, store_ms: u64 },
    /// A disk takes so long for a round of the log.
    SlowDisk { leaf: usize, round_ms: u64 },
    /// The primary gives its role to another copy.
    HandOver { to: usize },
    /// The next sync of a disk fails, and what it was to make durable is not.
    FailSync { leaf: usize },
    /// A disk is kept as it is.
    KeepDisk { leaf: usize },
    /// A process is ended, and its disk put back as it was kept.
    PutDiskBack { leaf: usize, away_ms: u64 },
    /// Disks of copies that stay closed are brought back.
    BringDisksBack,
}

/// What goes wrong, and when.
pub(super) struct Schedule {
    pub(super) num_leaves: usize,
    pub(super) faults: Vec<(u64, Fault)>,
    pub(super) end_ms: u64,
}

impl Schedule {
    /// Draws the faults of a seed; disks are put back too where `forgets`.
    pub(super) fn draw(seed: u64, forgets: bool) -> Self {
        let mut random = SmallRng::seed_from_u64(seed ^ 0x6661_756c);
        let num_leaves = random.random_range(if forgets { 1..=3 } else { 2..=3 });
        let mut faults = Vec::new();
        let mut at_ms = FIRST_MS;
        let is_long = seed % LONG == LONG - 1;
        for _ in 0..random.random_range(NUM_FAULTS[usize::from(is_long)].clone()) {
            match is_long && random.random_ratio(1, 8) {
                true => fail_sync(&mut random, num_leaves, at_ms, &mut faults),
                false if forgets && random.random_ratio(1, 2) => {
                    forget(&mut random, num_leaves, at_ms, &mut faults);
                }
                false => draw(&mut random, num_leaves, at_ms, &mut faults),
            }
            at_ms += match random.random_ratio(1, 4) {
                true => random.random_range(0..60),
                false => random.random_range(60..PAUSE_MS),
            };
        }
        faults.sort_by_key(|(at, _)| *at);
        let last_ms = faults.last().map_or(at_ms, |(at, _)| *at);
        Self {
            num_leaves,
            faults,
            end_ms: last_ms.max(at_ms) + 500,
        }
    }
}

/// Adds a sync that fails. The process is restarted some time later, as the log asks for, or the machine is.
fn fail_sync(random: &mut SmallRng, num_leaves: usize, at_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let leaf = random.random_range(0..num_leaves);
    let (until_ms, away_ms) = (at_ms + random.random_range(50..3_000), 5);
    let restart = match random.random_bool(0.5) {
        true => Fault::Kill { leaf, away_ms },
        false => Fault::LosePower {
            leaf,
            away_ms,
            dice: None,
        },
    };
    faults.extend([(at_ms, Fault::FailSync { leaf }), (until_ms, restart)]);
}

/// Adds a disk that is put back as it was some time before, and what ends that.
fn forget(random: &mut SmallRng, num_leaves: usize, at_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let leaf = random.random_range(0..num_leaves);
    let back_ms = at_ms + random.random_range(100..3_000);
    let away_ms = random.random_range(5..1_500);
    let over_restart = Fault::Kill { leaf, away_ms: 5 };
    if random.random_bool(0.3) {
        faults.push((at_ms + 50, over_restart));
    }
    faults.extend([
        (at_ms, Fault::KeepDisk { leaf }),
        (back_ms, Fault::PutDiskBack { leaf, away_ms }),
        (
            back_ms + away_ms + random.random_range(1_000..4_000),
            Fault::BringDisksBack,
        ),
    ]);
}

/// Adds a fault, and what ends it.
fn draw(random: &mut SmallRng, num_leaves: usize, at_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let leaf = random.random_range(0..num_leaves);
    let other = (leaf + random.random_range(1..num_leaves.max(2))) % num_leaves;
    let length_ms = random.random_range(50..4_500);
    let away_ms = match random.random_ratio(1, 3) {
        true => random.random_range(5..100),
        false => length_ms,
    };
    let mut passing = |begun: Fault, ended: Fault| {
        faults.extend([(at_ms, begun), (at_ms + length_ms, ended)]);
    };
    match random.random_range(0..22) {
        0..=2 => faults.push((at_ms, Fault::Kill { leaf, away_ms })),
        3..=5 => {
            let dice = random.random_bool(0.5).then(|| random.random());
            let fault = Fault::LosePower {
                leaf,
                away_ms,
                dice,
            };
            faults.push((at_ms, fault));
        }
        6 => faults.push((at_ms, Fault::LoseAllPower { away_ms })),
        7..=9 => faults.push((
            at_ms,
            Fault::Stand {
                leaf,
                for_ms: length_ms,
            },
        )),
        10..=11 => {
            let hold = |is_held| Fault::Hold {
                from: leaf,
                to: other,
                is_held,
            };
            passing(hold(true), hold(false));
        }
        12..=13 => {
            let cut = |is_cut| Fault::CutStore { leaf, is_cut };
            passing(cut(true), cut(false));
        }
        14..=16 => {
            let cut = |is_cut| Fault::CutOff { leaf, is_cut };
            passing(cut(true), cut(false));
        }
        17 => faults.push((at_ms, Fault::Revoke { leaf })),
        18 => {
            let (links_ms, store_ms) = (random.random_range(5..250), random.random_range(5..250));
            passing(
                Fault::Delay { links_ms, store_ms },
                Fault::Delay {
                    links_ms: 4,
                    store_ms: 6,
                },
            );
        }
        19..=20 => {
            let round_ms = random.random_range(10..2_500);
            passing(
                Fault::SlowDisk { leaf, round_ms },
                Fault::SlowDisk { leaf, round_ms: 1 },
            );
        }
        _ => faults.push((at_ms, Fault::HandOver { to: leaf })),
    }
}

impl World {
    /// Has a fault begin.
    pub(super) fn begin(&mut self, fault: Fault) {
        self.note_fault(&fault);
        let now_ms = self.now_ms;
        match fault {
            Fault::Kill { leaf, away_ms } => self.kill(leaf, Survival::All, now_ms + away_ms),
            Fault::LosePower {
                leaf,
                away_ms,
                dice,
            } => {
                let survival = dice.map_or(Survival::Synced, Survival::Random);
                self.kill(leaf, survival, now_ms + away_ms);
            }
            Fault::LoseAllPower { away_ms } => {
                for leaf in 0..self.places.len() {
                    let away_ms = away_ms + self.random.random_range(0..500);
                    self.kill(leaf, Survival::Synced, now_ms + away_ms);
                }
            }
            Fault::Stand { leaf, for_ms } => self.stand(leaf, now_ms + for_ms),
            Fault::Hold { from, to, is_held } => self.around.links.hold(from, to, is_held),
            Fault::CutStore { leaf, is_cut } => self.around.store.cut(leaf, is_cut),
            Fault::CutOff { leaf, is_cut } => {
                self.around.store.cut(leaf, is_cut);
                match is_cut && self.random.random_bool(0.6) {
                    true => self.only_read.insert(leaf),
                    false => self.only_read.remove(&leaf),
                };
                for other in (0..self.places.len()).filter(|other| *other != leaf) {
                    self.around.links.hold(leaf, other, is_cut);
                    self.around.links.hold(other, leaf, is_cut);
                }
            }
            Fault::Revoke { leaf } => self.around.store.revoke(leaf),
            Fault::FailSync { leaf } if self.places[leaf].process.is_none() => {}
            Fault::FailSync { leaf } => {
                let files = &self.places[leaf].disk.files;
                files.fail_next(Operation::Sync, files::Fault::Io);
            }
            Fault::Delay { links_ms, store_ms } => {
                self.around.links.set_delay(links_ms);
                self.around.store.set_delay(store_ms);
            }
            Fault::SlowDisk { leaf, round_ms } => {
                *self.places[leaf].disk.round_ms.lock() = round_ms;
            }
            Fault::KeepDisk { leaf } => self.keep_disk(leaf),
            Fault::PutDiskBack { leaf, away_ms } => self.put_disk_back(leaf, now_ms + away_ms),
            Fault::BringDisksBack => self.bring_disks_back(),
            Fault::HandOver { to } => {
                let table = self.around.store.entries.table();
                let entry = &table.shards[&self.around.shard].entry;
                let mut copies = entry.copies.iter();
                let heir = copies.find(|(_, meta)| meta.node == node_of(to));
                let running = self.places.iter().filter(|place| place.is_running());
                for process in running.filter_map(|place| place.process.as_ref()) {
                    heir.inspect(|(copy, _)| process.hand_over(**copy));
                }
            }
        }
    }
}
