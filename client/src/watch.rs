//! An index that follows the files of a folder, or of a branch of a git repository.
//!
//! ```text
//! tree (files and what tells that one changed) → difference to what the index holds → bulk requests → refresh
//! ```
//!
//! Nothing is kept beside the index: which files it holds, and in which state, stands in the documents. So it
//! may be stopped and started anywhere, and a file that failed is tried again with the next look.

mod bound;
mod documents;
mod git;
mod mirror;
mod tree;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::timeout;

use crate::load::{Limits, create_index};
use crate::remote::Remote;
use crate::text::{grouped, say};
use bound::Bound;
use mirror::Mirror;
use tree::Tree;

/// Waits between looks while the server does not answer.
const FAILED_WAIT: Duration = Duration::from_secs(5);

/// What is followed into which index.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Name of the index.
    pub index: String,
    /// The folder or git repository.
    pub folder: PathBuf,
    /// JSON file with the mappings and settings of an index that is not there yet.
    pub create_mapping: Option<PathBuf>,
    /// How much is sent in one request.
    pub limits: Limits,
    /// Branch, tag or other reference of the repository; `None` takes a folder's files as they lie.
    pub reference: Option<String>,
    /// Name under which the documents are told from those of other folders in the index; `None` is the path.
    pub source: Option<String>,
    /// How often the folder is looked at.
    pub period: Duration,
    /// Bytes of the largest file; larger ones are passed over.
    pub max_file_bytes: u64,
    /// Most files that are followed, ≥ 1.
    pub max_files: u64,
    /// Follow a repository that another user owns too?
    pub any_owner: bool,
    /// Folders in which `git` is looked for, as `PATH` has them; `None` for those of the system.
    pub git_path: Option<OsString>,
    /// End after the first look, once the index holds what the folder holds?
    pub once: bool,
    /// How long a look may go on once the watch is asked to stop.
    pub grace: Duration,
}

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// It was asked to stop.
    Stopped,
    /// The index holds what the folder holds.
    Whole,
    /// The server refused some documents.
    Refused,
}

/// How the following goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchState {
    /// The first look has not ended.
    Beginning,
    /// The last look ended well: the index holds what the folder held.
    Following,
    /// The server refused documents in the last look.
    Refused {
        /// Files whose documents were refused, to be written or to be deleted; at least one.
        num_files: u64,
    },
    /// The last look failed.
    Failing,
}

impl WatchState {
    /// Returns why the index does not hold what the folder holds; `None` where it does, at the last look.
    #[must_use]
    pub fn why_not(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Beginning => Some("the first look has not ended".into()),
            Self::Following => None,
            Self::Refused { num_files: 1 } => Some("the server refused 1 file".into()),
            Self::Refused { num_files } => {
                Some(format!("the server refused {} files", grouped(num_files)).into())
            }
            Self::Failing => Some("the last look failed".into()),
        }
    }
}

/// A folder, and the documents that are its mirror.
struct Watch {
    tree: Tree,
    mirror: Mirror,
    max_file: u64,
}

/// Has an index follow a folder until `stop` completes, or for one look. How that goes is said to `state`. A look that is
/// under way when `stop` completes has `grace` to end.
///
/// # Errors
/// No such folder or reference, no server; at a single look also what that met.
pub async fn run(
    remote: Remote,
    options: &WatchOptions,
    state: &tokio::sync::watch::Sender<WatchState>,
    stop: impl Future<Output = ()>,
) -> Result<WatchEnd> {
    let mut stop = pin!(stop);
    let mut watch = tokio::select! {
        watch = Watch::open(remote, options) => watch?,
        () = &mut stop => return Ok(WatchEnd::Stopped),
    };
    loop {
        let begun = Instant::now();
        // A list that is not used yet is no loss.
        let listed = tokio::select! {
            listed = watch.tree.look() => listed,
            () = &mut stop => return Ok(WatchEnd::Stopped),
        };
        let looked = {
            let mut look = pin!(watch.follow(listed, begun));
            tokio::select! {
                looked = &mut look => looked,
                () = &mut stop => {
                    // The documents say how far it came: the next start finds what is left.
                    drop(timeout(options.grace, look).await);
                    return Ok(WatchEnd::Stopped);
                }
            }
        };
        state.send_replace(match &looked {
            Ok(outcome) if outcome.failed > 0 => WatchState::Refused {
                num_files: outcome.failed,
            },
            Ok(_) => WatchState::Following,
            Err(_) => WatchState::Failing,
        });
        let wait = match looked {
            Ok(outcome) if options.once => {
                return Ok(if outcome.failed == 0 {
                    WatchEnd::Whole
                } else {
                    WatchEnd::Refused
                });
            }
            Err(error) if options.once => return Err(error),
            Ok(_) => options.period,
            Err(error) => {
                say(&format!("not followed for now: {error:#}"));
                FAILED_WAIT
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = &mut stop => return Ok(WatchEnd::Stopped),
        }
    }
}

/// What one look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Outcome {
    written: u64,
    deleted: u64,
    failed: u64,
}

impl Watch {
    /// Finds the folder and the server, and reads which files the index holds.
    async fn open(remote: Remote, options: &WatchOptions) -> Result<Self> {
        let tree = Tree::of(options)?;
        let source = options.source.clone().unwrap_or_else(|| tree.name());
        remote.greet().await?;
        if let Some(body) = &options.create_mapping {
            create_index(&remote, &options.index, body).await?;
        }
        let mirror = Mirror::open(remote, options.index.clone(), source, options.limits).await?;
        Ok(Self {
            tree,
            mirror,
            max_file: options.max_file_bytes,
        })
    }

    /// Makes the index hold what was listed, and says what that took since `begun`.
    async fn follow(
        &mut self,
        listed: Result<Option<Vec<Entry>>>,
        begun: Instant,
    ) -> Result<Outcome> {
        let Some(files) = listed? else {
            return Ok(Outcome::default());
        };
        let followed = self.mirror.follow(&self.tree, files, self.max_file).await;
        // What was not written is tried again, also where nothing changes.
        let outcome = followed.inspect_err(|_| self.tree.forget())?;
        if outcome != Outcome::default() {
            let Outcome {
                written,
                deleted,
                failed,
            } = outcome;
            say(&format!(
                "{} written, {} deleted, {} failed in {:.1} s{}",
                grouped(written),
                grouped(deleted),
                grouped(failed),
                begun.elapsed().as_secs_f64(),
                self.tree.position()
            ));
        }
        if outcome.failed > 0 {
            self.tree.forget();
        }
        Ok(outcome)
    }
}

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// From the root of the tree, with `/`.
    path: String,
    /// Changes when the file does.
    state: String,
    num_bytes: u64,
    place: Place,
}

/// Where the content of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    /// In an object of git, whose name is the state.
    Object,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_lacks_files_is_not_ready_and_says_why() {
        let refused = |num_files| WatchState::Refused { num_files }.why_not();
        assert_eq!(refused(1).as_deref(), Some("the server refused 1 file"));
        assert_eq!(
            refused(1_234).as_deref(),
            Some("the server refused 1,234 files")
        );
        assert_eq!(WatchState::Following.why_not(), None);
    }
}
