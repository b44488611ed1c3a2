//! One damage of one file.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Kinds of files of a shard.
const KINDS: [&str; 8] = [
    "idx",
    "term",
    "pos",
    "fieldnorm",
    "fast",
    "store",
    "del",
    "json",
];

/// Bytes that a disk loses at once.
const SECTOR_BYTES: usize = 512;

/// What is done to a file.
#[derive(Debug)]
enum How {
    Flip { at: usize, bit: u8 },
    Zero { from: usize },
    Cut { to: usize },
    Swap { with: PathBuf },
    Delete,
}

/// A file, and what is done to it.
#[derive(Debug)]
pub(crate) struct Harm {
    path: PathBuf,
    how: How,
}

impl Harm {
    /// Draws a damage of a file in one of the `folders`: kinds of files and of damage take turns.
    pub(crate) fn draw(folders: &[PathBuf], case: usize, dice: &mut StdRng) -> Result<Self> {
        // Each standing of a copy meets all of them.
        let turn = case / 8 * 3 + case % 8;
        let kind = KINDS[turn % KINDS.len()];
        let files = files(folders, kind)?;
        let path = files
            .choose(dice)
            .with_context(|| format!("there is a file of kind {kind}"))?;
        let bytes = fs::read(path)?;
        let is_other = |other: &&PathBuf| fs::read(other).is_ok_and(|other| other != bytes);
        let others: Vec<&PathBuf> = files.iter().filter(is_other).collect();
        let how = match (turn / KINDS.len() + case) % 5 {
            0 => How::Flip {
                at: dice.random_range(0..bytes.len()),
                bit: dice.random_range(0..8),
            },
            1 => zeroed(&bytes, dice),
            2 => How::Cut {
                to: dice.random_range(0..bytes.len()),
            },
            3 => match others.choose(dice) {
                Some(other) => How::Swap {
                    with: (*other).clone(),
                },
                None => How::Delete,
            },
            _ => How::Delete,
        };
        let path = path.clone();
        Ok(Self { path, how })
    }

    /// Does it.
    pub(crate) fn apply(&self) -> Result<()> {
        let mut bytes = fs::read(&self.path)?;
        match &self.how {
            How::Flip { at, bit } => bytes[*at] ^= 1 << bit,
            How::Zero { from } => {
                let end = (from + SECTOR_BYTES).min(bytes.len());
                bytes[*from..end].fill(0);
            }
            How::Cut { to } => bytes.truncate(*to),
            How::Swap { with } => bytes = fs::read(with)?,
            How::Delete => return Ok(fs::remove_file(&self.path)?),
        }
        Ok(fs::write(&self.path, bytes)?)
    }

    /// Returns the name of the file.
    pub(crate) fn file_name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// Returns the kinds of file and damage.
    pub(crate) fn kind(&self) -> String {
        let kind = self.path.extension().and_then(|kind| kind.to_str());
        let how = match self.how {
            How::Flip { .. } => "flip",
            How::Zero { .. } => "zero",
            How::Cut { .. } => "cut",
            How::Swap { .. } => "swap",
            How::Delete => "delete",
        };
        format!("{} {how}", kind.unwrap_or_default())
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.path.display(), self.how)
    }
}

/// A sector that was not zero before; a flip where there is none.
fn zeroed(bytes: &[u8], dice: &mut StdRng) -> How {
    let sectors = bytes.len().div_ceil(SECTOR_BYTES);
    let from = dice.random_range(0..sectors) * SECTOR_BYTES;
    let sector = &bytes[from..(from + SECTOR_BYTES).min(bytes.len())];
    match sector.iter().any(|byte| *byte != 0) {
        true => How::Zero { from },
        false => How::Flip { at: from, bit: 0 },
    }
}

fn files(folders: &[PathBuf], kind: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in folders {
        let commit = fs::read_to_string(folder.join("meta.json"))?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            // What a stop leaves of a segment in the making is swept away at the next start.
            let is_named = kind == "json" || commit.contains(name);
            if is_named && path.extension().is_some_and(|end| end == kind) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
