//! What fronts and the companions of other programs share: how they log, answer probes and stop.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_api::security::MetricsDoor;
use gleaner_api::{ApiOptions, TopzPage};
use gleaner_proto::node::Readiness;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{LogFormat, Span};
use crate::descriptors;
use crate::logging;
use crate::node::{stop_asked, stopped};
use crate::serve::address::{Bound, LISTEN};
use crate::serve::edge::Probes;
use crate::serve::metrics;

/// How often a companion says whether it is ready.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Flags of every front and companion.
#[derive(Debug, clap::Args)]
pub(crate) struct CompanionArguments {
    /// Address at which probes and metrics are answered, by a thread of its own [default: none]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "GLEANER_PROBE_LISTEN",
        default_value = "",
        hide_default_value = true
    )]
    probe_listen: String,
    /// Time that what is under way has to end at shutdown
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        env = "GLEANER_SHUTDOWN_GRACE"
    )]
    pub(crate) shutdown_grace: Span,
    /// What to log: error, warn, info, debug, trace, or per module
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "GLEANER_LOG"
    )]
    log: String,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "GLEANER_LOG_FORMAT")]
    log_format: LogFormat,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

/// A task that ends when this is dropped.
pub(crate) struct AbortOnDrop(pub(crate) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A companion that runs.
pub(crate) struct Companion {
    stop: watch::Receiver<bool>,
    readiness: watch::Sender<Readiness>,
    _probes: Probes,
}

impl Companion {
    /// Starts logging and answering probes, as what `role` says, under a name of its own if it has one; it is not ready
    /// before it says so.
    ///
    /// # Errors
    /// A filter of log lines that means nothing, an address that cannot be listened on.
    pub(crate) async fn start(
        arguments: &CompanionArguments,
        role: &str,
        name: Option<&str>,
        verbosity: u8,
    ) -> Result<Self> {
        let filter = match verbosity {
            0 => &arguments.log,
            verbosity => logging::filter_of(verbosity + 1),
        };
        logging::install(filter, arguments.log_format)?;
        descriptors::raise();
        let stop = stop_asked(arguments.stop_with_input)?;
        let (readiness, told) = watch::channel(not_ready("it starts".to_owned()));
        let page = TopzPage::new(role, name.unwrap_or(role));
        let door = MetricsDoor::of_probes();
        let probes = gleaner_api::probes(told, metrics::install()?, page, door);
        let probes = Probes::start(&arguments.probe_listen, probes, &ApiOptions::default()).await?;
        Ok(Self {
            stop,
            readiness,
            _probes: probes,
        })
    }

    /// Completes once it is asked to stop.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        stopped(self.stop.clone())
    }

    /// Says again and again whether it is ready, and why not, until what is returned is dropped.
    pub(crate) fn tell<R: Into<String> + 'static>(
        &self,
        why_not: impl Fn() -> Option<R> + Send + 'static,
    ) -> AbortOnDrop {
        let (stop, readiness) = (self.stop.clone(), self.readiness.clone());
        AbortOnDrop(tokio::spawn(async move {
            let mut looks = tokio::time::interval(TOLD_EVERY);
            loop {
                looks.tick().await;
                let why_not = if *stop.borrow() {
                    Some("it stops".to_owned())
                } else {
                    why_not().map(Into::into)
                };
                let now = why_not.map_or(Readiness::Ready, not_ready);
                readiness.send_if_modified(|known| {
                    let has_changed = *known != now;
                    *known = now;
                    has_changed
                });
            }
        }))
    }
}

fn not_ready(reason: String) -> Readiness {
    Readiness::NotReady { reason }
}

/// Listens at `address`, and says so in the log.
///
/// # Errors
/// An address that cannot be listened on.
pub(crate) async fn listen(address: &str, what: &str) -> Result<TcpListener> {
    listen_at(Bound::take(address, LISTEN).await?, what)
}

/// As [`listen`], at an address that is taken already.
///
/// # Errors
/// A port that another process listens on since.
pub(crate) fn listen_at(bound: Bound, what: &str) -> Result<TcpListener> {
    let listener = bound.listen()?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    tracing::info!(%address, "{what} serving");
    Ok(listener)
}

/// Reads a secret from a file, without the line end that editors leave.
///
/// # Errors
/// A file that cannot be read, or is empty.
pub(crate) fn secret(path: Option<&Path>) -> Result<Option<String>> {
    let Some(path) = path else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read the secret in {}", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(
        !secret.is_empty(),
        "the secret in {} is empty",
        path.display()
    );
    Ok(Some(secret.to_owned()))
}
