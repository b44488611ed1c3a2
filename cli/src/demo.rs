//! `gleaner demo`: real documents, the real server, three searches; nothing is downloaded.

mod corpus;
mod searches;

use std::{
    io::{Write, stdout},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    config::Config,
    dataset,
    exit::Exit,
    index::{
        self,
        batch::Limits,
        delivery::Delivery,
        ledger::{InputName, Ledger},
        load::{self, End, Flow},
        reading::{Content, ReadOptions, Reading, Source},
        report::{Meter, Reporter},
    },
    logging,
    remote::{self, Remote, RemoteArguments},
    serve::{self, folder::DataFolder, node::Node},
    signals,
    terminal::{Palette, cut, grouped, one_line},
};
use corpus::DemoCorpus;
use searches::Search;

/// How long the server may be too busy to take a document.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the demo sends at once: small enough that the bar moves.
const FLOW: Flow =
    Flow { parallel: 4, limits: Limits { num_records: 1_000, num_bytes: 2 * 1024 * 1024 } };

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
    let config = Config { listen: arguments.listen.clone(), ..Config::default() };
    logging::install(logging::filter_of(verbosity), config.log_format)?;
    // Lives as long as the command: a temporary folder goes with it.
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let data = arguments.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    let listener = serve::listen(&config.listen).await?;
    let address = listener.local_addr().context("the listener has no address")?.to_string();
    let node = Node::start(DataFolder::take(&data)?, &config)?;
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(async move {
        node.serve(listener, &config, is_asked(stopped)).await
    });
    let shown = show(&arguments, &address).await;
    let shown = match shown {
        Ok(Exit::Success) if !arguments.once => {
            writeln!(stdout(), "\nServing at http://{address} until Ctrl-C.")?;
            signals::stop_asked()?.await;
            Ok(Exit::Success)
        }
        other => other,
    };
    stop.send_replace(true);
    server.await.context("the server failed")??;
    shown
}

async fn is_asked(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Loads, counts and searches, as any client would.
async fn show(arguments: &DemoArguments, address: &str) -> Result<Exit> {
    let cargo_home = dataset::cargo_home();
    let demo = DemoCorpus::find(cargo_home.as_deref(), arguments.limit)?;
    let name = demo.documents.name().to_owned();
    writeln!(stdout(), "Indexing {}", demo.about)?;
    let remote = Remote::new(&RemoteArguments::at(format!("http://{address}")))?;
    create_index(&remote, &name, &demo.index).await?;
    let reporter = Reporter::new(arguments.quiet);
    let Some(ledger) = load_corpus(&remote, &name, demo.documents, &reporter).await? else {
        return Ok(Exit::Interrupted);
    };
    index::refresh(&remote, &name).await?;
    let elapsed = reporter.finish();
    let count = count(&remote, &name).await?;
    writeln!(
        stdout(),
        "Indexed {} documents in {:.1} s over HTTP, each durable in the log; {} refused.",
        grouped(count),
        elapsed.as_secs_f64(),
        grouped(ledger.refused())
    )?;
    for example in ledger.examples() {
        writeln!(stdout(), "  refused: {example}")?;
    }
    for search in &demo.searches {
        try_search(&remote, &name, search, address).await?;
    }
    let (program, query) = ("gleaner search", "error handling");
    writeln!(stdout(), "\nOr: {program} --url http://{address} --index {name} '{query}'")?;
    Ok(if ledger.refused() == 0 { Exit::Success } else { Exit::Refused })
}

/// Makes the index; one that an earlier demo left in the folder is filled again.
async fn create_index(remote: &Remote, name: &str, body: &Value) -> Result<()> {
    let answer = remote.request(Method::PUT, &[name]).json(body).send().await?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    let exists = String::from_utf8_lossy(&body).contains("resource_already_exists_exception");
    ensure!(status.is_success() || exists, remote::reason(status, &body));
    Ok(())
}

/// Loads the corpus; `None` when the user stopped it.
async fn load_corpus(
    remote: &Remote,
    index: &str,
    corpus: gleaner_datasets::Corpus,
    reporter: &Reporter,
) -> Result<Option<Ledger>> {
    let meter = Arc::new(Meter::of(corpus.size()));
    let input = InputName { shown: corpus.name().to_owned(), path: None };
    let source = Source { content: Content::Corpus(corpus), identity: None, from: Some(0) };
    let reading = Reading { sources: vec![source], options: ReadOptions::default(), meter };
    let delivery = Delivery {
        remote: remote.clone(),
        index: index.to_owned(),
        pipeline: None,
        load: format!("{:016x}", rand::random::<u64>()),
        patience: PATIENCE,
    };
    let mut ledger = Ledger::new(vec![input], None, None);
    let books = (&mut ledger, reporter);
    let end = load::run(reading, delivery, FLOW, books, signals::stop_asked()?).await?;
    Ok((end == End::Whole).then_some(ledger))
}

async fn count(remote: &Remote, index: &str) -> Result<u64> {
    let answer = remote.request(Method::GET, &[index, "_count"]).send().await?;
    let answer = remote::json(answer).await?;
    answer["count"].as_u64().context("the server answered no count")
}

async fn try_search(remote: &Remote, index: &str, search: &Search, address: &str) -> Result<()> {
    let request = remote.request(Method::POST, &[index, "_search"]).json(&search.body);
    let answer = remote::json(request.send().await?).await?;
    let Palette { strong, faint, reset, .. } = Palette::of_stdout();
    let mut out = stdout().lock();
    writeln!(out, "\n{strong}{}{reset}", search.about)?;
    writeln!(out, "{}", search.curl(address, index))?;
    let total = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
    let took = answer["took"].as_u64().unwrap_or_default();
    writeln!(out, "{faint}  {} match, {took} ms{reset}", grouped(total))?;
    for hit in answer["hits"]["hits"].as_array().into_iter().flatten() {
        let title = hit["_source"][search.title].as_str().unwrap_or_default();
        let id = hit["_id"].as_str().unwrap_or_default();
        writeln!(out, "  {}  {faint}{id}{reset}", cut(&one_line(title), 60))?;
    }
    for (name, aggregation) in answer["aggregations"].as_object().into_iter().flatten() {
        writeln!(out, "  {name}: {}", buckets(aggregation))?;
    }
    Ok(())
}

fn buckets(aggregation: &Value) -> String {
    let buckets = aggregation["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told = buckets.iter().take(6).map(|bucket| {
        let key = bucket["key_as_string"].as_str().or_else(|| bucket["key"].as_str());
        let count = bucket["doc_count"].as_u64().unwrap_or_default();
        format!("{} {}", key.unwrap_or("?"), grouped(count))
    });
    told.collect::<Vec<_>>().join(", ")
}
