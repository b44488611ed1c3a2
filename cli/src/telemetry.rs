//! What operators see of the requests that a process answers: the access log, the slow log, spans for a collector.
//!
//! Does: open what the settings name, open it anew at SIGUSR1, export spans, write the last of it at the end. Does not:
//! decide what lines and spans hold (`gleaner-telemetry` and its callers do). Read first: [`Telemetry::start`].

mod export;
mod slow_lines;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_proto::otlp::Resource;
use gleaner_telemetry::{AccessLog, LineLog, LinePlace, record_spans};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::logging;
use export::Exporter;
pub(crate) use slow_lines::SlowLines;

/// How long the last lines and spans are waited for at the end.
const GOODBYE: Duration = Duration::from_secs(3);

/// Share of traces that are recorded where nothing else is said.
pub(crate) const TRACE_SHARE: f64 = 0.01;

/// What is logged and recorded of requests, as settings have it.
#[derive(Debug, Clone)]
pub(crate) struct TelemetrySettings<'a> {
    /// What the process is: `root`, `leaf`, `front`, `serve`.
    pub(crate) role: &'a str,
    /// Name of the node.
    pub(crate) node: &'a str,
    /// File, `-` or empty: none.
    pub(crate) access_log: &'a Path,
    /// URL of a collector; empty: none.
    pub(crate) otlp_endpoint: &'a str,
    /// Share of traces that are recorded, 0 to 1.
    pub(crate) trace_share: f64,
}

impl<'a> TelemetrySettings<'a> {
    /// Returns those of a node.
    pub(crate) fn of(config: &'a Config, role: &'a str) -> Self {
        Self {
            role,
            node: &config.node_name,
            access_log: &config.access_log,
            otlp_endpoint: &config.otlp_endpoint,
            trace_share: config.trace_share,
        }
    }
}

/// The logs of a process and the export of its spans; they go on until [`Self::end`].
pub(crate) struct Telemetry {
    watch: AccessLog,
    logs: Vec<LineLog>,
    exporter: Option<Exporter>,
    reopening: JoinHandle<()>,
}

impl Telemetry {
    /// Starts logging what `filter` lets through, and the logs and spans of requests, as the settings of a node have it.
    ///
    /// # Errors
    /// As [`Self::start`]; a filter that cannot be read.
    pub(crate) fn of(config: &Config, role: &str, filter: &str) -> Result<Self> {
        let slow = SlowLines::at(&config.slow_log)?;
        let lines = slow.as_ref().map(SlowLines::log);
        logging::install_with(filter, config.log_format, slow)?;
        Self::start(&TelemetrySettings::of(config, role), lines)
    }

    /// Opens what the settings name; `slow` is where the slow log goes, if it has a file.
    ///
    /// # Errors
    /// A file that cannot be written, a URL that is none, a process that cannot listen for signals.
    pub(crate) fn start(settings: &TelemetrySettings<'_>, slow: Option<LineLog>) -> Result<Self> {
        let access = place_of(settings.access_log).map(|place| open("access", place));
        let access = access.transpose()?;
        let exporter = match settings.otlp_endpoint {
            "" => None,
            endpoint => {
                let resource = Resource {
                    service: format!("gleaner-{}", settings.role),
                    instance: settings.node.to_owned(),
                    version: env!("CARGO_PKG_VERSION"),
                };
                let to_collector = export::Collector::at(endpoint, resource)?;
                let spans = record_spans(settings.trace_share);
                let spans = spans.context("spans are recorded already")?;
                Some(Exporter::start(to_collector, spans))
            }
        };
        let watch = AccessLog::new(settings.node, access.clone());
        let logs: Vec<LineLog> = access.into_iter().chain(slow).collect();
        Ok(Self {
            watch,
            reopening: reopen_at_signal(logs.clone())?,
            logs,
            exporter,
        })
    }

    /// Returns what watches the requests of a server.
    pub(crate) fn access_log(&self) -> AccessLog {
        self.watch.clone()
    }

    /// Writes and sends the last of it.
    pub(crate) async fn end(self) {
        self.reopening.abort();
        if let Some(exporter) = self.exporter {
            exporter.end(GOODBYE).await;
        }
        let written = tokio::task::spawn_blocking(move || {
            for log in &self.logs {
                if !log.flush(GOODBYE) {
                    tracing::warn!("the last lines of a log could not be written in time");
                }
            }
        });
        // It does not panic, and the process ends.
        drop(written.await);
    }
}

/// Returns where lines go; `None` for an empty path.
pub(crate) fn place_of(path: &Path) -> Option<LinePlace> {
    match path.to_str() {
        Some("") => None,
        Some("-") => Some(LinePlace::Stdout),
        _ => Some(LinePlace::File(PathBuf::from(path))),
    }
}

/// Opens a log.
///
/// # Errors
/// A file that cannot be written, no thread left.
pub(crate) fn open(name: &'static str, place: LinePlace) -> Result<LineLog> {
    let opened = LineLog::start(name, place.clone());
    opened.with_context(|| match place {
        LinePlace::Stdout => format!("the {name} log cannot be started"),
        LinePlace::File(path) => format!("the {name} log cannot be written to {}", path.display()),
    })
}

/// Opens logs anew whenever SIGUSR1 comes, which a program that turns files over sends after it has.
fn reopen_at_signal(logs: Vec<LineLog>) -> Result<JoinHandle<()>> {
    let mut asked = signal(SignalKind::user_defined1()).context("cannot listen for signals")?;
    Ok(tokio::spawn(async move {
        while asked.recv().await.is_some() {
            logs.iter().for_each(LineLog::reopen);
        }
    }))
}
