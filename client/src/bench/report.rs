//! What a run found, for people and for tools.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use serde::Serialize;

use super::{
    latency::{Figures, HistogramExport},
    schedule::Schedule,
    tally::Tally,
};
use crate::text::grouped;

/// Grows when a member changes its meaning or goes; new ones may come without.
const SCHEMA_VERSION: u32 = 1;

/// Begun later than this at the 99th percentile, in milliseconds, and the reader is told.
const LATE_MS: f64 = 10.0;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Subject {
    pub(super) url: String,
    pub(super) index: String,
    /// The file of queries.
    pub(super) queries: String,
    pub(super) connections: usize,
    pub(super) max_outstanding: usize,
}

/// The report; times in seconds, latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    schema_version: u32,
    #[serde(flatten)]
    subject: Subject,
    num_queries: usize,
    is_interrupted: bool,
    warmup_seconds: f64,
    duration_seconds: f64,
    rate: Rate,
    requests: Requests,
    /// Requests without an answer or refused, by kind: `http_429`, `timeout`, `connect`, `broken`,
    /// `unreadable`.
    errors: BTreeMap<String, u64>,
    /// Of answered requests only.
    latency_ms: Latency,
    /// How late the generator itself was to begin requests; `null` when none has ended.
    generator_delay_ms: Option<Figures>,
    histograms: Histograms,
}

/// Requests per second.
#[derive(Debug, Clone, Serialize)]
struct Rate {
    asked: f64,
    /// Answers per second, from the first request until the last has ended.
    achieved: f64,
}

/// Numbers of requests past the warm-up.
#[derive(Debug, Clone, Serialize)]
struct Requests {
    /// `sent` and `dropped`, and what an interrupt kept back.
    scheduled: u64,
    /// `answered`, `failed` and `unfinished`.
    sent: u64,
    dropped: u64,
    answered: u64,
    failed: u64,
    unfinished: u64,
    /// Among those answered.
    timed_out: u64,
    /// Among those answered: some shards failed.
    partial: u64,
}

/// Figures by where the clock starts; `null` when nothing was answered.
#[derive(Debug, Clone, Serialize)]
struct Latency {
    from_intended: Option<Figures>,
    from_send: Option<Figures>,
}

#[derive(Debug, Clone, Serialize)]
struct Histograms {
    from_intended: HistogramExport,
    from_send: HistogramExport,
}

impl Report {
    /// Gathers what was asked and what came of it.
    pub(super) fn new(subject: &Subject, schedule: &Schedule, tally: &Tally) -> Result<Self> {
        let lasted = tally.last_done.duration_since(tally.measured_from);
        let seconds = if tally.is_interrupted {
            lasted.as_secs_f64()
        } else {
            lasted.max(schedule.duration).as_secs_f64()
        };
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            subject: subject.clone(),
            num_queries: tally.num_queries,
            is_interrupted: tally.is_interrupted,
            warmup_seconds: schedule.warmup.as_secs_f64(),
            duration_seconds: schedule.duration.as_secs_f64(),
            rate: Rate {
                asked: schedule.rate,
                achieved: rounded(tally.num_answered as f64 / seconds.max(f64::MIN_POSITIVE)),
            },
            requests: Requests {
                scheduled: schedule.num_measured(),
                sent: tally.num_begun,
                dropped: tally.num_dropped,
                answered: tally.num_answered,
                failed: tally.num_failed(),
                unfinished: tally.num_unfinished(),
                timed_out: tally.num_timed_out,
                partial: tally.num_partial,
            },
            errors: tally.errors.clone(),
            latency_ms: Latency {
                from_intended: tally.from_intended.figures(),
                from_send: tally.from_send.figures(),
            },
            generator_delay_ms: tally.generator_delay.figures(),
            histograms: Histograms {
                from_intended: tally.from_intended.encoded()?,
                from_send: tally.from_send.encoded()?,
            },
        })
    }
}

fn rounded(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requests {
            scheduled,
            sent,
            dropped,
            answered,
            failed,
            unfinished,
            timed_out,
            partial,
        } = &self.requests;
        if self.is_interrupted {
            writeln!(f, "interrupted: the figures are of what had been answered")?;
        }
        let seconds = self.duration_seconds;
        writeln!(
            f,
            "asked     {}/s for {seconds} s, {} requests",
            self.rate.asked,
            grouped(*scheduled)
        )?;
        writeln!(
            f,
            "answered  {}/s, {} of {} sent",
            self.rate.achieved,
            grouped(*answered),
            grouped(*sent)
        )?;
        let wrong = [
            (*failed, "failed"),
            (
                *dropped,
                "dropped: as many as --max-outstanding had no answer when they were due",
            ),
            (*unfinished, "under way when the run was stopped"),
            (*timed_out, "answered after running out of time"),
            (*partial, "answered without some shards"),
        ];
        for (number, what) in wrong.into_iter().filter(|(number, _)| *number > 0) {
            writeln!(f, "          {} {what}", grouped(number))?;
        }
        for (kind, number) in &self.errors {
            writeln!(f, "          {} × {kind}", grouped(*number))?;
        }
        let rows = [
            ("from intended", &self.latency_ms.from_intended),
            ("from send", &self.latency_ms.from_send),
        ];
        write_figures(f, &rows)?;
        match &self.generator_delay_ms {
            Some(delay) if delay.p99 > LATE_MS => writeln!(
                f,
                "this machine was too busy to keep the schedule: requests began up to {} ms late",
                delay.max
            ),
            _ => Ok(()),
        }
    }
}

fn write_figures(f: &mut fmt::Formatter<'_>, rows: &[(&str, &Option<Figures>)]) -> fmt::Result {
    if rows.iter().all(|(_, figures)| figures.is_none()) {
        return Ok(());
    }
    write!(f, "\n{:<15}", "latency, ms")?;
    for head in ["min", "mean", "p50", "p90", "p99", "p99.9", "max"] {
        write!(f, "{head:>10}")?;
    }
    for (name, figures) in rows {
        let Some(figures) = figures else { continue };
        write!(f, "\n{name:<15}")?;
        let Figures {
            min,
            mean,
            p50,
            p90,
            p99,
            p99_9,
            max,
        } = figures;
        for number in [min, mean, p50, p90, p99, p99_9, max] {
            write!(f, "{number:>10.2}")?;
        }
    }
    writeln!(f)
}

#[cfg(test)]
mod tests;
