//! The bulk loader: documents of files into an index, over HTTP, of any server of the dialect.
//!
//! ```text
//! inputs → reading (a thread) → batches → delivery × parallel → ledger → checkpoint, dead letters
//! ```
//!
//! Each stage waits for the next, so memory is bounded by the batches in flight. Order between
//! batches is not kept: two operations on one document need one request in flight. Read [`run`].

mod backoff;
mod batch;
mod books;
mod checkpoint;
mod corpus;
mod dead_letter;
mod delivery;
mod identity;
mod inputs;
mod ledger;
mod options;
mod outcome;
mod reading;
mod record;
mod report;
mod run;

use std::{
    io::{self, ErrorKind, Write},
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use self::{
    delivery::{Delivery, Reasons},
    inputs::InputFile,
    ledger::Ledger,
    report::{Reporter, rate},
    run::{Books, End},
};
use crate::{
    remote::Remote,
    text::{grouped, one_line, say},
};

pub(crate) use backoff::{Backoff, retry_after};
pub use batch::Limits;
pub use corpus::{CorpusLoad, LoadedCorpus};
pub use identity::hash;
pub use options::LoadOptions;
pub(crate) use outcome::is_busy;
pub use run::Flow;

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEnd {
    /// Every document is in.
    Whole,
    /// It went through, and some documents were refused.
    Refused,
    /// It was interrupted; a checkpoint says how far it came.
    Interrupted,
}

/// Loads what `options` name into a server, and writes to `out` what that came to. `listen` is called once documents are
/// about to be sent, and what it returns interrupts the load when it completes.
///
/// # Errors
/// What stopped the load: files, the server, an index that takes no documents. What was settled before is in the
/// checkpoint, where there is one.
pub async fn run<F: Future<Output = ()>>(
    remote: &Remote,
    options: &LoadOptions,
    out: &mut impl Write,
    listen: impl FnOnce() -> Result<F>,
) -> Result<LoadEnd> {
    let began = Instant::now();
    let inputs = inputs::find(&options.files, options.format, &options.own_files())?;
    options.check(&inputs)?;
    let kept_in = options.checkpoint.as_deref();
    let _lock = kept_in.map(checkpoint::lock).transpose()?;
    remote.greet().await?;
    if let Some(body) = &options.create_mapping {
        create_index(remote, &options.index, body).await?;
    }
    let names = inputs.iter().map(InputFile::name).collect();
    let goes_on = kept_in.is_some_and(Path::exists);
    let (reading, mut ledger, load) = books::open(options, inputs, remote)?;
    if ledger.settled_before() > 0 {
        let number = grouped(ledger.settled_before());
        say(&format!("going on after {number} documents"));
    }
    let delivery = Delivery {
        remote: remote.clone(),
        index: options.index.clone(),
        pipeline: options.pipeline.clone().map(pipeline),
        load,
        inputs: names,
        num_resent: if goes_on {
            options.flow.num_uncovered()
        } else {
            0
        },
        patience: options.patience,
        told: Reasons::default(),
    };
    let reporter = Reporter::new(options.is_quiet);
    let books = Books {
        ledger: &mut ledger,
        reporter: &reporter,
    };
    let mut interrupt = pin!(listen()?);
    let end = run::run(reading, delivery, options.flow, books, interrupt.as_mut()).await;
    reporter.finish();
    let told = told(&ledger, began.elapsed());
    tell_refusals(&ledger, options.dead_letter.is_none());
    match end.with_context(|| format!("the load stopped after {told}"))? {
        End::Interrupted => {
            say(&format!("interrupted after {told}"));
            return Ok(LoadEnd::Interrupted);
        }
        End::Whole if options.refreshes => tokio::select! {
            refreshed = refresh(remote, &options.index, &ledger) => refreshed?,
            () = interrupt => {
                say(&format!("interrupted before the refresh, after {told}"));
                return Ok(LoadEnd::Interrupted);
            }
        },
        End::Whole => {}
    }
    conclude(out, &self::told(&ledger, began.elapsed()))?;
    Ok(if ledger.refused_ever() == 0 {
        LoadEnd::Whole
    } else {
        LoadEnd::Refused
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

/// Says what the load came to. Somebody may not listen to the end; how it ended is returned all the same.
fn conclude(out: &mut impl Write, told: &str) -> io::Result<()> {
    match writeln!(out, "indexed {told}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

/// Makes the index as the mapping file at `path` says; one that is there already is left as it is.
pub(crate) async fn create_index(remote: &Remote, index: &str, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let body: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", path.display()))?;
    remote.create_index(index, &body).await
}

/// Makes what was written visible: in the indices that the server named, and in the one that was
/// asked for where it named none, or where runs before this one may have written to it.
async fn refresh(remote: &Remote, index: &str, ledger: &Ledger) -> Result<()> {
    let mut indices = ledger.written().clone();
    if ledger.settled_before() > 0 || (indices.is_empty() && ledger.accepted() > 0) {
        indices.insert(index.to_owned());
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
