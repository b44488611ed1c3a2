//! Certificates as settings have them.

use std::os::unix::fs::PermissionsExt as _;

use gleaner_model::PeerRole;
use gleaner_proto::Caller;
use gleaner_tls::{Authority, CertificateRequest, Identity};
use tokio::io::duplex;

use super::*;

fn secure() -> Config {
    Config {
        secure: true,
        ..Config::default()
    }
}

#[test]
fn a_secure_node_makes_its_certificate_and_keeps_its_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = |name: &str| std::fs::read_to_string(folder.path().join("tls").join(name));
    let first = NodeTls::of(&secure(), folder.path()).expect("made");
    assert!(first.is_some());
    let (ca, server) = (
        read("ca.pem").expect("made"),
        read("server.pem").expect("made"),
    );
    NodeTls::of(&secure(), folder.path()).expect("opened again");
    assert_eq!(read("ca.pem").expect("kept"), ca);
    assert_ne!(read("server.pem").expect("made again"), server);
    for secret in ["ca.key", "server.key"] {
        let file = folder.path().join("tls").join(secret);
        let mode = std::fs::metadata(file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let plain = NodeTls::of(&Config::default(), folder.path()).expect("nothing to make");
    assert!(plain.is_none());
}

#[tokio::test]
async fn a_hangup_is_a_reason_to_read_certificates_before_the_next_look() {
    let mut hangups = Hangups::listen().expect("signals");
    let mut looks = interval(Duration::from_secs(3_600));
    look_due(&mut looks, Some(&mut hangups)).await;
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::HUP).expect("sent");
    // The next look is an hour away.
    look_due(&mut looks, Some(&mut hangups)).await;
}

/// Makes a certificate of `authority` for this machine, in a folder with the authority's own.
fn node(authority: &Authority, folder: &Path, identity: Option<Identity>) -> NodeTls {
    let name = identity
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    let name = name.replace(['/', ':'], "-");
    let issued = authority.issue(&CertificateRequest {
        common_name: "node".to_owned(),
        hosts: vec!["127.0.0.1".to_owned()],
        identity,
        days: 1,
    });
    let issued = issued.expect("issued");
    let files = CertificateFiles {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    let ca = folder.join("ca.pem");
    write(&ca, authority.certificate_pem()).expect("written");
    write(&files.certificate, &issued.certificate_pem).expect("written");
    write_secret(&files.key, &issued.key_pem).expect("written");
    NodeTls::of_files(files, Some(&ca)).expect("loaded")
}

#[tokio::test]
async fn a_node_of_another_cluster_has_no_role_in_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::generate("of two clusters").expect("made");
    let leaf_of = |cluster: &str| {
        let identity = Identity {
            cluster: cluster.to_owned(),
            role: PeerRole::Leaf,
            name: "leaf-1".to_owned(),
        };
        node(&authority, folder.path(), Some(identity))
    };
    let own = leaf_of("ours")
        .between_nodes()
        .expect("read")
        .expect("encrypted");
    for (cluster, expected) in [
        ("ours", Caller::Role(PeerRole::Leaf)),
        ("theirs", Caller::Unknown),
    ] {
        let certificates = Arc::clone(leaf_of(cluster).certificates());
        let trust = Trust::Authorities(folder.path().join("ca.pem"));
        let connector = Connector::new(&trust, Some(certificates), Alpn::Http2).expect("made");
        let (near, far) = duplex(1 << 14);
        let (dialled, accepted) = tokio::join!(
            connector.connect("127.0.0.1", near),
            own.handshake.accept(&[], Box::new(far))
        );
        dialled.expect("it is of the authority");
        assert_eq!(
            accepted.expect("it is of the authority").caller,
            expected,
            "{cluster}"
        );
    }
    let nobody = node(&authority, folder.path(), None);
    let refused = nobody
        .between_nodes()
        .err()
        .expect("it names no node")
        .to_string();
    assert!(refused.contains("spiffe://"), "{refused}");
}
