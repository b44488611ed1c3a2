//! Both sides over a pipe, with certificates made here.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::PeerRole;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// A folder with an authority and the certificates that tests ask for.
struct Folder {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::generate("test authority").expect("made");
        let path = folder.path().join("ca.pem");
        fs::write(path, authority.certificate_pem()).expect("written");
        Self { folder, authority }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn trust(&self) -> Trust {
        Trust::Authorities(self.path().join("ca.pem"))
    }

    fn files(&self, name: &str) -> CertificateFiles {
        CertificateFiles {
            certificate: self.path().join(format!("{name}.pem")),
            key: self.path().join(format!("{name}.key")),
        }
    }

    fn write(&self, name: &str, hosts: &[&str], role: Option<PeerRole>) -> CertificateFiles {
        let request = CertificateRequest {
            common_name: name.to_owned(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            identity: role.map(|role| Identity {
                cluster: "test".to_owned(),
                role,
                name: name.to_owned(),
            }),
            days: 1,
        };
        let issued = self.authority.issue(&request).expect("issued");
        let files = self.files(name);
        fs::write(&files.certificate, issued.certificate_pem).expect("written");
        fs::write(&files.key, issued.key_pem).expect("written");
        files
    }

    fn load(&self, name: &str, hosts: &[&str], role: Option<PeerRole>) -> Arc<Certificates> {
        let files = self.write(name, hosts, role);
        Arc::new(Certificates::load(vec![files]).expect("loaded"))
    }
}

type Pair = (TlsStream<DuplexStream>, TlsStream<DuplexStream>);

async fn shake(acceptor: &Acceptor, connector: &Connector, host: &str) -> std::io::Result<Pair> {
    let (near, far) = duplex(1 << 14);
    let (client, server) = tokio::join!(connector.connect(host, near), acceptor.accept(far));
    Ok((client?, server?))
}

#[tokio::test]
async fn both_sides_speak_and_know_each_other() {
    let folder = Folder::new();
    let server = folder.load("r", &["localhost", "127.0.0.1"], Some(PeerRole::Root));
    let client = folder.load("f", &["127.0.0.1"], Some(PeerRole::Front));
    let clients = ClientCertificates::Required(folder.trust());
    let acceptor = Acceptor::new(server, &clients, Alpn::Http).expect("acceptor");
    let connector = Connector::new(&folder.trust(), Some(client), Alpn::Http2).expect("connector");
    for host in ["localhost", "127.0.0.1"] {
        let (mut client, mut server) = shake(&acceptor, &connector, host).await.expect("shaken");
        assert!(client.is_http2() && server.is_http2());
        let role = |stream: &TlsStream<_>| stream.identity().map(|identity| identity.role);
        assert_eq!(role(&server), Some(PeerRole::Front));
        assert_eq!(role(&client), Some(PeerRole::Root));
        client.write_all(b"tea").await.expect("written");
        client.flush().await.expect("sent");
        let mut read = [0; 3];
        server.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"tea");
    }
}

#[tokio::test]
async fn strangers_and_other_names_are_turned_away() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let server = folder.load("r", &["localhost"], Some(PeerRole::Root));
    let clients = ClientCertificates::Required(folder.trust());
    let acceptor = Acceptor::new(server, &clients, Alpn::Http).expect("acceptor");
    let stranger = elsewhere.load("f", &["localhost"], Some(PeerRole::Front));
    let own = folder.load("f", &["localhost"], Some(PeerRole::Front));
    let cases = [
        (folder.trust(), None, "localhost", "no certificate"),
        (
            folder.trust(),
            Some(stranger),
            "localhost",
            "of another authority",
        ),
        (
            elsewhere.trust(),
            Some(Arc::clone(&own)),
            "localhost",
            "trusts another",
        ),
        (folder.trust(), Some(own), "other.example", "another name"),
    ];
    for (trust, own, host, what) in cases {
        let connector = Connector::new(&trust, own, Alpn::Http).expect("connector");
        let (near, far) = duplex(1 << 14);
        let (client, server) = tokio::join!(connector.connect(host, near), acceptor.accept(far));
        assert!(server.is_err(), "{what}: {client:?}");
    }
}

#[tokio::test]
async fn the_name_chooses_the_certificate() {
    let folder = Folder::new();
    let files = ["a", "b"].map(|name| folder.write(name, &[&format!("{name}.example")], None));
    let certificates = Certificates::load(files.to_vec()).expect("loaded");
    let not_asked = ClientCertificates::NotAsked;
    let acceptor = Acceptor::new(Arc::new(certificates), &not_asked, Alpn::Http1).expect("made");
    let connector = Connector::new(&folder.trust(), None, Alpn::Http).expect("connector");
    for host in ["a.example", "b.example"] {
        let (client, server) = shake(&acceptor, &connector, host).await.expect(host);
        assert_eq!(server.server_name(), Some(host));
        assert!(!client.is_http2());
    }
    assert!(shake(&acceptor, &connector, "c.example").await.is_err());
}

