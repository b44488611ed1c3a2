//! Ports of this machine for servers that are started later, or again.

#[cfg(target_os = "linux")]
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[cfg(target_os = "linux")]
use parking_lot::Mutex;

/// Below those that Linux gives to connections (`ip_local_port_range`), one of which would have the port before its server
/// listens.
const PORTS: Range<u16> = 20_000..32_768;

/// Ports that are looked at until one is free.
const MAX_DRAWS: usize = 1_000;

/// Ports that a process claims at most: the servers of earlier ones listen by then.
#[cfg(target_os = "linux")]
const MAX_CLAIMS: usize = 256;

/// Returns a listener at a port of the loopback address that was free; the port is its server's once this is dropped. On
/// Linux no other process that draws ports here is given it before that server listens, as long as this one runs.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when none was found.
pub fn held() -> io::Result<TcpListener> {
    let drawn = (0..MAX_DRAWS).map(|_| rand::random_range(PORTS));
    let mut free = drawn.filter_map(|port| {
        let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
        claim(port).then_some(listener)
    });
    free.next().ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

/// Takes the name of a port, an abstract one of a socket that nobody sends to: it ends with the process. Returns whether
/// it was free.
#[cfg(target_os = "linux")]
fn claim(port: u16) -> bool {
    static CLAIMS: Mutex<VecDeque<UnixDatagram>> = Mutex::new(VecDeque::new());
    let name = SocketAddr::from_abstract_name(format!("gleaner-port-{port}"));
    let claim = match name.and_then(|name| UnixDatagram::bind_addr(&name)) {
        Ok(claim) => claim,
        // Where no such name can be had, ports are drawn by luck.
        Err(error) => return error.kind() != io::ErrorKind::AddrInUse,
    };
    let mut claims = CLAIMS.lock();
    if claims.len() == MAX_CLAIMS {
        claims.pop_front();
    }
    claims.push_back(claim);
    true
}

#[cfg(not(target_os = "linux"))]
fn claim(_port: u16) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_alone_and_below_those_of_connections() {
        let held: Vec<_> = (0..50).map(|_| held().expect("a port")).collect();
        let ports = held.iter().map(|listener| {
            let address = listener.local_addr().expect("an address");
            address.port()
        });
        let ports: std::collections::BTreeSet<u16> = ports.collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_is_not_drawn_again_while_its_server_may_still_start() {
        let listener = held().expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        assert!(!claim(port), "it is claimed");
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
