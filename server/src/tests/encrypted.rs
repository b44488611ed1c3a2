//! Connections over TLS, and what a port for TLS is sent instead.

use std::fs;

use gleaner_tls::{
    Acceptor, Alpn, Authority, CertificateFiles, CertificateRequest, Certificates,
    ClientCertificates, Connector, TlsStream, Trust,
};

use super::*;

/// A certificate for `localhost`, and what believes it.
pub(crate) struct Certified {
    pub(crate) acceptor: Acceptor,
    trust: Trust,
    /// Holds the files.
    _folder: tempfile::TempDir,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let authority = Authority::generate("test authority").expect("made");
        let issued = authority.issue(&CertificateRequest {
            common_name: "server".to_owned(),
            hosts: vec!["localhost".to_owned()],
            identity: None,
            days: 1,
        });
        let issued = issued.expect("issued");
        fs::write(path("ca.pem"), authority.certificate_pem()).expect("written");
        fs::write(path("server.pem"), issued.certificate_pem).expect("written");
        fs::write(path("server.key"), issued.key_pem).expect("written");
        let files = CertificateFiles {
            certificate: path("server.pem"),
            key: path("server.key"),
        };
        let certificates = Arc::new(Certificates::load(vec![files]).expect("loaded"));
        let acceptor = Acceptor::new(certificates, &ClientCertificates::NotAsked, Alpn::Http);
        Self {
            acceptor: acceptor.expect("an acceptor"),
            trust: Trust::Authorities(path("ca.pem")),
            _folder: folder,
        }
    }

    pub(crate) fn connector(&self, alpn: Alpn) -> Connector {
        Connector::new(&self.trust, None, alpn).expect("a connector")
    }
}

/// A server of encrypted connections.
struct Encrypted {
    server: Running,
    certified: Certified,
}

async fn encrypted(options: ServerOptions) -> Encrypted {
    let certified = Certified::new();
    let server = running(ServerOptions {
        tls: Some(certified.acceptor.clone()),
        ..options
    });
    Encrypted {
        server: server.await,
        certified,
    }
}

impl Encrypted {
    async fn connect(&self, alpn: Alpn) -> TlsStream<TcpStream> {
        let connector = self.certified.connector(alpn);
        let stream = connected(self.server.address, b"").await;
        let connected = connector.connect("localhost", stream).await;
        connected.expect("a handshake")
    }
}

const WHO: &[u8] = b"GET /who HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_over_tls_knows_the_name_that_was_asked_for() {
    let server = encrypted(patient()).await;
    let mut stream = server.connect(Alpn::Http1).await;
    stream.write_all(WHO).await.expect("taken");
    let answer = String::from_utf8(rest(&mut stream).await).expect("text");
    assert!(answer.ends_with(" localhost HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn http2_is_spoken_where_alpn_says_so() {
    let server = encrypted(patient()).await;
    let mut stream = server.connect(Alpn::Http).await;
    assert!(stream.is_http2());
    let mut opened = http2::preface();
    opened.extend(http2::get("/some", 1));
    stream.write_all(&opened).await.expect("taken");
    assert_eq!(http2::read_body(&mut stream).await, SOME);
}

#[tokio::test]
async fn probes_are_answered_over_tls() {
    let server = encrypted(patient()).await;
    let mut stream = server.connect(Alpn::Http1).await;
    let probe = b"GET /_health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(probe).await.expect("taken");
    assert!(rest(&mut stream).await.ends_with(b"small"));
}

#[tokio::test]
async fn a_plain_request_to_a_port_for_tls_is_told_so() {
    let server = encrypted(patient()).await;
    for sent in [WHO, &http2::preface()] {
        let mut stream = connected(server.server.address, sent).await;
        let answer = String::from_utf8(rest(&mut stream).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("use https"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let length = format!("content-length: {}\r\n", body.len());
        assert!(answer.contains(&length), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_handshake_ends_the_connection() {
    let server = encrypted(patient()).await;
    let hello_of_nothing = [&[22, 3, 1, 0, 64, 1, 0, 0, 60][..], &[0; 60]].concat();
    for sent in [
        &b"\0\0"[..],
        b"garbage",
        &[22, 2],
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0xff, 0xff],
        &[23, 3, 3, 0, 1, 0],
        &hello_of_nothing,
    ] {
        let mut stream = connected(server.server.address, sent).await;
        // At most an alert comes, which is 7 bytes.
        assert!(rest(&mut stream).await.len() <= 7, "{sent:?}");
    }
}

#[tokio::test]
async fn clients_that_do_not_come_to_a_request_over_tls_end() {
    let server = encrypted(ServerOptions {
        head_read_timeout: SHORT,
        ..patient()
    })
    .await;
    for begun in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = connected(server.server.address, begun).await;
        assert!(rest(&mut stream).await.is_empty(), "{begun:?}");
    }
    let mut silent = server.connect(Alpn::Http1).await;
    assert!(rest(&mut silent).await.is_empty(), "after the handshake");
    let mut half = server.connect(Alpn::Http1).await;
    half.write_all(b"GET /who HT").await.expect("taken");
    assert!(rest(&mut half).await.is_empty(), "half a head");
}

#[tokio::test]
async fn an_answer_over_tls_that_nobody_reads_is_let_go() {
    let mut server = encrypted(ServerOptions {
        write_timeout: SHORT,
        ..patient()
    })
    .await;
    let mut stream = server.connect(Alpn::Http1).await;
    let request = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("taken");
    server.server.dropped.recv().await.expect("it is dropped");
}
