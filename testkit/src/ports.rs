//! Ports for servers that are started later, or again.

use std::net::TcpListener;
use std::ops::Range;

use anyhow::{Context, Result};

/// Below those that the system gives to connections (`ip_local_port_range`), one of which would have the port before its
/// server listens.
const PORTS: Range<u16> = 20_000..32_768;

/// Ports that are looked at until one is free.
const MAX_DRAWS: usize = 1_000;

/// Returns a listener at a port of this machine that was free; it is the server's once this is dropped.
///
/// # Errors
/// When none is free.
pub fn held() -> Result<TcpListener> {
    let drawn = (0..MAX_DRAWS).map(|_| rand::random_range(PORTS));
    let mut free = drawn.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    free.next().context("no port is free")
}
