//! `gleaner index --watch`: an index that follows the files of a folder, or of a branch of a git repository.
//!
//! ```text
//! tree (files and what tells that one changed) → difference to what the index holds → bulk requests → refresh
//! ```
//!
//! Nothing is kept beside the index: which files it holds, and in which state, stands in the documents. So the command
//! may be stopped and started anywhere, and a file that failed is tried again with the next look.

mod documents;
mod mirror;
mod tree;

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::IndexArguments;
use crate::config::{ByteSize, Span};
use crate::exit::Exit;
use crate::remote::Remote;
use crate::signals;
use crate::terminal::{grouped, say};
use mirror::Mirror;
use tree::Tree;

/// Waits between looks while the server does not answer.
const FAILED_WAIT: Duration = Duration::from_secs(5);

/// The flags of `--watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArguments {
    /// Follow a folder, or a git repository (bare or not): each text file is a document with its path, name, extension,
    /// size and content; changed files are written again and deleted ones disappear, until the command is stopped
    #[arg(long, conflicts_with_all = ["format", "id_field", "routing_field", "checkpoint", "dead_letter", "no_refresh"])]
    pub(super) watch: bool,
    /// Branch, tag or other reference of the repository; a folder's files are taken as they lie without it
    #[arg(long = "ref", value_name = "REF", requires = "watch")]
    reference: Option<String>,
    /// Name under which the documents are told from those of other folders in the index [default: the path]
    #[arg(long, value_name = "NAME", requires = "watch")]
    source: Option<String>,
    /// How often the folder is looked at
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "watch")]
    period: Span,
    /// Largest file; larger ones are passed over
    #[arg(long, value_name = "BYTES", default_value = "1mb", requires = "watch")]
    max_file: ByteSize,
    /// End after the first look, once the index holds what the folder holds
    #[arg(long, requires = "watch")]
    once: bool,
}

/// What is followed into which index.
struct Watch {
    tree: Tree,
    mirror: Mirror,
    max_file: u64,
}

/// Runs the command.
pub(super) async fn run(arguments: &IndexArguments) -> Result<Exit> {
    let watch = &arguments.watch;
    ensure!(
        arguments.files.len() == 1,
        "--watch follows one folder or repository"
    );
    let tree = Tree::of(&arguments.files[0], watch.reference.as_deref())?;
    let source = watch.source.clone().unwrap_or_else(|| tree.name());
    let remote = Remote::new(&arguments.remote)?;
    remote.greet().await?;
    super::create_index(&remote, arguments).await?;
    let limits = arguments.flow().limits;
    let mirror = Mirror::open(remote, arguments.index.clone(), source, limits).await?;
    let mut watch_state = Watch {
        tree,
        mirror,
        max_file: watch.max_file.0,
    };
    let mut interrupt = pin!(signals::stop_asked()?);
    loop {
        let looked = tokio::select! {
            looked = watch_state.look() => looked,
            () = &mut interrupt => return Ok(Exit::Success),
        };
        let wait = match looked {
            Ok(outcome) if watch.once => {
                return Ok(if outcome.failed == 0 {
                    Exit::Success
                } else {
                    Exit::Refused
                });
            }
            Err(error) if watch.once => return Err(error),
            Ok(_) => watch.period.0,
            Err(error) => {
                say(&format!("not followed for now: {error:#}"));
                FAILED_WAIT
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = &mut interrupt => return Ok(Exit::Success),
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
    /// Makes the index hold what the folder holds now, and says what that took.
    async fn look(&mut self) -> Result<Outcome> {
        let begun = Instant::now();
        let Some(files) = self.tree.look().await? else {
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
    /// The name of an object of git.
    Object(String),
}
