//! A disk in memory that fails on demand: power cuts, torn and short writes, flipped bits, no room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Entry, File, Files};
use disk::{Disk, Node, NodeId};

mod disk;
mod rng;

/// What is left of unsynced changes when the system goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing: a power cut at its worst.
    Synced,
    /// Everything: only the process was killed.
    All,
    /// Each change by the dice: whole, not at all, or torn at any byte, in any order.
    Random(u64),
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It and all later ones fail, until [`SimulatedFiles::reboot`].
    PowerCut,
    /// `EIO`, once. A sync that fails so loses the changes it was to make durable: later syncs do not bring
    /// them back, though readers see them.
    Io,
    /// As [`Fault::Io`], but some of those changes are durable, by the dice.
    IoPartly(u64),
    /// `ENOSPC`, once.
    NoSpace,
    /// A write takes only half of its bytes, and says so. Other operations are not affected.
    ShortWrite,
}

/// An operation that changes a disk; what faults and counts are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Files::create`] and [`Files::create_dir_all`].
    Create,
    /// [`File::write_at`].
    Write,
    /// [`File::truncate`].
    Truncate,
    /// [`File::sync`].
    Sync,
    /// [`Files::rename`].
    Rename,
    /// [`Files::remove_file`] and [`Files::remove_dir_all`].
    Remove,
    /// [`Files::sync_dir`].
    SyncDir,
}

/// A simulated disk; clones share it.
#[derive(Debug, Clone)]
pub struct SimulatedFiles {
    machine: Arc<Mutex<Machine>>,
}

/// Stands for what nobody can guess, so that runs can be repeated.
const NONCE: u64 = 0x6e6f_6e63_6531_6173;

#[derive(Debug, Clone)]
struct Machine {
    disk: Disk,
    /// Grows with each reboot; files opened before it are dead.
    boot: u64,
    is_down: bool,
    num_operations: u64,
    num_syncs: u64,
    /// Most bytes of all files together.
    capacity: usize,
    armed: Vec<(Trigger, Fault)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Number(u64),
    Next(Operation),
}

impl Default for SimulatedFiles {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedFiles {
    /// Returns an empty disk without faults and without limit.
    pub fn new() -> Self {
        Self {
            machine: Arc::new(Mutex::new(Machine {
                disk: Disk::new(),
                boot: 0,
                is_down: false,
                num_operations: 0,
                num_syncs: 0,
                capacity: usize::MAX,
                armed: Vec::new(),
            })),
        }
    }

    /// Makes the operation with this number fail; the first since the disk was made is 0.
    pub fn fail_operation(&self, number: u64, fault: Fault) {
        self.machine
            .lock()
            .armed
            .push((Trigger::Number(number), fault));
    }

    /// Makes the next operation of a kind fail.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.machine
            .lock()
            .armed
            .push((Trigger::Next(operation), fault));
    }

    /// Limits all files together to `bytes`; `usize::MAX` lifts the limit.
    pub fn set_capacity(&self, bytes: usize) {
        self.machine.lock().capacity = bytes;
    }

    /// Goes down and comes up again: unsynced changes meet their fate, open files are dead,
    /// faults are disarmed.
    pub fn reboot(&self, survival: Survival) {
        let mut machine = self.machine.lock();
        machine.disk.crash(survival);
        machine.boot += 1;
        machine.is_down = false;
        machine.armed.clear();
    }

    /// Tells whether a power cut has happened since the last reboot.
    pub fn is_down(&self) -> bool {
        self.machine.lock().is_down
    }

    /// Returns how many operations were tried.
    pub fn num_operations(&self) -> u64 {
        self.machine.lock().num_operations
    }

    /// Returns how many files were synced (folders are not counted).
    pub fn num_syncs(&self) -> u64 {
        self.machine.lock().num_syncs
    }

    /// Returns the bytes of all files together.
    pub fn used_bytes(&self) -> usize {
        self.machine.lock().disk.used_bytes()
    }

    /// Returns a disk with the same content that goes its own way, as a process finds it that
    /// starts after this one was killed: unsynced changes are there and still unsynced, open files
    /// are dead, faults disarmed.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut machine = self.machine.lock().clone();
        machine.boot += 1;
        machine.is_down = false;
        machine.armed.clear();
        Self {
            machine: Arc::new(Mutex::new(machine)),
        }
    }

    /// Returns the paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        let machine = self.machine.lock();
        let mut found = Vec::new();
        let mut dirs = vec![PathBuf::from("/")];
        while let Some(path) = dirs.pop() {
            let node = machine.disk.find(&path).map(|id| &machine.disk.nodes[id]);
            match node {
                Ok(Node::Dir(dir)) => dirs.extend(dir.live.keys().map(|name| path.join(name))),
                Ok(Node::File(_)) => found.push(path),
                Err(_) => {}
            }
        }
        found.sort();
        found
    }

    /// Returns the bytes of a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut machine = self.machine.lock();
        let id = machine.disk.find(path)?;
        Ok(machine.disk.file(id)?.live.clone())
    }

    /// Replaces the bytes of a file, as damage does: durable at once.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn replace(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let id = machine.disk.find(path)?;
        machine.disk.file(id)?.replace(bytes);
        Ok(())
    }

    /// Flips one bit of a file, counted from its first byte's lowest bit.
    ///
    /// # Errors
    /// `NotFound`; `UnexpectedEof` when the file is shorter.
    pub fn flip_bit(&self, path: &Path, bit: usize) -> io::Result<()> {
        let mut bytes = self.bytes(path)?;
        let byte = bytes.get_mut(bit / 8).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= 1 << (bit % 8);
        self.replace(path, bytes)
    }

    fn handle(&self, machine: &Machine, node: NodeId) -> Arc<dyn File> {
        Arc::new(SimulatedFile {
            machine: self.machine.clone(),
            boot: machine.boot,
            node,
        })
    }
}

