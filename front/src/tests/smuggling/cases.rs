//! The table: requests as bytes, and what may become of each.

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
        lengths(),
        both(),
        codings(),
        chunks(),
        trailers(),
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

fn lengths() -> Vec<Case> {
    let length =
        |name, text: &str, want| case(name, post(&format!("Content-Length:{text}"), "hello"), want);
    vec![
        length("a length", " 5", Taken("hello")),
        length("a length without a space", "5", Taken("hello")),
        length("a length behind a tab", "\t5\t", Taken("hello")),
        length("a length with a zero ahead", " 05", Either("hello")),
        length("a length with a sign", " +5", Refused),
        length("a negative length", " -5", Refused),
        length("a length in hexadecimal", " 0x5", Refused),
        length("a length with an exponent", " 5e0", Refused),
        length("a length with a fraction", " 5.0", Refused),
        length("a quoted length", " \"5\"", Refused),
        length("no length", "", Refused),
        length("a list of lengths", " 5, 5", Refused),
        length("a list of two lengths", " 5, 0", Refused),
        length("lengths behind each other", " 5 0", Refused),
        length("a length with a vertical tab", " 5\u{b}", Refused),
        length("a length in other digits", " \u{665}", Refused),
        length("a length that overflows", " 18446744073709551616", Refused),
        length(
            "a length that wraps to five",
            " 18446744073709551621",
            Refused,
        ),
        case(
            "the same length twice",
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
            Either("hello"),
        ),
        case(
            "two lengths",
            post("Content-Length: 35\r\nContent-Length: 0", SMUGGLED),
            Refused,
        ),
        case(
            "two lengths, the short one first",
            post("Content-Length: 0\r\nContent-Length: 35", SMUGGLED),
            Refused,
        ),
        case(
            "a space before the colon of a length",
            post("Content-Length : 5", "hello"),
            Refused,
        ),
        case(
            "a length with an underscore",
            post("Content_Length: 35", ""),
            Taken(""),
        ),
        case(
            "a request as a body",
            post("Content-Length: 35", SMUGGLED),
            Taken(SMUGGLED),
        ),
        case(
            "a request as the body of a GET",
            get("Content-Length: 35") + SMUGGLED,
            Taken(SMUGGLED),
        ),
        ending(case(
            "a body that breaks off",
            post("Content-Length: 9", "hello"),
            Refused,
        )),
    ]
}

fn both() -> Vec<Case> {
    let behind = format!("0\r\n\r\n{SMUGGLED}");
    let of = |name, fields: &str, body: &str, want| case(name, post(fields, body), want);
    vec![
        of(
            "Content-Length before Transfer-Encoding",
            "Content-Length: 40\r\nTransfer-Encoding: chunked",
            &behind,
            Either(""),
        ),
        of(
            "Transfer-Encoding before Content-Length",
            "Transfer-Encoding: chunked\r\nContent-Length: 40",
            &behind,
            Either(""),
        ),
        of(
            "a length of the chunks",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
            Either(""),
        ),
        of(
            "a short length and a coding",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "23\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n\r\n0\r\n\r\n",
            Either(SMUGGLED),
        ),
        of(
            "a coding with an underscore and a length",
            "Transfer_Encoding: chunked\r\nContent-Length: 5",
            "0\r\n\r\n",
            Taken("0\r\n\r\n"),
        ),
        of(
            "a coding of another name and a length",
            "X-Transfer-Encoding: chunked\r\nContent-Length: 5",
            "0\r\n\r\n",
            Taken("0\r\n\r\n"),
        ),
        of(
            "a coding that is none and a length",
            "Transfer-Encoding: identity\r\nContent-Length: 5",
            "0\r\n\r\n",
            Refused,
        ),
        of(
            "a space before the colon of a coding",
            "Content-Length: 40\r\nTransfer-Encoding : chunked",
            &behind,
            Refused,
        ),
        of(
            "a tab before the colon of a coding",
            "Content-Length: 40\r\nTransfer-Encoding\t: chunked",
            &behind,
            Refused,
        ),
        of(
            "Connection names the length",
            "Connection: Content-Length\r\nContent-Length: 35",
            SMUGGLED,
            Taken(SMUGGLED),
        ),
        of(
            "Connection names the coding",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
            "5\r\nhello\r\n0\r\n\r\n",
            Taken("hello"),
        ),
    ]
}

