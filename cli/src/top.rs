//! `gleaner top`: what all nodes of a cluster are busy with, in one view that renews itself.

pub(crate) mod page;
mod view;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Span;
use crate::exit::Exit;
use crate::node::membership::ClusterFile;
use crate::remote::{self, Remote, RemoteArguments};
use crate::signals;
use crate::terminal::Palette;
use view::View;

/// Shortest time between two looks: nodes compute shares of their processors over a second.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long a root may take that nobody named: from here it may not be reachable, as behind fronts.
const ROOT_WITHIN: Duration = Duration::from_secs(5);

/// Show what the nodes of a cluster are busy with: processors, memory, threads, files, requests, the hottest indices.
///
/// The root that answers reports the leaves and the addresses of the other roots: each is asked for its own page,
/// `/topz`. Fronts do not tell of each other. They are asked where `--cluster` has their `probe_address`, or where
/// `--node` names them. On a terminal the view renews itself until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// A front or another node that is asked too, at the address of its probes; may be repeated
    #[arg(long = "node", value_name = "URL")]
    nodes: Vec<String>,
    /// File with the table `[cluster]`: its fronts that have a `probe_address` are asked there
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "2s")]
    every: Span,
    /// Show it once and end
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: TopArguments) -> Result<Exit> {
    let mut sources = Sources::of(&arguments)?;
    let is_live = stdout().is_terminal() && !arguments.once;
    let stop = signals::stop_asked()?;
    tokio::pin!(stop);
    let _screen = is_live.then(Screen::open).transpose()?;
    loop {
        let began = Instant::now();
        let view = tokio::select! {
            () = &mut stop => return Ok(Exit::Success),
            view = sources.look() => view?,
        };
        show(&view, is_live)?;
        if arguments.once {
            return Ok(Exit::Success);
        }
        let pause = arguments.every.0.max(SHORTEST);
        tokio::select! {
            () = &mut stop => return Ok(Exit::Success),
            () = sleep(pause.saturating_sub(began.elapsed())) => {}
        }
    }
}

/// The servers that are asked.
struct Sources {
    arguments: RemoteArguments,
    /// A root, or a front ahead of roots.
    root: Remote,
    /// Those that are named by flags or in the file of the cluster.
    named: Vec<Remote>,
    /// The other roots, by their addresses, as far as they have been asked.
    roots: BTreeMap<String, Remote>,
}

/// A root of which another one told.
struct OtherRoot {
    name: String,
    remote: Remote,
}

impl Sources {
    fn of(arguments: &TopArguments) -> Result<Self> {
        let asked = &arguments.remote;
        let nodes = arguments.nodes.iter();
        let named: Result<Vec<Remote>> = nodes.map(|url| asked.asking(url).remote()).collect();
        let mut named = named?;
        if let Some(file) = &arguments.cluster {
            for front in ClusterFile::read(file)?.membership.fronts {
                if let Some(address) = &front.probe_address {
                    named.push(asked.asking_probes(address).remote()?);
                }
            }
        }
        Ok(Self {
            arguments: asked.clone(),
            root: asked.remote()?,
            named,
            roots: BTreeMap::new(),
        })
    }

    /// Asks all nodes. Those that do not answer are shown as such.
    async fn look(&mut self) -> Result<View> {
        let paths = ["_cluster/health", "_nodes/stats", "_nodes/http", "topz"];
        let asked = paths.map(|path| ask(&self.root, path));
        let pages = join_all(self.named.iter().map(|named| ask(named, "topz")));
        let (answers, pages) = tokio::join!(join_all(asked), pages);
        let mut answers = answers.into_iter();
        let mut next = || answers.next().context("four were asked")?;
        let (health, stats, addresses, own) = (next()?, next()?, next()?, next()?);
        let mut view = View::of(&health, &stats);
        view.add_page(self.root.address(), &own);
        for (named, page) in self.named.iter().zip(pages) {
            match page {
                Ok(page) => view.add_page(named.address(), &page),
                Err(error) => view.add_silent(named.address(), &format!("{error:#}")),
            }
        }
        let roots = self.other_roots(&addresses, &own["node"])?;
        let pages = join_all(roots.iter().map(|root| ask_in_time(&root.remote))).await;
        for (root, page) in roots.iter().zip(pages) {
            match page {
                Ok(page) => view.add_page(root.remote.address(), &page),
                Err(error) => view.add_silent(&root.name, &format!("{error:#}")),
            }
        }
        Ok(view)
    }

    /// Returns the roots that `_nodes/http` names, but for the one called `asked`. They are asked with the same key,
    /// and as the first one by `http` or `https`.
    fn other_roots(&mut self, addresses: &Value, asked: &Value) -> Result<Vec<OtherRoot>> {
        let asked_at = self.root.address().split_once("://");
        let scheme = asked_at.map_or("http", |(scheme, _)| scheme).to_owned();
        let mut roots = Vec::new();
        let nodes = addresses["nodes"].as_object();
        for node in nodes.into_iter().flat_map(|nodes| nodes.values()) {
            let address = node["http"]["publish_address"].as_str();
            let Some(address) = address.filter(|_| node["name"] != *asked) else {
                continue;
            };
            let remote = match self.roots.get(address) {
                Some(remote) => remote.clone(),
                None => {
                    let url = format!("{scheme}://{address}");
                    let remote = self.arguments.asking(&url).remote()?;
                    self.roots.insert(address.to_owned(), remote.clone());
                    remote
                }
            };
            roots.push(OtherRoot {
                name: node["name"].as_str().unwrap_or(address).to_owned(),
                remote,
            });
        }
        Ok(roots)
    }
}

/// Asks a root for its page, but not for long.
async fn ask_in_time(root: &Remote) -> Result<Value> {
    let page = timeout(ROOT_WITHIN, ask(root, "topz")).await;
    page.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", ROOT_WITHIN.as_secs())))
}

async fn ask(remote: &Remote, path: &str) -> Result<Value> {
    let path: Vec<&str> = path.split('/').collect();
    let answer = remote.request(Method::GET, &path).send().await;
    let answer = answer.map_err(|error| remote.unanswered(&error))?;
    remote::json(answer).await
}

fn show(view: &View, is_live: bool) -> Result<()> {
    let text = view.to_text(Palette::of_stdout());
    let mut out = stdout().lock();
    if is_live {
        // To the first place; each line is cleared behind its text, and what is below.
        let lines = text.replace('\n', "\x1b[K\n");
        write!(out, "\x1b[H{lines}\x1b[J")?;
    } else {
        writeln!(out, "{text}")?;
    }
    out.flush()?;
    Ok(())
}

/// A screen of its own, so that what stood on the terminal is there again afterwards.
struct Screen;

impl Screen {
    fn open() -> Result<Self> {
        write!(stdout(), "\x1b[?1049h\x1b[?25l")?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody may be there any more.
        drop(write!(stdout(), "\x1b[?25h\x1b[?1049l"));
        drop(stdout().flush());
    }
}