impl Machine {
    /// Counts an operation; fails it if a fault is armed for it. A short write is left to `write`.
    fn begin(&mut self, operation: Operation) -> Result<Option<Fault>, (io::Error, Fault)> {
        let number = self.num_operations;
        self.num_operations += 1;
        if self.is_down {
            return Err((down(), Fault::PowerCut));
        }
        let due = self
            .armed
            .iter()
            .position(|(t, _)| *t == Trigger::Number(number) || *t == Trigger::Next(operation));
        let Some(fault) = due.map(|index| self.armed.remove(index).1) else {
            return Ok(None);
        };
        match fault {
            Fault::PowerCut => {
                self.is_down = true;
                Err((down(), fault))
            }
            Fault::Io | Fault::IoPartly(_) => {
                Err((io::Error::other("simulated input/output error"), fault))
            }
            Fault::NoSpace => Err((io::ErrorKind::StorageFull.into(), fault)),
            Fault::ShortWrite => Ok(Some(fault)),
        }
    }

    fn try_begin(&mut self, operation: Operation) -> io::Result<()> {
        self.begin(operation)
            .map(|_| ())
            .map_err(|(error, _)| error)
    }

    fn check_up(&self) -> io::Result<()> {
        if self.is_down { Err(down()) } else { Ok(()) }
    }
}

fn down() -> io::Error {
    io::Error::other("simulated power cut")
}

impl Files for SimulatedFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        machine.check_up()?;
        let id = machine.disk.find(path)?;
        machine.disk.file(id)?;
        Ok(self.handle(&machine, id))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::Create)?;
        let id = machine.disk.create(path)?;
        Ok(self.handle(&machine, id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::Rename)?;
        machine.disk.check_free(to)?;
        let id = machine.disk.unlink(from)?;
        machine.disk.link(to, id)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::Remove)?;
        let id = machine.disk.find(path)?;
        machine.disk.file(id)?;
        machine.disk.unlink(path).map(|_| ())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::Remove)?;
        machine.disk.dir(path)?;
        machine.disk.unlink(path).map(|_| ())
    }

    fn remove_empty_dir(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::Remove)?;
        if !machine.disk.dir(path)?.live.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        machine.disk.unlink(path).map(|_| ())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::Create)?;
        machine.disk.create_dirs(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut machine = self.machine.lock();
        machine.check_up()?;
        let names: Vec<(String, NodeId)> = {
            let dir = machine.disk.dir(dir)?;
            dir.live
                .iter()
                .map(|(name, id)| (name.clone(), *id))
                .collect()
        };
        let entry = |(name, id): (String, NodeId)| Entry {
            name,
            is_dir: matches!(machine.disk.nodes[id], Node::Dir(_)),
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn nonce(&self) -> u64 {
        NONCE
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.try_begin(Operation::SyncDir)?;
        machine.disk.sync_dir(dir)
    }
}

#[derive(Debug)]
struct SimulatedFile {
    machine: Arc<Mutex<Machine>>,
    boot: u64,
    node: NodeId,
}

impl SimulatedFile {
    /// Runs `work` unless the file was opened before the last reboot.
    fn with<T>(&self, work: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        let mut machine = self.machine.lock();
        if machine.boot != self.boot {
            return Err(down());
        }
        work(&mut machine)
    }
}

impl File for SimulatedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(|machine| {
            machine.check_up()?;
            let bytes = &machine.disk.file(self.node)?.live;
            let start = bytes.len().min(offset as usize);
            let len = buf.len().min(bytes.len() - start);
            buf[..len].copy_from_slice(&bytes[start..start + len]);
            Ok(len)
        })
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.with(|machine| {
            let fault = machine.begin(Operation::Write);
            let mut len = buf.len();
            match fault {
                // The cut may come while the write is under way: its bytes are unsynced as well.
                Err((error, Fault::PowerCut)) if buf.is_empty() => return Err(error),
                Err((error, Fault::PowerCut)) => {
                    let content = machine.disk.file(self.node)?;
                    content.write(offset as usize, buf);
                    return Err(error);
                }
                Err((error, _)) => return Err(error),
                Ok(Some(_)) => len = len.div_ceil(2),
                Ok(None) => {}
            }
            let used = machine.disk.used_bytes();
            let content = machine.disk.file(self.node)?;
            let free = machine.capacity.saturating_sub(used);
            let reach = content.live.len().saturating_add(free);
            len = len.min(reach.saturating_sub(offset as usize));
            if len == 0 && !buf.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            content.write(offset as usize, &buf[..len]);
            Ok(len)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|machine| {
            machine.check_up()?;
            Ok(machine.disk.file(self.node)?.live.len() as u64)
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|machine| {
            machine.try_begin(Operation::Truncate)?;
            machine.disk.file(self.node)?.truncate(len as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|machine| {
            machine.num_syncs += 1;
            if let Err((error, fault)) = machine.begin(Operation::Sync) {
                match fault {
                    Fault::PowerCut => {}
                    Fault::IoPartly(seed) => machine.disk.file(self.node)?.lose_some(seed),
                    _ => machine.disk.file(self.node)?.lose_pending(),
                }
                return Err(error);
            }
            machine.disk.file(self.node)?.sync();
            Ok(())
        })
    }
}
