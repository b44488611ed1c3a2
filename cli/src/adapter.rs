//! `gleaner adapter`: what a program shows, in the form that others expect.

mod health;
mod logs;
mod redis;
mod slow_lines;

use anyhow::Result;

use crate::exit::Exit;

/// Show what a program measures, logs and can do in the form that others expect.
#[derive(Debug, clap::Args)]
pub(crate) struct AdapterArguments {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, clap::Subcommand)]
enum Program {
    Redis(redis::RedisArguments),
    Health(health::HealthArguments),
    Logs(logs::LogsArguments),
}

/// Runs the command.
pub(crate) async fn run(arguments: AdapterArguments, verbosity: u8) -> Result<Exit> {
    match arguments.program {
        Program::Redis(arguments) => redis::run(arguments, verbosity).await,
        Program::Health(arguments) => health::run(arguments, verbosity).await,
        Program::Logs(arguments) => logs::run(arguments, verbosity).await,
    }
}
