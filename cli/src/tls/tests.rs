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

#[test]
fn addresses_that_others_reach_need_a_word() {
    let open: SocketAddr = "0.0.0.0:9200".parse().expect("an address");
    let here: SocketAddr = "127.0.0.1:9200".parse().expect("an address");
    let refused = check_exposure(open, false, false)
        .expect_err("open")
        .to_string();
    for word in ["--secure", "--insecure", "--tls-certificate"] {
        assert!(refused.contains(word), "{refused}");
    }
    check_exposure(here, false, false).expect("only this machine");
    check_exposure(open, true, false).expect("encrypted");
    check_exposure(open, false, true).expect("meant");
}

#[test]
fn what_a_refusal_names_can_be_typed() {
    let open: SocketAddr = "0.0.0.0:9200".parse().expect("an address");
    let here: SocketAddr = "[::1]:9200".parse().expect("an address");
    let front = check_exposure_of_front(open, false, false);
    let front = front.expect_err("open").to_string();
    assert!(front.contains("`--cert FILE --key FILE`"), "{front}");
    let demo = check_exposure_of_demo(open, false);
    let demo = demo.expect_err("open").to_string();
    for refused in [&front, &demo] {
        assert!(refused.contains("`--insecure`"), "{refused}");
        for other in ["--secure", "--tls-certificate"] {
            assert!(!refused.contains(other), "{refused}");
        }
    }
    check_exposure_of_front(here, false, false).expect("only this machine");
    check_exposure_of_front(open, true, false).expect("encrypted");
    check_exposure_of_front(open, false, true).expect("meant");
    check_exposure_of_demo(here, false).expect("only this machine");
    check_exposure_of_demo(open, true).expect("meant");
}

#[test]
fn a_local_cluster_that_others_reach_needs_a_word() {
    let (open, here) = ("0.0.0.0:9200", "127.0.0.1:9200");
    for (address, is_secure, is_insecure, is_allowed) in [
        (open, false, false, false),
        (open, true, false, true),
        (open, false, true, true),
        ("[::]:9200", false, false, false),
        (here, false, false, true),
        ("[::1]:9200", false, false, true),
    ] {
        let checked = address.parse().expect("an address");
        let checked = check_exposure_of_cluster(checked, is_secure, is_insecure);
        assert_eq!(checked.is_ok(), is_allowed, "{address}");
        if let Err(error) = checked {
            let error = error.to_string();
            assert!(
                error.contains("`--secure`") && error.contains("`--insecure`"),
                "{error}"
            );
            assert!(!error.contains("--tls-certificate"), "{error}");
        }
    }
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
