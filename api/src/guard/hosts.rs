//! The names by which a node may be called.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The names by which a node may be called. Addresses always may, and so may `localhost`: a page that is to pass for
/// one of a node's origin needs a name that its author can point at the node.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: BTreeSet<String>,
    /// Ends of names, each with its leading dot.
    suffixes: Vec<String>,
    is_any: bool,
}

impl Hosts {
    /// Returns what `names` allow: a name, `*.example.com` for all names under one, `*` for all. A port does not
    /// matter.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hosts = Self::default();
        for name in names {
            let name = name.trim().to_ascii_lowercase();
            if name == "*" {
                hosts.is_any = true;
            } else if let Some(suffix) = name.strip_prefix('*') {
                hosts.suffixes.push(suffix.to_owned());
            } else if let Some(host) = without_port(&name).filter(|host| !host.is_empty()) {
                hosts.names.insert(host.to_owned());
            }
        }
        hosts
    }

    /// May a request say that it is for `host`, a name or address with or without a port?
    pub fn allow(&self, host: &[u8]) -> bool {
        if self.is_any || host.is_empty() {
            return true;
        }
        let Some(host) = std::str::from_utf8(host).ok().and_then(without_port) else {
            return false;
        };
        if is_address(host) {
            return true;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let host = host.to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || self.names.contains(&host)
            || self.suffixes.iter().any(|suffix| host.ends_with(suffix))
    }
}

/// Returns the host of `HOST` or `HOST:PORT`; `None` where it is neither.
fn without_port(authority: &str) -> Option<&str> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, port) = authority.split_at(end + 1);
        return is_port(port).then_some(host);
    }
    let end = authority.find(':').unwrap_or(authority.len());
    let (host, port) = authority.split_at(end);
    is_port(port).then_some(host)
}

/// Is `text` nothing, or a colon and a port?
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn is_address(host: &str) -> bool {
    let of_brackets = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match of_brackets {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}
