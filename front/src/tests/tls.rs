//! TLS on both sides of a front.

use std::fs;
use std::sync::Arc;

use gleaner_tls::{
    Acceptor, Alpn, Authority, CertificateFiles, CertificateRequest, Certificates,
    ClientCertificates, Connector, Trust,
};

use super::*;

struct Secrets {
    folder: tempfile::TempDir,
}

impl Secrets {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::generate("test").expect("made");
        let issued = authority.issue(&CertificateRequest {
            common_name: "x".to_owned(),
            hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
            identity: None,
            days: 1,
        });
        let issued = issued.expect("issued");
        let write =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("ca.pem", authority.certificate_pem());
        write("x.pem", &issued.certificate_pem);
        write("x.key", &issued.key_pem);
        Self { folder }
    }

    fn certificates(&self) -> Arc<Certificates> {
        let files = CertificateFiles {
            certificate: self.folder.path().join("x.pem"),
            key: self.folder.path().join("x.key"),
        };
        Arc::new(Certificates::load(vec![files]).expect("loaded"))
    }

    fn acceptor(&self) -> Acceptor {
        let made = Acceptor::new(
            self.certificates(),
            &ClientCertificates::NotAsked,
            Alpn::Http,
        );
        made.expect("an acceptor")
    }

    fn connector(&self) -> Connector {
        let trust = Trust::Authorities(self.folder.path().join("ca.pem"));
        Connector::new(&trust, None, Alpn::Http1).expect("a connector")
    }
}

#[tokio::test]
async fn a_front_encrypts_for_a_plain_service_and_another_one_dials_it() {
    let (secrets, backend) = (Secrets::new(), Backend::start().await);
    let encrypted = ServerOptions {
        answers_probes: false,
        tls: Some(secrets.acceptor()),
        ..ServerOptions::default()
    };
    let inner = listening_with(ahead_of(&[&backend]), encrypted).await;
    let outer = listening(FrontOptions {
        backends: vec![
            format!("https://{}", inner.address)
                .parse()
                .expect("an address"),
        ],
        connector: Some(secrets.connector()),
        ..FrontOptions::default()
    });
    let outer = outer.await;
    let answered = ask(outer.address, &get("/")).await;
    assert_eq!(status(&answered), 200, "{answered}");
    let head = backend.seen.lock()[0].head.to_ascii_lowercase();
    assert!(head.contains("x-forwarded-proto: https"), "{head}");
    let stream = TcpStream::connect(inner.address).await.expect("connects");
    let mut stream = secrets
        .connector()
        .connect("localhost", stream)
        .await
        .expect("shaken");
    stream
        .write_all(get("/direct").as_bytes())
        .await
        .expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_backend_with_another_authority_is_not_believed() {
    let (secrets, others, backend) = (Secrets::new(), Secrets::new(), Backend::start().await);
    let encrypted = ServerOptions {
        tls: Some(others.acceptor()),
        ..ServerOptions::default()
    };
    let inner = listening_with(ahead_of(&[&backend]), encrypted).await;
    let outer = listening(FrontOptions {
        backends: vec![
            format!("https://{}", inner.address)
                .parse()
                .expect("an address"),
        ],
        connector: Some(secrets.connector()),
        ..FrontOptions::default()
    });
    let answered = ask(outer.await.address, &get("/")).await;
    assert_eq!(status(&answered), 503, "{answered}");
    assert!(backend.seen.lock().is_empty());
}
