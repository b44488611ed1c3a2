//! The flags of `gleaner front`, each with its variable.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use gleaner_ambassador::RedisUrl;
use gleaner_front::{BackendUrl, SessionKey};
use ipnet::IpNet;

use super::limits::LimitArguments;
use super::split::SplitArguments;
use super::strict::StrictArguments;
use super::telemetry::TelemetryArguments;
use crate::companion::CompanionArguments;
use crate::config::{ByteSize, Span, check_security_max_age};

/// Stand ahead of roots, or of any other HTTP service: end TLS, balance, keep sessions, survive backends.
///
/// With `--cluster` the backends are the roots of the file, and the address is that of the front's entry in it. With
/// `--backend` they are any HTTP service: `gleaner front --backend URL --cert FILE --key FILE --listen HOST:PORT`
/// encrypts a service that cannot do so itself. Certificates are exchanged when their files change.
#[derive(Debug, clap::Args)]
pub(crate) struct FrontArguments {
    /// A service to forward to, `http://HOST:PORT` or `https://HOST:PORT`; may be repeated
    #[arg(
        long = "backend",
        value_name = "URL",
        env = "GLEANER_FRONT_BACKEND",
        value_delimiter = ','
    )]
    pub(super) backends: Vec<BackendUrl>,
    /// File with the table `[cluster]`: its roots are the backends
    #[arg(
        long,
        value_name = "FILE",
        env = "GLEANER_FRONT_CLUSTER",
        conflicts_with = "backends",
        required_unless_present = "backends"
    )]
    pub(super) cluster: Option<PathBuf>,
    /// Name of this front in the file
    #[arg(
        long,
        value_name = "NAME",
        env = "GLEANER_NODE_NAME",
        requires = "cluster"
    )]
    pub(super) node_name: Option<String>,
    /// Address to listen on [default: that of its entry, or 127.0.0.1:9200]
    #[arg(long, value_name = "HOST:PORT", env = "GLEANER_LISTEN")]
    pub(super) listen: Option<String>,
    /// Certificate to show, with those between it and its authority, in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "GLEANER_TLS_CERTIFICATE",
        requires = "key"
    )]
    pub(super) cert: Option<PathBuf>,
    /// Key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "GLEANER_TLS_KEY", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// Authority whose certificates backends must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_TLS_CA")]
    pub(super) ca: Option<PathBuf>,
    /// Listen on an address that other machines reach without encrypting connections
    #[arg(long, env = "GLEANER_INSECURE")]
    pub(super) insecure: bool,
    /// Keep the requests of a client on one backend: cookie, cookie:NAME, header:NAME or address
    #[arg(long, value_name = "KEY", env = "GLEANER_FRONT_SESSION")]
    pub(super) session: Option<SessionKey>,
    /// How long a connection to a backend is kept without a request: less than the backend keeps it; 0s keeps none
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        env = "GLEANER_FRONT_BACKEND_IDLE"
    )]
    pub(super) backend_idle: Span,
    /// Names that clients call the cluster by beside those of its members, with commas: those of the roots' `allowed_hosts`
    #[arg(
        long,
        value_name = "NAMES",
        env = "GLEANER_ALLOWED_HOSTS",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) allowed_hosts: String,
    /// Path at which a backend that is ready answers 200 [default: none, a connection is enough]
    #[arg(long, value_name = "PATH", env = "GLEANER_FRONT_READY_PATH")]
    pub(super) ready_path: Option<String>,
    /// Memory for answers of a cluster that are kept; 0 keeps none
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "256mb",
        env = "GLEANER_CACHE_MEMORY"
    )]
    pub(super) cache_memory: ByteSize,
    /// Redis server, or ambassador, for answers that fall out of memory: redis://HOST:PORT [default: none]
    #[arg(long, value_name = "URL", env = "GLEANER_CACHE_OVERFLOW")]
    pub(super) cache_overflow: Option<RedisUrl>,
    /// File with the password of that server
    #[arg(
        long,
        value_name = "FILE",
        env = "GLEANER_CACHE_OVERFLOW_PASSWORD_FILE",
        requires = "cache_overflow"
    )]
    pub(super) cache_overflow_password_file: Option<PathBuf>,
    /// How long kept answers are served to keys after the cluster state was last heard of: 7s and more, or -1 for ever
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5m",
        allow_negative_numbers = true,
        env = "GLEANER_FRONT_SECURITY_MAX_AGE"
    )]
    pub(super) security_max_age: Span,
    #[command(flatten)]
    pub(super) limits: LimitArguments,
    #[command(flatten)]
    pub(super) split: SplitArguments,
    #[command(flatten)]
    pub(super) strict: StrictArguments,
    /// Networks of proxies whose word about the client's address is believed, with commas
    #[arg(
        long,
        value_name = "NETWORKS",
        env = "GLEANER_FRONT_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    pub(super) trusted_proxies: Vec<IpNet>,
    /// Networks of balancers that begin connections with a PROXY header, with commas
    #[arg(
        long,
        value_name = "NETWORKS",
        env = "GLEANER_FRONT_PROXY_PROTOCOL",
        value_delimiter = ','
    )]
    pub(super) proxy_protocol: Vec<IpNet>,
    /// Time for the head of an answer
    #[arg(
        long,
        value_name = "TIME",
        default_value = "300s",
        env = "GLEANER_FRONT_TIMEOUT"
    )]
    pub(super) timeout: Span,
    /// Time that may be spent waiting for the body of a request, beside a second for each KiB of it; -1 is no limit
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        allow_negative_numbers = true,
        env = "GLEANER_FRONT_BODY_GRACE"
    )]
    pub(super) body_grace: Span,
    /// Connections at once, half of the open files allowed at most
    #[arg(long, value_name = "N", default_value_t = 8_192, env = "GLEANER_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_connections: u32,
    /// How long it goes on as before once it is asked to stop, so that balancers come to know
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        env = "GLEANER_FRONT_DRAIN_DELAY"
    )]
    pub(super) drain_delay: Span,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArguments,
    #[command(flatten)]
    pub(super) companion: CompanionArguments,
}

