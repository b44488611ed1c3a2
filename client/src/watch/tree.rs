//! The files of a folder, or of a commit of a git repository.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::OFlags;
use walkdir::{DirEntry, WalkDir};

use super::git::Git;
use super::{Bound, Entry, Place, WatchOptions};

/// Bytes that a small file may have grown by between its listing and its reading.
const GROWN_BYTES: u64 = 64 << 10;

/// What is followed.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    /// The reference that is followed; `None` for the files as they lie.
    reference: Option<String>,
    /// The commit of the last look.
    commit: Option<String>,
    /// A commit that has more than is taken, and why: it is not listed again.
    refused: Option<(String, String)>,
    git: Git,
    bound: Bound,
}

impl Tree {
    /// Reads what is to be followed: a bare repository at its `HEAD`, unless another reference is named.
    ///
    /// # Errors
    /// No such folder; a reference where there is no repository.
    pub(super) fn of(options: &WatchOptions) -> Result<Self> {
        let (path, reference) = (options.folder.as_path(), options.reference.as_deref());
        let root = path
            .canonicalize()
            .with_context(|| format!("`{}`", path.display()))?;
        ensure!(root.is_dir(), "`{}` is no folder", path.display());
        let is_bare = root.join("HEAD").is_file() && root.join("objects").is_dir();
        let is_repository = is_bare || root.join(".git").exists();
        ensure!(
            reference.is_none() || is_repository,
            "`{}` is no git repository, so it has no `--ref`",
            path.display()
        );
        let reference = reference
            .map(str::to_owned)
            .or_else(|| is_bare.then(|| "HEAD".to_owned()));
        let git = Git::new(root.clone(), options.git_path.clone(), options.any_owner);
        Ok(Self {
            root,
            reference,
            commit: None,
            refused: None,
            git,
            bound: Bound(options.max_files),
        })
    }

    /// Returns the path, which names the source by default.
    pub(super) fn name(&self) -> String {
        self.root.display().to_string()
    }

    /// Returns the commit that the last look was of, in words.
    pub(super) fn position(&self) -> String {
        let short = |commit: &String| format!(", at {}", &commit[..commit.len().min(12)]);
        self.commit.as_ref().map(short).unwrap_or_default()
    }

    /// Makes the next look return all files, whether or not something changed.
    pub(super) fn forget(&mut self) {
        self.commit = None;
    }

    /// Returns all files as they are now; `None` where the commit is still that of the last look. It ends with its
    /// future.
    pub(super) async fn look(&mut self) -> Result<Option<Vec<Entry>>> {
        let Some(reference) = self.reference.clone() else {
            let (root, bound) = (self.root.clone(), self.bound);
            let ends = EndOnDrop::default();
            let has_ended = Arc::clone(&ends.0);
            let walk = move || walk(&root, bound, &has_ended);
            return tokio::task::spawn_blocking(walk).await?.map(Some);
        };
        let Some(commit) = self.git.commit_of(&reference).await? else {
            return Ok(Some(Vec::new()));
        };
        if self.commit.as_ref() == Some(&commit) {
            return Ok(None);
        }
        if let Some((refused, why)) = &self.refused
            && *refused == commit
        {
            bail!("{why}");
        }
        let listed = self.git.list(&commit, self.bound).await;
        let files = listed.inspect_err(|error| {
            self.refused = Some((commit.clone(), format!("{error:#}")));
        })?;
        self.refused = None;
        self.commit = Some(commit);
        Ok(Some(files))
    }

    /// Reads the contents of files, by their paths; one that is gone since, or became another, is left out.
    pub(super) async fn read(
        &self,
        entries: &[&Entry],
        max_file: u64,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut contents = BTreeMap::new();
        let mut objects = Vec::new();
        for entry in entries {
            match &entry.place {
                Place::File(path) => {
                    // It may have grown since; one that grew much is for the next look, as memory is for these sizes.
                    let max = max_file.min(2 * entry.num_bytes + GROWN_BYTES);
                    let path = path.clone();
                    let read = move || read_file(&path, max);
                    if let Some(content) = tokio::task::spawn_blocking(read).await? {
                        contents.insert(entry.path.clone(), content);
                    }
                }
                Place::Object => objects.push(*entry),
            }
        }
        self.git.read(&objects, &mut contents).await?;
        Ok(contents)
    }
}

/// Reads a file; `None` where it is gone, became a link or has more than `max` bytes.
fn read_file(path: &Path, max: u64) -> Option<Vec<u8>> {
    // Neither a link that took its place nor a pipe is to be opened.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).ok()?;
    let is_file = file.metadata().ok()?.is_file();
    let mut content = Vec::new();
    let read = file.take(max + 1).read_to_end(&mut content);
    (is_file && read.ok()? as u64 <= max).then_some(content)
}

/// Ends a walk once nobody waits for it.
#[derive(Debug, Default)]
struct EndOnDrop(Arc<AtomicBool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lists the files under a folder, without those of git and without links.
fn walk(root: &Path, bound: Bound, has_ended: &AtomicBool) -> Result<Vec<Entry>> {
    let is_wanted = |entry: &DirEntry| entry.depth() == 0 || entry.file_name() != ".git";
    let mut files = Vec::new();
    let mut count = bound.count();
    for entry in WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_wanted)
    {
        ensure!(!has_ended.load(Ordering::Relaxed), "the look was ended");
        let entry = match entry {
            Ok(entry) => entry,
            // It went while the folder was read.
            Err(error) if error.depth() > 0 => continue,
            Err(error) => return Err(error.into()),
        };
        let (true, Ok(metadata)) = (entry.file_type().is_file(), entry.metadata()) else {
            continue;
        };
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.unwrap_or_default().as_nanos();
        let path = path.to_string_lossy().replace('\\', "/");
        count.add(&path)?;
        files.push(Entry {
            path,
            state: format!("{modified}-{}", metadata.len()),
            num_bytes: metadata.len(),
            place: Place::File(entry.path().to_owned()),
        });
    }
    Ok(files)
}
