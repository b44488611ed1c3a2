//! Links that can be cut: a proxy for each, from a leaf to each member of the etcd, and from everybody to a leaf.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use gleaner_testkit::proxy::{Fault, Proxy};

use super::cluster::{Cluster, LEAVES};

/// Who connects to a leaf: other leaves and roots, which call it where it has registered.
const OTHERS: &str = "others";

/// The links, by who connects and whom to.
pub(crate) struct Links(BTreeMap<(&'static str, String), Proxy>);

impl Links {
    /// Lays them: the leaves are started again, one after another, with the proxies' addresses. A leaf's own is that of the
    /// proxy before it.
    pub(crate) async fn lay(cluster: &mut Cluster) -> Result<Self> {
        let mut links = BTreeMap::new();
        for leaf in LEAVES {
            let config = cluster.config(leaf);
            let mut text = fs::read_to_string(&config)?;
            for (name, address) in addresses(&text)? {
                let from = match name.starts_with("etcd-") {
                    true => leaf,
                    false if name == leaf => OTHERS,
                    false => continue,
                };
                let proxy = Proxy::before(address).await?;
                // With the quote behind: it is no beginning of another one.
                let quoted = |address: SocketAddr| format!("{address}\"");
                text = text.replace(&quoted(address), &quoted(proxy.address()));
                if from == OTHERS {
                    cluster.listen_at(leaf, address);
                }
                links.insert((from, name), proxy);
            }
            fs::write(&config, text)?;
            cluster.stop(leaf).await?;
            cluster.start_again(leaf)?;
            cluster.until_green().await?;
        }
        Ok(Self(links))
    }

    /// Does `fault` to the links that `is_meant` says, by who connects and whom to.
    pub(crate) fn set(&self, fault: Fault, is_meant: impl Fn(&str, &str) -> bool) {
        let links = self.0.iter();
        for (_, link) in links.filter(|((from, to), _)| is_meant(from, to)) {
            link.set(fault);
        }
    }
}

/// Returns the addresses of all nodes, and of the members of the etcd, that a configuration names.
fn addresses(config: &str) -> Result<Vec<(String, SocketAddr)>> {
    let table: toml::Table = config.parse()?;
    let cluster = &table["cluster"];
    let nodes = cluster["nodes"].as_array().context("nodes")?;
    let mut addresses = Vec::new();
    for node in nodes {
        let text = |key: &str| node.get(key).and_then(toml::Value::as_str);
        let (name, address) = text("name").zip(text("address")).context("a node")?;
        addresses.push((name.to_owned(), address.parse()?));
    }
    let members = cluster["etcd"].as_array().context("members of the etcd")?;
    for (number, member) in members.iter().enumerate() {
        let url = member.as_str().context("a URL")?;
        let address = url.trim_start_matches("http://").parse()?;
        addresses.push((format!("etcd-{}", number + 1), address));
    }
    Ok(addresses)
}
