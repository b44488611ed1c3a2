//! Which faults there are, and in which order they come.

use std::collections::BTreeMap;

use gleaner_datasets::Random;
use gleaner_testkit::folder::FolderFault;

use super::disk::Sickness;

/// What is done to a leaf, or to what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It ends as `kill -9` does.
    Killed,
    /// It is stopped in its tracks for a while.
    Still,
    /// It stops in order.
    Stopped,
    /// Nobody reaches it, and it does not reach the etcd, for a while.
    CutOff,
    /// Nobody reaches it for a while, and it reaches everybody.
    OutOfReach,
    /// What it sends to another node does not arrive, or what that one sends to it, for a while.
    OneWay,
    /// Some nodes and the others do not reach each other for a while.
    Halves,
    /// No node reaches another one for a while.
    AllCut,
    /// It does not reach the etcd.
    EtcdCut,
    /// The member that leads the etcd ends as `kill -9` does, or stands still.
    EtcdLeaderLost,
    /// Its disk is sick.
    DiskSick(Sickness),
    /// It ends as `kill -9` does, and comes back with another folder.
    Folder(FolderFault),
}

impl Fault {
    /// Returns whether packets between nodes are dropped.
    pub(crate) fn is_cut(self) -> bool {
        matches!(
            self,
            Self::CutOff
                | Self::OutOfReach
                | Self::OneWay
                | Self::Halves
                | Self::AllCut
                | Self::EtcdCut
        )
    }

    /// Returns whether it may be the last whole copy of a shard that is lost where the copies of another leaf are not whole.
    pub(crate) fn forgets(self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

/// Those of processes and links.
pub(crate) const LOSSES: [Fault; 7] = [
    Fault::Killed,
    Fault::Still,
    Fault::Stopped,
    Fault::CutOff,
    Fault::OutOfReach,
    Fault::EtcdCut,
    Fault::EtcdLeaderLost,
];

/// Those of disks.
pub(crate) const SICK_DISKS: [Fault; 4] = [
    Fault::DiskSick(Sickness::Slow),
    Fault::DiskSick(Sickness::Stuck),
    Fault::DiskSick(Sickness::Full),
    Fault::DiskSick(Sickness::Failing),
];

/// Those of folders, one at a time: a clone would need a network of its own.
const FOLDERS: [Fault; 8] = [
    Fault::Folder(FolderFault::LogGone),
    Fault::Folder(FolderFault::IndexGone),
    Fault::Folder(FolderFault::BothGone),
    Fault::Folder(FolderFault::Older),
    Fault::Folder(FolderFault::OlderOverRestart),
    Fault::Folder(FolderFault::LogTruncated),
    Fault::Folder(FolderFault::LogFlipped),
    Fault::Folder(FolderFault::OtherLeaf),
];

/// Those that need a network of its own for each process.
const CUTS: [Fault; 3] = [Fault::OneWay, Fault::Halves, Fault::AllCut];

/// Returns all of them; those of disks where processes can be traced.
pub(crate) fn all(can_trace: bool) -> Vec<Fault> {
    let disks = SICK_DISKS.into_iter().filter(|_| can_trace);
    let losses = LOSSES.into_iter().chain(CUTS);
    losses.chain(FOLDERS).chain(disks).collect()
}

/// Faults to come, and how many of each kind there were.
pub(crate) struct Bag {
    kinds: Vec<Fault>,
    next: Vec<Fault>,
    drawn: BTreeMap<Fault, usize>,
}

impl Bag {
    /// Returns one in which each kind comes once before any comes again.
    pub(crate) fn of(kinds: &[Fault]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            next: Vec::new(),
            drawn: BTreeMap::new(),
        }
    }

    /// Draws one of those that may come now.
    pub(crate) fn draw(&mut self, random: &mut Random, may_come: impl Fn(Fault) -> bool) -> Fault {
        if !self.next.iter().any(|fault| may_come(*fault)) {
            self.next.extend(&self.kinds);
        }
        let fitting = (0..self.next.len()).filter(|at| may_come(self.next[*at]));
        let fitting: Vec<usize> = fitting.collect();
        let at = fitting[random.below(fitting.len() as u64) as usize];
        let fault = self.next.swap_remove(at);
        *self.drawn.entry(fault).or_default() += 1;
        fault
    }

    /// Returns how many of each kind were drawn.
    pub(crate) fn drawn(self) -> BTreeMap<Fault, usize> {
        self.drawn
    }
}
