//! `gleaner bench`: searches at a constant rate, and how long their answers took.
//!
//! ```text
//! schedule → pacer (a thread) → one task a request → tally → report: text, JSON, SVG
//! ```
//!
//! The loop is open: a request is due at a time fixed before the run, whatever became of those before
//! it, and its latency counts from that time. A generator that waits for answers instead sends fewer
//! requests while a server stalls, and so leaves out just the latencies that matter: Tene's
//! *coordinated omission* (*How NOT to Measure Latency*, 2013).

mod arguments;
mod curve;
mod latency;
mod load;
mod pacer;
mod queries;
mod report;
mod request;
mod schedule;
mod tally;

use std::{
    fs,
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, Result};

use self::{report::Report, request::Searches};
use crate::{exit::Exit, remote::Remote, signals};

pub(crate) use arguments::BenchArguments;

/// Runs the command.
pub(crate) async fn run(arguments: BenchArguments) -> Result<Exit> {
    let bodies = queries::read(&arguments.queries, &arguments.shape())?;
    let schedule = arguments.schedule();
    let remote = Remote::new(&arguments.remote)?;
    remote.greet().await?;
    let searches = Searches::new(&remote, &arguments.index, bodies);
    searches.try_first().await?;
    let tally = load::run(
        searches,
        schedule,
        arguments.limits(),
        signals::stop_asked()?,
    )
    .await?;
    let report = Report::new(&arguments.subject(&remote), &schedule, &tally)?;
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        write_file(path, &text)?;
    }
    if let Some(path) = &arguments.svg {
        write_file(path, &curve::draw(&tally.curves()))?;
    }
    write!(stdout(), "{report}")?;
    Ok(tally.exit())
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
