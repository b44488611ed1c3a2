//! Over real TLS: who is answered what, by the role in the certificate.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_leases::Grantor as _;
use gleaner_model::PeerRole;
use gleaner_tls::{
    Acceptor, Alpn, Authority, CertificateFiles, CertificateRequest, Certificates,
    ClientCertificates, Connector, Identity, Trust,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::samples::{follow_call, generation, shard};
use super::stub::StubLeaf;
use super::{services, soon};
use crate::connect::ByteStream;
use crate::server::ServeError;
use crate::{
    Admission, Caller, Connect, GrpcGrantor, GrpcLeaf, GrpcNode, Handshake, LeafClient as _,
    LeafFault, NodeClient as _, ReplicationClient as _, SecuredStream, serve_admitted,
};

/// An authority and the certificates that it issued.
struct Certified {
    authority: Authority,
    folder: TempDir,
}

impl Certified {
    fn new() -> Self {
        let authority = Authority::generate("test authority").expect("made");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).expect("written");
        Self { authority, folder }
    }

    fn trust(&self) -> Trust {
        Trust::Authorities(self.folder.path().join("ca.pem"))
    }

    /// Issues a certificate of `role`, or of a process without one.
    fn issue(&self, role: Option<PeerRole>) -> Arc<Certificates> {
        let name = role.map_or("nobody", PeerRole::name);
        let identity = role.map(|role| Identity {
            cluster: "test".to_owned(),
            role,
            name: name.to_owned(),
        });
        let issued = self.authority.issue(&CertificateRequest {
            common_name: name.to_owned(),
            hosts: vec!["127.0.0.1".to_owned()],
            identity,
            days: 1,
        });
        let issued = issued.expect("issued");
        let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        fs::write(path("pem"), issued.certificate_pem).expect("written");
        fs::write(path("key"), issued.key_pem).expect("written");
        let files = CertificateFiles {
            certificate: path("pem"),
            key: path("key"),
        };
        Arc::new(Certificates::load(vec![files]).expect("loaded"))
    }

    /// Returns how a process of `role` reaches others.
    fn connect(&self, role: Option<PeerRole>) -> Connect {
        let own = Some(self.issue(role));
        let connector = Connector::new(&self.trust(), own, Alpn::Http2).expect("a connector");
        Connect::by(move |address: String| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(&address).await?;
                connector.connect("127.0.0.1", stream).await
            }
        })
    }
}

/// Takes callers with a certificate, and plain ones where that is said.
struct Tls {
    acceptor: Acceptor,
    takes_plain: bool,
}

/// Type of the record that a TLS handshake begins with.
const HANDSHAKE: u8 = 22;

#[async_trait]
impl Handshake for Tls {
    async fn accept(&self, first: &[u8], stream: Box<dyn ByteStream>) -> io::Result<SecuredStream> {
        if self.takes_plain && first[0] != HANDSHAKE {
            let caller = Caller::Unchecked;
            return Ok(SecuredStream { stream, caller });
        }
        let stream = self.acceptor.accept(stream).await?;
        let role = stream.identity().map(|identity| identity.role);
        let caller = role.map_or(Caller::Unknown, Caller::Role);
        let stream = Box::new(stream);
        Ok(SecuredStream { stream, caller })
    }
}

