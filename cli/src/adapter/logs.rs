//! `gleaner adapter logs`: log lines of many formats as JSON of one schema.

use std::io::{BufWriter, Write, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_adapter::{Format, Joiner};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncSeekExt, BufReader};
use tokio::time::{Instant, timeout_at};

use crate::config::Span;
use crate::exit::Exit;

/// Longest line; what is longer is cut there, and said so.
const MAX_LINE: usize = 256 << 10;

/// How often a followed file is looked at again.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// Write log lines of many formats as JSON lines of one schema (the Elastic Common Schema).
///
/// Reads JSON, logfmt, common and combined access logs, syslog (RFC 5424 and 3164) and prose; the lines of a stack
/// trace are joined to one record. What no format reads is the message of a record: no line is lost.
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
    #[arg(long, short = 'F', requires = "files")]
    follow: bool,
    /// Take each line for itself
    #[arg(long)]
    no_join: bool,
    /// How long a record waits for further lines of its stack trace
    #[arg(long, value_name = "TIME", default_value = "500ms")]
    join_within: Span,
}

/// Runs the command.
pub(super) async fn run(arguments: LogsArguments) -> Result<Exit> {
    let mut page = Page {
        joiner: Joiner::default(),
        writer: BufWriter::new(stdout()),
        arguments: &arguments,
    };
    if arguments.files.is_empty() {
        let own = std::io::stdin().as_fd().try_clone_to_owned()?;
        page.read(File::from_std(own.into())).await?;
    }
    let followed = arguments.files.last().filter(|_| arguments.follow);
    let read = arguments.files.len() - usize::from(followed.is_some());
    for path in &arguments.files[..read] {
        page.read(open(path).await?).await?;
    }
    if let Some(path) = followed {
        page.follow(path).await?;
    }
    page.flush()?;
    Ok(Exit::Success)
}

async fn open(path: &PathBuf) -> Result<File> {
    let opened = File::open(path).await;
    opened.with_context(|| format!("cannot read `{}`", path.display()))
}

/// Records as they are written.
struct Page<'a> {
    joiner: Joiner,
    writer: BufWriter<std::io::Stdout>,
    arguments: &'a LogsArguments,
}

impl Page<'_> {
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
        let mut read = 0;
        loop {
            file.seek(std::io::SeekFrom::Start(read)).await?;
            let mut lines = Lines::new(BufReader::new(&mut file));
            while let Some(line) = lines.next_whole().await? {
                self.take(&line)?;
            }
            read += lines.taken;
            self.flush()?;
            tokio::time::sleep(LOOKED_EVERY).await;
            let Some(next) = successor(path, &file, read).await else {
                continue;
            };
            // What was written to the old one before it was renamed is read first; a last line without its end too.
            if next.is_other {
                let mut rest = Lines::new(BufReader::new(&mut file));
                while let Some(line) = self.next(&mut rest).await? {
                    self.take(&line)?;
                }
                file = next.file;
            }
            read = 0;
        }
    }

    /// Waits for the next line; what is held is written when none comes for a while.
    async fn next<R: AsyncRead + Unpin>(&mut self, lines: &mut Lines<R>) -> Result<Option<String>> {
        let within = Instant::now() + self.arguments.join_within.0;
        if let Ok(line) = timeout_at(within, lines.next()).await {
            return line;
        }
        self.flush()?;
        lines.next().await
    }

    fn take(&mut self, line: &str) -> Result<()> {
        if self.arguments.no_join {
            return if line.trim().is_empty() {
                Ok(())
            } else {
                self.write(line)
            };
        }
        match self.joiner.push(line) {
            Some(record) => self.write(&record),
            None => Ok(()),
        }
    }

    fn write(&mut self, lines: &str) -> Result<()> {
        let record = self.arguments.format.read(lines);
        let object = record.to_json(self.arguments.dataset.as_deref());
        writeln!(self.writer, "{object}")?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(record) = self.joiner.flush() {
            self.write(&record)?;
        }
        self.writer.flush()?;
        Ok(())
    }
}

/// What stands at the path of a followed file now, where that is not the file as it was read.
struct Successor {
    file: File,
    /// It is another file; else the same one was cut.
    is_other: bool,
}

async fn successor(path: &PathBuf, file: &File, read: u64) -> Option<Successor> {
    use std::os::unix::fs::MetadataExt;
    let old = file.metadata().await.ok()?;
    let now = File::open(path).await.ok()?;
    let new = now.metadata().await.ok()?;
    let is_other = (old.dev(), old.ino()) != (new.dev(), new.ino());
    (is_other || new.len() < read).then_some(Successor {
        file: now,
        is_other,
    })
}

/// Lines of any bytes: what is no UTF-8 is shown as such, and what is too long is cut.
struct Lines<R> {
    source: BufReader<R>,
    held: Vec<u8>,
    /// Bytes of the lines that were returned.
    taken: u64,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(source: BufReader<R>) -> Self {
        Self {
            source,
            held: Vec::new(),
            taken: 0,
        }
    }

    /// Returns the next line; the last one may lack its end.
    ///
    /// Nothing is lost when the future is dropped: what was read is held.
    async fn next(&mut self) -> Result<Option<String>> {
        self.source.read_until(b'\n', &mut self.held).await?;
        if self.held.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.line()))
    }

    /// Returns the next line that has its end.
    async fn next_whole(&mut self) -> Result<Option<String>> {
        self.source.read_until(b'\n', &mut self.held).await?;
        if self.held.last() != Some(&b'\n') {
            return Ok(None);
        }
        Ok(Some(self.line()))
    }

    fn line(&mut self) -> String {
        self.taken += self.held.len() as u64;
        let end = self.held.len() - usize::from(self.held.last() == Some(&b'\n'));
        let mut line = &self.held[..end];
        line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = if line.len() > MAX_LINE {
            let cut = String::from_utf8_lossy(&line[..MAX_LINE]);
            format!("{cut}… ({} bytes in all)", line.len())
        } else {
            String::from_utf8_lossy(line).into_owned()
        };
        self.held.clear();
        text
    }
}
