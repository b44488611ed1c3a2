//! `gleaner serve`: everything in one process, on one folder.

pub(crate) mod folder;
pub(crate) mod node;

use std::{
    io::{self, Write, stdout},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, Result, anyhow};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::{
    config::{Config, Flags},
    descriptors,
    exit::Exit,
    logging, signals,
};
use folder::DataFolder;
use node::Node;

/// Serve an index folder over HTTP, in the dialect that search clients speak.
///
/// Settings come from flags, over the environment, over the file, over defaults. SIGINT and SIGTERM
/// end it in order: open requests are answered and everything is committed.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArguments {
    /// File of settings, in TOML
    #[arg(long, value_name = "FILE", env = "GLEANER_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in force, as such a file, and end
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command; `verbosity` is how often `-v` was given.
pub(crate) async fn run(arguments: ServeArguments, verbosity: u8) -> Result<Exit> {
    let config = Config::resolve(&arguments.flags, arguments.config.as_deref())?;
    if arguments.print_config {
        stdout().write_all(config.to_toml()?.as_bytes())?;
        return Ok(Exit::Success);
    }
    let filter = if verbosity > 0 {
        logging::filter_of(verbosity + 1)
    } else {
        &config.log
    };
    logging::install(filter, config.log_format)?;
    descriptors::raise();
    let stop = signals::stop_asked()?;
    let folder = DataFolder::take(&config.data)?;
    let listener = listen(&config.listen).await?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?
        .to_string();
    let is_new = folder.is_new();
    let node = Node::start(folder, &config)?;
    tracing::info!(%address, data = %config.data.display(), "serving");
    if is_new {
        // A courtesy: nobody has to read it.
        drop(stdout().write_all(first_steps(&address).as_bytes()));
    }
    node.serve(listener, &config, stop).await?;
    tracing::info!("stopped; everything is committed");
    Ok(Exit::Success)
}

/// Connections that may wait to be accepted; the default of the runtime, 128 or 1,024 by version, is
/// soon full when many clients connect at once. The system's own bound (`somaxconn`) still holds.
const BACKLOG: u32 = 4_096;

/// An address that is taken and at which nobody listens yet: who connects is refused at once.
pub(crate) struct Bound {
    socket: TcpSocket,
    /// As it was given.
    name: String,
    /// The flag that names another.
    flag: &'static str,
}

impl Bound {
    /// Takes an address; `flag` is the one that names another.
    ///
    /// # Errors
    /// A port that is taken or not allowed, an address that is not this machine's; each in words.
    pub(crate) async fn take(name: &str, flag: &'static str) -> Result<Self> {
        let bound = bind(name).await;
        Ok(Self {
            socket: bound.map_err(|error| refused(name, flag, &error))?,
            name: name.to_owned(),
            flag,
        })
    }

    /// Returns the address, its port chosen by the system where 0 was given.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Lets others connect.
    ///
    /// # Errors
    /// A port that another process listens on since.
    pub(crate) fn listen(self) -> Result<TcpListener> {
        let listening = self.socket.listen(BACKLOG);
        listening.map_err(|error| refused(&self.name, self.flag, &error))
    }
}

/// Listens on `address`.
///
/// # Errors
/// Those of [`Bound`].
pub(crate) async fn listen(address: &str) -> Result<TcpListener> {
    Bound::take(address, "--listen").await?.listen()
}

fn refused(address: &str, flag: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("{address} is taken: another server listens there; choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!("{address} is not allowed: ports below 1024 belong to the system")
        }
        _ => anyhow!("cannot listen on {address}: {error}"),
    }
}

/// Binds the first address that `name` stands for and that can be bound.
async fn bind(name: &str) -> io::Result<TcpSocket> {
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "it stands for no address");
    for address in lookup_host(name).await? {
        match bind_one(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a server that has just stopped do not keep the next one from its port. On
    // Windows the option would let two servers share one.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn first_steps(address: &str) -> String {
    format!(
        "A new folder. Try:

  curl 'http://{address}/'
  curl -X POST 'http://{address}/notes/_doc/1?refresh=true' -H 'Content-Type: application/json' \\
    -d '{{\"title\": \"First\", \"text\": \"what others scattered\"}}'
  curl 'http://{address}/notes/_search?q=scattered&pretty'
  gleaner index --url http://{address} --index notes FILE.ndjson

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = listen("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address").to_string();
        let error = listen(&address).await.expect_err("taken").to_string();
        assert!(error.starts_with(&format!("{address} is taken")), "{error}");
        assert!(error.ends_with("choose another with --listen"), "{error}");
        let other = Bound::take(&address, "--rpc-listen").await.err();
        let error = other.expect("taken").to_string();
        assert!(
            error.ends_with("choose another with --rpc-listen"),
            "{error}"
        );
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn many_clients_may_wait_to_be_accepted() {
        use std::net::TcpStream;
        use std::time::Duration;

        const NUM_CLIENTS: u32 = 300;
        let bound = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("a setting");
        if bound.trim().parse::<u32>().expect("a number") < NUM_CLIENTS {
            return;
        }
        let listener = listen("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(5));
        let clients: Result<Vec<_>, _> = (0..NUM_CLIENTS).map(connect).collect();
        assert_eq!(clients.expect("all wait").len(), NUM_CLIENTS as usize);
    }
}
