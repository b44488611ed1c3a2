//! Copies that are set aside: what they were to apply ended the process twice, and the others are to serve.
//!
//! ```text
//! a writer notes its operation ── the process is killed ──▶ the next one finds it: it was worked on at the last end
//! the same operation was worked on at the end before, too ──▶ its copy is set aside, by name, until somebody asks
//! ```
//!
//! What counts is the operation, not the shard: a node that is killed again and again while it reads a long log is
//! hardly ever at the same one. Where another copy has the operation in its files the copy is made from those, without
//! being asked.
//!
//! Does: remember both ends durably, say which copies are set aside. Does not: open or close copies. Called by opening,
//! and by who is told to try again. Read first: [`SetAside::open`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gleaner_engine::writer::{ApplyMarks, LeftMarks, MarkedOperation, ShardMarks};
use gleaner_machine::durable;
use gleaner_model::{IndexUuid, SeqNo, ShardKey, ShardNumber};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The folder in that of the copies, which holds what follows.
const FOLDER: &str = "applying";
/// What writers work on.
const MARKS: &str = "marks";
/// What was worked on when earlier processes ended.
const ENDS: &str = "ends.json";

/// Newest format of that.
const FORMAT: u32 = 1;

/// The copies of a node that are set aside, and where its writers note what they do.
pub(crate) struct SetAside {
    folder: PathBuf,
    /// Begun with the first copy; `None` where the disk does not take them: then nothing is set aside.
    marks: OnceLock<Option<Arc<ApplyMarks>>>,
    ends: Mutex<Ends>,
}

/// What is known of earlier processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ends {
    /// The last one that worked on something when it was killed.
    process: u64,
    /// What that was.
    last: BTreeSet<MarkedOperation>,
    /// The copies that are set aside, with the operation.
    set_aside: BTreeMap<ShardKey, SeqNo>,
}

#[derive(Serialize, Deserialize)]
struct EndsFile {
    format: u32,
    process: u64,
    last: Vec<Noted>,
    set_aside: Vec<Noted>,
}

#[derive(Serialize, Deserialize)]
struct Noted {
    index: String,
    shard: u32,
    operation: u64,
}

impl SetAside {
    /// Looks at what was left by the process before, and notes what follows. What cannot be read or written is told, and
    /// nothing is set aside by it.
    pub(crate) fn open(copies: &Path) -> Self {
        let folder = copies.join(FOLDER);
        let marks = OnceLock::new();
        let ends = look(&folder).unwrap_or_else(|error| {
            tell_unnoted(&folder, &error);
            marks.get_or_init(|| None);
            Ends::default()
        });
        for (shard, operation) in &ends.set_aside {
            let reason = reason_of(*operation);
            tracing::error!(%shard, %operation, reason, "a shard is set aside");
        }
        let ends = Mutex::new(ends);
        Self {
            folder,
            marks,
            ends,
        }
    }

    /// Returns where the writer of a shard notes its operations. With the first one what the process before has left is
    /// forgotten: a folder without copies stays empty. Blocks.
    pub(crate) fn marks_of(&self, shard: ShardKey) -> Option<ShardMarks> {
        let begun = self.marks.get_or_init(|| {
            let marks = begin(&self.folder);
            marks
                .inspect_err(|error| tell_unnoted(&self.folder, error))
                .ok()
        });
        let marks = begun.clone()?;
        Some(ShardMarks { marks, shard })
    }

    /// Returns the operation for which the copy is set aside, if it is.
    pub(crate) fn operation(&self, shard: ShardKey) -> Option<SeqNo> {
        self.ends.lock().set_aside.get(&shard).copied()
    }

    /// Returns why the copy is not to be opened, if it is set aside.
    pub(crate) fn reason(&self, shard: ShardKey) -> Option<String> {
        self.operation(shard).map(reason_of)
    }

