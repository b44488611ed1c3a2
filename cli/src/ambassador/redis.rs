//! `gleaner ambassador redis`: several Redis servers behind one address.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, ensure};
use gleaner_ambassador::{RedisAmbassador, RedisOptions};

use super::{Admission, take_address};
use crate::companion::{Companion, CompanionArguments, listen_at, secret};
use crate::config::{ByteSize, Span};
use crate::descriptors;
use crate::exit::Exit;

/// Make several Redis servers one: each key lies on one of them, or on several.
///
/// Clients speak RESP2 as with a single server, pipelined if they like. MGET, MSET, DEL, UNLINK, EXISTS and TOUCH may
/// name keys of several servers; for other commands keys with the same {tag} lie together. What needs one server for
/// all keys (transactions, subscriptions, KEYS, SCAN, blocking commands) is refused by name.
///
/// With --copies 2 a server may die: the other copy answers, and what the dead one misses is copied to it before it is
/// used again. Writes are remembered for that by this process alone, for as long as it lives.
#[derive(Debug, clap::Args)]
pub(super) struct RedisArguments {
    /// Address to listen on; one that other machines reach needs --password-file or --insecure
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:6379",
        env = "GLEANER_LISTEN"
    )]
    listen: String,
    /// Listen on an address that other machines reach without asking for a password
    #[arg(long, env = "GLEANER_INSECURE")]
    insecure: bool,
    /// A Redis server; repeat it for each. Where a key lies depends on these names, not on their order
    #[arg(
        long = "server",
        value_name = "HOST:PORT",
        required = true,
        value_delimiter = ',',
        env = "GLEANER_AMBASSADOR_SERVERS"
    )]
    servers: Vec<String>,
    /// Servers that hold each key
    #[arg(long, value_name = "N", default_value_t = 1, env = "GLEANER_AMBASSADOR_COPIES", value_parser = clap::value_parser!(u8).range(1..=3))]
    copies: u8,
    /// Time that a server has to take a connection and to answer PING; one that does not is out
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1s",
        env = "GLEANER_AMBASSADOR_TIMEOUT"
    )]
    timeout: Span,
    /// File with the password that clients must show with AUTH [default: none is asked for]
    #[arg(long, value_name = "FILE", env = "GLEANER_AMBASSADOR_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// File with the password that servers ask for
    #[arg(
        long,
        value_name = "FILE",
        env = "GLEANER_AMBASSADOR_SERVER_PASSWORD_FILE"
    )]
    server_password_file: Option<PathBuf>,
    /// Clients at once, half of the open files allowed at most; further ones wait
    #[arg(long, value_name = "N", default_value_t = 8_192, env = "GLEANER_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Memory for the requests and answers that all clients and servers have under way; what there is none for is
    /// refused
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "256mb",
        env = "GLEANER_AMBASSADOR_MEMORY"
    )]
    memory: ByteSize,
    #[command(flatten)]
    companion: CompanionArguments,
}

/// Runs the command.
pub(super) async fn run(arguments: RedisArguments, verbosity: u8) -> Result<Exit> {
    let copies = usize::from(arguments.copies);
    ensure!(
        copies <= arguments.servers.len(),
        "{copies} copies need as many servers, and there are {}",
        arguments.servers.len()
    );
    for (at, server) in arguments.servers.iter().enumerate() {
        ensure!(
            server
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()),
            "`{server}` is no address of a server: wanted HOST:PORT"
        );
        ensure!(
            !arguments.servers[..at].contains(server),
            "`{server}` is named twice"
        );
    }
    let admission = match arguments.password_file {
        _ if arguments.insecure => Admission::Anyone,
        Some(_) => Admission::Password,
        None => Admission::ThisMachine {
            or: "with `--password-file FILE` or ",
        },
    };
    let options = RedisOptions {
        servers: arguments.servers,
        copies,
        timeout: arguments.timeout.0,
        password: secret(arguments.password_file.as_deref())?,
        server_password: secret(arguments.server_password_file.as_deref())?,
        memory_bytes: arguments.memory.in_memory(),
        max_clients: descriptors::connections(arguments.max_connections as usize),
    };
    let companion = Companion::start(&arguments.companion, "ambassador", None, verbosity).await?;
    let bound = take_address(&arguments.listen, admission).await?;
    let ambassador = Arc::new(RedisAmbassador::new(options));
    let listener = listen_at(bound, "ambassador of Redis servers")?;
    let asked = Arc::clone(&ambassador);
    let _telling = companion.tell(move || (!asked.is_ready()).then_some("no server is in"));
    let grace = arguments.companion.shutdown_grace.0;
    ambassador.serve(listener, companion.stopped(), grace).await;
    tracing::info!("stopped");
    Ok(Exit::Success)
}
