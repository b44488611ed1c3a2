//! Where log lines go: standard error, as text or JSON; those of the slow log to a file of their own, if it has one.

use std::io::{IsTerminal, stderr};

use anyhow::{Context, Result, anyhow};
use tracing::Dispatch;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use crate::telemetry::SlowLines;
use crate::{config::LogFormat, terminal};

/// Target of the lines of the slow log.
const SLOW_LOG: &str = "slow_log";

/// Starts logging what `filter` lets through.
///
/// # Errors
/// A filter that cannot be read.
pub(crate) fn install(filter: &str, format: LogFormat) -> Result<()> {
    install_with(filter, format, None)
}

/// As [`install`]; the lines of the slow log go to `slow` alone, if there is one, whatever `filter` lets through.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_with(filter: &str, format: LogFormat, slow: Option<SlowLines>) -> Result<()> {
    let installed = dispatch(filter, format, slow)?.try_init();
    installed.map_err(|error| anyhow!("logging is already started: {error}"))
}

/// Returns what takes the lines that `filter` lets through, and those of the slow log.
fn dispatch(filter: &str, format: LogFormat, slow: Option<SlowLines>) -> Result<Dispatch> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("`--log {filter}` is no filter"))?;
    let lines = fmt::layer()
        .with_writer(stderr)
        // It would tell of a line that cannot be written where lines cannot be written, and panic: a full
        // disk or a reader that has gone would end whatever has something to say.
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => {
            let is_coloured = terminal::is_coloured(stderr().is_terminal());
            lines.with_ansi(is_coloured).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let is_apart = slow.is_some();
    let is_for_all = filter_fn(move |line| !(is_apart && line.target() == SLOW_LOG));
    let lines = lines.with_filter(filter.and(is_for_all));
    let Some(slow) = slow else {
        // An absent layer would not do: it has no filter, so whatever `lines` lets through or not, each span would be
        // made and each line looked at anew, for every request.
        return Ok(registry().with(lines).into());
    };
    let slow = fmt::layer().with_writer(slow).log_internal_errors(false);
    let slow = slow.json().flatten_event(true).with_current_span(false);
    let slow = slow.with_span_list(false);
    let slow = slow.with_filter(filter_fn(|line| line.target() == SLOW_LOG));
    Ok(registry().with(lines).with(slow).into())
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

#[cfg(test)]
mod tests {
    use tracing::dispatcher::with_default;
    use tracing::{Level, debug_span, enabled, info_span};

    use super::*;

    #[test]
    fn spans_that_no_line_can_show_are_not_made() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let slow = SlowLines::at(file.path()).expect("it can be written");
        for slow in [None, slow] {
            let dispatch = dispatch(filter_of(1), LogFormat::Json, slow).expect("a filter");
            with_default(&dispatch, || {
                assert!(debug_span!("request").is_disabled());
                assert!(!enabled!(Level::DEBUG));
                assert!(!info_span!("request").is_disabled());
            });
        }
    }
}