    /// Forgets that the copy was set aside, and what it worked on before. Returns whether it was set aside.
    ///
    /// # Errors
    /// What the disk says; nothing is forgotten then.
    pub(crate) fn forget(&self, shard: ShardKey) -> io::Result<bool> {
        let mut ends = self.ends.lock();
        let mut next = ends.clone();
        let was_set_aside = next.set_aside.remove(&shard).is_some();
        next.last.retain(|operation| operation.shard != shard);
        if next != *ends {
            write(&self.folder, &next)?;
            *ends = next;
        }
        Ok(was_set_aside)
    }
}

fn reason_of(operation: SeqNo) -> String {
    format!(
        "the process ended twice while the shard applied operation {operation}: the copy is set aside, so that the others \
         serve. `POST /_cluster/reroute?retry_failed=true` has it opened again, which may end the process again; else \
         delete the index"
    )
}

fn tell_unnoted(folder: &Path, error: &io::Error) {
    tracing::warn!(folder = %folder.display(), %error, "what shards work on is not noted");
}

fn look(folder: &Path) -> io::Result<Ends> {
    let (before, left) = (
        read(&folder.join(ENDS))?,
        ApplyMarks::left(&folder.join(MARKS))?,
    );
    let ends = after(&before, &left);
    if ends != before {
        write(folder, &ends)?;
    }
    Ok(ends)
}

fn begin(folder: &Path) -> io::Result<Arc<ApplyMarks>> {
    fs::create_dir_all(folder)?;
    ApplyMarks::begin(&folder.join(MARKS), rand::random())
}

/// Returns what is known after a process that left `left`. One that worked on nothing proves nothing, and one counts once,
/// also when the next one ended before it had marks of its own.
fn after(before: &Ends, left: &LeftMarks) -> Ends {
    let mut ends = before.clone();
    if left.operations.is_empty() || left.process == before.process {
        return ends;
    }
    for operation in left.operations.intersection(&before.last) {
        ends.set_aside.insert(operation.shard, operation.seq_no);
    }
    ends.process = left.process;
    ends.last.clone_from(&left.operations);
    ends
}

fn read(path: &Path) -> io::Result<Ends> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ends::default()),
        read => read?,
    };
    let file: EndsFile = match serde_json::from_slice(&text) {
        Ok(file) => file,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "what was worked on before is not known");
            return Ok(Ends::default());
        }
    };
    if file.format > FORMAT {
        let found = file.format;
        let reason = format!("`{ENDS}` has format {found}, and {FORMAT} is known");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let operation = |noted: Noted| {
        let index = IndexUuid::parse(&noted.index).map_err(io::Error::other)?;
        let shard = ShardNumber(noted.shard);
        Ok::<_, io::Error>(MarkedOperation {
            shard: ShardKey { index, shard },
            seq_no: SeqNo(noted.operation),
        })
    };
    let last = file.last.into_iter().map(operation);
    let set_aside = file.set_aside.into_iter().map(operation);
    let set_aside = set_aside.collect::<Result<Vec<_>, _>>()?;
    let set_aside = set_aside.into_iter();
    Ok(Ends {
        process: file.process,
        last: last.collect::<Result<_, _>>()?,
        set_aside: set_aside.map(|of| (of.shard, of.seq_no)).collect(),
    })
}

fn write(folder: &Path, ends: &Ends) -> io::Result<()> {
    let noted = |shard: ShardKey, operation: SeqNo| Noted {
        index: shard.index.to_string(),
        shard: shard.shard.0,
        operation: operation.0,
    };
    let last = ends.last.iter().map(|of| noted(of.shard, of.seq_no));
    let set_aside = ends.set_aside.iter();
    let file = EndsFile {
        format: FORMAT,
        process: ends.process,
        last: last.collect(),
        set_aside: set_aside.map(|(shard, of)| noted(*shard, *of)).collect(),
    };
    durable::replace(&folder.join(ENDS), &serde_json::to_vec(&file)?)
}

#[cfg(test)]
mod tests;
