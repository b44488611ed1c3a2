//! `gleaner config-sync`: a file that follows a value kept elsewhere.

mod notice;
mod place;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use crate::companion::{Companion, CompanionArguments};
use crate::config::Span;
use crate::exit::Exit;
use crate::feed::{Feed, FeedState};
use notice::Notice;
use place::{Format, Place};

/// Time that the source has to answer with `--once`.
const ONCE_WITHIN: Duration = Duration::from_secs(30);

/// Keep a file equal to a key of etcd or to what an address answers, and tell the process that reads it.
///
/// A new value is checked first: it is not empty, it can be read as --format says, and --check accepts it. A value that
/// fails is not written; the file keeps the last good one, and so it does while the source does not answer or the
/// value is gone. The file is replaced as a whole: a reader sees the old one or the new one.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigSyncArguments {
    /// What is followed: etcd://HOST:PORT[,HOST:PORT]/KEY, http://… or https://…
    #[arg(long, value_name = "SOURCE", env = "GLEANER_SYNC_FROM")]
    from: String,
    /// The file; its folder must be writable
    #[arg(long, value_name = "FILE", env = "GLEANER_SYNC_TO")]
    to: PathBuf,
    /// What the value must be
    #[arg(long, value_enum, default_value_t = Format::Any, env = "GLEANER_SYNC_FORMAT")]
    format: Format,
    /// Command of the shell that must succeed before a value is used; it finds the new file in $FILE
    #[arg(long, value_name = "COMMAND", env = "GLEANER_SYNC_CHECK")]
    check: Option<String>,
    /// Rights of the file, in octal [default: those that it has, or 644]
    #[arg(long, value_name = "MODE", value_parser = place::mode, env = "GLEANER_SYNC_MODE")]
    mode: Option<u32>,
    #[command(flatten)]
    notice: notice::NoticeArguments,
    /// How often an address of HTTP is asked; etcd tells by itself
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2s",
        env = "GLEANER_SYNC_PERIOD"
    )]
    period: Span,
    /// Authority whose certificate an `https` server must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_CACERT")]
    cacert: Option<PathBuf>,
    /// Write the file once and end; the exit code is 1 where the value is not there or refused, and where the source has
    /// not answered for 30 s
    #[arg(long, env = "GLEANER_SYNC_ONCE")]
    once: bool,
    #[command(flatten)]
    companion: CompanionArguments,
}

/// Runs the command.
pub(crate) async fn run(arguments: ConfigSyncArguments, verbosity: u8) -> Result<Exit> {
    let feed = Feed::of(&arguments.from, arguments.cacert.clone())?;
    let notice = Notice::of(&arguments.notice)?;
    let place = Place {
        path: arguments.to,
        format: arguments.format,
        check: arguments.check,
        mode: arguments.mode,
    };
    place.check_folder()?;
    let companion = Companion::start(&arguments.companion, "config-sync", None, verbosity).await?;
    let states = feed.follow(arguments.period.0)?;
    let (ready, is_ready) = watch::channel(false);
    let _telling =
        companion.tell(move || (!*is_ready.borrow()).then_some("no value has been written yet"));
    let synced = sync(states, &place, &notice, &ready, arguments.once);
    let exit = tokio::select! {
        exit = synced => exit?,
        () = companion.stopped() => Exit::Success,
    };
    Ok(exit)
}

/// Writes each value that passes; ends after the first where `is_once`.
async fn sync(
    mut states: watch::Receiver<FeedState>,
    place: &Place,
    notice: &Notice,
    ready: &watch::Sender<bool>,
    is_once: bool,
) -> Result<Exit> {
    loop {
        let changed = states.changed();
        let changed = match is_once {
            true => tokio::time::timeout(ONCE_WITHIN, changed)
                .await
                .with_context(|| {
                    format!(
                        "the source has not answered within {} s",
                        ONCE_WITHIN.as_secs()
                    )
                })?,
            false => changed.await,
        };
        changed.context("the value is not followed any more")?;
        let state = states.borrow_and_update().clone();
        let FeedState::Value(value) = state else {
            if is_once {
                bail!("the value is not there");
            }
            tracing::warn!("the value is gone; the file stays as it is");
            continue;
        };
        match place.put(&value).await {
            Ok(has_changed) => {
                if has_changed {
                    tracing::info!(file = %place.path.display(), bytes = value.len(), "written");
                    notice.give().await;
                }
                ready.send_replace(true);
                if is_once {
                    return Ok(Exit::Success);
                }
            }
            Err(error) if is_once => return Err(error),
            Err(error) => tracing::error!(
                file = %place.path.display(),
                why = format!("{error:#}"),
                "the new value is not used; the file stays as it is"
            ),
        }
    }
}
