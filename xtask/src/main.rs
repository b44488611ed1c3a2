//! Everyday commands of the workspace: `cargo xtask <command>`.
//!
//! Does: installs what a check needs, runs the checks in order, counts what passed.
//! Does not: belong to the product; no room depends on it.
//! Called by people and by `.ci/run`. Read [`report::Step`] first.
#![expect(
    clippy::print_stdout,
    reason = "the answers of these commands are text on a terminal"
)]

mod bench;
mod command;
mod containers;
mod cost;
mod drive;
mod image;
mod prove;
mod report;
mod setup;
mod skips;
mod static_checks;
mod suite;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::bail;

use crate::{report::Report, workspace::Workspace};

const USAGE: &str = "\
usage: cargo xtask <command>

  test    everything that must pass; ends with `N passed, N failed`
            [--list]         name the steps and stop
            [--only WORDS]   only the steps whose name holds one of the comma-separated words
  setup   install what the checks need when it is absent
  fmt     format all sources
  lint    formatting and clippy, warnings denied
  deny    licences, advisories, sources and duplicates of dependencies
  arch    the architecture test alone
  prove   the long proofs: [--tier NAME] [--seed N] [--list]
  tools   programs of others that speak the dialect, against the server built here: [--only WORDS]
  image   the container images that deploy/compose.yaml runs: `gleaner:local`, `gleaner-etcd:local`
            [--binary PATH]  with this binary instead of a build by the profile `dist`
  cost    what requests cost, counted on a release build and held against xtask/cost.toml (needs valgrind)
            [--dev]          on the binary that the tests build
            [--binary PATH]  on this one
            [--only WORDS]   only the classes whose name holds one of the comma-separated words
            [--write [--because TEXT]]  make what is found the budgets
  bench   the criterion benches; further words go to criterion
  bench lists   lists, sorts, pages and aggregations over many documents, with Lucene in the same run
            [--documents N]  a multiple of 20,000 (default 1000000)
            [--segments S]   about so many segments a shard (default 1)
            [--peers FOLDER] the generator and Lucene's runner (default ../shared/peers/scale)

environment:
  CARGO_TARGET_DIR          where to build, as for cargo itself
  GLEANER_XTASK_CACHE       where installed tools live (default ~/.cache/gleaner-xtask)
  GLEANER_XTASK_SKIP        tools not to install, comma-separated: cargo-deny, python, etcd, redis-server, valgrind
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command; false means that it ran and something did not pass.
fn run() -> anyhow::Result<bool> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    if matches!(command.as_str(), "" | "help" | "-h" | "--help") {
        print!("{USAGE}");
        return Ok(true);
    }
    let workspace = Workspace::find()?;
    let report = match command.as_str() {
        "test" => test::run(&workspace, &rest)?,
        "prove" => prove::run(&workspace, &rest)?,
        "bench" => Some(bench::run(&workspace, &rest)?),
        "cost" => Some(cost::run(&workspace, &rest)?),
        "tools" => Some(tools::run(&workspace, &rest)?),
        "setup" => Some(Report::of(
            &workspace,
            setup::STEPS.iter().chain(setup::LAST),
        )),
        "image" => Some(image::run(&workspace, &rest)?),
        "fmt" => Some(Report::of(&workspace, static_checks::FORMAT)),
        "lint" => Some(Report::of(&workspace, static_checks::LINT)),
        "deny" => Some(Report::of(&workspace, static_checks::DENY)),
        "arch" => Some(Report::of(&workspace, static_checks::ARCHITECTURE)),
        other => bail!("no command `{other}`; see `cargo xtask help`"),
    };
    Ok(report.is_none_or(|report| report.print_and_judge()))
}
