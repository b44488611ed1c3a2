//! What a server may use up, and how it takes connections.

use std::time::Duration;

use gleaner_telemetry::AccessLog;
use gleaner_tls::Acceptor;
use ipnet::IpNet;

/// Settings of a server; every one has a default.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Connections at once, idle ones too; default 8,192. Beyond it those that have been quiet for the longest are
    /// closed, and others wait to be accepted when none is quiet.
    pub max_connections: usize,
    /// Connections of one address at once; default 0, which is half of [`Self::max_connections`]: more
    /// than a proxy in front keeps to one node, and whatever one address does leaves room for others.
    pub max_connections_per_address: usize,
    /// Time for the first bytes of a connection, and for a request's head from its first byte on; default 10 s.
    pub head_read_timeout: Duration,
    /// Time that a connection may be kept without a request; default 75 s, which is what clients with kept
    /// connections expect of a server.
    pub idle_timeout: Duration,
    /// Time in which a client must take 16 KiB of an answer, or what is left of it; default 30 s. A connection
    /// that does not is closed, so that answers that nobody reads are not held.
    pub write_timeout: Duration,
    /// Time that open requests are given to end at shutdown; default 30 s.
    pub shutdown_grace: Duration,
    /// Are connections that begin with a probe answered on the edge? Default yes. They are not where connections are
    /// encrypted.
    pub answers_probes: bool,
    /// Where the lines and spans of requests go, but for probes; default nowhere.
    pub access_log: Option<AccessLog>,
    /// What encrypts connections; default nothing. Where it is set, plain requests are refused.
    pub tls: Option<Acceptor>,
    /// Peers that must begin with a PROXY header, version 1 or 2, whose address is that of the client; default none.
    /// What others send is never read as one.
    pub proxy_protocol: Vec<IpNet>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_connections: 8_192,
            max_connections_per_address: 0,
            head_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(30),
            answers_probes: true,
            access_log: None,
            tls: None,
            proxy_protocol: Vec::new(),
        }
    }
}

impl ServerOptions {
    /// Returns how many connections one address may have.
    pub(crate) fn per_address(&self) -> usize {
        match self.max_connections_per_address {
            0 => (self.max_connections / 2).max(1),
            most => most,
        }
    }
}
