//! Ports of this machine for servers that are started later, or again.

use std::io;
use std::net::TcpListener;
use std::ops::Range;

/// Below those that Linux gives to connections (`ip_local_port_range`), one of which would have the port before its server
/// listens.
const PORTS: Range<u16> = 20_000..32_768;

/// Ports that are looked at until one is free.
const MAX_DRAWS: usize = 1_000;

/// Returns a listener at a port of the loopback address that was free; the port is its server's once this is dropped.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when none was found.
pub fn held() -> io::Result<TcpListener> {
    let drawn = (0..MAX_DRAWS).map(|_| rand::random_range(PORTS));
    let mut free = drawn.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    free.next().ok_or_else(|| io::ErrorKind::AddrInUse.into())
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
}