/// A node that has all services.
struct Site {
    certified: Certified,
    address: String,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Site {
    async fn start(takes_plain: bool) -> Self {
        let certified = Certified::new();
        let own = certified.issue(Some(PeerRole::Leaf));
        let clients = ClientCertificates::Required(certified.trust());
        let acceptor = Acceptor::new(own, &clients, Alpn::Http2).expect("an acceptor");
        let handshake = Tls {
            acceptor,
            takes_plain,
        };
        let admission = Admission {
            max_connections: 64,
            handshake: Some(Arc::new(handshake)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let stub = Arc::new(StubLeaf::default());
        let services = services(Some(&stub));
        let never = std::future::pending();
        let serving = tokio::spawn(serve_admitted(listener, admission, services, never));
        Self {
            certified,
            address,
            serving,
        }
    }

    /// Returns what a caller is answered.
    async fn answers(&self, connect: &Connect) -> BTreeSet<&'static str> {
        let peer = || connect.peer(&self.address).expect("an address");
        let leaf = GrpcLeaf::new(peer());
        let answers = [
            (
                "leaf",
                soon(leaf.refresh(shard(0))).await == Ok(generation()),
            ),
            (
                "log",
                soon(leaf.close_snapshot(shard(0), 1)).await == Ok(()),
            ),
            (
                "leases",
                soon(GrpcGrantor::new(peer()).follow(follow_call()))
                    .await
                    .is_ok(),
            ),
            ("node", soon(GrpcNode::new(peer()).hello()).await.is_ok()),
        ];
        let answered = answers.into_iter().filter(|(_, is_answered)| *is_answered);
        answered.map(|(call, _)| call).collect()
    }
}

#[tokio::test]
async fn each_role_is_answered_what_it_is_for() {
    for (role, answered) in [
        (Some(PeerRole::Root), &["leaf", "leases", "node"][..]),
        (Some(PeerRole::Leaf), &["log", "node"]),
        (Some(PeerRole::Front), &["leases", "node"]),
        (Some(PeerRole::Admin), &["leaf", "node"]),
        (None, &["node"]),
    ] {
        let site = Site::start(false).await;
        let connect = site.certified.connect(role);
        let answers = site.answers(&connect).await;
        assert_eq!(answers, answered.iter().copied().collect(), "{role:?}");
    }
}

#[tokio::test]
async fn a_refusal_names_both_roles_and_says_that_nothing_was_done() {
    let site = Site::start(false).await;
    let connect = site.certified.connect(Some(PeerRole::Front));
    let leaf = GrpcLeaf::new(connect.peer(&site.address).expect("an address"));
    let refused = soon(leaf.write(super::samples::write_call())).await;
    let Err(LeafFault::Internal { reason, .. }) = refused else {
        panic!("{refused:?}");
    };
    let wanted = "`leaf` is answered to the roles root, admin; the caller's is front";
    assert_eq!(reason, wanted);
}

#[tokio::test]
async fn callers_without_a_certificate_get_nowhere() {
    let site = Site::start(false).await;
    assert!(site.answers(&Connect::default()).await.is_empty(), "plain");
    let trust = site.certified.trust();
    let anonymous = Connector::new(&trust, None, Alpn::Http2).expect("a connector");
    let anonymous = Connect::by(move |address: String| {
        let connector = anonymous.clone();
        async move {
            let stream = TcpStream::connect(&address).await?;
            connector.connect("127.0.0.1", stream).await
        }
    });
    assert!(site.answers(&anonymous).await.is_empty(), "no certificate");
    let others = Certified::new();
    fs::copy(
        site.certified.folder.path().join("ca.pem"),
        others.folder.path().join("ca.pem"),
    )
    .expect("copied");
    let foreign = others.connect(Some(PeerRole::Admin));
    assert!(site.answers(&foreign).await.is_empty(), "another authority");
    let mut garbage = TcpStream::connect(&site.address).await.expect("taken");
    garbage.write_all(b"garbage").await.expect("taken");
    let root = site.certified.connect(Some(PeerRole::Root));
    assert!(site.answers(&root).await.contains("leaf"), "others go on");
}

#[tokio::test]
async fn plain_callers_pass_where_both_kinds_are_taken() {
    let site = Site::start(true).await;
    let all = BTreeSet::from(["leaf", "log", "leases", "node"]);
    assert_eq!(site.answers(&Connect::default()).await, all);
    let front = site.certified.connect(Some(PeerRole::Front));
    assert!(!site.answers(&front).await.contains("leaf"));
}
