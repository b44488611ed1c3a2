//! `gleaner index`: loads documents into an index, over HTTP, of any server of the dialect.
//!
//! ```text
//! inputs → reading (a thread) → batches → delivery × parallel → ledger → checkpoint, dead letters
//! ```
//!
//! Each stage waits for the next, so memory is bounded by the batches in flight. Order between
//! batches is not kept: two operations on one document need `--parallel 1`.

pub(crate) mod backoff;
pub(crate) mod batch;
pub(crate) mod checkpoint;
pub(crate) mod dead_letter;
pub(crate) mod delivery;
pub(crate) mod identity;
pub(crate) mod inputs;
pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod reading;
pub(crate) mod record;
pub(crate) mod report;

use std::{
    io::{Write, stdout},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gleaner_datasets::read::Format;
use reqwest::Method;

use self::{
    batch::Limits,
    checkpoint::{Checkpoint, Task},
    dead_letter::DeadLetters,
    delivery::Delivery,
    identity::Identity,
    inputs::InputFile,
    ledger::{InputName, Ledger},
    load::{End, Flow},
    reading::{Content, ReadOptions, Reading, Source},
    report::{Meter, Reporter, rate},
};
use crate::{
    exit::{self, Exit},
    remote::{self, Remote, RemoteArguments},
    signals,
    terminal::grouped,
};

/// Load documents from files, folders or standard input.
///
/// NDJSON, JSON arrays, CSV, TSV and bulk-action files, each plain, gzip or zstd. Requests that the
/// server is too busy for are sent again after a wait, and so are single documents that it rejected;
/// documents that it refuses for what they are go to the dead-letter file.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_INDEX)]
pub(crate) struct IndexArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Name of the index
    #[arg(long, env = "GLEANER_INDEX", value_name = "NAME")]
    index: String,
    /// Layout of the files; by default told by their names, and ndjson for standard input
    #[arg(long, value_parser = formats())]
    format: Option<Format>,
    /// Field whose value becomes the `_id`; a document without it is refused
    #[arg(long, value_name = "FIELD")]
    id_field: Option<String>,
    /// Field whose value becomes the routing; a document without it is refused
    #[arg(long, value_name = "FIELD")]
    routing_field: Option<String>,
    /// Largest request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 5 * 1024 * 1024)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    batch_bytes: u64,
    /// Most documents in a request
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    batch_docs: u64,
    /// Requests in flight; 1 keeps the order of operations
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Seconds that a busy server may accept nothing before the load stops
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// File that remembers how far the load has come: the same command goes on from there.
    /// Documents without an id get one made of file and position, so none is doubled
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// File for refused documents, one JSON object a line: input, position, reason, document
    #[arg(long, value_name = "FILE")]
    dead_letter: Option<PathBuf>,
    /// JSON file with the mappings and settings of the index, used when it does not exist yet
    #[arg(long, value_name = "FILE")]
    create_mapping: Option<PathBuf>,
    /// Ingest pipeline on the server; `none` switches off an index's default one
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Do not make the documents visible to searches at the end
    #[arg(long)]
    no_refresh: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    /// Files and folders; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["ndjson", "json", "csv", "tsv", "bulk"])
        .try_map(|name| name.parse::<Format>())
}

/// Runs the command.
pub(crate) async fn run(arguments: IndexArguments) -> Result<Exit> {
    let inputs = inputs::find(&arguments.files, arguments.format)?;
    check(&arguments, &inputs)?;
    let remote = Remote::new(&arguments.remote)?;
    remote.greet().await?;
    create_index(&remote, &arguments).await?;
    let (reading, mut ledger, load) = open_books(&arguments, inputs, &remote)?;
    let delivery = Delivery {
        remote: remote.clone(),
        index: arguments.index.clone(),
        pipeline: arguments.pipeline.clone().map(pipeline),
        load,
        patience: Duration::from_secs(arguments.patience),
    };
    let reporter = Reporter::new(arguments.quiet);
    let books = (&mut ledger, &reporter);
    let end = load::run(
        reading,
        delivery,
        arguments.flow(),
        books,
        signals::stop_asked()?,
    )
    .await;
    let elapsed = reporter.finish();
    let told = format!(
        "{} documents in {:.1} s ({}/s), {} refused",
        grouped(ledger.accepted()),
        elapsed.as_secs_f64(),
        grouped(rate(ledger.accepted(), elapsed)),
        grouped(ledger.refused())
    );
    tell_refusals(&ledger, arguments.dead_letter.is_none());
    match end.with_context(|| format!("the load stopped after {told}"))? {
        End::Interrupted => {
            eprintln!("interrupted after {told}");
            return Ok(Exit::Interrupted);
        }
        End::Whole if !arguments.no_refresh => refresh(&remote, &arguments.index).await?,
        End::Whole => {}
    }
    writeln!(stdout(), "indexed {told}")?;
    Ok(if ledger.refused_ever() == 0 {
        Exit::Success
    } else {
        Exit::Refused
    })
}