fn codings() -> Vec<Case> {
    let coding = |name, text: &str, want| {
        case(
            name,
            post(
                &format!("Transfer-Encoding:{text}"),
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            want,
        )
    };
    vec![
        coding("chunked", " chunked", Taken("hello")),
        coding("chunked without a space", "chunked", Taken("hello")),
        coding("chunked behind a tab", "\tchunked", Taken("hello")),
        coding("chunked in large letters", " CHUNKED", Taken("hello")),
        coding("chunked and another", " chunked, x", Refused),
        coding("chunked before a comma", " chunked,", Refused),
        coding("chunked behind a comma", " , chunked", Refused),
        coding("another and chunked", " x, chunked", Refused),
        coding("packed and chunked", " gzip, chunked", Refused),
        coding("chunked twice in a list", " chunked, chunked", Refused),
        coding("chunked with letters ahead", " xchunked", Refused),
        coding("chunked with letters behind", " chunkedx", Refused),
        coding("chunked with a parameter", " chunked;q=1", Refused),
        coding("chunked in quotes", " \"chunked\"", Refused),
        coding("chunked behind a vertical tab", " \u{b}chunked", Refused),
        coding("chunked with a NUL", " chunked\0", Refused),
        coding("identity", " identity", Refused),
        coding("no coding", "", Refused),
        coding(
            "chunked twice",
            " chunked\r\nTransfer-Encoding: chunked",
            Refused,
        ),
        coding(
            "chunked and identity",
            " chunked\r\nTransfer-Encoding: identity",
            Refused,
        ),
        coding(
            "identity and chunked",
            " identity\r\nTransfer-Encoding: chunked",
            Refused,
        ),
        coding("chunked on a folded line", "\r\n chunked", Refused),
        coding("chunked before a bare return", " chunked\rX: y", Refused),
        coding(
            "chunked before a bare feed",
            " chunked\nX: y",
            Either("hello"),
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let chunked =
        |name, body: &str, want| ending(case(name, post("Transfer-Encoding: chunked", body), want));
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(20 << 10));
    vec![
        chunked(
            "an extension",
            "5;name=value\r\nhello\r\n0\r\n\r\n",
            Taken("hello"),
        ),
        chunked(
            "a quoted extension",
            "5;name=\"\\\"\"\r\nhello\r\n0\r\n\r\n",
            Either("hello"),
        ),
        chunked(
            "an extension with a bare feed",
            "5;x\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked(
            "an extension with a bare return",
            "5;x\ry\r\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked("a long extension", &long, Refused),
        chunked(
            "a size with zeros ahead",
            "00005\r\nhello\r\n0\r\n\r\n",
            Either("hello"),
        ),
        chunked(
            "a size in hexadecimal",
            "0x5\r\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked(
            "a size with an underscore",
            "5_\r\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked("a size with a sign", "+5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("a negative size", "-5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked(
            "a size of other letters",
            "g\r\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked("no size", "\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("a size behind a space", " 5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked(
            "a size before a space",
            "5 \r\nhello\r\n0\r\n\r\n",
            Either("hello"),
        ),
        chunked(
            "a size of seventeen digits",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked(
            "a size of seventeen digits with zeros",
            "00000000000000005\r\nhello\r\n0\r\n\r\n",
            Either("hello"),
        ),
        chunked(
            "the largest size",
            "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked(
            "a size before a bare feed",
            "5\nhello\r\n0\r\n\r\n",
            Either("hello"),
        ),
        chunked(
            "a size before a bare return",
            "5\rhello\r\n0\r\n\r\n",
            Refused,
        ),
        chunked(
            "a chunk that is too long",
            "5\r\nhelloX\r\n0\r\n\r\n",
            Refused,
        ),
        chunked("a chunk without an end", "5\r\nhello0\r\n\r\n", Refused),
        chunked(
            "a chunk before a bare feed",
            "5\r\nhello\n0\r\n\r\n",
            Refused,
        ),
        chunked("a body without a last chunk", "5\r\nhello\r\n", Refused),
        chunked("a request instead of a chunk", SMUGGLED, Refused),
    ]
}

fn trailers() -> Vec<Case> {
    let trailer = |name, fields: &str, lines: &str| {
        let body = format!("5\r\nhello\r\n0\r\n{lines}\r\n\r\n");
        case(
            name,
            post(&format!("Transfer-Encoding: chunked{fields}"), &body),
            Either("hello"),
        )
    };
    vec![
        trailer("a trailer", "", "X: y"),
        trailer("a length in a trailer", "", "Content-Length: 35"),
        trailer(
            "a coding in a trailer",
            "\r\nTrailer: Transfer-Encoding",
            "Transfer-Encoding: chunked",
        ),
        trailer("a host in a trailer", "\r\nTrailer: Host", "Host: other"),
        trailer(
            "a field of ours in a trailer",
            "\r\nTrailer: Gleaner-Principal",
            "Gleaner-Principal: root",
        ),
        trailer(
            "an authorization in a trailer",
            "\r\nTrailer: Authorization",
            "Authorization: ApiKey x",
        ),
        trailer(
            "a request as a trailer",
            "",
            "GET /smuggled HTTP/1.1\r\nHost: h",
        ),
        trailer("a folded trailer", "", "X: y\r\n Content-Length: 35"),
    ]
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
