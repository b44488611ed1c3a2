//! What is wrong with the files of a copy, file by file.

use std::fmt;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// There is no file of that name.
    #[error("is missing")]
    Missing,
    /// It was cut, or something was added.
    #[error("has {found} bytes where {expected} were written")]
    Length {
        /// Bytes it has.
        found: u64,
        /// Bytes that were written.
        expected: u64,
    },
    /// Its bytes are not those that were written.
    #[error("has checksum {found:08x} where {expected:08x} was written")]
    Checksum {
        /// Checksum of the bytes it has.
        found: u32,
        /// Checksum of the bytes that were written.
        expected: u32,
    },
    /// It contradicts itself.
    #[error("{0}")]
    Content(String),
    /// The disk gave an error.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Bytes that it had when it was opened were not there when they were read.
    #[error("was cut or could not be read while it was open")]
    Lost,
    /// It was written for another shard.
    #[error("belongs to shard {0}")]
    Stranger(String),
}

/// A file that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// Its name inside the shard's folder.
    pub name: String,
    /// What is wrong.
    pub fault: FileFault,
}

/// The damaged files of a copy, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(Vec<DamagedFile>);

/// Files that a message names.
const MAX_NAMED: usize = 8;

impl Damage {
    /// Returns the damage of one file.
    pub fn one(name: impl Into<String>, fault: FileFault) -> Self {
        let name = name.into();
        Self(vec![DamagedFile { name, fault }])
    }

    /// Returns the damage of `files`, or `None` when there are none.
    pub fn of(files: Vec<DamagedFile>) -> Option<Self> {
        (!files.is_empty()).then_some(Self(files))
    }

    /// Returns the damaged files.
    pub fn files(&self) -> &[DamagedFile] {
        &self.0
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, file) in self.0.iter().take(MAX_NAMED).enumerate() {
            let before = if at > 0 { "; " } else { "" };
            write!(f, "{before}`{}` {}", file.name, file.fault)?;
        }
        match self.0.len().checked_sub(MAX_NAMED) {
            Some(more @ 1..) => write!(f, "; and {more} more files"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_files_and_faults_and_has_an_end() {
        assert_eq!(Damage::of(Vec::new()), None);
        let file = |n: u32| DamagedFile {
            name: format!("{n}.idx"),
            fault: FileFault::Checksum {
                found: n,
                expected: 255,
            },
        };
        let two = Damage::of((0..2).map(file).collect()).expect("two files");
        let expected = "`0.idx` has checksum 00000000 where 000000ff was written; \
                        `1.idx` has checksum 00000001 where 000000ff was written";
        assert_eq!(two.to_string(), expected);
        let many = Damage::of((0..10).map(file).collect()).expect("ten files");
        assert!(many.to_string().ends_with("; and 2 more files"), "{many}");
    }
}
