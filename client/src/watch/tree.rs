//! The files of a folder, or of a commit of a git repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use walkdir::{DirEntry, WalkDir};

use super::{Entry, Place};

/// What is followed.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    /// The reference that is followed; `None` for the files as they lie.
    reference: Option<String>,
    /// The commit of the last look.
    commit: Option<String>,
}

impl Tree {
    /// Reads what is to be followed: a bare repository at its `HEAD`, unless another reference is named.
    ///
    /// # Errors
    /// No such folder; a reference where there is no repository.
    pub(super) fn of(path: &Path, reference: Option<&str>) -> Result<Self> {
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
        Ok(Self {
            root,
            reference,
            commit: None,
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

    /// Returns all files as they are now; `None` where the commit is still that of the last look.
    pub(super) async fn look(&mut self) -> Result<Option<Vec<Entry>>> {
        let Some(reference) = self.reference.clone() else {
            let root = self.root.clone();
            let walked = tokio::task::spawn_blocking(move || walk(&root)).await?;
            return walked.map(Some);
        };
        let commit = format!("{reference}^{{commit}}");
        let output = self
            .git(&[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &commit,
            ])
            .output()
            .await;
        let output = output.context("cannot run `git`")?;
        if !output.status.success() {
            // A repository that nothing was pushed to yet. One that cannot be read must not look like it.
            let pushed = self.git(&["for-each-ref", "--count=1"]).output().await?;
            let is_new = pushed.status.success() && pushed.stdout.is_empty();
            ensure!(
                reference == "HEAD" && is_new,
                "the repository has no `{reference}`, or cannot be read: {}",
                String::from_utf8_lossy(&pushed.stderr).trim()
            );
            return Ok(Some(Vec::new()));
        }
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if self.commit.as_ref() == Some(&commit) {
            return Ok(None);
        }
        let listed = self
            .git(&["ls-tree", "-r", "-z", "--long", &commit])
            .output()
            .await?;
        ensure!(
            listed.status.success(),
            "`git ls-tree` failed: {}",
            String::from_utf8_lossy(&listed.stderr).trim()
        );
        let files = listed
            .stdout
            .split(|&byte| byte == 0)
            .filter_map(object)
            .collect();
        self.commit = Some(commit);
        Ok(Some(files))
    }

    fn git(&self, words: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.root)
            // A repository that another user owns is followed all the same; nothing of it is run.
            .args(["-c", &format!("safe.directory={}", self.root.display())])
            .args(words)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Reads the contents of files, by their paths; one that is gone since is left out.
    pub(super) async fn read(&self, entries: &[&Entry]) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut contents = BTreeMap::new();
        let mut objects = Vec::new();
        for entry in entries {
            match &entry.place {
                Place::File(path) => {
                    if let Ok(content) = tokio::fs::read(path).await {
                        contents.insert(entry.path.clone(), content);
                    }
                }
                Place::Object(name) => objects.push((entry.path.clone(), name.clone())),
            }
        }
        if !objects.is_empty() {
            self.read_objects(objects, &mut contents).await?;
        }
        Ok(contents)
    }

    /// Reads objects of git by one process.
    async fn read_objects(
        &self,
        objects: Vec<(String, String)>,
        contents: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<()> {
        let mut command = self.git(&["cat-file", "--batch"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("`git cat-file` has no pipes");
        };
        let names: String = objects
            .iter()
            .map(|(_, name)| format!("{name}\n"))
            .collect();
        let asking = tokio::spawn(async move { stdin.write_all(names.as_bytes()).await });
        let mut answers = BufReader::new(stdout);
        for (path, name) in objects {
            let mut head = String::new();
            answers.read_line(&mut head).await?;
            let size = head
                .split_whitespace()
                .nth(2)
                .and_then(|size| size.parse().ok());
            let size: usize =
                size.with_context(|| format!("git does not know the object {name}"))?;
            let mut content = vec![0; size + 1];
            answers.read_exact(&mut content).await?;
            content.truncate(size);
            contents.insert(path, content);
        }
        asking.await??;
        child.wait().await?;
        Ok(())
    }
}

/// Reads a line of `git ls-tree --long`: mode, kind, name, size, and the path behind a tab.
fn object(line: &[u8]) -> Option<Entry> {
    let line = String::from_utf8_lossy(line);
    let (head, path) = line.split_once('\t')?;
    let mut words = head.split_whitespace();
    let (mode, kind, name, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    // Links and submodules have no content of their own.
    if kind != "blob" || mode == "120000" {
        return None;
    }
    Some(Entry {
        path: path.to_owned(),
        state: name.to_owned(),
        num_bytes: size.parse().ok()?,
        place: Place::Object(name.to_owned()),
    })
}

/// Lists the files under a folder, without those of git and without links.
fn walk(root: &Path) -> Result<Vec<Entry>> {
    let is_wanted = |entry: &DirEntry| entry.depth() == 0 || entry.file_name() != ".git";
    let mut files = Vec::new();
    for entry in WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_wanted)
    {
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
        files.push(Entry {
            path: path.to_string_lossy().replace('\\', "/"),
            state: format!("{modified}-{}", metadata.len()),
            num_bytes: metadata.len(),
            place: Place::File(entry.path().to_owned()),
        });
    }
    Ok(files)
}
