//! Headers, whole and in pieces, and what is none.

use std::io;

use super::*;

/// Returns a header of version 2 with `command`, `family` and what follows them.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = v2::PROTOCOL_PREFIX.to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(rest.len()).expect("short").to_be_bytes());
    header.extend(rest);
    header
}

const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const TCP4: u8 = 0x11;
const UDP4: u8 = 0x12;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;

/// 192.0.2.1:4660 to 198.51.100.1:443.
const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 1, 0xbb];

fn ipv6() -> Vec<u8> {
    let mut addresses = vec![0; 36];
    (addresses[15], addresses[31]) = (1, 2);
    addresses[32..].copy_from_slice(&[0x12, 0x34, 1, 0xbb]);
    addresses
}

/// Headers that are taken, and the clients that they name.
fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let with_fields = [IPV4, &[4, 0, 1, 0]].concat();
    let longest = [IPV4, &[4, 1, 253], &[0; 509][..504]].concat();
    let line = |line: &str| line.as_bytes().to_vec();
    vec![
        (
            line("PROXY TCP4 192.0.2.1 198.51.100.1 4660 443\r\n"),
            Some("192.0.2.1:4660"),
        ),
        (
            line("PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n"),
            Some("[2001:db8::1]:4660"),
        ),
        (line("PROXY UNKNOWN\r\n"), None),
        (line("PROXY UNKNOWN ff:: ff:: 1 2\r\n"), None),
        (binary(PROXY, TCP4, IPV4), Some("192.0.2.1:4660")),
        (binary(PROXY, TCP4, &with_fields), Some("192.0.2.1:4660")),
        (binary(PROXY, TCP6, &ipv6()), Some("[::1]:4660")),
        (binary(PROXY, UNIX, &[0; 216]), None),
        (binary(PROXY, 0, &[]), None),
        (binary(LOCAL, 0, &[]), None),
        (binary(LOCAL, TCP4, IPV4), None),
        (binary(PROXY, TCP4, &longest), Some("192.0.2.1:4660")),
    ]
}

#[test]
fn a_header_is_read_once_it_is_whole_and_what_follows_stays() {
    for (bytes, client) in good() {
        let client = client.map(|address| address.parse().expect("an address"));
        for end in 1..bytes.len() {
            let told = header(&bytes[..end]).expect("it may become one");
            assert_eq!(told, None, "{end} bytes of {bytes:?}");
        }
        let num_bytes = bytes.len();
        for more in [&b""[..], b"\r\n", b"GET / HTTP/1.1\r\n"] {
            let told = header(&[&bytes, more].concat()).expect("one");
            assert_eq!(told, Some(Header { num_bytes, client }), "{bytes:?}");
        }
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let too_long = binary(PROXY, TCP4, &[0; 521]);
    let long_line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let version_1 = [v2::PROTOCOL_PREFIX, &[0x11, TCP4, 0, 12], IPV4].concat();
    for bad in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n",
        b"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
        b"PROXY\tTCP4",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 \xff\xff\r\n",
        b"\r\n\r\nGET",
        b"\x16\x03\x01",
        long_line.as_bytes(),
        &too_long[..16],
        &version_1,
        &binary(2, TCP4, IPV4),
        &binary(PROXY, 0x41, IPV4),
        &binary(PROXY, TCP4, &IPV4[..11]),
        &binary(PROXY, UDP4, IPV4),
    ] {
        let error = header(bad).expect_err("no header");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad:?}");
    }
}

#[test]
fn networks_hold_addresses_of_both_families() {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"));
    for (peer, is_in) in [
        ("10.1.2.3:1", true),
        ("[::ffff:10.1.2.3]:1", true),
        ("11.1.2.3:1", false),
        ("[2001:db8::9]:1", true),
        ("[2001:db9::9]:1", false),
    ] {
        let address = peer.parse().expect("an address");
        assert_eq!(is_trusted(&networks, address), is_in, "{peer}");
    }
}
