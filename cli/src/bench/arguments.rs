//! The flags of `gleaner bench`.

use std::path::PathBuf;

use gleaner_client::bench::{BenchOptions, Limits, Schedule};

use crate::{
    config::Span,
    exit,
    remote::{RemoteArguments, index_name},
};

/// Send searches at a constant rate and measure how long their answers take.
///
/// A request is due at a time fixed before the run, whatever became of those before it, and its
/// latency counts from that time: a server that stalls shows in every request due while it did. FILE
/// has one query a line: text, or a JSON object, which is the body of a search or, where its `query`
/// is a string, a query of the search-benchmark-game in query-string syntax. They are asked in turn.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_BENCH)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    pub(super) remote: RemoteArguments,
    /// Index, alias or pattern
    #[arg(long, env = "GLEANER_INDEX", value_name = "NAME", value_parser = index_name)]
    index: String,
    /// Queries, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Field that text is matched in, may be repeated; by default the index's default fields
    #[arg(long = "field", value_name = "FIELD")]
    fields: Vec<String>,
    /// Documents to ask for where a body does not say
    #[arg(long, value_name = "N", default_value_t = 10)]
    size: u32,
    /// Requests per second
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: f64,
    /// How long to measure, as 30s, 500ms or 5m
    #[arg(long, value_name = "TIME", default_value = "30s")]
    duration: Span,
    /// How long to send without measuring before that
    #[arg(long, value_name = "TIME", default_value = "5s")]
    warmup: Span,
    /// Most requests on the wire at once, each on its own connection. A request that waits for one is
    /// late, and its latency says so
    #[arg(long, value_name = "N", default_value_t = 128)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Most requests that may be without an answer, waiting ones included. What is due beyond that is
    /// dropped and counted, and the schedule goes on
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_outstanding: u32,
    /// File for the report as JSON, with the histograms in it
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// File for a picture of the percentiles
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl BenchArguments {
    /// Returns what is asked of which server.
    pub(super) fn options(self) -> BenchOptions {
        BenchOptions {
            index: self.index,
            queries: self.queries,
            fields: self.fields,
            size: self.size,
            schedule: Schedule {
                rate: self.rate,
                warmup: self.warmup.0,
                duration: self.duration.0,
            },
            limits: Limits {
                connections: self.connections.into(),
                outstanding: self.max_outstanding as usize,
            },
            json: self.json,
            svg: self.svg,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("wanted requests per second, 0.001 to 1000000".to_owned()),
    }
}
