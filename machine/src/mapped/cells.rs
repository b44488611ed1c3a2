//! Numbers in a file that a process writes as memory: the file has them when the process was killed, without a call for
//! each. A loss of power may lose them.
//!
//! Two calls of `write` for each document that is indexed would take some two microseconds; a store takes one nanosecond.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::mapping::MappedNumbers;

/// Bytes of a number.
const CELL: usize = size_of::<AtomicU64>();

/// A file of numbers, all 0 at first, in the byte order of the machine.
#[derive(Debug)]
pub struct Cells(MappedNumbers);

impl Cells {
    /// Makes the file anew with so many numbers, at least one, all 0.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path, num_cells: usize) -> io::Result<Self> {
        let num_cells = num_cells.max(1);
        let mut file = File::options();
        let file = file.read(true).write(true).create(true).truncate(true);
        let mut file = file.open(path)?;
        // Written, not only made longer: a full disk is to be met here, and not by who writes memory.
        file.write_all(&vec![0; num_cells * CELL])?;
        Ok(Self(MappedNumbers::of(&file, num_cells)?))
    }

    /// Returns the numbers that the file at `path` holds, as they were left; none where there is no file.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(path: &Path) -> io::Result<Vec<u64>> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let (cells, _) = bytes.as_chunks::<CELL>();
        Ok(cells.iter().map(|cell| u64::from_ne_bytes(*cell)).collect())
    }

    /// Returns the numbers.
    pub fn all(&self) -> &[AtomicU64] {
        self.0.all()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn numbers_are_in_the_file_without_a_call_and_are_gone_when_it_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cells");
        assert!(Cells::read(&path).expect("reads").is_empty());
        let cells = Cells::create(&path, 3).expect("made");
        cells.all()[1].store(7, Ordering::Relaxed);
        assert_eq!(Cells::read(&path).expect("reads"), [0, 7, 0]);
        drop(cells);
        assert_eq!(Cells::read(&path).expect("reads"), [0, 7, 0]);
        let cells = Cells::create(&path, 2).expect("made");
        assert_eq!(Cells::read(&path).expect("reads"), [0, 0]);
        assert_eq!(cells.all().len(), 2);
    }
}
