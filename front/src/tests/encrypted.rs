//! Backends over TLS.

use super::*;

use std::convert::Infallible;
use std::fs;
use std::sync::Arc;

use axum::body::Body;
use gleaner_tls::{
    Acceptor, Alpn, Authority, CertificateFiles, CertificateRequest, Certificates,
    ClientCertificates, Connector, Trust,
};
use http::{Request, Response};
use hyper::body::Incoming;

/// Starts a backend for `localhost`; returns its port and what believes it.
async fn backend(folder: &std::path::Path) -> (u16, Connector) {
    let authority = Authority::generate("test authority").expect("made");
    let issued = authority.issue(&CertificateRequest {
        common_name: "backend".to_owned(),
        hosts: vec!["localhost".to_owned()],
        identity: None,
        days: 1,
    });
    let issued = issued.expect("issued");
    let path = |name: &str| folder.join(name);
    fs::write(path("ca.pem"), authority.certificate_pem()).expect("written");
    fs::write(path("backend.pem"), issued.certificate_pem).expect("written");
    fs::write(path("backend.key"), issued.key_pem).expect("written");
    let files = CertificateFiles {
        certificate: path("backend.pem"),
        key: path("backend.key"),
    };
    let certificates = Arc::new(Certificates::load(vec![files]).expect("loaded"));
    let acceptor = Acceptor::new(certificates, &ClientCertificates::NotAsked, Alpn::Http1);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let options = ServerOptions {
        tls: Some(acceptor.expect("an acceptor")),
        ..ServerOptions::default()
    };
    let service = tower::service_fn(|request: Request<Incoming>| {
        let body = Body::from(request.uri().path().to_owned());
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    tokio::spawn(async move { serve(listener, service, &options, pending()).await });
    let trust = Trust::Authorities(path("ca.pem"));
    let connector = Connector::new(&trust, None, Alpn::Http1).expect("a connector");
    (port, connector)
}

#[tokio::test]
async fn a_backend_over_tls_is_believed_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, connector) = backend(folder.path()).await;
    for (host, connector, status) in [
        ("localhost", Some(connector.clone()), 200),
        ("127.0.0.1", Some(connector), 503),
        ("localhost", None, 503),
    ] {
        let url = format!("https://{host}:{port}");
        let front = Running::start(FrontOptions {
            backends: vec![url.parse().expect("an address")],
            connector,
            ..unprobed()
        });
        let answer = front
            .await
            .client()
            .await
            .get("/path")
            .await
            .expect("an answer");
        assert_eq!(answer.status, status, "{host}: {}", answer.body);
    }
}
