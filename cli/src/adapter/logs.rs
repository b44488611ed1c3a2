//! `gleaner adapter logs`: log lines of many formats as JSON of one schema.

mod lines;

use std::io::{BufWriter, Write, stdout};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gleaner_adapter::{Format, Joined, Joiner};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt, BufReader};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use crate::companion::{Companion, CompanionArguments};
use crate::config::Span;
use crate::exit::Exit;
use lines::{Lines, Position, line_of};

/// How often a followed file is looked at again.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// How long reading goes on once the adapter is asked to stop, so that lines which a pipe already holds are written;
/// half of the grace where that is shorter. Two looks at a followed file.
const DRAINED_WITHIN: Duration = Duration::from_millis(500);

/// Write log lines of many formats as JSON lines of one schema (the Elastic Common Schema).
///
/// Reads JSON, logfmt, common and combined access logs, syslog (RFC 5424 and 3164) and prose; the lines of a stack
/// trace are joined to one record. What no format reads is the message of a record: no line is lost.
/// Lines that a container runtime wraps (CRI, Docker's json-file) are read as what it wraps.
///
///   my-program 2>&1 | gleaner adapter logs --dataset my-program
///   gleaner adapter logs --follow /var/log/nginx/access.log | gleaner index --index logs -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct LogsArguments {
    /// Files to read [default: standard input]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How lines are written: auto, json, logfmt, common, combined, syslog, plain
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "auto",
        env = "GLEANER_ADAPTER_FORMAT"
    )]
    format: Format,
    /// Name of the program whose lines these are, written as `event.dataset`
    #[arg(long, value_name = "NAME", env = "GLEANER_ADAPTER_DATASET")]
    dataset: Option<String>,
    /// Go on reading as the file grows, also when it is renamed and begun anew
    #[arg(
        long,
        short = 'F',
        requires_if("true", "files"),
        env = "GLEANER_ADAPTER_FOLLOW"
    )]
    follow: bool,
    /// Take each line for itself
    #[arg(long, env = "GLEANER_ADAPTER_NO_JOIN")]
    no_join: bool,
    /// How long a record waits for further lines of its stack trace
    #[arg(
        long,
        value_name = "TIME",
        default_value = "500ms",
        env = "GLEANER_ADAPTER_JOIN_WITHIN"
    )]
    join_within: Span,
    #[command(flatten)]
    companion: CompanionArguments,
}

/// Runs the command.
pub(super) async fn run(arguments: LogsArguments, verbosity: u8) -> Result<Exit> {
    let companion = Companion::start(&arguments.companion, "adapter", None, verbosity).await?;
    let _telling = companion.tell(|| None::<&str>);
    let grace = arguments.companion.shutdown_grace.0;
    let page = Page::new(arguments);
    let (runtime, stop) = (Handle::current(), companion.stopped());
    // A thread of its own: a write that nobody takes blocks it, and nothing else. The end of the process ends it.
    let mut copying = spawn_blocking(move || runtime.block_on(page.copy(stop)));
    tokio::select! {
        copied = &mut copying => copied??,
        () = companion.stopped() => match timeout(grace, copying).await {
            Ok(copied) => copied??,
            Err(_) => bail!("nobody takes the output: the last records are not written"),
        },
    }
    Ok(Exit::Success)
}

async fn open(path: &PathBuf) -> Result<File> {
    let opened = File::open(path).await;
    opened.with_context(|| format!("cannot read `{}`", path.display()))
}

/// Records as they are written.
struct Page {
    joiner: Joiner,
    writer: BufWriter<std::io::Stdout>,
    arguments: LogsArguments,
    /// Bytes of a line whose end has not been read.
    partial: Vec<u8>,
}

impl Page {
    fn new(arguments: LogsArguments) -> Self {
        Self {
            joiner: Joiner::default(),
            writer: BufWriter::new(stdout()),
            arguments,
            partial: Vec::new(),
        }
    }

    /// Reads all inputs to their end, or until some time after `stop` completes, and writes what is held then: the
    /// record that waits for further lines, and a last line without its end.
    async fn copy(mut self, stop: impl Future<Output = ()>) -> Result<()> {
        // The rest of the grace is for the writing.
        let within = DRAINED_WITHIN.min(self.arguments.companion.shutdown_grace.0 / 2);
        {
            let mut reading = pin!(self.read_inputs());
            tokio::select! {
                read = &mut reading => read?,
                () = stop => {
                    if let Ok(read) = timeout(within, reading).await {
                        read?;
                    }
                }
            }
        }
        self.take_partial()?;
        self.flush()
    }

