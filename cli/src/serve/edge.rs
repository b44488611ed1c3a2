//! The edge of a node as the settings have it: who may call it, by which names, and where probes do.

use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_api::ApiOptions;
use gleaner_api::guard::{Cors, CorsSettings, Guard, Hosts};
use tokio::task::JoinHandle;

use super::address::{Bound, LISTEN, PROBE_LISTEN};
use crate::config::Config;
use crate::node::membership::Membership;

/// Returns which requests a node answers; `members` are those of its cluster, itself among them.
///
/// It goes by the name of the machine, its own and those of the members, by what stands in `listen` and
/// `publish_address`, and by `allowed_hosts`.
///
/// # Errors
/// A setting of CORS that means nothing.
pub(crate) fn guard(config: &Config, members: &Membership) -> Result<Arc<Guard>> {
    let machine = machine_name();
    let listen = LISTEN.complete(&config.listen)?;
    let mut names = vec![
        machine.trim(),
        &config.node_name,
        &listen,
        &config.publish_address,
    ];
    names.extend(names_of(members));
    names.extend(config.allowed_hosts.split(','));
    Ok(Arc::new(Guard {
        hosts: Hosts::new(names),
        cors: cors(config)?,
    }))
}

/// Returns the names and addresses of all members of a cluster: every root of it goes by them.
fn names_of(members: &Membership) -> impl Iterator<Item = &str> {
    let of_nodes = members.nodes.iter().flat_map(|member| {
        let own = [member.name.as_str(), &member.address];
        own.into_iter().chain(member.http_address.as_deref())
    });
    let fronts = members.fronts.iter();
    of_nodes.chain(fronts.flat_map(|front| [front.name.as_str(), &front.http_address]))
}

/// Returns which requests every root of a cluster lets pass whose answers are no root's own: a front goes by it before it
/// gives one that it keeps.
pub(crate) fn guard_of_roots(members: &Membership, allowed_hosts: &str) -> Guard {
    Guard {
        hosts: Hosts::new(names_of(members).chain(allowed_hosts.split(','))),
        cors: Cors::default(),
    }
}

/// Returns which requests pass at an address that only those reach who look after a process.
pub(crate) fn guard_of_keepers(listen: &str, allowed_hosts: &str) -> Guard {
    let names = machine_name();
    Guard {
        hosts: Hosts::new(
            [names.trim(), listen]
                .into_iter()
                .chain(allowed_hosts.split(',')),
        ),
        cors: Cors::default(),
    }
}

fn machine_name() -> String {
    // Where there is no such file the name of the machine has to be set.
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}

fn cors(config: &Config) -> Result<Cors> {
    if !config.http_cors_enabled {
        return Ok(Cors::default());
    }
    let settings = CorsSettings {
        allow_origin: &config.http_cors_allow_origin,
        allow_methods: &config.http_cors_allow_methods,
        allow_headers: &config.http_cors_allow_headers,
        expose_headers: &config.http_cors_expose_headers,
        allow_credentials: config.http_cors_allow_credentials,
        max_age_seconds: config.http_cors_max_age,
    };
    Ok(Cors::new(settings)?)
}

/// The listener of probes, where there is one; closed when this is dropped.
pub(crate) struct Probes(Option<JoinHandle<()>>);

impl Probes {
    /// Listens on `address`, if it is not empty, and answers the probes there as `service` does.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(crate) async fn start<S>(address: &str, service: S, options: &ApiOptions) -> Result<Self>
    where
        S: gleaner_server::Answers,
    {
        if address.is_empty() {
            return Ok(Self(None));
        }
        let bound = Bound::take(address, PROBE_LISTEN).await?;
        let address = bound.local_addr().context("the listener has no address")?;
        let listener = bound.listen()?;
        tracing::info!(%address, "answering probes");
        let options = options.clone();
        let serving = tokio::spawn(async move {
            let never = std::future::pending();
            let served = gleaner_api::serve_probes(listener, service, &options, never).await;
            if let Err(error) = served {
                tracing::error!(%error, "the listener of probes failed");
            }
        });
        Ok(Self(Some(serving)))
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        if let Some(serving) = &self.0 {
            serving.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::Role;

    use super::*;
    use crate::node::membership::{FrontMember, Member};

    #[test]
    fn a_node_goes_by_its_own_names_and_those_of_the_members() {
        let config = Config {
            node_name: "leaf-1".to_owned(),
            listen: "search.internal".to_owned(),
            publish_address: "public.example.com:443".to_owned(),
            allowed_hosts: "balancer, *.svc.local".to_owned(),
            ..Config::default()
        };
        let root = Member {
            name: "root-1".to_owned(),
            role: Role::Root,
            address: "rpc.internal:9300".to_owned(),
            http_address: Some("http.internal:9200".to_owned()),
            weight: 1.0,
            zone: None,
        };
        let members = Membership {
            nodes: vec![root],
            fronts: vec![FrontMember {
                name: "front-1".to_owned(),
                http_address: "search.example:443".to_owned(),
                probe_address: None,
            }],
            ..Membership::default()
        };
        let guard = guard(&config, &members).expect("valid settings");
        for host in [
            "leaf-1:9200",
            "root-1",
            "search.internal",
            "public.example.com",
            "rpc.internal",
            "http.internal:1",
            "balancer",
            "a.svc.local",
            "front-1",
            "search.example",
        ] {
            assert!(guard.hosts.allow(host.as_bytes()), "{host}");
        }
        assert!(!guard.hosts.allow(b"root-2"));
        let of_roots = guard_of_roots(&members, "balancer, *.svc.local");
        for host in ["root-1", "http.internal:1", "balancer", "search.example"] {
            assert!(of_roots.hosts.allow(host.as_bytes()), "{host}");
        }
        for host in ["leaf-1", "search.internal", "evil.example"] {
            assert!(
                !of_roots.hosts.allow(host.as_bytes()),
                "of one node: {host}"
            );
        }
    }
}
