//! The PROXY protocol: a proxy in front says first whose connection it passes on.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. We find the end of a header and `ppp` reads it, as
//! `ppp` takes some headers of which only a part has come for ones that are wrong.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Buf as _;
use gleaner_listener::Beginning;
use ipnet::IpNet;
use ppp::{HeaderResult, v1, v2};
use tokio::io::AsyncRead;

/// Time for a header.
const WITHIN: Duration = Duration::from_secs(5);

/// Bytes of the longest header of version 2: 16, the addresses of two sockets (216), and 304 of further fields.
const LONGEST: usize = 536;

/// Bytes of the longest header of version 1, its line end included.
const LONGEST_LINE: usize = 107;

/// What each header of version 1 begins with.
const LINE_PREFIX: &[u8] = b"PROXY ";

/// Where a header of version 2 says how many bytes follow the first 16.
const LENGTH_AT: usize = 14;

/// Must a connection from `peer` begin with a header?
pub(crate) fn is_trusted(networks: &[IpNet], peer: SocketAddr) -> bool {
    let address = peer.ip().to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Reads the header of a connection, and counts it from then on as its client's.
///
/// # Errors
/// When there is none, it is malformed or too long, does not come in time, or its client has its share of
/// connections already.
pub(crate) async fn take_header<S>(begun: &mut Beginning<S>) -> io::Result<()>
where
    S: AsyncRead + Unpin,
{
    let read = begun.read(WITHIN, header).await;
    let Header {
        num_bytes,
        client: said,
    } = read.inspect_err(|error| {
        if error.kind() == io::ErrorKind::InvalidData {
            begun.place.count("proxy");
        }
    })?;
    begun.first.advance(num_bytes);
    let Some(client) = said else { return Ok(()) };
    begun.place.move_to(client).map_err(|error| {
        begun.place.count("address");
        io::Error::other(error)
    })
}

/// A header.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    num_bytes: usize,
    /// Whose connection it is; `None` for the proxy's own, and for clients without an address.
    client: Option<SocketAddr>,
}

/// Reads the header that `first` begins with; `None` while a part is missing.
fn header(first: &[u8]) -> io::Result<Option<Header>> {
    let Some(num_bytes) = length(first)? else {
        return Ok(None);
    };
    let client = match HeaderResult::parse(&first[..num_bytes]) {
        HeaderResult::V1(read) => client_of_line(read.map_err(malformed)?.addresses),
        HeaderResult::V2(read) => client_of_binary(&read.map_err(malformed)?)?,
    };
    Ok(Some(Header { num_bytes, client }))
}

/// Returns how long the header is that `first` begins with; `None` while that cannot be told, or less has come.
fn length(first: &[u8]) -> io::Result<Option<usize>> {
    if is_begun(first, v2::PROTOCOL_PREFIX) {
        let Some(length) = first.get(LENGTH_AT..LENGTH_AT + 2) else {
            return Ok(None);
        };
        let length = LENGTH_AT + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length > LONGEST {
            return Err(malformed("it is longer than 536 bytes"));
        }
        return Ok((first.len() >= length).then_some(length));
    }
    if is_begun(first, LINE_PREFIX) {
        let line = &first[..first.len().min(LONGEST_LINE)];
        let end = line.windows(2).position(|two| two == b"\r\n");
        if end.is_none() && line.len() == LONGEST_LINE {
            return Err(malformed("its line is longer than 107 bytes"));
        }
        return Ok(end.map(|end| end + 2));
    }
    Err(malformed("there is none"))
}

/// Does `first` begin with `prefix`, as far as it has come?
fn is_begun(first: &[u8], prefix: &[u8]) -> bool {
    let compared = first.len().min(prefix.len());
    first[..compared] == prefix[..compared]
}

fn client_of_line(addresses: v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(of) => Some((of.source_address, of.source_port).into()),
        v1::Addresses::Tcp6(of) => Some((of.source_address, of.source_port).into()),
    }
}

fn client_of_binary(header: &v2::Header<'_>) -> io::Result<Option<SocketAddr>> {
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    if header.protocol == v2::Protocol::Datagram {
        return Err(malformed("it is for datagrams, not for connections"));
    }
    Ok(match header.addresses {
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        v2::Addresses::IPv4(of) => Some((of.source_address, of.source_port).into()),
        v2::Addresses::IPv6(of) => Some((of.source_address, of.source_port).into()),
    })
}

fn malformed(reason: impl std::fmt::Display) -> io::Error {
    let text = format!("no PROXY header that can be read: {reason}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests;
