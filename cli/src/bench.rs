//! `gleaner bench`: searches at a constant rate, and how long their answers took.

mod arguments;

use std::io::stdout;

use anyhow::Result;
use gleaner_client::bench::{self, BenchEnd};

use crate::{exit::Exit, signals};

pub(crate) use arguments::BenchArguments;

/// Runs the command.
pub(crate) async fn run(arguments: BenchArguments) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    let options = arguments.options();
    Ok(
        match bench::run(&remote, &options, &mut stdout(), signals::stop_asked).await? {
            BenchEnd::Whole => Exit::Success,
            BenchEnd::SomeFailed => Exit::Refused,
            BenchEnd::Unanswered => Exit::Failure,
            BenchEnd::Interrupted => Exit::Interrupted,
        },
    )
}
