//! The service broker: a program calls an address of its own machine, and is carried to where the service is now.
//!
//! Where that is comes from DNS, an SRV record, a file, the environment or whatever feeds [`Endpoints`]; it is looked
//! at again and again, so a service may move without a restart of the program. New connections go where the service
//! is; open ones stay, unless [`BrokerOptions::closes_moved`] says otherwise.

mod endpoints;
mod target;

use std::future::Future;
use std::io;
use std::time::Duration;

use gleaner_model::metric;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::accepting::Accepting;
pub use endpoints::{Endpoint, Endpoints};
pub use target::{BadTarget, Target};

/// What a broker does.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Time that each address has to take a connection.
    pub connect_within: Duration,
    /// Ends connections to an address that the service has left.
    pub closes_moved: bool,
    /// Connections at once; further ones wait.
    pub max_connections: usize,
}

/// Carries connections of `listener` to the service until `stop` completes; those that are open then have `grace`.
pub async fn serve_broker(
    listener: TcpListener,
    options: BrokerOptions,
    endpoints: watch::Receiver<Endpoints>,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let accepting = Accepting {
        listener,
        max: options.max_connections,
        grace,
    };
    accepting
        .each(stop, |client| {
            let (options, endpoints) = (options.clone(), endpoints.clone());
            async move { carry(client, &options, endpoints).await }
        })
        .await;
}

/// Carries one connection until either side ends it.
async fn carry(
    mut client: TcpStream,
    options: &BrokerOptions,
    mut endpoints: watch::Receiver<Endpoints>,
) {
    let known = endpoints.borrow_and_update().clone();
    let (address, mut service) = match connect(&known, options.connect_within).await {
        Ok(connected) => connected,
        Err(why) => {
            count("unreachable");
            tracing::warn!(%why, "a connection cannot be carried to the service");
            return;
        }
    };
    count("carried");
    // Programs that write small pieces decide themselves when they go; failing to say so costs only latency.
    drop(client.set_nodelay(true).and(service.set_nodelay(true)));
    let moved = async {
        if !options.closes_moved {
            std::future::pending::<()>().await;
        }
        let has_left = |now: &Endpoints| !now.has(&address);
        if endpoints.wait_for(has_left).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = copy_bidirectional(&mut client, &mut service) => {
            if let Err(error) = ended {
                tracing::debug!(%error, address, "a carried connection broke");
            }
        }
        () = moved => tracing::info!(address, "a connection ended, as the service has left its address"),
    }
}

/// Connects to the first address that takes a connection.
async fn connect(endpoints: &Endpoints, within: Duration) -> Result<(String, TcpStream), String> {
    if endpoints.is_empty() {
        return Err("it is not known where the service is".to_owned());
    }
    let mut failures = Vec::new();
    for address in endpoints.in_turn() {
        let connected = tokio::time::timeout(within, TcpStream::connect(&address)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match connected {
            Ok(stream) => return Ok((address, stream)),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    Err(failures.join("; "))
}

fn count(outcome: &'static str) {
    metrics::counter!(metric::AMBASSADOR_CONNECTIONS.name, "outcome" => outcome).increment(1);
}
