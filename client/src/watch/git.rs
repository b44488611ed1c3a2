//! Git, run over a repository that nobody vouches for.
//!
//! Does: find the commit of a reference, list its files, read them. Does not: run what the repository's configuration
//! names, fetch what it lacks, read objects of another repository, follow one of another user unless that is asked for.
//! Called by the tree. Read first: [`Git::command`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Bound, Entry, Place};

/// Time that git has for a short question. A configuration may include a pipe that nobody writes to.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Time without a further file after which git is ended: trees without files may be walked for ever.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// Time that git has to list all files of a commit.
const LISTED_WITHIN: Duration = Duration::from_secs(600);

/// Most bytes of a short answer, and of what git complains about.
const SAID_BYTES: u64 = 64 << 10;

/// Most bytes of a line of `git ls-tree`, with the path.
const LINE_BYTES: u64 = 64 << 10;

/// Where `git` is looked for unless that is said.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The whole environment of git, beside where it is found. What the caller's says of git is of another repository.
const ENVIRONMENT: [(&str, &str); 12] = [
    // A repository may name a program that fetches the objects which it lacks.
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", ""),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_PAGER", "cat"),
    // One object in the place of another.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    // Exceptions of the user and of the machine, such as whose repositories are trusted, are for other programs.
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("LC_ALL", "C"),
];

/// Settings that go before those of the repository: each of them could name a program, or much memory.
const SETTINGS: [&str; 10] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.gitProxy=false",
    "core.alternateRefsCommand=false",
    "core.attributesFile=/dev/null",
    "core.deltaBaseCacheLimit=96m",
    "credential.helper=",
    "protocol.allow=never",
];

/// A repository, and how git is run over it.
#[derive(Debug)]
pub(super) struct Git {
    root: PathBuf,
    /// Folders in which `git` is looked for.
    search_path: Option<OsString>,
    /// Whether it may be another user's.
    any_owner: bool,
}

/// A short answer of git.
struct Answer {
    is_success: bool,
    text: String,
    complaint: String,
}

impl Git {
    pub(super) fn new(root: PathBuf, search_path: Option<OsString>, any_owner: bool) -> Self {
        Self {
            root,
            search_path,
            any_owner,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(ENVIRONMENT);
        let path = self.search_path.as_deref();
        command.env("PATH", path.unwrap_or(OsStr::new(SEARCH_PATH)));
        // A folder whose own repository is none must not lead to that of a folder above it.
        if let Some(above) = self.root.parent() {
            command.env("GIT_CEILING_DIRECTORIES", above);
        }
        command.arg("-C").arg(&self.root);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        if self.any_owner {
            let root = self.root.display();
            command.args(["-c", &format!("safe.directory={root}")]);
        }
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Asks what has a short answer.
    async fn ask(&self, words: &[&str]) -> Result<Answer> {
        let asked = async {
            let mut running = self.start(words)?;
            let mut text = Vec::new();
            (&mut running.answers)
                .take(SAID_BYTES)
                .read_to_end(&mut text)
                .await?;
            drop(running.answers);
            let status = running.child.wait().await?;
            Ok(Answer {
                is_success: status.success(),
                text: String::from_utf8_lossy(&text).into_owned(),
                complaint: running.complaint.await?,
            })
        };
        let asked = timeout(ANSWERED_WITHIN, asked).await;
        asked.unwrap_or_else(|_| bail!("git has not answered within {ANSWERED_WITHIN:?}"))
    }

    fn start(&self, words: &[&str]) -> Result<Running> {
        let mut child = self.command(words).spawn().context("cannot run `git`")?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            bail!("git has no pipes");
        };
        Ok(Running {
            child,
            answers: BufReader::new(stdout),
            complaint: tokio::spawn(complaint(stderr)),
        })
    }

    /// Returns the commit that a reference names; `None` in a repository that nothing was pushed to yet, asked for its
    /// `HEAD`.
    ///
    /// # Errors
    /// No such reference, a repository that cannot be read, is another user's or takes objects from elsewhere.
    pub(super) async fn commit_of(&self, reference: &str) -> Result<Option<String>> {
        self.check_objects().await?;
        let commit = format!("{reference}^{{commit}}");
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        let found = self.ask(&[&words[..], &[commit.as_str()]].concat()).await?;
        if found.is_success {
            return Ok(Some(found.text.trim().to_owned()));
        }
        // One that cannot be read must not look like one that nothing was pushed to.
        let pushed = self.ask(&["for-each-ref", "--count=1"]).await?;
        let is_new = pushed.is_success && pushed.text.is_empty();
        ensure!(
            reference == "HEAD" && is_new,
            "the repository has no `{reference}`, or cannot be read: {}",
            pushed.complaint
        );
        Ok(None)
    }

    /// Refuses a repository whose objects are not its own: what others keep elsewhere is not to be read through it.
    async fn check_objects(&self) -> Result<()> {
        let words = [
            "rev-parse",
            "--path-format=absolute",
            "--git-path",
            "objects",
        ];
        let found = self.ask(&words).await?;
        ensure!(
            !found.complaint.contains("dubious ownership"),
            "the repository belongs to another user; --any-owner follows it all the same, and runs nothing of it"
        );
        ensure!(
            found.is_success,
            "the repository cannot be read: {}",
            found.complaint
        );
        let (root, objects) = (
            self.root.clone(),
            PathBuf::from(found.text.trim_end_matches('\n')),
        );
        tokio::task::spawn_blocking(move || check_folder_of_objects(&root, &objects)).await?
    }

    /// Lists the files of a commit, no more than `bound` allows.
    pub(super) async fn list(&self, commit: &str, bound: Bound) -> Result<Vec<Entry>> {
        let mut running = self.start(&["ls-tree", "-r", "-z", "--long", commit])?;
        let until = Instant::now() + LISTED_WITHIN;
        let mut files = Vec::new();
        let mut count = bound.count();
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut rest = (&mut running.answers).take(LINE_BYTES);
            let within = SILENT_FOR.min(until.saturating_duration_since(Instant::now()));
            let read = timeout(within, rest.read_until(0, &mut line)).await;
            let read = read.map_err(|_| {
                anyhow::anyhow!("git lists files too slowly: trees without files, or a slow disk")
            })?;
            if read? == 0 {
                break;
            }
            ensure!(line.pop() == Some(0), "a path has more than 64 KiB");
            if let Some(entry) = object(&line)? {
                count.add(&entry.path)?;
                files.push(entry);
            }
        }
        running.end("ls-tree").await?;
        Ok(files)
    }

