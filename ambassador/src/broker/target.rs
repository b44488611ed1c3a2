//! What says where a service is, and how often it is asked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::endpoints::{Endpoint, Endpoints};

/// What says where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `HOST:PORT`, as it is.
    Address(String),
    /// `dns:HOST:PORT`: the addresses of a name.
    Dns {
        /// The name.
        host: String,
        /// The port at each address.
        port: u16,
    },
    /// `srv:NAME`: hosts, ports, priorities and weights of an SRV record (RFC 2782).
    Srv(String),
    /// `file:PATH`: a file with `HOST:PORT` or a URL in each line; `#` begins a comment.
    File(PathBuf),
    /// `env:NAME`: the value of a variable as the process began, `HOST:PORT` or a URL. Who makes the target reads it.
    Value(String),
}

/// What is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Neither an address nor a source of one.
    #[error("`{0}` is none of HOST:PORT, dns:HOST:PORT, srv:NAME, file:PATH, env:VARIABLE")]
    Unknown(String),
    /// An address without a port, and a URL whose scheme has none that is known.
    #[error("`{0}` has no port")]
    NoPort(String),
    /// What stands where a port is wanted is none. It may be a part of a password, so it is not shown.
    #[error(
        "what stands behind the host is no port from 0 to 65535; a `/` in a password is written `%2F`"
    )]
    BadPort,
    /// No host in front of a port, or one with a space in it.
    #[error("`{0}` has no host")]
    NoHost(String),
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let unknown = || BadTarget::Unknown(text.to_owned());
        match text.split_once(':') {
            Some(("dns", rest)) => {
                let address = address_of(rest)?;
                let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
                Ok(Self::Dns {
                    host: host.to_owned(),
                    port: port.parse().map_err(|_| unknown())?,
                })
            }
            Some(("srv", name)) if !name.is_empty() => Ok(Self::Srv(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", _) | ("srv" | "file", "")) | None => Err(unknown()),
            Some(_) => address_of(text).map(Self::Address),
        }
    }
}

/// Reads `HOST:PORT`, or the host and port of a URL.
fn address_of(text: &str) -> Result<String, BadTarget> {
    let (scheme, rest) = text
        .split_once("://")
        .map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        // The colons of an address of version 6 stand in brackets.
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().map_err(|_| BadTarget::BadPort)?;
            (host, Some(port))
        }
        _ => (place, None),
    };
    let port = port.or_else(|| scheme.and_then(usual_port));
    let port: u16 = port.ok_or_else(|| BadTarget::NoPort(place.to_owned()))?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(BadTarget::NoHost(place.to_owned()));
    }
    Ok(format!("{host}:{port}"))
}

/// Ports of the services whose URLs programs are configured with.
fn usual_port(scheme: &str) -> Option<u16> {
    let port = match scheme.split('+').next().unwrap_or(scheme) {
        "http" => 80,
        "https" => 443,
        "postgres" | "postgresql" => 5_432,
        "mysql" | "mariadb" => 3_306,
        "redis" | "rediss" => 6_379,
        "mongodb" => 27_017,
        "amqp" => 5_672,
        "memcached" => 11_211,
        _ => return None,
    };
    Some(port)
}

impl Target {
    /// Looks where the service is every `period`, for as long as the second value lives; the first look has ended
    /// when this returns. A look that fails changes nothing.
    ///
    /// # Errors
    /// The machine has no usable configuration of DNS.
    pub async fn follow(
        self,
        period: Duration,
    ) -> Result<(watch::Receiver<Endpoints>, JoinHandle<()>), String> {
        let looker = Looker::new(self)?;
        let (found, endpoints) = watch::channel(Endpoints::default());
        let mut failed = looker.look_and_tell(&found, None).await;
        let following = tokio::spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                failed = looker.look_and_tell(&found, failed).await;
            }
        });
        Ok((endpoints, following))
    }
}

/// A target with what it takes to look.
struct Looker {
    target: Target,
    dns: Option<TokioResolver>,
}

impl Looker {
    fn new(target: Target) -> Result<Self, String> {
        let asks_dns = matches!(target, Target::Dns { .. } | Target::Srv(_));
        let dns = asks_dns.then(|| {
            let builder = TokioResolver::builder_tokio().map_err(|error| error.to_string())?;
            builder.build().map_err(|error| error.to_string())
        });
        Ok(Self {
            target,
            dns: dns.transpose()?,
        })
    }

