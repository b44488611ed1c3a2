//! `gleaner top`: what all nodes of a cluster are busy with, in one view that renews itself.

mod view;

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::config::Span;
use crate::exit::Exit;
use crate::remote::{self, Remote, RemoteArguments};
use crate::signals;
use crate::terminal::Palette;
use view::View;

/// Shortest time between two looks: nodes compute shares of their processors over a second.
const SHORTEST: Duration = Duration::from_secs(1);

/// Show what the nodes of a cluster are busy with: processors, memory, threads, files, requests, the hottest indices.
///
/// The root that is asked tells of the leaves. Fronts and single nodes that are named with `--node` are asked for their own
/// page, `/topz`. On a terminal the view renews itself until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// A front or another node that is asked too, at the address of its probes; may be repeated
    #[arg(long = "node", value_name = "URL")]
    nodes: Vec<String>,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "2s")]
    every: Span,
    /// Show it once and end
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: TopArguments) -> Result<Exit> {
    let root = arguments.remote.remote()?;
    let others: Result<Vec<Remote>> = arguments
        .nodes
        .iter()
        .map(|url| arguments.remote.asking(url).remote())
        .collect();
    let others = others?;
    let is_live = stdout().is_terminal() && !arguments.once;
    let stop = signals::stop_asked()?;
    tokio::pin!(stop);
    let _screen = is_live.then(Screen::open).transpose()?;
    loop {
        let began = Instant::now();
        let view = tokio::select! {
            () = &mut stop => return Ok(Exit::Success),
            view = look(&root, &others) => view?,
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

/// Asks all nodes. Those that are named and do not answer are shown as such.
async fn look(root: &Remote, others: &[Remote]) -> Result<View> {
    let asked = ["_cluster/health", "_nodes/stats", "topz"].map(|path| ask(root, path));
    let pages = join_all(others.iter().map(|other| ask(other, "topz")));
    let (answers, pages) = tokio::join!(join_all(asked), pages);
    let mut answers = answers.into_iter();
    let mut next = || answers.next().context("three were asked")?;
    let (health, nodes, own) = (next()?, next()?, next()?);
    let mut view = View::of(&health, &nodes);
    view.add_page(root.address(), &own);
    for (other, page) in others.iter().zip(pages) {
        match page {
            Ok(page) => view.add_page(other.address(), &page),
            Err(error) => view.add_silent(other.address(), &format!("{error:#}")),
        }
    }
    Ok(view)
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