impl IndexArguments {
    fn flow(&self) -> Flow {
        let limits = Limits {
            num_records: usize::try_from(self.batch_docs).unwrap_or(usize::MAX),
            num_bytes: usize::try_from(self.batch_bytes).unwrap_or(usize::MAX),
        };
        Flow {
            parallel: usize::from(self.parallel),
            limits,
        }
    }
}

/// Refuses combinations that cannot mean anything.
fn check(arguments: &IndexArguments, inputs: &[InputFile]) -> Result<()> {
    let has_bulk = inputs.iter().any(|input| input.format == Format::Bulk);
    ensure!(
        !has_bulk || (arguments.id_field.is_none() && arguments.routing_field.is_none()),
        "a bulk file says ids and routing on its action lines: leave out --id-field and \
         --routing-field"
    );
    let has_stdin = inputs.iter().any(|input| input.path.is_none());
    ensure!(
        !has_stdin || arguments.checkpoint.is_none(),
        "standard input cannot be read again: a load with --checkpoint needs files"
    );
    Ok(())
}

/// Makes the index as the mapping file says; one that is there already is left as it is.
async fn create_index(remote: &Remote, arguments: &IndexArguments) -> Result<()> {
    let Some(path) = &arguments.create_mapping else {
        return Ok(());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let body: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", path.display()))?;
    let answer = remote
        .request(Method::PUT, &[&arguments.index])
        .json(&body)
        .send()
        .await;
    let answer = answer.with_context(|| format!("cannot reach {}", remote.address()))?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    let exists = String::from_utf8_lossy(&body).contains("resource_already_exists_exception");
    ensure!(status.is_success() || exists, remote::reason(status, &body));
    Ok(())
}

/// Reads the checkpoint, if there is one, and says where each input begins.
fn open_books(
    arguments: &IndexArguments,
    inputs: Vec<InputFile>,
    remote: &Remote,
) -> Result<(Reading, Ledger, String)> {
    let task = Task {
        url: remote.address().to_owned(),
        index: arguments.index.clone(),
        format: arguments
            .format
            .map_or("auto".to_owned(), |format| format!("{format:?}")),
        id_field: arguments.id_field.clone(),
        routing_field: arguments.routing_field.clone(),
    };
    let fresh = || Checkpoint::new(format!("{:016x}", rand::random::<u64>()), task.clone());
    let mut checkpoint = match &arguments.checkpoint {
        Some(path) => Checkpoint::read(path, &task)?.unwrap_or_else(fresh),
        None => fresh(),
    };
    let total = inputs
        .iter()
        .map(|input| input.num_bytes)
        .sum::<Option<u64>>();
    let mut names = Vec::new();
    let mut sources = Vec::new();
    for file in inputs {
        names.push(InputName {
            shown: file.shown.clone(),
            path: file.path.clone(),
        });
        sources.push(source(
            file,
            arguments.checkpoint.as_ref().map(|_| &mut checkpoint),
        )?);
    }
    let known_bytes = checkpoint.dead_letter_bytes;
    let letters = arguments
        .dead_letter
        .as_ref()
        .map(|path| DeadLetters::open(path, known_bytes));
    let load = checkpoint.load.clone();
    let kept = arguments.checkpoint.clone().map(|path| (path, checkpoint));
    let options = ReadOptions {
        id_field: arguments.id_field.clone(),
        routing_field: arguments.routing_field.clone(),
    };
    let reading = Reading {
        sources,
        options,
        meter: Arc::new(Meter::new(total)),
    };
    let mut ledger = Ledger::new(names, kept, letters.transpose()?);
    // A checkpoint that cannot be written is better known before the first document.
    ledger.save()?;
    Ok((reading, ledger, load))
}

fn source(file: InputFile, checkpoint: Option<&mut Checkpoint>) -> Result<Source> {
    let (identity, from) = match (&file.path, checkpoint) {
        (Some(path), Some(checkpoint)) => {
            let identity =
                Identity::of_file(path).with_context(|| format!("cannot open `{}`", file.shown))?;
            let from = checkpoint.resume(path, &identity)?;
            (Some(identity), from)
        }
        _ => (None, Some(0)),
    };
    Ok(Source {
        content: Content::File(file),
        identity,
        from,
    })
}

fn pipeline(name: String) -> String {
    if name == "none" {
        "_none".to_owned()
    } else {
        name
    }
}

/// Makes what was loaded visible to searches.
pub(crate) async fn refresh(remote: &Remote, index: &str) -> Result<()> {
    let answer = remote
        .request(Method::POST, &[index, "_refresh"])
        .send()
        .await;
    let answer = answer.context("everything is in, but the refresh got no answer")?;
    remote::json(answer)
        .await
        .map(drop)
        .context("everything is in, but cannot be refreshed")
}

fn tell_refusals(ledger: &Ledger, are_lost: bool) {
    for example in ledger.examples() {
        eprintln!("refused: {example}");
    }
    let more = ledger.refused() - ledger.examples().len() as u64;
    if more > 0 {
        eprintln!("refused: {} more", grouped(more));
    }
    if are_lost && ledger.refused() > 0 {
        eprintln!("refused documents are kept with --dead-letter FILE");
    }
}
