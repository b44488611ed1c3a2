//! TLS on both sides of a front.

use super::*;

use std::fs;
use std::sync::Arc;

use gleaner_tls::{
    Acceptor, Alpn, Authority, CertificateFiles, CertificateRequest, Certificates,
    ClientCertificates, Connector, Trust,
};

/// An authority with a certificate for `localhost`.
pub(super) struct Secrets(tempfile::TempDir);

impl Secrets {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::generate("test authority").expect("made");
        let issued = authority.issue(&CertificateRequest {
            common_name: "backend".to_owned(),
            hosts: vec!["localhost".to_owned()],
            identity: None,
            days: 1,
        });
        let issued = issued.expect("issued");
        let write = |name, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("ca.pem", authority.certificate_pem());
        write("own.pem", &issued.certificate_pem);
        write("own.key", &issued.key_pem);
        Self(folder)
    }

    pub(super) fn acceptor(&self) -> Acceptor {
        let files = CertificateFiles {
            certificate: self.0.path().join("own.pem"),
            key: self.0.path().join("own.key"),
        };
        let own = Arc::new(Certificates::load(vec![files]).expect("loaded"));
        let acceptor = Acceptor::new(own, &ClientCertificates::NotAsked, Alpn::Http);
        acceptor.expect("an acceptor")
    }

    pub(super) fn connector(&self, alpn: Alpn) -> Connector {
        let trust = Trust::Authorities(self.0.path().join("ca.pem"));
        Connector::new(&trust, None, alpn).expect("a connector")
    }
}

#[tokio::test]
async fn a_front_encrypts_for_a_plain_service_and_another_one_believes_its_name() {
    let (secrets, others) = (Secrets::new(), Secrets::new());
    let backend = Recorder::start().await;
    let server = ServerOptions {
        tls: Some(secrets.acceptor()),
        ..ServerOptions::default()
    };
    let url = format!("http://{}", backend.address);
    let options = FrontOptions {
        backends: vec![url.parse().expect("an address")],
        session: Some("cookie".parse().expect("a key")),
        ..unprobed()
    };
    let inner = Running::served(options, server).await;
    let port = inner.address.port();
    for (host, connector, status) in [
        ("localhost", Some(secrets.connector(Alpn::Http1)), 200),
        // Its certificate names no address.
        ("127.0.0.1", Some(secrets.connector(Alpn::Http1)), 503),
        ("localhost", Some(others.connector(Alpn::Http1)), 503),
        ("localhost", None, 503),
    ] {
        let url = format!("https://{host}:{port}");
        let outer = Running::start(FrontOptions {
            backends: vec![url.parse().expect("an address")],
            connector,
            ..unprobed()
        });
        let answer = outer.await.client().await.get("/path").await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, status, "{host}: {}", answer.body);
        let arrived = backend.take().arrived;
        assert_eq!(arrived.len(), usize::from(status == 200), "{host}");
        if let Some(arrived) = arrived.first() {
            assert_eq!(arrived.field("x-forwarded-proto"), Some("https"));
            let cookie = answer.field("set-cookie").expect("a session");
            assert!(cookie.contains("; secure"), "{cookie}");
        }
    }
}
