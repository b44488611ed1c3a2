//! Bodies in chunks.

use super::*;

fn chunked(name: &'static str, body: &str, want: Want) -> Case {
    case(name, post("Transfer-Encoding: chunked", body), want)
}

/// Sizes of chunks that are right, and their extensions.
pub(super) fn sizes() -> Vec<Case> {
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
    ]
}

/// Sizes that are none.
pub(super) fn malformed_sizes() -> Vec<Case> {
    vec![
        chunked("a size behind a tab", "\t5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("a size with a NUL", "5\0\r\nhello\r\n0\r\n\r\n", Refused),
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
        ending(chunked(
            "the largest size",
            "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            Refused,
        )),
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
    ]
}

/// What stands between chunks.
pub(super) fn ends() -> Vec<Case> {
    vec![
        chunked("bare feeds alone", "5\nhello\n0\n\n", Refused),
        chunked(
            "two returns before a feed",
            "5\r\r\nhello\r\n0\r\n\r\n",
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
        ending(chunked(
            "a body without a last chunk",
            "5\r\nhello\r\n",
            Refused,
        )),
        chunked("a request instead of a chunk", SMUGGLED, Refused),
    ]
}

pub(super) fn trailers() -> Vec<Case> {
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