    /// Looks, and tells what changed; a failure is logged once and returned.
    async fn look_and_tell(
        &self,
        found: &watch::Sender<Endpoints>,
        failed: Option<String>,
    ) -> Option<String> {
        match self.look().await {
            Ok(endpoints) => {
                let has_moved = found.send_if_modified(|known| {
                    let has_changed = *known != endpoints;
                    known.clone_from(&endpoints);
                    has_changed
                });
                if has_moved {
                    tracing::info!(addresses = ?endpoints.in_turn(), "the service is here");
                }
                None
            }
            Err(why) => {
                if failed.as_ref() != Some(&why) {
                    tracing::warn!(
                        why,
                        "cannot look where the service is; what was known stays"
                    );
                }
                Some(why)
            }
        }
    }

    async fn look(&self) -> Result<Endpoints, String> {
        match &self.target {
            Target::Address(address) => Ok(Endpoints::alike([address.clone()])),
            Target::Value(value) => parse_lines(value),
            Target::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                parse_lines(&read.map_err(|error| format!("{}: {error}", path.display()))?)
            }
            Target::Dns { host, port } => self.look_up(host, *port).await,
            Target::Srv(name) => self.look_up_service(name).await,
        }
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Endpoints, String> {
        let Some(dns) = &self.dns else {
            return Err("there is no resolver".to_owned());
        };
        let found = dns
            .lookup_ip(host)
            .await
            .map_err(|error| error.to_string())?;
        let addresses = found.iter().map(|ip| SocketAddr::new(ip, port).to_string());
        Ok(Endpoints::alike(addresses))
    }

    async fn look_up_service(&self, name: &str) -> Result<Endpoints, String> {
        let Some(dns) = &self.dns else {
            return Err("there is no resolver".to_owned());
        };
        let found = dns
            .srv_lookup(name)
            .await
            .map_err(|error| error.to_string())?;
        let mut endpoints = Vec::new();
        for record in found.answers() {
            let RData::SRV(srv) = &record.data else {
                continue;
            };
            // A host without addresses must not hide the others.
            let host = srv.target.to_utf8();
            let Ok(addresses) = dns.lookup_ip(host.as_str()).await else {
                tracing::warn!(host, "a host of an SRV record has no address");
                continue;
            };
            endpoints.extend(addresses.iter().map(|ip| Endpoint {
                address: SocketAddr::new(ip, srv.port).to_string(),
                priority: srv.priority,
                weight: srv.weight,
            }));
        }
        if endpoints.is_empty() {
            return Err(format!("no host of `{name}` has an address"));
        }
        Ok(Endpoints::new(endpoints))
    }
}

/// Reads lines with an address or a URL each.
pub(super) fn parse_lines(text: &str) -> Result<Endpoints, String> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty());
    let mut addresses = Vec::new();
    for line in lines {
        addresses.push(address_of(line).map_err(|error| error.to_string())?);
    }
    if addresses.is_empty() {
        return Err("it names no address".to_owned());
    }
    Ok(Endpoints::alike(addresses))
}

impl Endpoints {
    /// Reads what stands at a key or in a file: `HOST:PORT` or a URL in each line.
    ///
    /// # Errors
    /// A line that is neither, or none at all.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_lines(text)
    }
}

#[cfg(test)]
mod dns_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let dns = Target::Dns {
            host: "db.internal".to_owned(),
            port: 3_306,
        };
        assert_eq!("dns:db.internal:3306".parse(), Ok(dns));
        assert_eq!("db:1".parse(), Ok(Target::Address("db:1".to_owned())));
        assert_eq!(
            "srv:_db._tcp.internal".parse(),
            Ok(Target::Srv("_db._tcp.internal".to_owned()))
        );
        assert_eq!("file:/etc/db".parse(), Ok(Target::File("/etc/db".into())));
        for bad in ["db", "dns:db", "srv:", "file:", ":1", "db:x", "env:A"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_read_to_their_host_and_port() {
        for (text, wanted) in [
            (
                "postgres://user:p%40ss@db.internal/app?sslmode=off",
                "db.internal:5432",
            ),
            ("mysql://db:3307/app", "db:3307"),
            ("redis://[::1]", "[::1]:6379"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(address_of(text).as_deref(), Ok(wanted));
        }
        let refused = address_of("sqlserver://sa:secret@db/app").expect_err("no port");
        assert_eq!(
            refused.to_string(),
            "`db` has no port",
            "secrets stand in no message"
        );
        for text in ["http://db:99999", "redis://sa:sec/ret@db:1", "db:sec"] {
            assert_eq!(address_of(text), Err(BadTarget::BadPort), "{text}");
        }
        let parsed = Endpoints::parse("# the new one\na:1\n\nhttp://b # second\n");
        assert_eq!(
            parsed,
            Ok(Endpoints::alike(["a:1".to_owned(), "b:80".to_owned()]))
        );
        assert!(Endpoints::parse("\n# none\n").is_err());
    }
}
