//! Addresses as numbers: in their IPv6 form, IPv4 mapped (RFC 4291, section 2.5.5.2).

use std::net::{IpAddr, Ipv6Addr};

/// Returns the text form of an address: IPv4 where it is one.
pub fn ip_text(address: u128) -> String {
    let address = Ipv6Addr::from(address);
    match address.to_ipv4_mapped() {
        Some(short) => short.to_string(),
        None => address.to_string(),
    }
}

/// Reads an address; `None` where the text is none.
pub fn parse_ip(text: &str) -> Option<u128> {
    Some(match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(short) => short.to_ipv6_mapped().to_bits(),
        IpAddr::V6(long) => long.to_bits(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_read() {
        for text in ["::1", "9.0.0.1", "2001:db8::1"] {
            assert_eq!(parse_ip(text).map(ip_text).as_deref(), Some(text));
        }
        assert_eq!(parse_ip("::ffff:9.0.0.1"), parse_ip("9.0.0.1"));
        assert_eq!(parse_ip("9.0.0"), None);
    }
}
