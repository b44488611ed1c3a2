//! The binary `gleaner`: one command a module.
//!
//! Does: read flags, environment and files; wire rooms into a process; load, search and show.
//! Does not: anything that a room does. Only here is configuration read, and only here the process
//! ends. Read [`arguments`] first.

mod adapter;
mod allocator;
mod ambassador;
mod arguments;
mod bench;
mod certs;
mod cluster;
mod companion;
mod completions;
mod config;
mod config_sync;
mod dataset;
mod demo;
mod descriptors;
mod environment;
mod exit;
mod exposure;
mod feed;
mod flags;
mod front;
mod health;
mod index;
mod keys;
mod logging;
mod man;
mod node;
mod overflow;
mod remote;
mod search;
mod security;
mod serve;
mod signals;
mod telemetry;
mod terminal;
mod tls;
mod top;
mod topz;

use std::{io, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use config::LogFormat;
use exit::Exit;
use gleaner_machine::private;

/// How long threads that hang on a pipe are waited for at the end.
const SHUTDOWN: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Failure
            } else {
                Exit::Success
            };
            // Nobody is there to be told that nobody is there.
            drop(error.print());
            return exit.into();
        }
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    let checked = environment::check(names, &Arguments::command());
    match checked.and_then(|()| run(arguments)) {
        Ok(exit) => exit.into(),
        // `gleaner … | head` is content with what it got.
        Err(error) if is_broken_pipe(&error) => Exit::Success.into(),
        Err(error) => {
            terminal::say(&format!("error: {error:#}"));
            Exit::Failure.into()
        }
    }
}

fn run(arguments: Arguments) -> Result<Exit> {
    if arguments.command.keeps_data() {
        private::begin();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let verbosity = arguments.verbose;
    let installs_its_own = match &arguments.command {
        Command::Serve(_)
        | Command::Demo(_)
        | Command::Leaf(_)
        | Command::Root(_)
        | Command::Front(_)
        | Command::Ambassador(_)
        | Command::Adapter(_)
        | Command::ConfigSync(_) => true,
        Command::Index(arguments) => arguments.is_companion(),
        _ => false,
    };
    if !installs_its_own {
        logging::install(logging::filter_of(verbosity), LogFormat::Text)?;
    }
    let exit = runtime.block_on(async {
        signals::outlive_reopening()?;
        match arguments.command {
            Command::Serve(arguments) => serve::run(arguments, verbosity).await,
            Command::Demo(arguments) => demo::run(arguments, verbosity).await,
            Command::Leaf(arguments) => node::run_leaf(arguments, verbosity).await,
            Command::Root(arguments) => node::run_root(arguments, verbosity).await,
            Command::Front(arguments) => front::run(arguments, verbosity).await,
            Command::Ambassador(arguments) => ambassador::run(arguments, verbosity).await,
            Command::Adapter(arguments) => adapter::run(arguments, verbosity).await,
            Command::ConfigSync(arguments) => config_sync::run(arguments, verbosity).await,
            Command::Cluster(arguments) => cluster::run(arguments).await,
            Command::Keys(arguments) => keys::run(arguments).await,
            Command::Top(arguments) => top::run(arguments).await,
            Command::Topz(arguments) => topz::run(arguments).await,
            Command::Health(arguments) => health::run(arguments).await,
            Command::Index(arguments) => index::run(arguments, verbosity).await,
            Command::Search(arguments) => search::run(arguments).await,
            Command::Bench(arguments) => bench::run(arguments).await,
            Command::Certs(arguments) => certs::run(&arguments),
            Command::Dataset(arguments) => dataset::run(arguments),
            Command::Completions(arguments) => completions::run(&arguments),
            Command::Man(arguments) => man::run(&arguments),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN);
    exit
}

/// Did standard output close? Writes to it carry no context; those to files and sockets do.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error = error
        .downcast_ref::<io::Error>()
        .filter(|_| error.chain().len() == 1);
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
