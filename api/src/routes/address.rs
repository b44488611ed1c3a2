//! Addresses of nodes, as answers show them: host and port.

/// Returns host and port of an address.
pub(super) fn split(address: &str) -> (&str, &str) {
    address.rsplit_once(':').unwrap_or((address, ""))
}

/// Returns the host of an address.
pub(super) fn host(address: &str) -> &str {
    split(address).0
}
