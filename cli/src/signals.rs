//! Signals: the wish to stop (Ctrl-C, or what an init system sends), and the one at which logs are opened anew.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;

/// Has SIGUSR1 end no command from now on: those that have logs open them anew, and the others have nothing to do.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn outlive_reopening() -> Result<()> {
    // The process listens for good: who listens later hears it too.
    drop(signal(SignalKind::user_defined1()).context("cannot listen for signals")?);
    Ok(())
}

/// Completes at the first SIGINT or SIGTERM after the call. From then on, a SIGINT ends the process at
/// once, as a crash would: nothing that was acknowledged is lost. Both are noticed also while nobody waits
/// for what is returned.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn stop_asked() -> Result<impl Future<Output = ()> + Send> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    let (tell, mut asked) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tell.send_replace(true);
        interrupt.recv().await;
        tracing::warn!("interrupted again, ended at once");
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(async move {
        // An error means that the process ends.
        drop(asked.wait_for(|is_asked| *is_asked).await);
    })
}
