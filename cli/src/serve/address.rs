//! Addresses to listen on: names are resolved, and a port that is not given is the usual one.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use anyhow::{Result, anyhow, bail};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// A flag that names an address to listen on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressFlag {
    /// As it is written.
    flag: &'static str,
    /// The port where none is given.
    port: u16,
}

/// Clients.
pub(crate) const LISTEN: AddressFlag = AddressFlag {
    flag: "--listen",
    port: 9200,
};

/// Other nodes.
pub(crate) const RPC_LISTEN: AddressFlag = AddressFlag {
    flag: "--rpc-listen",
    port: 9300,
};

/// Probes and metrics.
pub(crate) const PROBE_LISTEN: AddressFlag = AddressFlag {
    flag: "--probe-listen",
    port: 9210,
};

/// Those who look after a front.
pub(crate) const ADMIN_LISTEN: AddressFlag = AddressFlag {
    flag: "--admin-listen",
    port: 9220,
};

/// Clients that come without encryption.
pub(crate) const REDIRECT_LISTEN: AddressFlag = AddressFlag {
    flag: "--redirect-listen",
    port: 80,
};

impl AddressFlag {
    /// Returns `address` with a port, the usual one where it has none.
    ///
    /// # Errors
    /// When it is no `HOST:PORT`, `HOST` or `[ADDRESS]:PORT`; in words.
    pub(crate) fn complete(self, address: &str) -> Result<String> {
        let port = self.port;
        if address.parse::<Ipv6Addr>().is_ok() {
            return Ok(format!("[{address}]:{port}"));
        }
        let (host, given) = match address.rfind(']') {
            Some(end) => address.split_at(end + 1),
            None => address.split_at(address.find(':').unwrap_or(address.len())),
        };
        let given = match given.strip_prefix(':') {
            Some(given) => given.parse::<u16>().ok(),
            None => given.is_empty().then_some(port),
        };
        let is_host = !host.is_empty() && !host.bytes().all(|byte| byte.is_ascii_digit());
        match given.filter(|_| is_host) {
            Some(port) => Ok(format!("{host}:{port}")),
            None => bail!(
                "`{address}` is no address to listen on: wanted HOST:PORT or HOST, such as \
                 `127.0.0.1:{port}`, `localhost` or `[::1]:{port}`; set it with {}",
                self.flag
            ),
        }
    }
}

/// Connections that may wait to be accepted; the default of the runtime, 128 or 1,024 by version, is
/// soon full when many clients connect at once. The system's own bound (`somaxconn`) still holds.
const BACKLOG: u32 = 4_096;

/// An address that is taken and at which nobody listens yet: who connects is refused at once.
pub(crate) struct Bound {
    socket: TcpSocket,
    /// As it was given, with its port.
    name: String,
    /// The flag that names another.
    flag: &'static str,
}

impl Bound {
    /// Takes an address, the first of those that a name stands for; `flag` is the one that names another.
    ///
    /// # Errors
    /// A port that is taken or not allowed, an address that is not this machine's, a name that stands for none;
    /// each in words.
    pub(crate) async fn take(address: &str, flag: AddressFlag) -> Result<Self> {
        let name = flag.complete(address)?;
        let bound = bind(&name).await;
        Ok(Self {
            socket: bound.map_err(|error| refused(&name, flag.flag, &error))?,
            name,
            flag: flag.flag,
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

/// Listens on the address of clients.
///
/// # Errors
/// Those of [`Bound`].
pub(crate) async fn listen(address: &str) -> Result<TcpListener> {
    Bound::take(address, LISTEN).await?.listen()
}

fn refused(address: &str, flag: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("{address} is taken: another server listens there; choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!("{address} is not allowed: ports below 1024 belong to the system")
        }
        _ => anyhow!("cannot listen on {address}: {error}; choose another with {flag}"),
    }
}

/// Binds the first address that `name` stands for and that can be bound. Those of version 4 come first: clients
/// that are given a name try all of them, and those that are given an address mostly have one of these.
async fn bind(name: &str) -> io::Result<TcpSocket> {
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "it stands for no address");
    let mut addresses: Vec<SocketAddr> = lookup_host(name).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    for address in addresses {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_port_is_the_usual_one() {
        for (given, complete) in [
            ("localhost", "localhost:9200"),
            ("127.0.0.1", "127.0.0.1:9200"),
            ("::1", "[::1]:9200"),
            ("[::1]", "[::1]:9200"),
            ("[::1]:7", "[::1]:7"),
            ("::", "[::]:9200"),
            ("search.example.com:80", "search.example.com:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            let found = LISTEN.complete(given).expect(given);
            assert_eq!(found, complete, "{given}");
        }
        for given in ["", ":9200", "9200", "a:", "a:b", "a:70000", "[::1]7"] {
            let error = LISTEN.complete(given).expect_err(given).to_string();
            assert!(error.contains("wanted HOST:PORT or HOST"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_is_listened_on_by_its_address() {
        let bound = Bound::take("localhost:0", LISTEN).await.expect("a port");
        let address = bound.local_addr().expect("an address");
        assert!(address.ip().is_loopback() && address.is_ipv4(), "{address}");
        let error = Bound::take("no-such-host.invalid", LISTEN).await.err();
        let error = error.expect("no such name").to_string();
        assert!(error.contains("no-such-host.invalid:9200"), "{error}");
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = listen("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address").to_string();
        let error = listen(&address).await.expect_err("taken").to_string();
        assert!(error.starts_with(&format!("{address} is taken")), "{error}");
        assert!(error.ends_with("choose another with --listen"), "{error}");
        let other = Bound::take(&address, RPC_LISTEN).await.err();
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