impl FrontArguments {
    /// Refuses times with which requests would fail that are as they should be.
    ///
    /// # Errors
    /// The flag, and what is wanted.
    pub(super) fn check_times(&self) -> Result<()> {
        check_security_max_age("--security-max-age", self.security_max_age)?;
        ensure!(
            !self.body_grace.0.is_zero(),
            "`--body-grace` is 0s: a body that is a moment late would be refused; -1 is without limit"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::super::forwarding;
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        front: FrontArguments,
    }

    fn arguments(words: &[&str]) -> FrontArguments {
        let words = [&["front", "--backend", "http://h:80"][..], words].concat();
        Line::try_parse_from(words).expect("good flags").front
    }

    #[test]
    fn bodies_are_waited_for_as_long_as_is_said() {
        let grace = |words: &[&str]| {
            let (options, _) = forwarding(&arguments(words), None, None).expect("good flags");
            options.body_grace
        };
        assert_eq!(grace(&[]), Duration::from_secs(30));
        assert_eq!(grace(&["--body-grace", "2m"]), Duration::from_secs(120));
        let no_limit = grace(&["--body-grace", "-1"]);
        assert!(no_limit > Duration::from_secs(1 << 40), "{no_limit:?}");
    }

    #[test]
    fn connections_to_backends_are_kept_as_long_as_is_said() {
        let idle = |words: &[&str]| {
            let (options, _) = forwarding(&arguments(words), None, None).expect("good flags");
            options.backend_idle
        };
        assert_eq!(idle(&[]), Duration::from_secs(30));
        assert_eq!(idle(&["--backend-idle", "4s"]), Duration::from_secs(4));
        assert_eq!(idle(&["--backend-idle", "0s"]), Duration::ZERO);
    }

    #[test]
    fn times_that_would_refuse_good_requests_are_refused_by_name() {
        for (flag, value, word) in [
            ("--body-grace", "0s", "-1 is without limit"),
            ("--security-max-age", "6s", "wanted 7s or more"),
        ] {
            let refused = forwarding(&arguments(&[flag, value]), None, None);
            let said = refused.expect_err(flag).to_string();
            assert!(said.contains(flag) && said.contains(word), "{said}");
        }
        let taken = arguments(&["--security-max-age", "7s"]).check_times();
        taken.expect("it is enough");
    }
}
