//! A collector of spans: takes OTLP over HTTP and reads its protobuf by hand, by the numbers of the published protocol.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a span is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal,
    Server,
    Client,
}

/// A span that came.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

/// What came.
#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    /// The bodies of all requests, as they were sent.
    bytes: Vec<u8>,
}

/// A collector that listens until the test ends.
pub(crate) struct Collector {
    url: String,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let taken = Arc::<Mutex<Taken>>::default();
        let to = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let to = Arc::clone(&to);
                std::thread::spawn(move || serve(stream, &to));
            }
        });
        Self { url, taken }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn spans_of(&self, trace: u128) -> Vec<Span> {
        let taken = self.taken.lock().expect("nobody panics");
        let of_trace = taken.spans.iter().filter(|span| span.trace == trace);
        of_trace.cloned().collect()
    }

    /// Returns all that was sent, as it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.taken.lock().expect("nobody panics").bytes.clone()
    }
}

/// Answers the requests of a connection.
fn serve(stream: TcpStream, taken: &Mutex<Taken>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length, mut is_protobuf) = (String::new(), 0, false);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a head");
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().expect("a length"),
                Some(("content-type", value)) => is_protobuf = value == "application/x-protobuf",
                Some(_) => {}
                None => break,
            }
        }
        assert!(first.starts_with("POST /v1/traces HTTP/1.1"), "{first}");
        assert!(is_protobuf, "another content type");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let spans = spans_of(&body);
        let mut all = taken.lock().expect("nobody panics");
        all.spans.extend(spans);
        all.bytes.extend(body);
        drop(all);
        let answer =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// A field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => panic!("a number was wanted"),
        }
    }

    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => panic!("bytes were wanted"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("text")
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Returns the fields of a message with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let mut take = |num_bytes: usize| {
            let (taken, rest) = bytes.split_at(num_bytes);
            bytes = rest;
            taken
        };
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(8).try_into().expect("8 bytes"))),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (taken, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(taken)
            }
            5 => {
                let number = u32::from_le_bytes(take(4).try_into().expect("4 bytes"));
                Field::Number(number.into())
            }
            other => panic!("no such wire type: {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn all<'a>(fields: &'a [(u64, Field<'a>)], number: u64) -> impl Iterator<Item = &'a Field<'a>> {
    let of_number = fields.iter().filter(move |(found, _)| *found == number);
    of_number.map(|(_, field)| field)
}

fn big_endian(bytes: &[u8], num_bytes: usize) -> u128 {
    assert!(bytes.is_empty() || bytes.len() == num_bytes, "{bytes:?}");
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Reads an `ExportTraceServiceRequest`.
fn spans_of(body: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    let request = fields(body);
    for of_resource in all(&request, 1) {
        let of_resource = fields(of_resource.bytes());
        let service = all(&of_resource, 1).find_map(|resource| service_of(resource.bytes()));
        let service = service.expect("the resource has a service");
        for of_scope in all(&of_resource, 2) {
            let of_scope = fields(of_scope.bytes());
            spans.extend(all(&of_scope, 2).map(|span| span_of(&service, span.bytes())));
        }
    }
    spans
}

fn service_of(resource: &[u8]) -> Option<String> {
    let resource = fields(resource);
    all(&resource, 1).find_map(|attribute| {
        let attribute = fields(attribute.bytes());
        let key = all(&attribute, 1).next()?.text();
        let value = fields(all(&attribute, 2).next()?.bytes());
        (key == "service.name").then(|| all(&value, 1).next().map(Field::text))?
    })
}

fn span_of(service: &str, span: &[u8]) -> Span {
    let span = fields(span);
    let one = |number| all(&span, number).next();
    let id = |number, num_bytes| one(number).map_or(0, |id| big_endian(id.bytes(), num_bytes));
    Span {
        service: service.to_owned(),
        trace: id(1, 16),
        id: id(2, 8) as u64,
        parent: id(4, 8) as u64,
        name: one(5).expect("a name").text(),
        kind: match one(6).expect("a kind").number() {
            1 => Kind::Internal,
            2 => Kind::Server,
            3 => Kind::Client,
            other => panic!("no such kind: {other}"),
        },
        started: one(7).expect("a beginning").number(),
        ended: one(8).expect("an end").number(),
    }
}
