//! `gleaner index`: loads documents into an index, over HTTP, of any server of the dialect, or has it follow a folder.

mod arguments;

use std::io::stdout;

use anyhow::Result;
use gleaner_client::load::{self, LoadEnd};
use gleaner_client::watch::{self, WatchEnd, WatchState};

use crate::{companion::Companion, exit::Exit, signals};

pub(crate) use arguments::IndexArguments;

/// Runs the command.
pub(crate) async fn run(arguments: IndexArguments, verbosity: u8) -> Result<Exit> {
    arguments.check()?;
    if arguments.is_companion() {
        return follow(&arguments, verbosity).await;
    }
    let remote = arguments.remote.remote()?;
    let options = arguments.load();
    Ok(
        match load::run(&remote, &options, &mut stdout(), signals::stop_asked).await? {
            LoadEnd::Whole => Exit::Success,
            LoadEnd::Refused => Exit::Refused,
            LoadEnd::Interrupted => Exit::Interrupted,
        },
    )
}

/// Has an index follow a folder, as a companion; ready once the index holds what the folder holds.
async fn follow(arguments: &IndexArguments, verbosity: u8) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    let options = arguments.watch()?;
    let companion = Companion::start(&arguments.companion, "index", None, verbosity).await?;
    let (state, following) = tokio::sync::watch::channel(WatchState::Beginning);
    let _telling = companion.tell(move || following.borrow().why_not());
    Ok(
        match watch::run(remote, &options, &state, companion.stopped()).await? {
            WatchEnd::Stopped | WatchEnd::Whole => Exit::Success,
            WatchEnd::Refused => Exit::Refused,
        },
    )
}
