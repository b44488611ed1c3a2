//! Where a body ends: lengths, codings, and both.

use super::*;

pub(super) fn lengths() -> Vec<Case> {
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

pub(super) fn both() -> Vec<Case> {
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

pub(super) fn codings() -> Vec<Case> {
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

/// Lengths that are none, beside a coding that is one.
pub(super) fn malformed_beside_chunked() -> Vec<Case> {
    let values = [
        "+0",
        "-0",
        "0x0",
        "0 0",
        "",
        "0;",
        "0_0",
        "1e0",
        "0,",
        "99999999999999999999",
    ];
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let crossed = values.map(|value| {
        let (length, coding) = (
            format!("Content-Length: {value}"),
            "Transfer-Encoding: chunked",
        );
        [
            format!("{length}\r\n{coding}"),
            format!("{coding}\r\n{length}"),
        ]
    });
    let cases = crossed.iter().flatten();
    let name = "a malformed length beside a coding";
    cases
        .map(|fields| case(name, post(fields, &body), Either("")))
        .collect()
}

/// Codings that are none, beside a length that is one.
pub(super) fn malformed_beside_a_length() -> Vec<Case> {
    let values = [
        "chunked, x",
        "x, chunked",
        "xchunked",
        "chunkedx",
        "identity",
        "chunked, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "\u{b}chunked",
        ",chunked",
        "cow",
        "\r\n chunked",
        "chunked\r\nTransfer-Encoding: x",
    ];
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let crossed = values.map(|value| {
        let (length, coding) = ("Content-Length: 40", format!("Transfer-Encoding: {value}"));
        [
            format!("{length}\r\n{coding}"),
            format!("{coding}\r\n{length}"),
        ]
    });
    let cases = crossed.iter().flatten();
    let name = "a malformed coding beside a length";
    cases
        .map(|fields| case(name, post(fields, &body), Refused))
        .collect()
}
