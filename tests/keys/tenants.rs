//! One process with keys: views of tenants, ids of contexts, and answers that are kept.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use gleaner_api::ApiOptions;
use gleaner_api::security::secure;
use gleaner_testkit::Node;
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::shared::{COUNTED, SEARCHED};

/// A node with keys that answers over HTTP.
pub(crate) struct Site {
    _node: Node,
    address: SocketAddr,
    admin: String,
}

impl Site {
    pub(crate) async fn start(cache_bytes: u64) -> Result<Self> {
        let node = Node::start().await?;
        let coordinator = Arc::clone(node.root.cluster().coordinator());
        let first = secure(&*coordinator, 0).await?.context("the first key")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let options = ApiOptions {
            cache_bytes,
            ..ApiOptions::default()
        };
        let dialect = gleaner_api::dialect(Arc::clone(&node.root), options.clone(), None);
        tokio::spawn(
            async move { gleaner_api::serve(listener, dialect, &options, pending()).await },
        );
        let site = Self {
            _node: node,
            address,
            admin: first.encoded(),
        };
        site.fill().await?;
        Ok(site)
    }

    /// Makes `orders` with documents of two customers, each with a view, and `other`.
    async fn fill(&self) -> Result<()> {
        let view = |customer: &str| json!({"filter": {"term": {"customer": customer}}});
        let body = json!({
            "settings": {"number_of_shards": 2},
            "mappings": {"properties": {"customer": {"type": "keyword"}, "text": {"type": "text"}}},
            "aliases": {"orders-kim": view("kim"), "orders-lee": view("lee"), "orders-all": {}},
        });
        self.admin("PUT", "/orders", &body).await?;
        self.admin("PUT", "/other", &json!({})).await?;
        for (path, customer) in [
            ("/orders/_doc/1", "kim"),
            ("/orders/_doc/2", "lee"),
            ("/orders/_doc/3", "lee"),
            ("/other/_doc/4", "kim"),
        ] {
            let document = json!({"customer": customer, "text": "green tea"});
            self.admin("PUT", &format!("{path}?refresh=true"), &document)
                .await?;
        }
        Ok(())
    }

    /// Returns where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    async fn send(&self, key: &str, request: Request) -> Result<Response> {
        let request = request.with_header("authorization", &format!("ApiKey {key}"));
        request.send(self.address).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.send(&self.admin, request(method, path, body))
            .await?
            .ok()
    }

    pub(crate) async fn asked(
        &self,
        key: &str,
        route: (&str, &str),
        body: &Value,
    ) -> Result<(u16, Value)> {
        let response = self.send(key, request(route.0, route.1, body)).await?;
        Ok((response.status, response.json().unwrap_or(Value::Null)))
    }

    /// Asks without a key.
    pub(crate) async fn anonymous(&self, method: &str, path: &str) -> Result<(u16, Value)> {
        let response = Request::new(method, path).send(self.address).await?;
        Ok((response.status, response.json().unwrap_or(Value::Null)))
    }

    /// Makes a key with `privileges` on `names`.
    pub(crate) async fn key(&self, names: &[&str], privileges: &[&str]) -> Result<String> {
        let grant = json!({"names": names, "privileges": privileges});
        let roles = json!({"role": {"indices": [grant]}});
        let body = json!({"name": names.join(","), "role_descriptors": roles});
        let made = self.admin("POST", "/_security/api_key", &body).await?;
        Ok(made["encoded"].as_str().context("a key")?.to_owned())
    }
}

/// Returns a request with a body, or without one where that is null.
fn request(method: &str, path: &str, body: &Value) -> Request {
    match body {
        Value::Null => Request::new(method, path),
        body => Request::json(method, path, body),
    }
}

