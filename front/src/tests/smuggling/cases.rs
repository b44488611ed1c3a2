//! The table: requests as bytes, and what may become of each.

mod chunks;
mod framing;

/// What may become of a case.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    /// No backend sees it.
    Refused,
    /// The backend sees it once, with this body.
    Taken(&'static str),
    /// One or the other: readers may differ, as long as the front writes anew what it read.
    Either(&'static str),
}

use Want::{Either, Refused, Taken};

/// A request that two readers may read in two ways.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) want: Want,
    /// Does the client say nothing more? Else what is missing would be waited for.
    pub(super) ends: bool,
}

/// What must not be read as a request where it is a body, or behind the last one.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// Returns all cases.
pub(super) fn all() -> Vec<Case> {
    let tables = [
        framing::lengths(),
        framing::both(),
        framing::malformed_beside_chunked(),
        framing::malformed_beside_a_length(),
        framing::codings(),
        chunks::sizes(),
        chunks::malformed_sizes(),
        chunks::ends(),
        chunks::trailers(),
        versions(),
        hosts(),
        targets(),
        fields(),
    ];
    tables.into_iter().flatten().collect()
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, want: Want) -> Case {
    let bytes = bytes.into();
    let ends = false;
    Case {
        name,
        bytes,
        want,
        ends,
    }
}

/// A case whose client ends what it sends.
fn ending(case: Case) -> Case {
    Case { ends: true, ..case }
}

/// A POST with these fields.
fn post(fields: &str, body: &str) -> String {
    format!("POST /case HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}")
}

/// A GET with these fields.
fn get(fields: &str) -> String {
    format!("GET /case HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n")
}

fn versions() -> Vec<Case> {
    let old = |name, fields: &str, body: &str, want| {
        case(
            name,
            format!("POST /case HTTP/1.0\r\nHost: h\r\n{fields}\r\n\r\n{body}"),
            want,
        )
    };
    let line = |name, line: &str, want| case(name, format!("{line}\r\nHost: h\r\n\r\n"), want);
    vec![
        old(
            "chunks in HTTP/1.0",
            "Transfer-Encoding: chunked",
            "0\r\n\r\n",
            Refused,
        ),
        old(
            "chunks and a length in HTTP/1.0",
            "Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
            Refused,
        ),
        old(
            "a length in HTTP/1.0",
            "Connection: keep-alive\r\nContent-Length: 5",
            "hello",
            Taken("hello"),
        ),
        line("HTTP/0.9", "GET /case", Refused),
        line("HTTP/1.2", "GET /case HTTP/1.2", Refused),
        line("HTTP/2 in a line", "GET /case HTTP/2.0", Refused),
        line("a version in small letters", "GET /case http/1.1", Refused),
        line("two versions", "GET /case HTTP/1.1 HTTP/1.1", Refused),
        line("a long version", "GET /case HTTP/1.10", Refused),
    ]
}

fn hosts() -> Vec<Case> {
    let host =
        |name, line: &str, want| case(name, format!("GET /case HTTP/1.1\r\n{line}\r\n\r\n"), want);
    let target = |name, target: &str, want| {
        case(
            name,
            format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"),
            want,
        )
    };
    vec![
        host("no host", "X: y", Refused),
        host("two hosts", "Host: h\r\nHost: other", Refused),
        host("the same host twice", "Host: h\r\nHost: h", Refused),
        host("a list of hosts", "Host: h, other", Refused),
        host("an empty host", "Host:", Refused),
        host("a host with a path", "Host: h/path", Refused),
        host("a host with a user", "Host: me@h", Refused),
        host("a host with a space", "Host: h other", Refused),
        host("a host with a port that is none", "Host: h:port", Refused),
        host(
            "a host with a port that is too large",
            "Host: h:99999",
            Refused,
        ),
        host("a space before the colon of a host", "Host : h", Refused),
        host(
            "a host with an underscore beside it",
            "Host: h\r\nHost_: other",
            Taken(""),
        ),
        target("a target with the same host", "http://h/case", Taken("")),
        target("a target with another host", "http://other/case", Refused),
        target("a target with another port", "http://h:81/case", Refused),
        target("a target with a user", "http://h@other/case", Refused),
        target("a target without a host", "http:///case", Refused),
    ]
}

