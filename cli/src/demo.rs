//! `gleaner demo`: real documents, the real server, three searches; nothing is downloaded.

mod corpus;
mod searches;

use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use gleaner_client::load::{CorpusLoad, Flow, Limits};
use gleaner_client::remote::{Remote, RemoteOptions};
use tokio::sync::watch;

use crate::{
    config::Config,
    dataset,
    exit::Exit,
    exposure::{Door, Opening},
    logging,
    serve::{self, folder::DataFolder, node::Node},
    signals,
    terminal::grouped,
};
use corpus::DemoCorpus;

/// How long the server may be too busy to take a document.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the demo sends at once: small enough that the bar moves.
const FLOW: Flow = Flow {
    parallel: 4,
    limits: Limits {
        num_records: 1_000,
        num_bytes: 2 * 1024 * 1024,
    },
};

/// Index the crates of this machine and search them.
///
/// Gathers Markdown, documentation comments and sources of every crate in cargo's registry, indexes
/// them over HTTP into a server of its own, runs three searches, and serves until Ctrl-C. Where
/// there is no registry, text is generated from a seed.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArguments {
    /// Folder to keep the index in; by default one that ends with the demo
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9200")]
    listen: String,
    /// Listen on an address that other machines reach without encrypting connections
    #[arg(long)]
    insecure: bool,
    /// Documents to take, spread over all crates; 0 takes all of them
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    limit: u64,
    /// End after the searches
    #[arg(long)]
    once: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command; `verbosity` is how often `-v` was given.
pub(crate) async fn run(arguments: DemoArguments, verbosity: u8) -> Result<Exit> {
    let config = Config {
        listen: arguments.listen.clone(),
        ..Config::default()
    };
    logging::install(logging::filter_of(verbosity), config.log_format)?;
    // One watch from the beginning on: a Ctrl-C between two steps must not be lost.
    let (ask, interrupted) = watch::channel(false);
    let stop = signals::server_stop_asked()?;
    tokio::spawn(async move {
        stop.await;
        ask.send_replace(true);
    });
    // Lives as long as the command: a temporary folder goes with it.
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| temporary.path().join("data"));
    let listener = serve::address::listen(&config.listen).await?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    Opening {
        door: Door::Demo,
        is_encrypted: false,
        leaves_out_keys: false,
        is_meant: arguments.insecure,
    }
    .check(address)?;
    let address = address.to_string();
    let node = Node::start(DataFolder::take(&data)?, &config, None)?;
    let (ask_server, asked_server) = watch::channel(false);
    let server =
        tokio::spawn(async move { node.serve(listener, &config, is_asked(asked_server)).await });
    let shown = show(&arguments, &address, interrupted.clone()).await;
    let shown = match shown {
        Ok(exit @ (Exit::Success | Exit::Refused)) if !arguments.once => {
            writeln!(stdout(), "\nServing at http://{address} until Ctrl-C.")?;
            is_asked(interrupted).await;
            Ok(exit)
        }
        other => other,
    };
    ask_server.send_replace(true);
    server.await.context("the server failed")??;
    shown
}

/// Completes when the sender has sent `true`, or is gone.
async fn is_asked(mut asked: watch::Receiver<bool>) {
    drop(asked.wait_for(|asked| *asked).await);
}

/// Loads, counts and searches, as any client would.
async fn show(
    arguments: &DemoArguments,
    address: &str,
    interrupted: watch::Receiver<bool>,
) -> Result<Exit> {
    let cargo_home = dataset::cargo_home();
    let demo = DemoCorpus::find(cargo_home.as_deref(), arguments.limit)?;
    let name = demo.documents.name().to_owned();
    writeln!(stdout(), "Indexing {}", demo.about)?;
    let remote = Remote::new(&RemoteOptions::at(format!("http://{address}")))?;
    remote.create_index(&name, &demo.index).await?;
    let load = CorpusLoad {
        corpus: demo.documents,
        index: name.clone(),
        flow: FLOW,
        patience: PATIENCE,
        is_quiet: arguments.quiet,
    };
    let Some(loaded) = load.run(&remote, is_asked(interrupted)).await? else {
        return Ok(Exit::Interrupted);
    };
    let count = remote.count_documents(&name).await?;
    writeln!(
        stdout(),
        "Indexed {} documents in {:.1} s over HTTP, each durable in the log; {} refused.",
        grouped(count),
        loaded.elapsed.as_secs_f64(),
        grouped(loaded.num_refused)
    )?;
    for example in &loaded.examples {
        writeln!(stdout(), "  refused: {example}")?;
    }
    for search in &demo.searches {
        search.show(&remote, &name, address).await?;
    }
    let (program, query) = ("gleaner search", "error handling");
    writeln!(
        stdout(),
        "\nOr: {program} --url http://{address} --index {name} '{query}'"
    )?;
    Ok(if loaded.num_refused == 0 {
        Exit::Success
    } else {
        Exit::Refused
    })
}
