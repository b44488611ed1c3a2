//! Requests whose end can be read in two ways: the classes of RFC 9112, 6.3 and 11.2, and of published attacks.
//!
//! Each case hides `GET /smuggled` where one reader sees a body and another a request. A backend that reads by length,
//! and one that reads by chunks, must see one request of the case or none, and never what is hidden; and requests that
//! follow, on the same connection and on others, get their own answers.

use super::backend::Framing;
use super::*;

/// What is hidden.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";

/// A way to hide it.
struct Case {
    name: &'static str,
    bytes: String,
}

fn with_fields(name: &'static str, fields: &str, body: &str) -> Case {
    Case {
        name,
        bytes: format!("POST /victim HTTP/1.1\r\nhost: h\r\n{fields}\r\n{body}"),
    }
}

/// Cases that are about two framings at once, or one that is malformed.
fn framings() -> Vec<Case> {
    let by_chunks = format!("0\r\n\r\n{HIDDEN}");
    let length = by_chunks.len();
    let te = "transfer-encoding: chunked\r\n";
    let cl = format!("content-length: {length}\r\n");
    let in_chunk = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let mut cases = vec![
        with_fields("CL then TE", &format!("{cl}{te}"), &by_chunks),
        with_fields("TE then CL", &format!("{te}{cl}"), &by_chunks),
        with_fields(
            "CL short then TE",
            &format!("content-length: 4\r\n{te}"),
            &in_chunk,
        ),
        with_fields(
            "TE then CL short",
            &format!("{te}content-length: 4\r\n"),
            &in_chunk,
        ),
        with_fields("two CL", &format!("content-length: 0\r\n{cl}"), &by_chunks),
        with_fields(
            "two CL, other order",
            &format!("{cl}content-length: 0\r\n"),
            &by_chunks,
        ),
        with_fields("CL list", "content-length: 0, 5\r\n", HIDDEN),
        with_fields("CL 0 with a body", "content-length: 0\r\nx: ", HIDDEN),
    ];
    for value in [
        "+0",
        "-0",
        "0x0",
        "0 0",
        " ",
        "",
        "0;",
        "٠",
        "0_0",
        "1e0",
        "0,",
        "00000000000000000000000000000001",
        "18446744073709551616",
        "99999999999999999999",
    ] {
        let fields = format!("content-length: {value}\r\n{te}");
        cases.push(Case {
            name: "CL malformed with TE",
            bytes: format!("POST /victim HTTP/1.1\r\nhost: h\r\n{fields}\r\n{by_chunks}"),
        });
        let fields = format!("content-length: {value}\r\n");
        cases.push(Case {
            name: "CL malformed",
            bytes: format!("POST /victim HTTP/1.1\r\nhost: h\r\n{fields}\r\n{HIDDEN}"),
        });
    }
    for value in [
        "chunked, x",
        "x, chunked",
        "xchunked",
        "chunkedx",
        "identity",
        "chunked, chunked",
        "gzip, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "\x0bchunked",
        "chunked\x0b",
        ",chunked",
        "chunked,",
        "CHUNKED",
        "cow",
    ] {
        for cl in ["", &cl] {
            cases.push(Case {
                name: "TE malformed",
                bytes: format!(
                    "POST /victim HTTP/1.1\r\nhost: h\r\ntransfer-encoding: {value}\r\n{cl}\r\n{by_chunks}"
                ),
            });
        }
    }
    cases
}

/// Cases that are about the form of heads.
fn heads() -> Vec<Case> {
    let by_chunks = format!("0\r\n\r\n{HIDDEN}");
    let length = by_chunks.len();
    let cl = format!("content-length: {length}\r\n");
    let mut cases = Vec::new();
    for field in [
        "transfer-encoding : chunked\r\n",
        " transfer-encoding: chunked\r\n",
        "transfer-encoding\t: chunked\r\n",
        "transfer-encoding:\r\n chunked\r\n",
        "x: y\r\n transfer-encoding: chunked\r\n",
        "x: y\rtransfer-encoding: chunked\r\n",
        "x: y\ntransfer-encoding: chunked\r\n",
        "x: y\0\r\ntransfer-encoding: chunked\r\n",
        "transfer\0-encoding: chunked\r\n",
        "transfer_encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: x\r\n",
        "transfer-encoding: x\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n",
        "connection: content-length\r\ntransfer-encoding: chunked\r\n",
        "expect: 100-continue\r\ntransfer-encoding: chunked\r\n",
        "upgrade: websocket\r\nconnection: upgrade\r\n",
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: x\r\n",
        "host: other\r\n",
        "x\r\n",
        ": x\r\n",
        "x y: z\r\n",
    ] {
        cases.push(with_fields("field", &format!("{cl}{field}"), &by_chunks));
        cases.push(with_fields(
            "field first",
            &format!("{field}{cl}"),
            &by_chunks,
        ));
    }
    for line in [
        "POST /victim HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n",
        "POST /victim HTTP/1.0\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n",
        "POST /victim HTTP/0.9\r\nhost: h\r\n",
        "POST /victim HTTP/1.2\r\nhost: h\r\n",
        "POST /victim HTTP/2.0\r\nhost: h\r\n",
        "POST /victim\r\nhost: h\r\n",
        "POST  /victim HTTP/1.1\r\nhost: h\r\n",
        "POST /vic tim HTTP/1.1\r\nhost: h\r\n",
        "POST http://other/victim HTTP/1.1\r\nhost: h\r\n",
        "POST victim HTTP/1.1\r\nhost: h\r\n",
        "POST * HTTP/1.1\r\nhost: h\r\n",
        "CONNECT h:80 HTTP/1.1\r\nhost: h\r\n",
        "TRACE /victim HTTP/1.1\r\nhost: h\r\n",
        "GET /victim HTTP/1.1\r\nhost: h\r\n",
        "\r\n\r\nPOST /victim HTTP/1.1\r\nhost: h\r\n",
        "PO ST /victim HTTP/1.1\r\nhost: h\r\n",
    ] {
        cases.push(Case {
            name: "request line",
            bytes: format!("{line}{cl}\r\n{by_chunks}"),
        });
    }
    cases
}

