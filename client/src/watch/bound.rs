//! How many files are followed. A repository of some kilobytes can name more paths than any memory holds.

use anyhow::{Result, ensure};

use crate::text::grouped;

/// Bytes of paths for each file that is allowed: few have more on average.
const PATH_BYTES: u64 = 128;

/// Most files of a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound(pub(super) u64);

/// What was counted of a look.
#[derive(Debug)]
pub(super) struct Count {
    bound: Bound,
    num_files: u64,
    path_bytes: u64,
}

impl Bound {
    /// Begins to count.
    pub(super) fn count(self) -> Count {
        Count {
            bound: self,
            num_files: 0,
            path_bytes: 0,
        }
    }
}

impl Count {
    /// Counts a file.
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn add(&mut self, path: &str) -> Result<()> {
        self.num_files += 1;
        self.path_bytes += path.len() as u64;
        let Bound(max) = self.bound;
        ensure!(
            self.num_files <= max && self.path_bytes <= max.saturating_mul(PATH_BYTES).max(1 << 20),
            "it has more than {} files, or longer paths than so many have; --max-files allows more",
            grouped(max)
        );
        Ok(())
    }
}
