//! How the folder of a shard comes to be: empty, or beginning at some position.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::ShardKey;

use super::{ShardWriter, refused, shard_dir};
use crate::agreement::Agreement;
use crate::base::LogStart;
use crate::error::LogError;
use crate::files::{Files, create_durable_dir, parent, write_all_at};
use crate::format::SegmentHeader;
use crate::lane::UNFINISHED;
use crate::ledger::Ledger;
use crate::options::LogOptions;
use crate::recovery::{RecoveredFolder, open_shard};
use crate::segment;
use crate::state_file::{State, StateFile};
use crate::view::ShardView;

impl ShardWriter {
    /// Creates folder and state file of a new shard.
    pub(crate) fn create(
        root: &Path,
        shard: ShardKey,
        options: &LogOptions,
    ) -> Result<(Self, Arc<ShardView>), LogError> {
        let dir = shard_dir(root, shard);
        let files = options.files.as_ref();
        let state = create_durable_dir(files, &parent(&dir))
            .and_then(|()| create_durable_dir(files, &dir))
            .and_then(|()| StateFile::create(files, &dir, shard, State::default()))
            .map_err(|error| refused("create", &dir, shard, error))?;
        let recovered = RecoveredFolder {
            ledger: Ledger::new(&LogStart::FIRST, options.limits()),
            state,
            segments: Vec::new(),
            cut: None,
            has_damaged_state_slot: false,
        };
        Ok(Self::open(dir, shard, options, recovered))
    }

    /// Lays out a shard that begins at `begin`, without records. Its folder appears with all that is in
    /// it, so that a crash leaves no half of it.
    pub(crate) fn begin(
        root: &Path,
        shard: ShardKey,
        begin: &LogStart,
        agreement: Agreement,
        options: &LogOptions,
    ) -> Result<(Self, Arc<ShardView>), LogError> {
        let dir = shard_dir(root, shard);
        let unfinished = dir.with_extension(UNFINISHED);
        let files = options.files.as_ref();
        lay_out(files, &unfinished, shard, begin, agreement)
            .and_then(|()| files.rename(&unfinished, &dir))
            .and_then(|()| files.sync_dir(&parent(&dir)))
            .map_err(|error| refused("create", &dir, shard, error))?;
        let recovered = open_shard(files, &dir, shard, options.limits())?;
        let recovered = recovered.ok_or_else(|| {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            LogError::io("open", &dir, missing)
        })?;
        Ok(Self::open(dir, shard, options, recovered))
    }
}

/// Fills the folder of a shard whose log begins at `begin`: an empty segment and the state file.
fn lay_out(
    files: &dyn Files,
    dir: &Path,
    shard: ShardKey,
    begin: &LogStart,
    agreement: Agreement,
) -> io::Result<()> {
    match files.remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create_durable_dir(files, &parent(dir))?;
    create_durable_dir(files, dir)?;
    let header = SegmentHeader {
        shard,
        first: begin.at.0,
        has_base: true,
        base: begin.base.clone(),
    };
    let segment = files.create(&segment::path(dir, begin.at.0))?;
    write_all_at(segment.as_ref(), 0, &header.encode())?;
    segment.sync()?;
    let state = State {
        fence: begin.fence,
        first: begin.at.0,
        floor: begin.at.0,
        agreement,
        is_cut: false,
    };
    StateFile::create(files, dir, shard, state).map(|_| ())
}
