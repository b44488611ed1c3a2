//! The flags of the logs and traces of a front, each with its variable.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::config::check_share;
use crate::telemetry::{TRACE_SHARE, Telemetry, TelemetrySettings};

/// What is logged and recorded of requests.
#[derive(Debug, clap::Args)]
pub(crate) struct TelemetryArguments {
    /// File with a line of JSON for each request, `-` for standard output [default: none]
    #[arg(long, value_name = "FILE", env = "GLEANER_ACCESS_LOG")]
    access_log: Option<PathBuf>,
    /// Collector that spans are sent to, as OTLP over HTTP [default: none]
    #[arg(long, value_name = "URL", env = "GLEANER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// Share of the traces that clients do not record themselves that is recorded
    #[arg(long, value_name = "SHARE", default_value_t = TRACE_SHARE, env = "GLEANER_TRACE_SHARE")]
    trace_share: f64,
}

impl TelemetryArguments {
    /// Starts the logs and traces of the front called `name`.
    ///
    /// # Errors
    /// A share that is none, a file that cannot be written, a URL that is none.
    pub(super) fn start(&self, name: Option<&str>) -> Result<Telemetry> {
        check_share("trace_share", self.trace_share)?;
        let settings = TelemetrySettings {
            role: "front",
            node: name.unwrap_or("front"),
            access_log: self.access_log.as_deref().unwrap_or(Path::new("")),
            otlp_endpoint: self.otlp_endpoint.as_deref().unwrap_or_default(),
            trace_share: self.trace_share,
        };
        Telemetry::start(&settings, None)
    }
}
