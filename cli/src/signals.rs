//! The wish to stop: Ctrl-C, or what an init system sends.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Completes at the first SIGINT or SIGTERM after the call. From then on, a SIGINT ends the process at
/// once, as a crash would: nothing that was acknowledged is lost.
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
        tokio::spawn(async move {
            interrupt.recv().await;
            tracing::warn!("interrupted again, ended at once");
            std::process::exit(Exit::Interrupted.code().into());
        });
    })
}
