//! A file of lines that is written apart from those who have something to say.
//!
//! Does: queue lines, write them on a thread, whole ones in one piece, open the file anew when asked, count what found no
//! room. Does not: turn files over (who does asks for [`LineLog::reopen`] afterwards). Read first: [`LineLog`].

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write, stdout};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::metric;
use parking_lot::{Condvar, Mutex};

/// Lines that wait to be written, at most; those beyond are dropped and counted.
const MAX_WAITING: usize = 8_192;

/// Bytes that are written at once, but for the last line of them.
const PIECE: usize = 64 << 10;

/// How long the first of some lines waits for others to be written with it.
const GATHERING: Duration = Duration::from_millis(10);

/// So many lines wait no longer.
const ENOUGH: usize = 256;

/// After this time what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinePlace {
    /// Standard output.
    Stdout,
    /// The end of a file, made when absent.
    File(PathBuf),
}

/// Lines on their way to a place. Clones share it; the thread that writes ends with the last of them.
#[derive(Debug, Clone)]
pub struct LineLog(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    /// Its name in metrics.
    name: &'static str,
    queue: Arc<Queue>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.state.lock().is_over = true;
        self.queue.came.notify_one();
    }
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Waiting>,
    /// There is something to do for the thread.
    came: Condvar,
    /// The thread has written lines.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Those that the thread has not taken yet.
    lines: VecDeque<String>,
    num_queued: u64,
    num_written: u64,
    /// How many wait for all lines to be written.
    num_flushing: usize,
    must_reopen: bool,
    /// Is nobody there any more who has something to say?
    is_over: bool,
}

impl Waiting {
    /// Is there something that does not wait for more lines?
    fn is_pressing(&self) -> bool {
        self.must_reopen || self.is_over || self.num_flushing > 0
    }
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
            piece: Vec::new(),
            is_torn: false,
            is_failing: false,
        };
        let queue = Arc::<Queue>::default();
        let written = Arc::clone(&queue);
        std::thread::Builder::new()
            .name(format!("{name}-log"))
            .spawn(move || writer.run(&written))?;
        Ok(Self(Arc::new(Handle { name, queue })))
    }

    /// Queues a line without its end; it never waits for the disk.
    pub fn write(&self, line: String) {
        let mut state = self.0.queue.state.lock();
        if state.num_queued - state.num_written >= MAX_WAITING as u64 {
            drop(state);
            return count_dropped(self.0.name, 1);
        }
        state.lines.push_back(line);
        state.num_queued += 1;
        let must_wake = matches!(state.lines.len(), 1 | ENOUGH);
        drop(state);
        if must_wake {
            self.0.queue.came.notify_one();
        }
    }

    /// Has the file opened anew before more is written: another may stand in its place.
    pub fn reopen(&self) {
        self.0.queue.state.lock().must_reopen = true;
        self.0.queue.came.notify_one();
    }

    /// Waits until all that was queued is written, for at most `patience`; returns whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let queue = &self.0.queue;
        let mut state = queue.state.lock();
        let wanted = state.num_queued;
        state.num_flushing += 1;
        queue.came.notify_one();
        let mut is_late = false;
        while state.num_written < wanted && !is_late {
            is_late = queue.written.wait_until(&mut state, until).timed_out();
        }
        state.num_flushing -= 1;
        state.num_written >= wanted
    }
}

fn count_dropped(name: &'static str, num_lines: usize) {
    metrics::counter!(metric::LOG_LINES_DROPPED.name, "log" => name).increment(num_lines as u64);
}

fn open(place: &LinePlace) -> io::Result<File> {
    match place {
        // Without the buffer that others have of it, which could tear a line.
        LinePlace::Stdout => Ok(stdout().as_fd().try_clone_to_owned()?.into()),
        // It says who asked for what; one that is there keeps the rights that it was given.
        LinePlace::File(path) => OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path),
    }
}

impl Queue {
    /// Waits for something to do: takes lines, unless some are left in `lines`, and returns whether the file is to be opened
    /// anew; `None` at the end.
    fn take(&self, lines: &mut VecDeque<String>) -> Option<bool> {
        let mut state = self.state.lock();
        if lines.is_empty() {
            let is_idle = |state: &mut Waiting| {
                state.lines.is_empty() && !state.must_reopen && !state.is_over
            };
            self.came.wait_while(&mut state, is_idle);
            let is_gathering =
                |state: &mut Waiting| state.lines.len() < ENOUGH && !state.is_pressing();
            self.came
                .wait_while_for(&mut state, is_gathering, GATHERING);
            std::mem::swap(lines, &mut state.lines);
        } else {
            let is_idle = |state: &mut Waiting| !state.must_reopen && !state.is_over;
            self.came.wait_while_for(&mut state, is_idle, AGAIN);
        }
        let must_reopen = std::mem::take(&mut state.must_reopen);
        (!(lines.is_empty() && state.is_over)).then_some(must_reopen)
    }

    /// Notes that so many lines are written.
    fn note_written(&self, num_lines: usize) {
        self.state.lock().num_written += num_lines as u64;
        self.written.notify_all();
    }

