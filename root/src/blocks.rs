//! Blocks of an index, as the dialect names them: what they keep out, and how they are told.

pub(crate) mod settling;

use std::fmt;

use gleaner_model::IndexMeta;
use gleaner_model::settings::Blocks;

use crate::RootError;

/// What a block keeps out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Reading documents.
    Read,
    /// Changing documents.
    Write,
    /// Reading metadata.
    MetadataRead,
    /// Changing metadata.
    MetadataWrite,
}

impl Level {
    /// Returns the dialect's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::MetadataRead => "metadata_read",
            Self::MetadataWrite => "metadata_write",
        }
    }
}

/// A kind of block; shown as `FORBIDDEN/8/index write (api)`.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The dialect's number of it.
    pub id: u32,
    /// What it says to people.
    pub description: &'static str,
    /// Whether it goes by itself, so that a request is worth repeating: told as 429, not 403.
    pub is_passing: bool,
    /// What it keeps out.
    pub levels: &'static [Level],
}

impl fmt::Display for Block {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = if self.is_passing {
            "TOO_MANY_REQUESTS"
        } else {
            "FORBIDDEN"
        };
        write!(out, "{status}/{}/{}", self.id, self.description)
    }
}

/// The index is closed; requests are told so with an error of its own.
pub static CLOSED: Block = Block {
    id: 4,
    description: "index closed",
    is_passing: false,
    levels: &[Level::Read, Level::Write],
};

static READ_ONLY: Block = Block {
    id: 5,
    description: "index read-only (api)",
    is_passing: false,
    levels: &[Level::Write, Level::MetadataWrite],
};

static READ: Block = Block {
    id: 7,
    description: "index read (api)",
    is_passing: false,
    levels: &[Level::Read],
};

static WRITE: Block = Block {
    id: 8,
    description: "index write (api)",
    is_passing: false,
    levels: &[Level::Write],
};

static METADATA: Block = Block {
    id: 9,
    description: "index metadata (api)",
    is_passing: false,
    levels: &[Level::MetadataRead, Level::MetadataWrite],
};

/// An index is deleted under it all the same, to make room; see [`check_deletion`].
static FLOOD_STAGE: Block = Block {
    id: 12,
    description: "disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
    is_passing: true,
    levels: &[Level::Write, Level::MetadataWrite],
};

/// Returns the blocks that are set, by number; [`CLOSED`] is not among them.
pub fn set_in(blocks: Blocks) -> impl Iterator<Item = &'static Block> {
    let all = [
        (blocks.read_only, &READ_ONLY),
        (blocks.read, &READ),
        (blocks.write, &WRITE),
        (blocks.metadata, &METADATA),
        (blocks.read_only_allow_delete, &FLOOD_STAGE),
    ];
    all.into_iter()
        .filter_map(|(is_set, block)| is_set.then_some(block))
}

/// Refuses what a block of `index` keeps out.
pub(crate) fn check(index: &IndexMeta, level: Level) -> Result<(), RootError> {
    refuse(index, set_in(index.settings.blocks), level)
}

/// Refuses to delete `index` under a block that keeps its metadata from being changed, other than the
/// one for want of room.
pub(crate) fn check_deletion(index: &IndexMeta) -> Result<(), RootError> {
    let set = set_in(index.settings.blocks);
    let others = set.filter(|block| block.id != FLOOD_STAGE.id);
    refuse(index, others, Level::MetadataWrite)
}

fn refuse(
    index: &IndexMeta,
    mut set: impl Iterator<Item = &'static Block>,
    level: Level,
) -> Result<(), RootError> {
    match set.find(|block| block.levels.contains(&level)) {
        None => Ok(()),
        Some(block) => Err(RootError::Blocked {
            index: index.name.to_string(),
            block,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_in_the_words_of_the_dialect() {
        let all = Blocks {
            read_only: true,
            read_only_allow_delete: true,
            write: true,
            read: true,
            metadata: true,
        };
        let told: Vec<String> = set_in(all).map(ToString::to_string).collect();
        let wanted = [
            "FORBIDDEN/5/index read-only (api)",
            "FORBIDDEN/7/index read (api)",
            "FORBIDDEN/8/index write (api)",
            "FORBIDDEN/9/index metadata (api)",
            "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
             read-only-allow-delete block",
        ];
        assert_eq!(told, wanted);
        assert_eq!(set_in(Blocks::default()).count(), 0);
    }
}
