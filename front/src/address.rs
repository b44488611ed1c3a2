//! Whose request it is: the address behind proxies that are trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Header in which proxies write whom they forward for, each behind the one before it.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most addresses of a chain that are looked at.
const MAX_HOPS: usize = 16;

/// Networks of proxies whose word about addresses is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Returns the proxies of these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Is an address that of such a proxy?
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the client: from the other end of the connection on, the first address that no trusted proxy has.
    ///
    /// What a proxy says that is no address ends the chain there: the last proxy that is known counts as the client.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.ip().to_canonical();
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let hops = lines
            .into_iter()
            .rev()
            .flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        for hop in hops.take(MAX_HOPS) {
            if !self.contain(client) {
                break;
            }
            let Some(before) = address_of(hop.trim()) else {
                break;
            };
            client = before;
        }
        client
    }
}

/// Reads an address, with or without a port, brackets and zone.
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    let host = host.split_once('%').map_or(host, |(host, _)| host);
    host.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a network"));
        let trusted = TrustedProxies::new(networks.to_vec());
        let many = vec!["10.0.0.9"; 40].join(",");
        let cases: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1:5", &[], "192.0.2.1"),
            ("192.0.2.1:5", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1:5", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1:5", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (
                "10.0.0.1:5",
                &["1.1.1.1", "203.0.113.9, 10.0.0.2"],
                "203.0.113.9",
            ),
            ("10.0.0.1:5", &["203.0.113.9:81"], "203.0.113.9"),
            ("10.0.0.1:5", &["\"[2001:db8::1%eth0]:81\""], "2001:db8::1"),
            ("10.0.0.1:5", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1:5", &["unknown"], "10.0.0.1"),
            ("10.0.0.1:5", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1:5", &[""], "10.0.0.1"),
            (
                "[::ffff:10.0.0.1]:5",
                &["::ffff:203.0.113.9"],
                "203.0.113.9",
            ),
            ("[fd00::1]:5", &["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            ("10.0.0.1:5", &[&many], "10.0.0.9"),
        ];
        for (peer, lines, client) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(FORWARDED_FOR, line.parse().expect("a value"));
            }
            let found = trusted.client(peer.parse().expect("an address"), &headers);
            assert_eq!(found.to_string(), *client, "{peer} {lines:?}");
        }
    }
}
