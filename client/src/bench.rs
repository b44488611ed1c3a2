//! The load tester: searches at a constant rate, and how long their answers took.
//!
//! ```text
//! schedule → pacer (a thread) → one task a request → tally → report: text, JSON, SVG
//! ```
//!
//! The loop is open: a request is due at a time fixed before the run, whatever became of those before
//! it, and its latency counts from that time. A generator that waits for answers instead sends fewer
//! requests while a server stalls, and so leaves out just the latencies that matter: Tene's
//! *coordinated omission* (*How NOT to Measure Latency*, 2013).

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
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use self::{queries::Shape, report::Report, request::Searches};
use crate::remote::Remote;

pub use load::Limits;
pub use schedule::Schedule;
pub use tally::BenchEnd;

/// What is asked, how often, and where the report goes.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Index, alias or pattern.
    pub index: String,
    /// File of queries, one a line; `-` is standard input.
    pub queries: PathBuf,
    /// Fields that text is matched in; none: the index's default fields.
    pub fields: Vec<String>,
    /// Documents to ask for where a body does not say.
    pub size: u32,
    /// When requests are due.
    pub schedule: Schedule,
    /// How much may be under way.
    pub limits: Limits,
    /// File for the report as JSON, with the histograms in it.
    pub json: Option<PathBuf>,
    /// File for a picture of the percentiles.
    pub svg: Option<PathBuf>,
}

/// Sends searches to a server as `options` say, and writes the report to `out`. `listen` is called once the run begins, and what
/// it returns ends the run early when it completes.
///
/// # Errors
/// Files, no server, a first query that the server refuses.
pub async fn run<F: Future<Output = ()>>(
    remote: &Remote,
    options: &BenchOptions,
    out: &mut impl Write,
    listen: impl FnOnce() -> Result<F>,
) -> Result<BenchEnd> {
    let shape = Shape {
        fields: &options.fields,
        size: options.size,
    };
    let bodies = queries::read(&options.queries, &shape)?;
    remote.greet().await?;
    let searches = Searches::new(remote, &options.index, bodies);
    searches.try_first().await?;
    let tally = load::run(searches, options.schedule, options.limits, listen()?).await?;
    let report = Report::new(&options.subject(remote), &options.schedule, &tally)?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        write_file(path, &text)?;
    }
    if let Some(path) = &options.svg {
        write_file(path, &curve::draw(&tally.curves()))?;
    }
    write!(out, "{report}")?;
    Ok(tally.end())
}

impl BenchOptions {
    fn subject(&self, remote: &Remote) -> report::Subject {
        report::Subject {
            url: remote.address().to_owned(),
            index: self.index.clone(),
            queries: self.queries.display().to_string(),
            connections: self.limits.connections,
            max_outstanding: self.limits.outstanding,
        }
    }
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
