//! Signals: the wish to stop (Ctrl-C, or what an init system sends), the one at which logs are opened anew, and the one at
//! which files are read again.
//!
//! Does: listen for signals, and say what each means. Does not: stop anything, or read any file. Called by every command
//! that runs for longer than one answer takes. Read first: [`stop_asked`], and [`server_stop_asked`] for what serves.

use std::io::{IsTerminal as _, stdin};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;

/// Has SIGUSR1 end no command from now on: those that have logs open them anew, and the others have nothing to do.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn outlive_reopening() -> Result<()> {
    // The process listens for good: who listens later hears it too.
    drop(listen(SignalKind::user_defined1())?);
    Ok(())
}

/// Completes at the first SIGINT or SIGTERM after the call. From then on, a SIGINT ends the process at
/// once, as a crash would: nothing that was acknowledged is lost. Both are noticed also while nobody waits
/// for what is returned.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn stop_asked() -> Result<impl Future<Output = ()> + Send> {
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

/// As [`stop_asked`], for nodes, fronts and companions: they outlive SIGHUP, and stop when their terminal closes.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn server_stop_asked() -> Result<impl Future<Output = ()> + Send> {
    let (asked, terminal_closed) = (stop_asked()?, outlive_hangup()?);
    Ok(async move {
        tokio::select! {
            () = asked => {}
            () = terminal_closed => {}
        }
    })
}

/// Has SIGHUP end the process no more: it is logged, and [`Hangups`] tells those who read files again. Where standard
/// input is a terminal, the signal means that its window was closed, and what is returned completes: a process that went
/// on would have nobody who could stop it.
///
/// # Errors
/// When the process cannot listen for signals.
fn outlive_hangup() -> Result<impl Future<Output = ()> + Send> {
    let mut hangup = listen(SignalKind::hangup())?;
    // Asked now: a terminal that has closed is none any more.
    let has_terminal = stdin().is_terminal();
    let (tell, mut closed) = watch::channel(false);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if has_terminal {
                tracing::info!("hangup: the terminal has closed, the process stops");
                tell.send_replace(true);
            } else {
                tracing::info!("hangup: files that are followed are read again");
            }
        }
    });
    Ok(async move {
        // An error means that the process ends.
        drop(closed.wait_for(|is_closed| *is_closed).await);
    })
}

/// Each SIGHUP from now on, for those who read files again. Any number of them hear the same signal.
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the process cannot listen for signals.
    pub(crate) fn listen() -> Result<Self> {
        listen(SignalKind::hangup()).map(Self)
    }

    /// Completes at the next one; several that come before it is awaited count as one.
    pub(crate) async fn next(&mut self) {
        // There is always a next one as long as the runtime is there.
        self.0.recv().await;
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("cannot listen for signals")
}
