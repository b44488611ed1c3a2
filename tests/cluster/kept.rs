//! Answers that roots of a cluster keep: each asks the primaries before it serves one.

mod stale;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_api::ApiOptions;
use gleaner_model::NodeId;
use gleaner_root::{Root, RootOptions};
use gleaner_testkit::Cluster;
use gleaner_testkit::cluster::{LeafNode, Way};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::proxy::Fault;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How long a root may take until it asks a leaf again that was away: it leaves it out for 30 s at most, and once more
/// each time that a busy machine lets the try run out.
const BACK_WITHIN: Duration = Duration::from_secs(180);

/// A cluster with two roots that keep answers, each with its own port.
struct Site {
    cluster: Cluster,
    roots: [SocketAddr; 2],
}

impl Site {
    /// Starts three leaves with an index `things` of three shards, two copies of each.
    async fn start() -> Result<Self> {
        let options = RootOptions::default;
        let cluster = Cluster::start(3, options()).await?;
        let other = Arc::new(cluster.another_root(Way::Proxied, options()));
        let roots = [serve(&cluster.root).await?, serve(&other).await?];
        let body = json!({
            "settings": {
                "number_of_shards": 3, "number_of_replicas": 1, "refresh_interval": "100ms",
            },
            "mappings": {"properties": {"owner": {"type": "keyword"}, "n": {"type": "long"}}},
        });
        cluster.create("things", &body).await?;
        Ok(Self { cluster, roots })
    }

    async fn put(&self, root: usize, id: &str, document: &Value) -> Result<()> {
        let path = format!("/things/_doc/{id}?refresh=true");
        let put = Request::json("PUT", &path, document);
        put.send(self.roots[root]).await?.ok()?;
        Ok(())
    }

    /// Counts all documents; returns where the answer came from, and the number.
    async fn count(&self, root: usize) -> Result<(String, u64)> {
        let count = Request::new("GET", "/things/_count");
        let response = count.send(self.roots[root]).await?;
        let from = origin(&response)?;
        let count = response.ok()?["count"].as_u64();
        Ok((from, count.context("a number")?))
    }

    /// Returns a leaf that leads a shard: by chance, not each does.
    async fn leading_leaf(&self) -> Result<&LeafNode> {
        let shards = Request::new("GET", "/_cat/shards/things?format=json");
        let shards = shards.send(self.roots[0]).await?.ok()?;
        let mut shards = shards.as_array().context("rows")?.iter();
        let primary = shards.find(|shard| shard["prirep"] == "p");
        let node = primary.and_then(|primary| primary["node"].as_str());
        let node = node.context("the node of a primary")?;
        self.cluster.leaf(&NodeId(node.into()))
    }
}

/// Answers for `root` over HTTP.
async fn serve(root: &Arc<Root>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let options = ApiOptions {
        cache_bytes: 64 << 20,
        ..ApiOptions::default()
    };
    let dialect = gleaner_api::dialect(Arc::clone(root), options.clone(), None);
    tokio::spawn(async move { gleaner_api::serve(listener, dialect, &options, pending()).await });
    Ok(address)
}

fn origin(response: &Response) -> Result<String> {
    let origin = response.header("x-cache").context("no `x-cache`")?;
    Ok(origin.to_owned())
}

fn from(origin: &str, count: u64) -> (String, u64) {
    (origin.to_owned(), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_until_a_write_is_visible_through_whichever_root() -> Result<()> {
    let site = Site::start().await?;
    for n in 1..4 {
        site.put(0, &n.to_string(), &json!({"n": n})).await?;
        for root in [0, 1] {
            ensure!(site.count(root).await? == from("miss", n), "root {root}");
            ensure!(site.count(root).await? == from("hit", n), "root {root}");
        }
        site.put(1, &format!("0-{n}"), &json!({"n": 0})).await?;
        ensure!(site.count(0).await? == from("miss", n + 1));
        let path = format!("/things/_doc/0-{n}?refresh=true");
        let deleted = Request::new("DELETE", &path).send(site.roots[0]).await?;
        deleted.ok()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_with_a_lease_asks_nobody() -> Result<()> {
    let site = Site::start().await?;
    site.put(0, "1", &json!({"n": 1})).await?;
    ensure!(site.count(0).await? == from("miss", 1));
    // The first look makes the root follow the leaves; each ask of theirs is then worth many hits.
    let num_asks = || -> u64 {
        let leaves = site.cluster.leaves.iter();
        leaves.map(|leaf| leaf.slow.num_generations()).sum()
    };
    timeout(BACK_WITHIN, async {
        loop {
            let before = num_asks();
            ensure!(site.count(0).await? == from("hit", 1));
            if num_asks() == before {
                return anyhow::Ok(());
            }
        }
    })
    .await??;
    site.put(1, "2", &json!({"n": 2})).await?;
    ensure!(
        site.count(0).await? == from("miss", 2),
        "through the other root"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_from_what_is_kept_while_a_primary_is_away() -> Result<()> {
    let site = Site::start().await?;
    site.put(0, "1", &json!({"n": 1})).await?;
    ensure!(site.count(0).await? == from("miss", 1));
    ensure!(site.count(0).await? == from("hit", 1));
    let leaf = site.leading_leaf().await?;
    leaf.proxy.set(Fault::Stall);
    // What the leaf leased before it stalled holds for half a second.
    timeout(BACK_WITHIN, async {
        while site.count(0).await? != from("miss", 1) {}
        anyhow::Ok(())
    })
    .await??;
    for _ in 0..4 {
        ensure!(site.count(0).await? == from("miss", 1), "a replica answers");
    }
    leaf.proxy.set(Fault::None);
    // The root takes the leaf back when it has tried it.
    let hit = async {
        while site.count(0).await? != from("hit", 1) {}
        anyhow::Ok(())
    };
    timeout(BACK_WITHIN, hit).await?
}
