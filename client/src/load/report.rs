//! How a load shows its progress: a bar on a terminal, plain lines elsewhere, or nothing.

use std::{
    io::{Write, stderr},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use gleaner_datasets::Size;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text::{self, grouped};

/// How often the bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// How often a plain line is written.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// How much has been read, over all inputs; written by the reader, read by the reporter.
#[derive(Debug)]
pub(crate) struct Meter {
    /// All there is, in bytes or documents; `None` when nobody knows.
    total: Option<u64>,
    ended: AtomicU64,
    current: AtomicU64,
}

impl Meter {
    /// Starts at nothing read.
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self {
            total,
            ended: AtomicU64::new(0),
            current: AtomicU64::new(0),
        }
    }

    /// Starts at nothing read of a corpus.
    pub(crate) fn of(size: Size) -> Self {
        Self::new(match size {
            Size::Bytes(amount) | Size::Documents(amount) => Some(amount),
            Size::Unknown => None,
        })
    }

    /// Notes how far the current input has come.
    pub(crate) fn set_current(&self, done: u64) {
        self.current.store(done, Ordering::Relaxed);
    }

    /// Notes that the current input, of size `amount`, is done.
    pub(crate) fn end_input(&self, amount: u64) {
        self.ended.fetch_add(amount, Ordering::Relaxed);
        self.current.store(0, Ordering::Relaxed);
    }

    /// Returns the share that was read, from 0 to 1; `None` when the whole is unknown.
    fn share(&self) -> Option<f64> {
        let done = self.ended.load(Ordering::Relaxed) + self.current.load(Ordering::Relaxed);
        let total = self.total.filter(|total| *total > 0)?;
        Some((done as f64 / total as f64).min(1.0))
    }
}

/// Who watches.
#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines,
    Nobody,
}

/// Tells how a load is getting on, on standard error.
#[derive(Debug)]
pub(crate) struct Reporter {
    display: Display,
    started: Instant,
}

impl Reporter {
    /// Chooses the bar on a terminal, lines elsewhere, nothing when `is_quiet`.
    pub(crate) fn new(is_quiet: bool) -> Self {
        let display = match (is_quiet, text::is_watched()) {
            (true, _) => Display::Nobody,
            (false, false) => Display::Lines,
            (false, true) => {
                let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {msg}");
                bar.set_style(style.expect("a template that a test reads"));
                Display::Bar(bar)
            }
        };
        Self {
            display,
            started: Instant::now(),
        }
    }

    /// Returns how often [`tick`](Self::tick) should be called.
    pub(crate) fn interval(&self) -> Duration {
        if matches!(self.display, Display::Bar(_)) {
            BAR_INTERVAL
        } else {
            LINE_INTERVAL
        }
    }

    /// Shows where the load stands.
    pub(crate) fn tick(&self, meter: &Meter, accepted: u64, refused: u64) {
        let text = line(self.started.elapsed(), meter.share(), accepted, refused);
        match &self.display {
            Display::Nobody => {}
            // A closed standard error is no reason to end a load.
            Display::Lines => drop(writeln!(stderr(), "{text}")),
            Display::Bar(bar) => {
                bar.set_position((meter.share().unwrap_or_default() * 1000.0) as u64);
                bar.set_message(text);
            }
        }
    }

    /// Takes the bar away and returns the time since the beginning.
    pub(crate) fn finish(&self) -> Duration {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

/// Words the state of a load.
fn line(elapsed: Duration, share: Option<f64>, accepted: u64, refused: u64) -> String {
    let mut text = format!("{} documents", grouped(accepted));
    if refused > 0 {
        text += &format!(", {} refused", grouped(refused));
    }
    text += &format!(", {}/s", grouped(rate(accepted, elapsed)));
    if let Some(share) = share.filter(|share| *share > 0.0 && *share < 1.0) {
        let left = elapsed.mul_f64((1.0 - share) / share);
        text += &format!(
            ", {:.0} % read, about {} left",
            share * 100.0,
            rounded(left)
        );
    }
    text
}

/// Returns documents per second.
pub(crate) fn rate(num_documents: u64, elapsed: Duration) -> u64 {
    (num_documents as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

fn rounded(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6_000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_share_and_time_left() {
        let meter = Meter::new(Some(400));
        meter.end_input(60);
        meter.set_current(40);
        let told = line(Duration::from_secs(10), meter.share(), 12_000, 0);
        assert_eq!(
            told,
            "12,000 documents, 1,200/s, 25 % read, about 30 s left"
        );
        let told = line(Duration::from_secs(1), Meter::new(None).share(), 5, 2);
        assert_eq!(told, "5 documents, 2 refused, 5/s");
    }

    #[test]
    fn times_are_rounded_for_people() {
        let told = [9, 99, 100, 5_999, 6_000].map(|seconds| rounded(Duration::from_secs(seconds)));
        assert_eq!(told, ["9 s", "99 s", "1 min", "99 min", "1 h"]);
    }

    #[test]
    fn the_template_of_the_bar_is_valid() {
        assert!(ProgressStyle::with_template("{bar:32} {percent:>3} %  {msg}").is_ok());
    }
}