#[tokio::test]
async fn certificates_are_exchanged_and_wrong_ones_are_not_taken() {
    let folder = Folder::new();
    let certificates = folder.load("r", &["old.example"], None);
    let not_asked = ClientCertificates::NotAsked;
    let made = Acceptor::new(Arc::clone(&certificates), &not_asked, Alpn::Http);
    let acceptor = made.expect("acceptor");
    let connector = Connector::new(&folder.trust(), None, Alpn::Http).expect("connector");
    assert!(!certificates.refresh().expect("read"), "nothing is new");
    let (mut client, mut server) = shake(&acceptor, &connector, "old.example")
        .await
        .expect("old");
    let files = folder.write("r", &["new.example"], None);
    let good_key = fs::read(&files.key).expect("read");
    fs::write(&files.key, "no key").expect("written");
    let error = certificates.refresh().expect_err("no key");
    assert!(error.to_string().contains("r.key"), "{error}");
    folder.write("other", &["new.example"], None);
    fs::copy(folder.files("other").key, &files.key).expect("copied");
    let error = certificates.refresh().expect_err("another key");
    assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
    shake(&acceptor, &connector, "old.example")
        .await
        .expect("the old one stays");
    fs::write(&files.key, good_key).expect("written");
    assert!(certificates.refresh().expect("read"), "it is new");
    shake(&acceptor, &connector, "new.example")
        .await
        .expect("new");
    client.write_all(b"still").await.expect("written");
    client.flush().await.expect("sent");
    let mut read = [0; 5];
    server
        .read_exact(&mut read)
        .await
        .expect("an open connection goes on");
}

#[test]
fn an_authority_survives_its_files_and_hosts_are_checked() {
    let folder = Folder::new();
    let (certificate, key) = (
        folder.authority.certificate_pem(),
        folder.authority.key_pem(),
    );
    let again = Authority::from_pem(certificate, &key).expect("read");
    let mut request = CertificateRequest {
        common_name: "x".to_owned(),
        hosts: vec!["*.example".to_owned(), "::1".to_owned()],
        identity: None,
        days: 1,
    };
    again.issue(&request).expect("issued");
    for host in ["", "a..b", "a b", "http://x", "x:9200", "a.*"] {
        request.hosts = vec![host.to_owned()];
        assert!(again.issue(&request).is_err(), "{host}");
    }
}

#[test]
fn files_that_no_client_would_take_are_named() {
    let folder = Folder::new();
    let files = folder.files("gone");
    let error = Certificates::load(vec![files.clone()]).expect_err("gone");
    assert!(error.to_string().contains("gone.pem"), "{error}");
    fs::write(&files.certificate, "nothing").expect("written");
    fs::write(&files.key, "nothing").expect("written");
    let error = Certificates::load(vec![files]).expect_err("no PEM");
    assert!(
        error.to_string().contains("no certificate in PEM"),
        "{error}"
    );
    assert!(matches!(
        Certificates::load(Vec::new()),
        Err(TlsError::NoCertificate)
    ));
}

fn of_role(role: PeerRole) -> ExpectedServer {
    ExpectedServer::Node {
        role,
        cluster: Some("test".to_owned()),
    }
}

#[tokio::test]
async fn a_certificate_of_another_role_takes_nobodys_place_though_its_host_is_the_same() {
    let folder = Folder::new();
    let own = folder.load("f", &["localhost"], Some(PeerRole::Front));
    let servers = [None, Some(PeerRole::Leaf), Some(PeerRole::Root)];
    let expected = [
        (of_role(PeerRole::Root), [false, false, true]),
        (of_role(PeerRole::Leaf), [false, true, false]),
        (ExpectedServer::NoNode, [true, false, false]),
        (ExpectedServer::ForClients, [true, false, true]),
    ];
    for (expected, taken) in expected {
        let (trust, own) = (folder.trust(), Arc::clone(&own));
        let made = Connector::expecting(expected.clone(), &trust, Some(own), Alpn::Http2);
        let connector = made.expect("connector");
        for (server, is_taken) in servers.into_iter().zip(taken) {
            let shown = folder.load("s", &["localhost"], server);
            let clients = ClientCertificates::Required(folder.trust());
            let acceptor = Acceptor::new(shown, &clients, Alpn::Http2).expect("acceptor");
            let shaken = shake(&acceptor, &connector, "localhost").await;
            assert_eq!(shaken.is_ok(), is_taken, "{expected}: {server:?}");
            if let Err(refused) = shaken {
                let refused = refused.to_string();
                assert!(refused.contains("wanted"), "{refused}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_with_a_leaf_is_not_resumed_as_one_with_a_root() {
    let folder = Folder::new();
    let own = folder.load("f", &["localhost"], Some(PeerRole::Front));
    let leaf = folder.load("l", &["localhost"], Some(PeerRole::Leaf));
    let clients = ClientCertificates::Required(folder.trust());
    let acceptor = Acceptor::new(leaf, &clients, Alpn::Http2).expect("acceptor");
    let connector = |role| {
        let (trust, own) = (folder.trust(), Some(Arc::clone(&own)));
        Connector::expecting(of_role(role), &trust, own, Alpn::Http2).expect("connector")
    };
    let (to_leaf, to_root) = (connector(PeerRole::Leaf), connector(PeerRole::Root));
    for _ in 0..3 {
        let shaken = shake(&acceptor, &to_leaf, "localhost").await;
        let (mut client, mut server) = shaken.expect("a leaf");
        // What tells how to resume comes before the first bytes.
        server.write_all(b"tea").await.expect("written");
        server.flush().await.expect("sent");
        let mut read = [0; 3];
        client.read_exact(&mut read).await.expect("read");
        let refused = shake(&acceptor, &to_root, "localhost").await;
        refused.expect_err("no root");
    }
}