    /// Returns how many lines wait that nobody is there any more to wait for; `None` before.
    fn left_at_end(&self) -> Option<usize> {
        let state = self.state.lock();
        state.is_over.then_some(state.lines.len())
    }
}

/// The thread's part.
struct Writer {
    place: LinePlace,
    name: &'static str,
    out: File,
    /// The lines that are written at once.
    piece: Vec<u8>,
    /// Does the file end within a line?
    is_torn: bool,
    /// Did the last write fail? It is said once.
    is_failing: bool,
}

impl Writer {
    fn run(mut self, queue: &Queue) {
        let mut lines = VecDeque::new();
        while let Some(must_reopen) = queue.take(&mut lines) {
            if must_reopen {
                self.reopen();
            }
            while !lines.is_empty() {
                let (num_lines, outcome) = self.write_piece(&lines);
                lines.drain(..num_lines);
                queue.note_written(num_lines);
                let has_failed = outcome.is_err();
                self.note(outcome);
                if has_failed {
                    break;
                }
            }
            // Those that are left have been tried: the process does not wait for a disk to have room.
            if let Some(num_left) = queue.left_at_end().filter(|_| !lines.is_empty()) {
                return count_dropped(self.name, lines.len() + num_left);
            }
        }
    }

    /// Writes the first lines in one piece, so that nobody who writes to the same file comes between a line and its end;
    /// returns how many are whole there.
    fn write_piece(&mut self, lines: &VecDeque<String>) -> (usize, io::Result<()>) {
        self.piece.clear();
        if self.is_torn {
            self.piece.push(b'\n');
        }
        let start = self.piece.len();
        for line in lines {
            self.piece.extend_from_slice(line.as_bytes());
            self.piece.push(b'\n');
            if self.piece.len() >= PIECE {
                break;
            }
        }
        let (num_bytes, outcome) = write_all(&mut self.out, &self.piece);
        let (mut num_lines, mut end) = (0, start);
        for line in lines {
            if end + line.len() + 1 > num_bytes {
                break;
            }
            end += line.len() + 1;
            num_lines += 1;
        }
        // What has no end yet is written again, whole.
        self.is_torn = match num_bytes {
            0 => self.is_torn,
            _ => num_bytes > end,
        };
        (num_lines, outcome)
    }

    fn reopen(&mut self) {
        match open(&self.place) {
            Ok(out) => (self.out, self.is_torn) = (out, false),
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
                tracing::error!(log = self.name, %error, "lines of a log cannot be written; they are tried again");
            }
            Err(_) => {}
        }
    }
}

/// Writes `bytes`; returns how many were, beside what went wrong.
fn write_all(out: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut num_written = 0;
    while num_written < bytes.len() {
        match out.write(&bytes[num_written..]) {
            Ok(0) => return (num_written, Err(ErrorKind::WriteZero.into())),
            Ok(num_bytes) => num_written += num_bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (num_written, Err(error)),
        }
    }
    (num_written, Ok(()))
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
    fn a_new_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().expect("a folder");
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let log = LineLog::start("access", LinePlace::File(path.clone())).expect("opened");
        let rights = || {
            let file = std::fs::metadata(&path).expect("a file");
            file.permissions().mode() & 0o777
        };
        assert_eq!(rights(), 0o600);
        std::fs::rename(&path, &old).expect("moved");
        log.reopen();
        log.write("one".to_owned());
        assert!(log.flush(PATIENCE));
        assert_eq!(rights(), 0o600);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused_at_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = LinePlace::File(folder.path().join("no/such/log"));
        assert!(LineLog::start("access", place).is_err());
    }

    #[test]
    fn lines_that_cannot_be_written_wait_and_go_to_the_file_that_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let log = LineLog::start("access", LinePlace::File(path.clone())).expect("opened");
        for line in ["one", "two"] {
            log.write(line.to_owned());
        }
        assert!(!log.flush(Duration::from_millis(100)), "the disk is full");
        std::fs::remove_file(&path).expect("moved");
        log.reopen();
        log.write("three".to_owned());
        assert!(log.flush(PATIENCE));
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text, "one\ntwo\nthree\n");
    }

    #[test]
    fn who_waits_for_a_reader_that_does_not_read_waits_no_longer_than_patience() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        // For both, so that it opens at once.
        let reader = File::options().read(true).write(true).open(&path);
        let _reader = reader.expect("a pipe");
        let log = LineLog::start("access", LinePlace::File(path)).expect("opened");
        for _ in 0..2 * MAX_WAITING {
            log.write("x".repeat(100));
        }
        assert!(!log.flush(Duration::from_millis(100)));
    }

    #[test]
    fn a_torn_line_ends_alone_and_is_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::fs::write(&path, "whole\nto").expect("written");
        let place = LinePlace::File(path.clone());
        let mut writer = Writer {
            out: open(&place).expect("opened"),
            place,
            name: "access",
            piece: Vec::new(),
            is_torn: true,
            is_failing: false,
        };
        let lines: VecDeque<String> = ["torn", "last"].map(str::to_owned).into();
        let (num_lines, outcome) = writer.write_piece(&lines);
        outcome.expect("written");
        assert_eq!((num_lines, writer.is_torn), (2, false));
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text, "whole\nto\ntorn\nlast\n");
    }
}
