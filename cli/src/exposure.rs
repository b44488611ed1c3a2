//! Addresses that other machines reach need a word where connections are not encrypted.
//!
//! Does: decide, and say what to type. Does not: bind addresses, or let clients in one by one (keys and passwords do).
//! Called by commands that listen, before they answer. Read first: [`Opening::check`].

use std::net::SocketAddr;

use anyhow::{Result, ensure};

/// What listens on an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A node, for clients.
    Node,
    /// A node, for other nodes.
    Between,
    /// A local cluster, which makes its certificates itself.
    Cluster,
    /// A front, which makes none.
    Front,
    /// The demo, which does not encrypt.
    Demo,
}

impl Door {
    /// Returns what is wrong with it, and what to type, behind the address.
    fn advice(self) -> &'static str {
        match self {
            Self::Node => {
                ", and connections there are not encrypted. Start with `--secure` for TLS with a certificate that is \
                 made here, with `--tls-certificate FILE --tls-key FILE` for one of yours, or with `--insecure` where \
                 everyone on the network may read and write all documents"
            }
            Self::Between => {
                ", where nodes call each other, and connections there are not encrypted. Make certificates with \
                 `gleaner certs` and set `tls_certificate`, `tls_key` and `tls_ca`, or start with `--insecure` where \
                 everyone on the network may read and write all documents"
            }
            Self::Cluster => {
                ", and connections there are not encrypted. Start with `--secure` for TLS with certificates that are \
                 made here, or with `--insecure` where everyone on the network may read and write all documents"
            }
            Self::Front => {
                ", and connections there are not encrypted. Start with `--cert FILE --key FILE` for TLS with a \
                 certificate of yours, or with `--insecure` where everyone on the network may do what the backends \
                 allow"
            }
            Self::Demo => {
                ", and the demo does not encrypt connections. Listen on `127.0.0.1`, or start with `--insecure` where \
                 everyone on the network may read and write all documents"
            }
        }
    }
}

/// How an address is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// What listens there.
    pub(crate) door: Door,
    /// Whether connections are encrypted.
    pub(crate) is_encrypted: bool,
    /// Whether `--insecure` says that it is meant.
    pub(crate) is_meant: bool,
}

impl Opening {
    /// Refuses an address that other machines reach, where connections are not encrypted and nobody said that this is
    /// meant.
    ///
    /// # Errors
    /// What to type.
    pub(crate) fn check(self, address: SocketAddr) -> Result<()> {
        ensure!(
            address.ip().is_loopback() || self.is_encrypted || self.is_meant,
            "other machines reach {address}{}",
            self.door.advice()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_reach_needs_encryption_or_a_word_that_can_be_typed() {
        let all = ["--secure", "--tls-certificate", "--cert", "`gleaner certs`"];
        for (door, named) in [
            (Door::Node, &["--secure", "--tls-certificate"][..]),
            (Door::Between, &["`gleaner certs`"]),
            (Door::Cluster, &["--secure"]),
            (Door::Front, &["--cert"]),
            (Door::Demo, &[]),
        ] {
            let opening = |is_encrypted, is_meant| Opening {
                door,
                is_encrypted,
                is_meant,
            };
            for open in ["0.0.0.0:9200", "[::]:9200", "10.0.0.1:9200"] {
                let open: SocketAddr = open.parse().expect("an address");
                let refused = opening(false, false).check(open).expect_err("open");
                let refused = refused.to_string();
                for word in [&open.to_string(), "`--insecure`"] {
                    assert!(refused.contains(word), "{refused}");
                }
                for word in all {
                    assert_eq!(refused.contains(word), named.contains(&word), "{refused}");
                }
                opening(true, false).check(open).expect("encrypted");
                opening(false, true).check(open).expect("meant");
            }
            for here in ["127.0.0.1:9200", "[::1]:9200"] {
                let here = here.parse().expect("an address");
                let checked = opening(false, false).check(here);
                checked.expect("only this machine");
            }
        }
    }
}
