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
    /// Whether `--no-keys` says that nobody is asked who he is there.
    pub(crate) leaves_out_keys: bool,
    /// Whether `--insecure` says that it is meant.
    pub(crate) is_meant: bool,
}

impl Opening {
    /// Refuses an address that other machines reach, where connections are not encrypted, or keys were left out, and
    /// nobody said that this is meant.
    ///
    /// # Errors
    /// What to type.
    pub(crate) fn check(self, address: SocketAddr) -> Result<()> {
        if address.ip().is_loopback() || self.is_meant {
            return Ok(());
        }
        ensure!(
            self.is_encrypted,
            "other machines reach {address}{}",
            self.door.advice()
        );
        ensure!(
            !self.leaves_out_keys,
            "other machines reach {address}, and with `--no-keys` nobody is asked for an API key there. Start without \
             `--no-keys`, or with `--insecure` too where everyone on the network may read and write all documents"
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
                leaves_out_keys: false,
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
                let without_keys = |is_meant| Opening {
                    leaves_out_keys: true,
                    ..opening(true, is_meant)
                };
                let refused = without_keys(false).check(open).expect_err("no keys");
                for word in ["`--no-keys`", "`--insecure`"] {
                    assert!(refused.to_string().contains(word), "{refused}");
                }
                without_keys(true).check(open).expect("meant");
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