/// Cases that are about chunks.
fn chunks() -> Vec<Case> {
    let te = "transfer-encoding: chunked\r\n";
    let mut cases = Vec::new();
    for size in [
        "0x0",
        "-0",
        "+0",
        "0_0",
        " 0",
        "g",
        "",
        "\t0",
        "00000000000000000",
        "fffffffffffffffff",
        "0\0",
    ] {
        cases.push(with_fields(
            "chunk size",
            te,
            &format!("{size}\r\n\r\n{HIDDEN}"),
        ));
    }
    for end in [
        "0;x=\r\n\r\n",
        "0;x=\"a\rb\"\r\n\r\n",
        "0;\n\r\n\r\n",
        "0\n\n",
        "0\r\r\n",
        "0 \r\n\r\n",
    ] {
        cases.push(with_fields(
            "chunk extension",
            te,
            &format!("{end}{HIDDEN}"),
        ));
    }
    for trailer in [
        "content-length: 40",
        "transfer-encoding: chunked",
        "host: other",
        "x: y\0",
    ] {
        let body = format!("0\r\n{trailer}\r\n\r\n{HIDDEN}");
        cases.push(with_fields("trailer", te, &body));
    }
    for body in [
        "3\r\nabc0\r\n\r\n",
        "3\r\nabcde\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
    ] {
        cases.push(with_fields("chunk end", te, &format!("{body}{HIDDEN}")));
    }
    cases
}

/// Sends a case and two harmless requests; says what is wrong with what the backend saw and the clients were answered.
async fn judge(front: SocketAddr, backend: &Backend, case: &Case) -> Result<(), String> {
    let mut stream = TcpStream::connect(front)
        .await
        .map_err(|error| error.to_string())?;
    // The server may have closed the connection before all is sent.
    drop(stream.write_all(case.bytes.as_bytes()).await);
    let first = answer(&mut stream).await;
    // Cases that are whole by one reading and not by another wait for more: this ends them.
    drop(stream.shutdown().await);
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    read.map_err(|_| "the connection hangs".to_owned())?.ok();
    let other = ask(front, &get("/other")).await;
    if status(&other) != 200 {
        return Err(format!("the next request is answered {other}"));
    }
    let paths = backend.take_paths();
    // Bytes behind a request that is whole are the next request of the same client, whatever they say: a front that
    // answers that is right. A backend must never be sent both as one.
    let num_answers = status_lines(&first) + status_lines(&String::from_utf8_lossy(&rest));
    let num_seen = paths.iter().filter(|path| *path != "/other").count();
    if num_seen > num_answers {
        return Err(format!(
            "{num_seen} requests came through, {num_answers} were answered: {paths:?}"
        ));
    }
    Ok(())
}

fn status_lines(answers: &str) -> usize {
    answers.matches("HTTP/1.1 ").count() + answers.matches("HTTP/1.0 ").count()
}

#[tokio::test]
async fn nothing_hidden_comes_through() {
    for framing in [Framing::Length, Framing::Chunks] {
        let backend = Backend::framed(framing).await;
        let front = listening(ahead_of(&[&backend])).await;
        let cases: Vec<Case> = [framings(), heads(), chunks()]
            .into_iter()
            .flatten()
            .collect();
        assert!(cases.len() > 100, "{}", cases.len());
        for case in cases {
            let judged = judge(front.address, &backend, &case).await;
            if let Err(wrong) = judged {
                panic!("{framing:?}, {}: {wrong}\n{:?}", case.name, case.bytes);
            }
        }
    }
}

/// A front as it must not be: it passes on the bytes of a request up to the end that it reads by length.
async fn naive(backend: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                let number = client.read(&mut bytes).await.unwrap_or(0);
                let mut upstream = TcpStream::connect(backend).await.expect("connects");
                upstream.write_all(&bytes[..number]).await.expect("sent");
                let answered = answer(&mut upstream).await;
                // It believes that this was all.
                drop(client.write_all(answered.as_bytes()).await);
                // The second answer stays in the connection, for the next client of it.
                drop(answer(&mut upstream).await);
            });
        }
    });
    address
}

#[tokio::test]
async fn a_front_that_passes_bytes_on_is_caught() {
    let backend = Backend::framed(Framing::Chunks).await;
    let front = naive(backend.address).await;
    let case = &framings()[0];
    let judged = judge(front, &backend, case).await;
    assert!(judged.is_err_and(|wrong| wrong.contains("came through")));
}
