//! `gleaner ambassador`: a program calls an address of its own machine, and reaches services elsewhere.

mod redis;
mod tcp;

use anyhow::Result;

use crate::exit::Exit;

/// Stand between a program and the services that it calls.
///
/// The program always calls the same address, on its own machine; the ambassador knows where the services are, how many
/// there are and which of them work.
#[derive(Debug, clap::Args)]
pub(crate) struct AmbassadorArguments {
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, clap::Subcommand)]
enum Service {
    Redis(redis::RedisArguments),
    Tcp(tcp::TcpArguments),
}

/// Runs the command.
pub(crate) async fn run(arguments: AmbassadorArguments, verbosity: u8) -> Result<Exit> {
    match arguments.service {
        Service::Redis(arguments) => redis::run(arguments, verbosity).await,
        Service::Tcp(arguments) => tcp::run(arguments, verbosity).await,
    }
}
