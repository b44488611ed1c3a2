//! Certificates as settings have them.

use std::os::unix::fs::PermissionsExt as _;

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