fn total(answer: &Value) -> Option<u64> {
    answer["hits"]["total"]["value"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_what_the_filter_of_its_alias_lets_through() -> Result<()> {
    let site = Site::start(0).await?;
    let kim = site.key(&["orders-kim"], &["read", "write"]).await?;
    let all = json!({"query": {"match_all": {}}, "aggs": {"all": {"global": {}}}});
    for path in [
        "/orders-kim/_search",
        "/_search",
        "/_all/_search",
        "/orders*/_search",
    ] {
        let (status, answer) = site.asked(&kim, ("POST", path), &all).await?;
        assert_eq!((status, total(&answer)), (200, Some(1)), "{path}: {answer}");
        assert_eq!(answer["aggregations"]["all"]["doc_count"], 1, "{path}");
    }
    let (_, answer) = site.asked(&kim, ("GET", "/_count"), &json!({})).await?;
    assert_eq!(answer["count"], 1);
    let searches = "{}\n{}\n{\"index\":\"orders-kim\"}\n{}\n{\"index\":\"orders\"}\n{}\n";
    let request = Request::ndjson("POST", "/_msearch", searches);
    let answer = site.send(&kim, request).await?.ok()?;
    for (at, expected) in [(0, Some(1)), (1, Some(1)), (2, None)] {
        assert_eq!(total(&answer["responses"][at]), expected, "{at}");
    }
    // What knows no filter is refused: the document is another's, or might be.
    let docs = json!({"docs": [{"_index": "orders-kim", "_id": "2"}]});
    let (_, answer) = site.asked(&kim, ("POST", "/_mget"), &docs).await?;
    assert_eq!(answer["docs"][0]["error"]["type"], "security_exception");
    let by_query = json!({"query": {"match_all": {}}});
    let update = json!({"doc": {"text": "mine"}});
    for (route, body) in [
        (("GET", "/orders-kim/_doc/2"), &Value::Null),
        (("GET", "/orders-kim/_source/2"), &Value::Null),
        (("POST", "/orders-kim/_explain/2"), &by_query),
        (("POST", "/orders-kim/_delete_by_query"), &by_query),
        (("PUT", "/orders-kim/_doc/2"), &update),
        (("POST", "/orders-kim/_update/2"), &update),
        (("DELETE", "/orders-kim/_doc/2"), &Value::Null),
        (("POST", "/orders/_search"), &by_query),
        (("GET", "/orders-lee/_search"), &Value::Null),
    ] {
        let (status, answer) = site.asked(&kim, route, body).await?;
        assert_eq!(status, 403, "{route:?}: {answer}");
    }
    // Without a filter an alias is as good as its index.
    let plain = site.key(&["orders-all"], &["read", "write"]).await?;
    let (status, _) = site
        .asked(&plain, ("GET", "/orders-all/_doc/2"), &Value::Null)
        .await?;
    assert_eq!(status, 200);
    let (status, _) = site
        .asked(&plain, ("GET", "/orders/_doc/2"), &Value::Null)
        .await?;
    assert_eq!(status, 403, "a right to an alias is none to its index");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_alias_is_shown_no_other() -> Result<()> {
    let site = Site::start(0).await?;
    let stream = json!({"index_patterns": ["logs-*"], "data_stream": {},
        "template": {"aliases": {"errors": {"filter": {"term": {"level": "error"}}}, "payroll": {}}}});
    site.admin("PUT", "/_index_template/logs", &stream).await?;
    site.admin("PUT", "/_data_stream/logs-a", &Value::Null)
        .await?;
    let key = site
        .key(&["orders-kim", "errors"], &["view_index_metadata"])
        .await?;
    for path in ["/_alias", "/orders-kim,errors/_alias", "/_alias/*"] {
        let (status, shown) = site.asked(&key, ("GET", path), &Value::Null).await?;
        assert_eq!(status, 200, "{path}: {shown}");
        let names = |owner: &str| -> Vec<String> {
            let aliases = shown[owner]["aliases"].as_object();
            aliases
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect()
        };
        assert_eq!(names("orders"), ["orders-kim"], "{path}: {shown}");
        assert_eq!(names("logs-a"), ["errors"], "{path}: {shown}");
    }
    let whole = site.key(&["orders"], &["view_index_metadata"]).await?;
    let (_, shown) = site.asked(&whole, ("GET", "/_alias"), &Value::Null).await?;
    let aliases = shown["orders"]["aliases"].as_object();
    assert_eq!(aliases.map(serde_json::Map::len), Some(3), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_scrolls_and_points_in_time_are_of_no_use_to_another_key() -> Result<()> {
    let site = Site::start(0).await?;
    let one = site.key(&["orders"], &["read"]).await?;
    let two = site.key(&["orders"], &["read"]).await?;
    let (_, opened) = site
        .asked(&one, ("POST", "/orders/_pit?keep_alive=1m"), &Value::Null)
        .await?;
    let pit = opened["id"].as_str().context("an id")?;
    let search = json!({"pit": {"id": pit, "keep_alive": "1m"}});
    let (status, answer) = site.asked(&one, ("POST", "/_search"), &search).await?;
    assert_eq!((status, total(&answer)), (200, Some(3)), "{answer}");
    let again = json!({"pit": {"id": answer["pit_id"], "keep_alive": "1m"}});
    let (status, _) = site.asked(&one, ("POST", "/_search"), &again).await?;
    assert_eq!(status, 200, "the id that came back goes on");
    let request = Request::ndjson("POST", "/_msearch", format!("{{}}\n{search}\n"));
    let answer = site.send(&one, request.clone()).await?.ok()?;
    assert_eq!(total(&answer["responses"][0]), Some(3), "{answer}");
    let (status, _) = site.asked(&two, ("POST", "/_search"), &search).await?;
    assert_eq!(status, 403);
    let answer = site.send(&two, request).await?.ok()?;
    assert_eq!(answer["responses"][0]["status"], 403);
    let path = "/orders/_search?scroll=1m&size=1";
    let (_, first) = site.asked(&one, ("POST", path), &json!({})).await?;
    let scroll = json!({"scroll": "1m", "scroll_id": first["_scroll_id"]});
    let (status, _) = site
        .asked(&two, ("POST", "/_search/scroll"), &scroll)
        .await?;
    assert_eq!(status, 403);
    let mut seen = 1;
    let mut next = scroll;
    loop {
        let (status, page) = site.asked(&one, ("POST", "/_search/scroll"), &next).await?;
        ensure!(status == 200, "{page}");
        let num_hits = page["hits"]["hits"].as_array().map_or(0, Vec::len);
        if num_hits == 0 {
            break;
        }
        seen += num_hits;
        next = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
    }
    assert_eq!(seen, 3);
    let close = json!({"id": pit});
    let (status, _) = site.asked(&two, ("DELETE", "/_pit"), &close).await?;
    assert_eq!(status, 403);
    let (status, answer) = site.asked(&one, ("DELETE", "/_pit"), &close).await?;
    assert_eq!((status, &answer["succeeded"]), (200, &json!(true)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_is_kept_for_one_key_reaches_another() -> Result<()> {
    let (kept, bare) = (Site::start(64 << 20).await?, Site::start(0).await?);
    let grants: &[(&[&str], &[&str])] = &[
        (&["orders-kim"], &["read"]),
        (&["orders-lee"], &["read"]),
        (&["orders"], &["read"]),
        (&["other"], &["read"]),
        (&["*"], &["read"]),
        (&["orders-kim", "other"], &["read"]),
        (&["orders"], &["view_index_metadata"]),
    ];
    let mut keys = Vec::new();
    for (names, privileges) in grants {
        let pair = (
            kept.key(names, privileges).await?,
            bare.key(names, privileges).await?,
        );
        keys.push(pair);
    }
    let paths: Vec<&str> = [&SEARCHED[..], &COUNTED, &["/orders,other/_search"]].concat();
    let body = json!({"query": {"match": {"text": "tea"}}});
    let mut num_hits = 0;
    for _ in 0..3 {
        for path in &paths {
            for (with_cache, without) in &keys {
                let request = Request::json("POST", path, &body);
                let one = kept.send(with_cache, request.clone()).await?;
                let two = bare.send(without, request).await?;
                num_hits += usize::from(one.header("x-cache") == Some("hit"));
                let shown = |response: &Response| {
                    let mut answer = response.json().unwrap_or(Value::Null);
                    answer["took"] = Value::Null;
                    // Shards that rest are left out after a while.
                    answer["_shards"]["skipped"] = Value::Null;
                    if response.status == 403 {
                        // Ids of keys differ.
                        answer = answer["error"]["type"].clone();
                    }
                    (response.status, answer)
                };
                assert_eq!(shown(&one), shown(&two), "{path}");
            }
        }
    }
    ensure!(num_hits > 50, "too few hits to prove anything: {num_hits}");
    Ok(())
}
