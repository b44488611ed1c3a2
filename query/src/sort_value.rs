//! How values of sort keys are shown: addresses as text, dates in the format asked for.
//!
//! Leaves and roots compare values in another form (see [`crate::order`]); it is turned into the shown
//! one where hits are joined with their content.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use crate::answer::SortValue;

/// Returns a value as it is shown and as `search_after` takes it back.
pub fn shown(value: &SortValue) -> Value {
    match value {
        SortValue::I64(number) => Value::from(*number),
        SortValue::U64(number) => Value::from(*number),
        SortValue::F64(number) => Value::from(*number),
        SortValue::Text(text) => Value::from(text.as_str()),
        SortValue::Ip(address) => Value::from(ip_text(*address)),
        SortValue::Missing => Value::Null,
    }
}

/// Returns the text form of an address: IPv4 where it is one.
pub fn ip_text(address: u128) -> String {
    let address = Ipv6Addr::from(address);
    match address.to_ipv4_mapped() {
        Some(short) => short.to_string(),
        None => address.to_string(),
    }
}

/// Reads an address in its IPv6 form, IPv4 mapped; `None` where the text is none.
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
            let address = parse_ip(text).expect("an address");
            assert_eq!(shown(&SortValue::Ip(address)), text);
        }
        assert_eq!(parse_ip("::ffff:9.0.0.1"), parse_ip("9.0.0.1"));
        assert_eq!(parse_ip("9.0.0"), None);
    }
}
