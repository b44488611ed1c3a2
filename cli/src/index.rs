//! `gleaner index`: loads documents into an index, over HTTP, of any server of the dialect, or has it follow a folder.

mod arguments;

use std::io::stdout;

use anyhow::Result;
use gleaner_client::load::{self, LoadEnd};
use gleaner_client::watch::{self, WatchEnd};

use crate::{exit::Exit, signals};

pub(crate) use arguments::IndexArguments;

/// Runs the command.
pub(crate) async fn run(arguments: IndexArguments) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    if arguments.watch.watch {
        let options = arguments.watch()?;
        return Ok(
            match watch::run(remote, &options, signals::stop_asked).await? {
                WatchEnd::Stopped | WatchEnd::Whole => Exit::Success,
                WatchEnd::Refused => Exit::Refused,
            },
        );
    }
    let options = arguments.load();
    Ok(
        match load::run(&remote, &options, &mut stdout(), signals::stop_asked).await? {
            LoadEnd::Whole => Exit::Success,
            LoadEnd::Refused => Exit::Refused,
            LoadEnd::Interrupted => Exit::Interrupted,
        },
    )
}
