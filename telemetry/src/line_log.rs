//! A file of lines that is written apart from those who have something to say.
//!
//! Does: queue lines, write them on a thread, open the file anew when asked, count what found no room. Does not: turn
//! files over (whoever does asks for [`LineLog::reopen`] afterwards). Read first: [`LineLog`].

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use gleaner_model::metric;

/// Lines that wait to be written, at most; those beyond are dropped and counted.
const MAX_WAITING: usize = 8_192;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinePlace {
    /// Standard output.
    Stdout,
    /// The end of a file, made when absent.
    File(PathBuf),
}

/// Lines on their way to a place. Clones share it.
#[derive(Debug, Clone)]
pub struct LineLog {
    /// Its name in metrics.
    name: &'static str,
    queue: SyncSender<Message>,
    must_reopen: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// Look whether the file is to be opened anew.
    Look,
    /// Say when all before this is written.
    Flush(SyncSender<()>),
}

impl LineLog {
    /// Opens a place and starts the thread that writes there; `name` tells it from others in metrics.
    ///
    /// # Errors
    /// What the disk says; the system has no thread left.
    pub fn start(name: &'static str, place: LinePlace) -> io::Result<Self> {
        let writer = Writer {
            out: open(&place)?,
            place,
            name,
            is_failing: false,
        };
        let (queue, waiting) = sync_channel(MAX_WAITING);
        let must_reopen = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&must_reopen);
        std::thread::Builder::new()
            .name(format!("{name}-log"))
            .spawn(move || writer.write_all(&waiting, &asked))?;
        Ok(Self {
            name,
            queue,
            must_reopen,
        })
    }

    /// Queues a line without its end; it never waits.
    pub fn write(&self, line: String) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            count_dropped(self.name);
        }
    }

    /// Has the file opened anew before the next line: another may stand in its place.
    pub fn reopen(&self) {
        self.must_reopen.store(true, Ordering::Release);
        // Where the queue is full, the next line brings it about.
        drop(self.queue.try_send(Message::Look));
    }

    /// Waits until all that was queued is written, for at most `patience`; returns whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let (tell, done) = sync_channel(1);
        let asked = self.queue.send(Message::Flush(tell));
        asked.is_ok() && done.recv_timeout(patience).is_ok()
    }
}

fn count_dropped(name: &'static str) {
    metrics::counter!(metric::LOG_LINES_DROPPED.name, "log" => name).increment(1);
}

type Out = BufWriter<Box<dyn Write + Send>>;

fn open(place: &LinePlace) -> io::Result<Out> {
    let out: Box<dyn Write + Send> = match place {
        LinePlace::Stdout => Box::new(stdout()),
        LinePlace::File(path) => Box::new(append_to(path)?),
    };
    Ok(BufWriter::with_capacity(64 << 10, out))
}

fn append_to(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The thread's part.
struct Writer {
    place: LinePlace,
    name: &'static str,
    out: Out,
    /// Did the last write fail? It is said once.
    is_failing: bool,
}

impl Writer {
    fn write_all(mut self, waiting: &Receiver<Message>, must_reopen: &AtomicBool) {
        while let Ok(first) = waiting.recv() {
            let mut next = Ok(first);
            while let Ok(message) = next {
                if must_reopen.swap(false, Ordering::AcqRel) {
                    self.reopen();
                }
                match message {
                    Message::Line(line) => self.write(&line),
                    Message::Look => {}
                    Message::Flush(tell) => {
                        self.flush();
                        if tell.send(()).is_err() {
                            tracing::debug!(log = self.name, "nobody waits any more");
                        }
                    }
                }
                next = waiting.try_recv();
            }
            self.flush();
            if matches!(next, Err(TryRecvError::Disconnected)) {
                return;
            }
        }
    }

    fn write(&mut self, line: &str) {
        let written = writeln!(self.out, "{line}");
        if written.is_err() {
            count_dropped(self.name);
        }
        self.note(written);
    }

    fn flush(&mut self) {
        let flushed = self.out.flush();
        self.note(flushed);
    }

    fn reopen(&mut self) {
        self.flush();
        match open(&self.place) {
            Ok(out) => self.out = out,
            Err(error) => {
                tracing::error!(log = self.name, %error, "a log could not be opened anew; it goes on in the old file");
            }
        }
    }

    fn note(&mut self, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.is_failing = false,
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::error!(log = self.name, %error, "lines of a log could not be written");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn lines_go_to_the_file_that_stands_there_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let log = LineLog::start("access", LinePlace::File(path.clone())).expect("opened");
        log.write("one".to_owned());
        assert!(log.flush(PATIENCE));
        std::fs::rename(&path, &old).expect("moved");
        log.write("two".to_owned());
        assert!(log.flush(PATIENCE));
        log.reopen();
        log.write("three".to_owned());
        assert!(log.flush(PATIENCE));
        let text = |path: &PathBuf| std::fs::read_to_string(path).expect("a file");
        assert_eq!(text(&old), "one\ntwo\n", "it went on until it was asked");
        assert_eq!(text(&path), "three\n");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused_at_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = LinePlace::File(folder.path().join("no/such/log"));
        assert!(LineLog::start("access", place).is_err());
    }
}
