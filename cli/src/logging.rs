//! Where log lines go: standard error, as text or JSON.

use std::io::{IsTerminal, stderr};

use anyhow::{Context, Result, anyhow};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{config::LogFormat, terminal};

/// Starts logging what `filter` lets through.
///
/// # Errors
/// A filter that cannot be read.
pub(crate) fn install(filter: &str, format: LogFormat) -> Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("`--log {filter}` is no filter"))?;
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        // It would tell of a line that cannot be written where lines cannot be written, and panic: a full
        // disk or a reader that has gone would end whatever has something to say.
        .log_internal_errors(false);
    let is_coloured = terminal::is_coloured(stderr().is_terminal());
    let installed = match format {
        LogFormat::Text => lines.with_ansi(is_coloured).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow!("logging is already started: {error}"))
}

/// Returns the filter of a command whose `-v` was given `times`.
pub(crate) fn filter_of(times: u8) -> &'static str {
    match times {
        0 => "warn",
        1 => "info,tantivy=warn",
        2 => "debug,tantivy=info",
        _ => "trace",
    }
}
