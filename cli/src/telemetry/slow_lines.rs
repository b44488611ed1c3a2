//! The slow log in a file of its own: what has the target `slow_log`, as JSON, on the queue of its log.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use gleaner_telemetry::LineLog;
use tracing_subscriber::fmt::MakeWriter;

use super::{open, place_of};

/// Takes the lines of the slow log.
#[derive(Debug, Clone)]
pub(crate) struct SlowLines(LineLog);

impl SlowLines {
    /// Opens the file that a setting names; `None` where it names none.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>> {
        let place = place_of(path);
        place.map(|place| open("slow", place).map(Self)).transpose()
    }

    /// Returns the log.
    pub(crate) fn log(&self) -> LineLog {
        self.0.clone()
    }
}

impl<'a> MakeWriter<'a> for SlowLines {
    type Writer = QueuedLine;

    fn make_writer(&'a self) -> QueuedLine {
        QueuedLine {
            log: self.0.clone(),
            text: Vec::new(),
        }
    }
}

/// A line in the making; it is queued when this is dropped.
pub(crate) struct QueuedLine {
    log: LineLog,
    text: Vec<u8>,
}

impl Write for QueuedLine {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for QueuedLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let line = text.trim_end_matches('\n');
        if !line.is_empty() {
            self.log.write(line.to_owned());
        }
    }
}