    /// Reads all files, or standard input where none is named; of a followed file there is no end.
    async fn read_inputs(&mut self) -> Result<()> {
        let files = self.arguments.files.clone();
        if files.is_empty() {
            let own = std::io::stdin().as_fd().try_clone_to_owned()?;
            self.read(File::from_std(own.into())).await?;
        }
        let followed = files.last().filter(|_| self.arguments.follow);
        let num_read = files.len() - usize::from(followed.is_some());
        for path in &files[..num_read] {
            self.read(open(path).await?).await?;
        }
        match followed {
            Some(path) => self.follow(path).await,
            None => Ok(()),
        }
    }

    /// Reads to the end.
    async fn read(&mut self, source: impl AsyncRead + Unpin) -> Result<()> {
        let mut lines = Lines::new(BufReader::new(source));
        while let Some(line) = self.next(&mut lines).await? {
            self.take(&line)?;
        }
        self.flush()
    }

    /// Reads a file from its beginning and as it grows, and goes on with the one that takes its place.
    async fn follow(&mut self, path: &PathBuf) -> Result<()> {
        let mut file = open(path).await?;
        let mut position = Position::default();
        loop {
            if !self.read_on(&mut file, &mut position).await? {
                // The file was cut; what was copied of it before may hold more.
                if let Ok(mut copy) = File::open(copy_of(path)).await {
                    self.read_on(&mut copy, &mut position).await?;
                }
                self.take_partial()?;
                position = Position::default();
                continue;
            }
            self.flush()?;
            tokio::time::sleep(LOOKED_EVERY).await;
            let Some(next) = successor(path, &file).await else {
                continue;
            };
            // What was written to the old one before it was renamed is read first; a last line without its end too.
            self.read_on(&mut file, &mut position).await?;
            self.take_partial()?;
            file = next;
            position = Position::default();
        }
    }

    /// Reads whole lines from where reading has come to, and returns whether the file is still what was read so far.
    async fn read_on(&mut self, file: &mut File, position: &mut Position) -> Result<bool> {
        file.seek(std::io::SeekFrom::Start(position.start()))
            .await?;
        let mut lines = Lines::new(BufReader::new(file));
        if !lines.begins_with(position.last()).await? {
            return Ok(false);
        }
        while let Some(line) = lines.next_whole(&mut self.partial, position).await? {
            self.take(&line)?;
        }
        Ok(true)
    }

    /// Waits for the next line; what is held is written when none comes for a while.
    async fn next<R: AsyncRead + Unpin>(&mut self, lines: &mut Lines<R>) -> Result<Option<String>> {
        let within = Instant::now() + self.arguments.join_within.0;
        if let Ok(line) = timeout_at(within, lines.next(&mut self.partial)).await {
            return line;
        }
        self.flush()?;
        lines.next(&mut self.partial).await
    }

    /// Takes a line that has no end for a whole one.
    fn take_partial(&mut self) -> Result<()> {
        match line_of(&mut self.partial) {
            Some(line) => self.take(&line),
            None => Ok(()),
        }
    }

    fn take(&mut self, line: &str) -> Result<()> {
        if self.arguments.no_join {
            return match Joined::single(line) {
                Some(record) => self.write(&record),
                None => Ok(()),
            };
        }
        let now = std::time::Instant::now();
        self.joiner.push(line, now);
        // Lines of one stream do not hold up the records of another.
        self.joiner.end_older(now, self.arguments.join_within.0);
        self.write_ended()
    }

    fn write_ended(&mut self) -> Result<()> {
        while let Some(record) = self.joiner.pop() {
            self.write(&record)?;
        }
        Ok(())
    }

    fn write(&mut self, lines: &Joined) -> Result<()> {
        let record = self.arguments.format.read(lines);
        let object = record.to_json(self.arguments.dataset.as_deref());
        writeln!(self.writer, "{object}")?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.joiner.flush();
        self.write_ended()?;
        self.writer.flush()?;
        Ok(())
    }
}

/// Returns the file that stands at the path of a followed one now, where it is another.
async fn successor(path: &PathBuf, file: &File) -> Option<File> {
    use std::os::unix::fs::MetadataExt;
    let old = file.metadata().await.ok()?;
    let now = File::open(path).await.ok()?;
    let new = now.metadata().await.ok()?;
    ((old.dev(), old.ino()) != (new.dev(), new.ino())).then_some(now)
}

/// Returns where a file is copied to before it is cut, as logrotate's `copytruncate` does by default.
fn copy_of(path: &Path) -> PathBuf {
    let mut copy = path.as_os_str().to_owned();
    copy.push(".1");
    copy.into()
}
