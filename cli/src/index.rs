//! `gleaner index`: loads documents into an index, over HTTP, of any server of the dialect.
//!
//! ```text
//! inputs → reading (a thread) → batches → delivery × parallel → ledger → checkpoint, dead letters
//! ```
//!
//! Each stage waits for the next, so memory is bounded by the batches in flight. Order between
//! batches is not kept: two operations on one document need `--parallel 1`.

mod arguments;
mod backoff;
pub(crate) mod batch;
mod books;
mod checkpoint;
mod dead_letter;
pub(crate) mod delivery;
pub(crate) mod identity;
mod inputs;
pub(crate) mod ledger;
pub(crate) mod load;
mod outcome;
pub(crate) mod reading;
mod record;
pub(crate) mod report;
mod watch;

use std::{
    io::{self, ErrorKind, Write, stdout},
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use self::{
    delivery::{Delivery, Reasons},
    inputs::InputFile,
    ledger::Ledger,
    load::End,
    report::{Reporter, rate},
};
use crate::{
    exit::Exit,
    remote::Remote,
    signals,
    terminal::{grouped, one_line, say},
};

pub(crate) use arguments::IndexArguments;

/// Runs the command.
pub(crate) async fn run(arguments: IndexArguments) -> Result<Exit> {
    if arguments.watch.watch {
        return watch::run(&arguments).await;
    }
    let began = Instant::now();
    let inputs = inputs::find(&arguments.files, arguments.format, &arguments.own_files())?;
    arguments.check(&inputs)?;
    let kept_in = arguments.checkpoint.as_deref();
    let _lock = kept_in.map(checkpoint::lock).transpose()?;
    let remote = Remote::new(&arguments.remote)?;
    remote.greet().await?;
    create_index(&remote, &arguments).await?;
    let names = inputs.iter().map(InputFile::name).collect();
    let flow = arguments.flow();
    let goes_on = kept_in.is_some_and(Path::exists);
    let (reading, mut ledger, load) = books::open(&arguments, inputs, &remote)?;
    if ledger.settled_before() > 0 {
        let number = grouped(ledger.settled_before());
        say(&format!("going on after {number} documents"));
    }
    let delivery = Delivery {
        remote: remote.clone(),
        index: arguments.index.clone(),
        pipeline: arguments.pipeline.clone().map(pipeline),
        load,
        inputs: names,
        num_resent: if goes_on { flow.num_uncovered() } else { 0 },
        patience: Duration::from_secs(arguments.patience),
        told: Reasons::default(),
    };
    let reporter = Reporter::new(arguments.quiet);
    let books = (&mut ledger, &reporter);
    let mut interrupt = pin!(signals::stop_asked()?);
    let end = load::run(reading, delivery, flow, books, interrupt.as_mut()).await;
    reporter.finish();
    let told = told(&ledger, began.elapsed());
    tell_refusals(&ledger, arguments.dead_letter.is_none());
    match end.with_context(|| format!("the load stopped after {told}"))? {
        End::Interrupted => {
            say(&format!("interrupted after {told}"));
            return Ok(Exit::Interrupted);
        }
        End::Whole if !arguments.no_refresh => tokio::select! {
            refreshed = refresh(&remote, &arguments, &ledger) => refreshed?,
            () = interrupt => {
                say(&format!("interrupted before the refresh, after {told}"));
                return Ok(Exit::Interrupted);
            }
        },
        End::Whole => {}
    }
    conclude(&self::told(&ledger, began.elapsed()))?;
    Ok(if ledger.refused_ever() == 0 {
        Exit::Success
    } else {
        Exit::Refused
    })
}

/// Words what the load came to, `elapsed` since the command began: with looking for inputs and the server,
/// and with the refresh once it is done.
fn told(ledger: &Ledger, elapsed: Duration) -> String {
    format!(
        "{} documents in {:.1} s ({}/s), {} refused",
        grouped(ledger.accepted()),
        elapsed.as_secs_f64(),
        grouped(rate(ledger.accepted(), elapsed)),
        grouped(ledger.refused())
    )
}

/// Says what the load came to. Somebody may not listen to the end; how it ended is told by the exit code
/// all the same.
fn conclude(told: &str) -> io::Result<()> {
    match writeln!(stdout(), "indexed {told}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
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
    remote.create_index(&arguments.index, &body).await
}

/// Makes what was written visible: in the indices that the server named, and in the one that was
/// asked for where it named none, or where runs before this one may have written to it.
async fn refresh(remote: &Remote, arguments: &IndexArguments, ledger: &Ledger) -> Result<()> {
    let mut indices = ledger.written().clone();
    if ledger.settled_before() > 0 || (indices.is_empty() && ledger.accepted() > 0) {
        indices.insert(arguments.index.clone());
    }
    for index in &indices {
        remote.refresh_index(index).await?;
    }
    Ok(())
}

fn pipeline(name: String) -> String {
    if name == "none" {
        "_none".to_owned()
    } else {
        name
    }
}

fn tell_refusals(ledger: &Ledger, are_lost: bool) {
    for example in ledger.examples() {
        say(&format!("refused: {}", one_line(example)));
    }
    let more = ledger.refused() - ledger.examples().len() as u64;
    if more > 0 {
        say(&format!("refused: {} more", grouped(more)));
    }
    if are_lost && ledger.refused() > 0 {
        say("refused documents are kept with --dead-letter FILE");
    }
}
