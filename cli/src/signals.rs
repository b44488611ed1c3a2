//! The wish to stop: Ctrl-C, or what an init system sends.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Completes at the first SIGINT or SIGTERM after the call.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn stop_asked() -> Result<impl Future<Output = ()> + Send> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
