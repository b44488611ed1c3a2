//! `gleaner topz`: what one process is busy with, as its page `/topz` says.
//!
//! Does: ask once, show the page as text or as it came. Does not: add up several processes ([`crate::top`] does). Called by
//! `main`. Read [`crate::top::page`] for the layout.

use std::io::{Write as _, stdout};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;

use crate::exit::Exit;
use crate::remote::{self, RemoteArguments};
use crate::terminal::Palette;
use crate::top::page;

/// Show the page `/topz` of one process: its threads, processor time, memory and files, its queues, its requests.
///
/// A root or a single node answers it at --listen, to those who may monitor the cluster; every process answers it at
/// --probe-listen: fronts, leaves and companions of other programs too.
#[derive(Debug, clap::Args)]
pub(crate) struct TopzArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Print the page as JSON, as the process answers it
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: TopzArguments) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    let answer = remote.request(Method::GET, &["topz"]).send().await;
    let answer = answer.map_err(|error| remote.unanswered(&error))?;
    let asked = || format!("asked `{}` for `/topz`", remote.address());
    let body = remote::body(answer).await.with_context(asked)?;
    let page = serde_json::from_slice(&body).context("the answer is no JSON");
    let page: Value = page.with_context(asked)?;
    ensure!(
        page["role"].is_string(),
        "`{}` answers `/topz` with something else than the page of a process",
        remote.address()
    );
    let mut out = stdout().lock();
    if arguments.json {
        out.write_all(&body)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", page::to_text(&page, Palette::of_stdout()))?;
    }
    out.flush()?;
    Ok(Exit::Success)
}
