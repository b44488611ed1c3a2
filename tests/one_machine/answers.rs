//! Memory of answers, over HTTP: what is done is said while all of it is taken, a page that was refused is
//! asked for again, and what is not shown takes no room.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_api::ApiOptions;
use gleaner_root::memory::HeldMemory;
use gleaner_root::{Root, RootOptions};
use gleaner_testkit::Node;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::node::NOW_MS;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A node that answers over HTTP, with so little memory for answers that a test can take all of it.
struct Site {
    _node: Node,
    root: Arc<Root>,
    address: SocketAddr,
}

/// Bytes of memory for all answers together, of which one may take all.
const MEMORY: usize = 1_500_000;

impl Site {
    async fn start() -> Result<Self> {
        let node = Node::start().await?;
        let options = RootOptions {
            query_memory_bytes: MEMORY as u64,
            memory_per_query_bytes: MEMORY as u64,
            ..RootOptions::default()
        };
        let coordinator = Arc::clone(node.root.cluster().coordinator());
        let leaves = Arc::clone(node.root.cluster().leaves());
        let root = Arc::new(Root::new(coordinator, leaves, options, || NOW_MS));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let options = ApiOptions::default();
        let dialect = gleaner_api::dialect(Arc::clone(&root), options.clone(), None);
        tokio::spawn(
            async move { gleaner_api::serve(listener, dialect, &options, pending()).await },
        );
        Ok(Self {
            _node: node,
            root,
            address,
        })
    }

    /// Creates an index whose documents have a number and a list that is not searched.
    async fn create(&self) -> Result<()> {
        let properties = json!({"n": {"type": "long"}});
        let body = json!({"mappings": {"dynamic": false, "properties": properties}});
        let create = Request::json("PUT", "/notes", &body);
        create.send(self.address).await?.ok().map(|_| ())
    }

    /// Puts documents `0`, `1`, … with lists of so many bytes, which take many times that when printed.
    async fn put(&self, lists: &[usize]) -> Result<()> {
        for (n, num_bytes) in lists.iter().enumerate() {
            let document = json!({"n": n, "list": vec![0; num_bytes / 2]});
            let path = format!("/notes/_doc/{n}?refresh=true");
            Request::json("PUT", &path, &document)
                .send(self.address)
                .await?
                .ok()?;
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Response> {
        Request::json("POST", path, body).send(self.address).await
    }

    async fn get(&self, path: &str) -> Result<Response> {
        Request::new("GET", path).send(self.address).await
    }

    /// Takes all memory but `left` bytes, once answers that were sent have given theirs back.
    async fn take_all_but(&self, left: usize) -> Result<HeldMemory> {
        let taken = async {
            loop {
                let memory = self.root.accounts().answer_memory();
                let held = memory.reserve(MEMORY - left);
                if let (Ok(held), Ok(_rest)) = (held, memory.reserve(left)) {
                    return held;
                }
                tokio::task::yield_now().await;
            }
        };
        let taken = tokio::time::timeout(Duration::from_secs(60), taken).await;
        taken.context("an answer keeps its memory")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_probes_are_answered_while_all_memory_is_taken() -> Result<()> {
    let site = Site::start().await?;
    let held = site.take_all_but(0).await?;
    let document = json!({"n": 1});
    for (method, path, status) in [
        ("PUT", "/notes/_doc/1", 201),
        ("PUT", "/notes/_doc/1?pretty", 200),
        ("PUT", "/notes/_create/2?format=yaml", 201),
        ("POST", "/notes/_doc?filter_path=_id", 201),
    ] {
        let write = Request::json(method, path, &document);
        let answer = write.send(site.address).await?;
        ensure!(answer.status == status, "{path}: {}", answer.shown());
    }
    for query in ["", "?pretty", "?format=yaml", "?filter_path=items.*.status"] {
        let lines = "{\"index\":{}}\n{\"n\":2}\n{\"index\":{}}\n{\"n\":3}\n";
        let bulk = Request::ndjson("POST", &format!("/notes/_bulk{query}"), lines);
        let items = bulk.send(site.address).await?.ok()?["items"].clone();
        for at in 0..2 {
            ensure!(items[at]["index"]["status"] == 201, "{query}: {items}");
        }
    }
    for path in ["/_health/live", "/_health/ready", "/_cluster/health?pretty"] {
        site.get(path).await?.ok()?;
    }
    let refresh = site.post("/notes/_refresh", &Value::Null).await?;
    refresh.ok()?;
    let refused = site.get("/notes/_search").await?;
    ensure!(refused.status == 429, "{}", refused.shown());
    drop(held);
    let count = site.get("/notes/_count").await?.ok()?;
    ensure!(count["count"] == 3 + 8, "each write once: {count}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_scroll_that_was_refused_comes_when_it_is_asked_for_again() -> Result<()> {
    let site = Site::start().await?;
    site.create().await?;
    site.put(&[200_000; 3]).await?;
    let search = json!({"size": 1, "sort": ["n"]});
    let first = site.post("/notes/_search?scroll=1m", &search).await?.ok()?;
    ensure!(first["hits"]["hits"][0]["_id"] == "0", "{first}");
    let first_id = json!({"scroll_id": first["_scroll_id"]});
    // Room to fetch the page, not to write its body as well.
    let held = site.take_all_but(300_000).await?;
    let refused = site.post("/_search/scroll", &first_id).await?;
    ensure!(refused.status == 429, "{}", refused.shown());
    drop(held);
    let second = site.post("/_search/scroll", &first_id).await?.ok()?;
    ensure!(second["hits"]["hits"][0]["_id"] == "1", "{second}");
    // Room for the body, not to print it.
    let _held = site.take_all_but(450_000).await?;
    let third = site.post("/_search/scroll?pretty", &first_id).await?;
    let third = third.ok()?;
    ensure!(third["hits"]["hits"][0]["_id"] == "2", "{third}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_shown_of_a_page_takes_no_room_in_its_answer() -> Result<()> {
    let site = Site::start().await?;
    site.create().await?;
    site.put(&[100_000; 10]).await?;
    let ids: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    for (search, status) in [
        (json!({"size": 10, "_source": false}), 200),
        (json!({"size": 10, "_source": ["n"]}), 200),
        (json!({"size": 10, "stored_fields": "_none_"}), 200),
        (json!({"size": 10}), 429),
    ] {
        let answer = site.post("/notes/_search", &search).await?;
        ensure!(answer.status == status, "{search}: {}", answer.shown());
    }
    for (query, status) in [("_source=false", 200), ("_source=n", 200), ("", 429)] {
        let path = format!("/notes/_mget?{query}");
        let answer = site.post(&path, &json!({"ids": ids})).await?;
        ensure!(answer.status == status, "{query}: {}", answer.shown());
    }
    // All is given back.
    site.take_all_but(0).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_takes_the_room_of_what_is_shown_of_it() -> Result<()> {
    let site = Site::start().await?;
    site.create().await?;
    site.put(&[1_000_000]).await?;
    for (path, status) in [
        ("/notes/_doc/0?_source=false", 200),
        ("/notes/_doc/0?_source=n", 200),
        ("/notes/_doc/0", 429),
        ("/notes/_source/0?_source=n", 200),
        ("/notes/_source/0", 200),
    ] {
        let answer = site.get(path).await?;
        ensure!(answer.status == status, "{path}: {}", answer.shown());
    }
    site.take_all_but(0).await.map(drop)
}