    /// Reads files, by their paths, into `contents`.
    pub(super) async fn read(
        &self,
        entries: &[&Entry],
        contents: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut command = self.command(&["cat-file", "--batch"]);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().context("cannot run `git`")?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("git has no pipes");
        };
        let names: String = entries
            .iter()
            .map(|entry| format!("{}\n", entry.state))
            .collect();
        let asking = tokio::spawn(tell(stdin, names));
        let mut running = Running {
            child,
            answers: BufReader::new(stdout),
            complaint: tokio::spawn(complaint(stderr)),
        };
        for entry in entries {
            let content = timeout(SILENT_FOR, running.read_object(entry)).await;
            let content = content.context("git reads too slowly")??;
            contents.insert(entry.path.clone(), content);
        }
        asking.await??;
        running.end("cat-file").await
    }
}

/// A process of git whose answers are read.
struct Running {
    child: Child,
    answers: BufReader<ChildStdout>,
    complaint: JoinHandle<String>,
}

impl Running {
    /// Reads an answer of `git cat-file --batch`: name, kind and size, then the content and a line end.
    async fn read_object(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let mut head = String::new();
        (&mut self.answers)
            .take(SAID_BYTES)
            .read_line(&mut head)
            .await?;
        let size = head.split_whitespace().nth(2);
        let size: Option<u64> = size.and_then(|size| size.parse().ok());
        ensure!(
            size == Some(entry.num_bytes),
            "git does not know the object {} of {}, or has it in another size",
            entry.state,
            entry.path
        );
        let mut content = vec![0; usize::try_from(entry.num_bytes)? + 1];
        self.answers.read_exact(&mut content).await?;
        content.pop();
        Ok(content)
    }

    /// Waits for its end.
    async fn end(mut self, word: &str) -> Result<()> {
        drop(self.answers);
        let ended = timeout(ANSWERED_WITHIN, self.child.wait()).await;
        let status = ended.with_context(|| format!("`git {word}` does not end"))??;
        ensure!(
            status.success(),
            "`git {word}` failed: {}",
            self.complaint.await?
        );
        Ok(())
    }
}

async fn tell(mut stdin: ChildStdin, names: String) -> std::io::Result<()> {
    stdin.write_all(names.as_bytes()).await
}

/// Reads what git complains about to its end, and returns the first of it.
async fn complaint(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let read = (&mut stderr).take(SAID_BYTES).read_to_end(&mut said).await;
    if read.is_ok() {
        drop(tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await);
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// Checks that objects lie in the repository: neither its folders nor their packs are links, and it borrows none.
fn check_folder_of_objects(root: &Path, objects: &Path) -> Result<()> {
    let real = objects.canonicalize();
    let real = real.with_context(|| format!("no objects at `{}`", objects.display()))?;
    ensure!(
        real.starts_with(root),
        "the objects of the repository lie outside of it, at `{}`: follow that repository",
        real.display()
    );
    let alternates = real.join("info/alternates");
    ensure!(
        fs::symlink_metadata(&alternates).is_err(),
        "the repository takes objects from elsewhere, which is not followed (`{}`): `git repack -a -d` and removing \
         that file make them its own",
        alternates.display()
    );
    for folder in [real.clone(), real.join("pack"), real.join("info")] {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            ensure!(
                !entry.file_type()?.is_symlink(),
                "`{}` is a link, which is not followed",
                entry.path().display()
            );
        }
    }
    Ok(())
}

/// Reads a line of `git ls-tree --long`: mode, kind, name, size, and the path behind a tab. Links and submodules have
/// no content of their own.
fn object(line: &[u8]) -> Result<Option<Entry>> {
    let line = String::from_utf8_lossy(line);
    let parts = line.split_once('\t').and_then(|(head, path)| {
        let mut words = head.split_whitespace();
        let (mode, kind) = (words.next()?, words.next()?);
        Some((mode, kind, words.next()?, words.next()?, path))
    });
    let (mode, kind, name, size, path) = parts.context("`git ls-tree` answers otherwise")?;
    if kind != "blob" || mode == "120000" {
        return Ok(None);
    }
    let Ok(num_bytes) = size.parse() else {
        bail!("the repository lacks the content of `{path}`, and nothing is fetched");
    };
    Ok(Some(Entry {
        path: path.to_owned(),
        state: name.to_owned(),
        num_bytes,
        place: Place::Object,
    }))
}

#[cfg(test)]
mod tests;