fn targets() -> Vec<Case> {
    let line = |name, line: &str, want| case(name, format!("{line}\r\nHost: h\r\n\r\n"), want);
    vec![
        line("a target that is no path", "GET case HTTP/1.1", Refused),
        line("a target that is a star", "POST * HTTP/1.1", Refused),
        line("a target with a space", "POST /ca se HTTP/1.1", Refused),
        line("two targets", "GET /case /smuggled HTTP/1.1", Refused),
        line("a target with a NUL", "GET /\0case HTTP/1.1", Refused),
        line("a target with a return", "GET /\rcase HTTP/1.1", Refused),
        line(
            "two spaces before a target",
            "GET  /case HTTP/1.1",
            Either(""),
        ),
        line("a tab before a target", "GET\t/case HTTP/1.1", Refused),
        line("a method with a NUL", "GE\0T /case HTTP/1.1", Refused),
        line("no method", " /case HTTP/1.1", Refused),
        line("a tunnel", "CONNECT h:80 HTTP/1.1", Refused),
        line("a trace", "TRACE /case HTTP/1.1", Refused),
        line(
            "empty lines before a request",
            "\r\n\r\nGET /case HTTP/1.1",
            Either(""),
        ),
    ]
}

fn fields() -> Vec<Case> {
    let field = |name, lines: &str, want| case(name, get(lines), want);
    let frames = |name, lines: &str, behind: &[u8]| {
        case(name, [get(lines).as_bytes(), behind].concat(), Taken(""))
    };
    vec![
        field("a folded line", "X: y\r\n z", Refused),
        field(
            "a folded line with a tab",
            "X: y\r\n\tTransfer-Encoding: chunked",
            Refused,
        ),
        field("a line that begins with a space", " X: y", Refused),
        field("a line without a colon", "X", Refused),
        field("a line without a name", ": x", Refused),
        field("a name with a space", "X Y: z", Refused),
        field("a name with a NUL", "X\0: z", Refused),
        field("a name of other letters", "\u{d6}: z", Refused),
        field("a value with a NUL", "X: y\0z", Refused),
        field(
            "a value with a bare return",
            "X: y\rContent-Length: 35",
            Refused,
        ),
        field("a value with a control", "X: y\u{1}z", Refused),
        field("a value of other letters", "X: \u{d6}", Either("")),
        field(
            "Connection names a field of ours",
            "Connection: X-Gleaner-Remaining-Ms\r\nX-Gleaner-Remaining-Ms: 1",
            Taken(""),
        ),
        field(
            "a field of ours with underscores",
            "X_Gleaner_Remaining_Ms: 1\r\nGleaner_Principal: root",
            Taken(""),
        ),
        field("Connection names the host", "Connection: Host", Taken("")),
        field(
            "fields for the next hop",
            "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: close",
            Taken(""),
        ),
        field(
            "an expectation without a body",
            "Expect: 100-continue",
            Taken(""),
        ),
        case(
            "an expectation with a body",
            post("Expect: 100-continue\r\nContent-Length: 35", SMUGGLED),
            Taken(SMUGGLED),
        ),
        case(
            "an expectation with chunks",
            post(
                "Expect: 100-continue\r\nTransfer-Encoding: chunked",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            Taken("hello"),
        ),
        case(
            "an expectation that nobody knows",
            post("Expect: a miracle\r\nContent-Length: 5", "hello"),
            Either("hello"),
        ),
        frames(
            "bytes behind an upgrade",
            "Connection: Upgrade\r\nUpgrade: websocket",
            b"\x81\x05hello",
        ),
        frames(
            "HTTP/2 behind an upgrade",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ),
    ]
}
